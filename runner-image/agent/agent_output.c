/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_output.h"

#include <string.h>

#include "agent/cut.h"
#include "agent/event_lines.h"
#include "base/alloc.h"

/* Kept beyond the limit so that a secret across the cut is seen whole and redacted first. */
#define LINE_SLACK_BYTES 4096
#define CUT_MARK " [line cut]"
/* Stands where a NUL stood: not valid UTF-8, so that it is replaced as the like are. */
#define NUL_STAND_IN '\xff'
#define TAIL_MAX_BYTES ((size_t)64 * 1024)

struct line {
    char text[OUTPUT_LINE_MAX_BYTES + LINE_SLACK_BYTES + 1];
    size_t size;
    bool cut;
};

struct agent_output {
    struct events *events;
    struct redaction *redaction;
    struct line lines[2];       /* being read: stdout, stderr */
    agent_event_reader *reader; /* of stdout; NULL: it is plain text */
    struct event_lines event_lines;
    struct transcript *transcript;
    struct partial_marker marker; /* in plain text */
    struct buf tail;              /* of plain text: its answer */
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
    event_lines_done(&output->event_lines);
    transcript_free(output->transcript);
    buf_done(&output->tail);
    free(output->partial_reason);
    free(output);
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

static void add_text(struct agent_output *output, enum process_stream stream, const char *data,
                     size_t size)
{
    while (size) {
        const char *end = memchr(data, '\n', size);
        size_t piece = end ? (size_t)(end - data) : size;

        add_to_line(&output->lines[stream == PROCESS_STDERR], data, piece);
        if (end) {
            end_line(output, stream);
            piece++;
        }
        data += piece;
        size -= piece;
    }
}

/* --- Events of the agent ------------------------------------------------------------------ */

/* What is no event is output like any other's: a complaint before the start, for instance. */
static void read_event(void *ctx, char *line, size_t size)
{
    struct agent_output *output = ctx;
    scoped_json event = event_line_parse(line, size);

    if (event) {
        output->reader(output->transcript, event);
        return;
    }
    add_text(output, PROCESS_STDOUT, line, size);
    add_text(output, PROCESS_STDOUT, "\n", 1);
}

void agent_output_read_events(struct agent_output *output, agent_event_reader *reader,
                              bool metered)
{
    output->reader = reader;
    output->event_lines.on_line = read_event;
    output->event_lines.ctx = output;
    output->transcript = transcript_new(output->events, output->redaction, metered);
}

/* --- All of it ---------------------------------------------------------------------------- */

/* The last of it, in a buffer that is shortened only now and then. */
static void keep_tail(struct buf *tail, const char *data, size_t size)
{
    if (size > TAIL_MAX_BYTES) {
        data += size - TAIL_MAX_BYTES;
        size = TAIL_MAX_BYTES;
    }
    if (tail->size + size > 2 * TAIL_MAX_BYTES)
        buf_drop_front(tail, tail->size + size - TAIL_MAX_BYTES);
    buf_append(tail, data, size);
}

void agent_output_feed(struct agent_output *output, enum process_stream stream,
                       const char *data, size_t size)
{
    if (stream == PROCESS_STDOUT && output->reader) {
        event_lines_feed(&output->event_lines, data, size);
        return;
    }
    if (stream == PROCESS_STDOUT) {
        partial_marker_feed(&output->marker, data, size);
        keep_tail(&output->tail, data, size);
    }
    add_text(output, stream, data, size);
}

static void end_events(struct agent_output *output)
{
    event_lines_end(&output->event_lines);
    transcript_end(output->transcript);
    if (output->event_lines.n_too_long)
        events_warn(output->events,
                    "%llu of the agent's events were longer than %d KiB and are left out",
                    (unsigned long long)output->event_lines.n_too_long,
                    EVENT_LINE_MAX_BYTES / 1024);
}

/* Plain text as an answer: its last bytes from the start of a character, trimmed. */
static void end_tail(struct agent_output *output)
{
    struct buf *tail = &output->tail;
    size_t skip = tail->size > TAIL_MAX_BYTES ? tail->size - TAIL_MAX_BYTES : 0;

    while (skip && skip < tail->size && ((unsigned char)tail->data[skip] & 0xc0) == 0x80)
        skip++;
    buf_drop_front(tail, skip);
    for (size_t i = 0; i < tail->size; i++)
        if (!tail->data[i])
            tail->data[i] = NUL_STAND_IN;
    while (tail->size && strchr(" \t\r\n", tail->data[tail->size - 1]))
        tail->data[--tail->size] = '\0';
    if (tail->size)
        redaction_apply(output->redaction, tail->data);
}

void agent_output_end(struct agent_output *output)
{
    const char *reason = partial_marker_reason(&output->marker);

    if (output->reader)
        end_events(output);
    if (output->lines[0].size)
        end_line(output, PROCESS_STDOUT);
    if (output->lines[1].size)
        end_line(output, PROCESS_STDERR);
    end_tail(output);
    free(output->partial_reason);
    output->partial_reason = xstrdup(reason);
    if (reason)
        redaction_apply(output->redaction, output->partial_reason);
}

const char *agent_output_partial_reason(const struct agent_output *output)
{
    return output->transcript ? transcript_partial_reason(output->transcript)
                              : output->partial_reason;
}

const char *agent_output_answer(const struct agent_output *output)
{
    if (output->transcript)
        return transcript_answer(output->transcript);
    return output->tail.size ? output->tail.data : "";
}

const char *agent_output_last_line(const struct agent_output *output)
{
    return output->last_line;
}

const struct transcript *agent_output_transcript(const struct agent_output *output)
{
    return output->transcript;
}
