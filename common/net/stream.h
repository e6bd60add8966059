/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_STREAM_H
#define NET_STREAM_H
#include "net/net.h"

/*
 * A call whose answer is read as it arrives, at the reader's own pace: while NET_STREAM_ROOM
 * bytes wait to be read, no more is taken from the connection. Whatever its status, the body
 * comes this way and has no limit; nothing is tried again. One thread uses a stream; it holds
 * one of connections_per_host where HTTP/1.1 is spoken. net_free waits until it is closed.
 *
 * Of the request, `retry`, `tries_max`, `timeout_ms`, `answer_max_bytes`, `on_data` and
 * `cancel` don't count: the reader decides how long it waits.
 */
#define NET_STREAM_ROOM ((size_t)64 * 1024)

struct net_stream;

/* Sends the request off. Its method and body must last until the stream is closed. */
struct net_stream *net_stream_open(struct net *net, const struct net_request *request,
                                   struct err *err) CHECKED;
/* Ends the call if it hasn't ended. */
void net_stream_close(struct net_stream *stream);

enum net_heard {
    NET_HEARD_FAILED = -1, /* `err` says why, as net_call does; a body may have been cut */
    NET_HEARD_NOTHING,     /* within the time */
    NET_HEARD_MORE,
    NET_HEARD_END, /* of the body, which is whole */
};

/* The status and headers: NET_HEARD_MORE once they are there, for each call from then on. */
enum net_heard net_stream_head(struct net_stream *stream, int wait_ms,
                               const struct net_answer **out, struct err *err) CHECKED;

/* Some of the body, as soon as there is any; *out_size with NET_HEARD_MORE. */
enum net_heard net_stream_read(struct net_stream *stream, int wait_ms, void *to, size_t room,
                               size_t *out_size, struct err *err) CHECKED;
#endif
