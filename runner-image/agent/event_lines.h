/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_EVENT_LINES_H
#define RUNNER_EVENT_LINES_H
#include "base/buf.h"
#include "json/json.h"

/*
 * The stream of an agent that prints one JSON document a line. Bytes come as they come; lines
 * are put together up to a limit, whatever stands in them. All zeroes is a fresh one; one
 * thread.
 */
#define EVENT_LINE_MAX_BYTES (256 * 1024)

struct event_lines {
    struct buf line; /* being read */
    bool too_long;   /* this line passed the limit: what is left of it is dropped */
    uint64_t n_too_long;

    /* Each whole line, without its end, with a NUL behind it that doesn't count. Its bytes may
     * be changed. */
    void (*on_line)(void *ctx, char *line, size_t size);
    void *ctx;
};

void event_lines_done(struct event_lines *lines);

void event_lines_feed(struct event_lines *lines, const char *data, size_t size);
/* There is no more: tells a line that ended without a line break. */
void event_lines_end(struct event_lines *lines);

/*
 * The line as a document for the caller to free; NULL when it isn't an object. An event isn't
 * lost for a character that JSON text can't have, since tools print anything: what is no UTF-8,
 * an escaped NUL and halves of surrogate pairs are replaced, in place.
 */
cJSON *event_line_parse(char *line, size_t size) CHECKED;
#endif
