/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_EVENT_STREAM_H
#define DISPATCHCTL_EVENT_STREAM_H
#include "dispatchctl/client.h"
#include "dispatchctl/event_reader.h"

/*
 * The events of one run, or of all that the credential may see, over as many connections as it
 * takes: each begins after the last event that was heard. A connection that is silent for
 * STREAM_SILENCE_MS, while the server promises a heartbeat every 15 s, counts as broken.
 */
#define STREAM_SILENCE_MS 45000

struct event_stream;

/* `path` is copied. Nothing is connected to yet. */
struct event_stream *event_stream_new(struct client *client, const char *path) CHECKED;
void event_stream_free(struct event_stream *stream);
DEFINE_SCOPED(event_stream)

enum stream_news {
    STREAM_EVENT,
    STREAM_QUIET,  /* nothing within the time */
    STREAM_OVER,   /* all has been heard */
    STREAM_BROKEN, /* `err` says why; asked again, it connects again */
    STREAM_CLOSED, /* the server ended it without saying that it is over; the same */
};

/* Whether the server has answered that events follow. */
bool event_stream_is_open(const struct event_stream *stream);

/* At most wait_ms. Errors as client_call has them. */
enum stream_news event_stream_next(struct event_stream *stream, int wait_ms, struct event *out,
                                   struct err *err) CHECKED;
#endif
