/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MCP_MESSAGE_LINES_H
#define MCP_MESSAGE_LINES_H
#include "base/buf.h"

/*
 * Bytes as they come, cut into lines. A line beyond MESSAGE_LINE_MAX_BYTES is told of once, as
 * soon as it is too long, and passed over to its end, however far that is. All zeroes is the
 * start.
 */
#define MESSAGE_LINE_MAX_BYTES ((size_t)256 * 1024)

struct message_lines {
    struct buf line;
    bool passing_over;
};

struct message_line_taker {
    void (*take)(void *ctx, const char *line, size_t size); /* without its break */
    void (*take_too_long)(void *ctx);
    void *ctx;
};

void message_lines_feed(struct message_lines *lines, const char *data, size_t size,
                        const struct message_line_taker *taker);
void message_lines_done(struct message_lines *lines);
#endif
