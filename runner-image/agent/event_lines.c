/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/event_lines.h"

#include <ctype.h>
#include <string.h>

#include "base/utf8.h"

/* --- Lines -------------------------------------------------------------------------------- */

void event_lines_done(struct event_lines *lines)
{
    buf_done(&lines->line);
}

static void end_line(struct event_lines *lines)
{
    struct buf *line = &lines->line;

    if (!lines->too_long && line->size && line->data[line->size - 1] == '\r')
        line->data[--line->size] = '\0';
    if (!lines->too_long && line->size)
        lines->on_line(lines->ctx, line->data, line->size);
    lines->too_long = false;
    buf_clear(line);
}

void event_lines_feed(struct event_lines *lines, const char *data, size_t size)
{
    while (size) {
        const char *end = memchr(data, '\n', size);
        size_t piece = end ? (size_t)(end - data) : size;

        if (!lines->too_long
            && !buf_append_within(&lines->line, data, piece, EVENT_LINE_MAX_BYTES)) {
            lines->too_long = true;
            lines->n_too_long++;
        }
        if (end) {
            end_line(lines);
            piece++;
        }
        data += piece;
        size -= piece;
    }
}

void event_lines_end(struct event_lines *lines)
{
    end_line(lines);
}

/* --- Documents ---------------------------------------------------------------------------- */

/* The four digits of a \u escape at `text`, or -1. */
static int escaped_unit(const char *text, size_t size)
{
    int unit = 0;

    if (size < 6 || text[0] != '\\' || text[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int digit = tolower((unsigned char)text[i]);

        if (!isxdigit(digit))
            return -1;
        unit = unit * 16 + (digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    return unit;
}

/* Replaces the escape when it stands for no character; returns how many bytes are dealt with.
 */
static size_t mend_escape(char *text, size_t size)
{
    static const char stand_in[6] = {'\\', 'u', 'f', 'f', 'f', 'd'};
    int unit = escaped_unit(text, size);
    bool high = unit >= 0xd800 && unit < 0xdc00;
    int next = high ? escaped_unit(text + 6, size - 6) : -1;

    if (unit < 0)
        return size < 2 ? size : 2;
    if (high && next >= 0xdc00 && next < 0xe000)
        return 12;
    if (unit == 0 || (unit >= 0xd800 && unit < 0xe000))
        memcpy(text, stand_in, sizeof(stand_in));
    return 6;
}

static void mend(char *line, size_t size)
{
    for (size_t at = 0, step; at < size; at += step) {
        if (line[at] == '\\') {
            step = mend_escape(line + at, size - at);
            /* What is no ASCII behind a backslash is looked at for itself. */
            if (step == 2 && (line[at + 1] < ' ' || line[at + 1] > '~'))
                step = 1;
            continue;
        }
        step = utf8_first(line + at, size - at);
        if (!step || !line[at]) {
            line[at] = '?';
            step = 1;
        }
    }
}

cJSON *event_line_parse(char *line, size_t size)
{
    struct err ignored = {0};
    cJSON *document;

    if (!size || line[0] != '{')
        return NULL;
    mend(line, size);
    document = json_parse(line, size, &ignored);
    if (document && !cJSON_IsObject(document)) {
        cJSON_Delete(document);
        document = NULL;
    }
    return document;
}
