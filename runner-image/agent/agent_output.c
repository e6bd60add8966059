/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_output.h"

#include <string.h>

#include "base/alloc.h"

/* Kept beyond the limit so that a secret across the cut is seen whole and redacted first. */
#define LINE_SLACK_BYTES 4096
#define CUT_MARK " [line cut]"
/* Stands where a NUL stood: not valid UTF-8, so that it is replaced as the like are. */
#define NUL_STAND_IN '\xff'

struct line {
    char text[OUTPUT_LINE_MAX_BYTES + LINE_SLACK_BYTES + 1];
    size_t size;
    bool cut;
};

struct agent_output {
    struct events *events;
    struct redaction *redaction;
    struct line lines[2]; /* being read: stdout, stderr */
    struct partial_marker marker;
    char *partial_reason;
    uint64_t told_bytes;
    uint64_t told_lines;
    bool told_enough;
    char last_line[OUTPUT_LAST_LINE_MAX + 1];
};

struct agent_output *agent_output_new(struct events *events, struct redaction *redaction)
{
    struct agent_output *output = xcalloc(1, sizeof(*output));

    output->events = events;
    output->redaction = redaction;
    return output;
}

void agent_output_free(struct agent_output *output)
{
    if (!output)
        return;
    free(output->partial_reason);
    free(output);
}

/* Where a text of `size` bytes is cut to at most `max` without cutting a character. */
static size_t cut_at(const char *text, size_t size, size_t max)
{
    if (size <= max)
        return size;
    size = max;
    while (size && max - size < 4 && ((unsigned char)text[size] & 0xc0) == 0x80)
        size--;
    return size;
}

static void remember(struct agent_output *output, const struct line *line)
{
    size_t size = cut_at(line->text, strlen(line->text), OUTPUT_LAST_LINE_MAX);

    if (!line->text[strspn(line->text, " \t")])
        return;
    memcpy(output->last_line, line->text, size);
    output->last_line[size] = '\0';
    for (char *c = output->last_line; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    }
}

/* What it takes in an event, where "\x01" is six bytes. */
static size_t size_as_json(const char *text)
{
    size_t size = 0;

    for (; *text; text++)
        size += (unsigned char)*text < ' ' ? 6 : *text == '"' || *text == '\\' ? 2 : 1;
    return size;
}

static void tell(struct agent_output *output, enum process_stream stream, struct line *line)
{
    size_t size = size_as_json(line->text);

    if (output->told_enough)
        return;
    if (output->told_bytes + size > OUTPUT_TOTAL_MAX_BYTES
        || output->told_lines == OUTPUT_TOTAL_MAX_LINES) {
        output->told_enough = true;
        events_warn(output->events,
                    "output truncated: the agent printed more than %d MiB or %d lines",
                    OUTPUT_TOTAL_MAX_BYTES / (1024 * 1024), OUTPUT_TOTAL_MAX_LINES);
        return;
    }
    output->told_bytes += size + 1;
    output->told_lines++;
    events_add(output->events, "log",
               jobj({"stream", jstr(stream == PROCESS_STDERR ? "stderr" : "stdout")},
                    {"line", jstr(line->text)}));
}

static void end_line(struct agent_output *output, enum process_stream stream)
{
    struct line *line = &output->lines[stream == PROCESS_STDERR];
    size_t whole = line->size;

    if (whole && line->text[whole - 1] == '\r')
        whole--;
    for (size_t i = 0; i < whole; i++) {
        if (!line->text[i])
            line->text[i] = NUL_STAND_IN;
    }
    line->text[whole] = '\0';
    redaction_apply(output->redaction, line->text);
    remember(output, line);
    if (line->cut || strlen(line->text) > OUTPUT_LINE_MAX_BYTES) {
        size_t keep =
            cut_at(line->text, strlen(line->text), OUTPUT_LINE_MAX_BYTES - strlen(CUT_MARK));

        memcpy(line->text + keep, CUT_MARK, sizeof(CUT_MARK));
    }
    tell(output, stream, line);
    line->size = 0;
    line->cut = false;
}

static void add_to_line(struct line *line, const char *data, size_t size)
{
    size_t room = sizeof(line->text) - 1 - line->size;

    if (size > room) {
        size = room;
        line->cut = true;
    }
    memcpy(line->text + line->size, data, size);
    line->size += size;
}

void agent_output_feed(struct agent_output *output, enum process_stream stream,
                       const char *data, size_t size)
{
    struct line *line = &output->lines[stream == PROCESS_STDERR];

    if (stream == PROCESS_STDOUT)
        partial_marker_feed(&output->marker, data, size);
    while (size) {
        const char *end = memchr(data, '\n', size);
        size_t piece = end ? (size_t)(end - data) : size;

        add_to_line(line, data, piece);
        if (end) {
            end_line(output, stream);
            piece++;
        }
        data += piece;
        size -= piece;
    }
}

void agent_output_end(struct agent_output *output)
{
    const char *reason = partial_marker_reason(&output->marker);

    if (output->lines[0].size)
        end_line(output, PROCESS_STDOUT);
    if (output->lines[1].size)
        end_line(output, PROCESS_STDERR);
    free(output->partial_reason);
    output->partial_reason = xstrdup(reason);
    if (reason)
        redaction_apply(output->redaction, output->partial_reason);
}

const char *agent_output_partial_reason(const struct agent_output *output)
{
    return output->partial_reason;
}

const char *agent_output_last_line(const struct agent_output *output)
{
    return output->last_line;
}
