/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/message_lines.h"

#include <string.h>

static void take_part(struct message_lines *lines, const char *data, size_t size,
                      const struct message_line_taker *taker)
{
    if (lines->passing_over
        || buf_append_within(&lines->line, data, size, MESSAGE_LINE_MAX_BYTES))
        return;
    lines->passing_over = true;
    buf_done(&lines->line);
    taker->take_too_long(taker->ctx);
}

static void end_line(struct message_lines *lines, const struct message_line_taker *taker)
{
    if (!lines->passing_over)
        taker->take(taker->ctx, lines->line.data ? lines->line.data : "", lines->line.size);
    lines->passing_over = false;
    /* A long one is rare: its memory isn't kept for those that follow. */
    if (lines->line.room > MESSAGE_LINE_MAX_BYTES / 16)
        buf_done(&lines->line);
    buf_clear(&lines->line);
}

void message_lines_feed(struct message_lines *lines, const char *data, size_t size,
                        const struct message_line_taker *taker)
{
    while (size) {
        const char *end = memchr(data, '\n', size);
        size_t part = end ? (size_t)(end - data) : size;

        take_part(lines, data, part, taker);
        if (!end)
            return;
        end_line(lines, taker);
        data += part + 1;
        size -= part + 1;
    }
}

void message_lines_done(struct message_lines *lines)
{
    buf_done(&lines->line);
}
