/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_EVENT_READER_H
#define DISPATCHCTL_EVENT_READER_H
#include "base/buf.h"

/*
 * Server-sent events out of pieces of bytes, as
 * https://html.spec.whatwg.org/multipage/server-sent-events.html says: comments and unknown
 * fields are passed over, an event without data is none, an id lasts until the next. Embedded
 * in its owner; zeroes are a fresh one.
 */
struct event_reader {
    struct buf waiting; /* bytes not looked at */
    size_t taken;       /* of them */
    struct buf data;
    char type[64];
    char last_id[64];
    bool has_data;
    bool handed_out; /* what is in data and type belongs to the one before */
    bool after_cr;   /* a line feed that comes next belongs to the line before */
};

#define EVENT_MAX_BYTES (1024 * 1024)

struct event {
    const char *id;   /* "" : none yet */
    const char *type; /* "message" where it doesn't say */
    const char *data; /* borrowed until the next call */
};

/* ERR_TOO_LARGE: an event of more than EVENT_MAX_BYTES. */
int event_reader_feed(struct event_reader *reader, const char *bytes, size_t size,
                      struct err *err) CHECKED;
/* False: more bytes are needed. */
bool event_reader_next(struct event_reader *reader, struct event *out);
/* Of a new connection; the last id stays. */
void event_reader_restart(struct event_reader *reader);
void event_reader_done(struct event_reader *reader);
#endif
