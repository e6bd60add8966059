/* SPDX-License-Identifier: Apache-2.0 */
#include "net/stream.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "net/net_private.h"

struct net_stream {
    struct call call; /* first: the readers get at the stream through it */
    struct net *net;
    struct net_request request;
    struct net_answer answer; /* the net thread's until `head`, then the reader's */

    /* Under the net's lock: */
    bool head;
    bool paused;
    struct buf waiting;
    size_t taken; /* of `waiting` */
};

/* --- On the net's thread ------------------------------------------------------------------ */

static void take_head(struct call *call)
{
    struct net_stream *stream = (struct net_stream *)call;

    (void)pthread_mutex_lock(&stream->net->lock);
    stream->head = true;
    (void)pthread_cond_signal(&call->ended);
    (void)pthread_mutex_unlock(&stream->net->lock);
}

static size_t take_piece(struct call *call, const char *data, size_t size)
{
    struct net_stream *stream = (struct net_stream *)call;
    bool room;

    (void)pthread_mutex_lock(&stream->net->lock);
    room = stream->waiting.size - stream->taken < NET_STREAM_ROOM;
    if (room)
        buf_append(&stream->waiting, data, size);
    stream->paused = !room;
    (void)pthread_cond_signal(&call->ended);
    (void)pthread_mutex_unlock(&stream->net->lock);
    return room ? size : CURL_WRITEFUNC_PAUSE;
}

static const struct call_reader reader = {.take_head = take_head, .take_piece = take_piece};

/* --- On the reader's ---------------------------------------------------------------------- */

struct net_stream *net_stream_open(struct net *net, const struct net_request *request,
                                   struct err *err)
{
    struct net_stream *stream;
    bool stopping;

    if (net_enter(net, err) < 0)
        return NULL;
    stream = xcalloc(1, sizeof(*stream));
    stream->net = net;
    stream->request = *request;
    stream->request.retry = NET_ONCE;
    stream->request.on_data = NULL;
    if (call_prepare(&stream->call, &net->settings, &stream->request, &stream->answer, err)
        < 0) {
        net_stream_close(stream);
        return NULL;
    }
    stream->call.reader = &reader;
    call_rewind(&stream->call);
    (void)pthread_mutex_lock(&net->lock);
    stopping = net->stopping;
    if (!stopping)
        net_hand_over(net, &stream->call);
    (void)pthread_mutex_unlock(&net->lock);
    if (!stopping)
        return stream;
    (void)err_set(err, ERR_UNAVAILABLE, "outgoing calls are stopping");
    net_stream_close(stream);
    return NULL;
}

void net_stream_close(struct net_stream *stream)
{
    struct net *net;

    if (!stream)
        return;
    net = stream->net;
    (void)pthread_mutex_lock(&net->lock);
    if (stream->call.state == CALL_NEW || stream->call.state == CALL_RUNNING)
        net_give_up(net, &stream->call, CUT_CANCELLED);
    while (stream->call.state == CALL_NEW || stream->call.state == CALL_RUNNING)
        (void)pthread_cond_wait(&stream->call.ended, &net->lock);
    (void)pthread_mutex_unlock(&net->lock);
    call_done(&stream->call);
    net_answer_done(&stream->answer);
    buf_done(&stream->waiting);
    free(stream);
    net_leave(net);
}

/* Under the lock. Until `what` holds or the call has ended or time is up. */
static void wait_for(struct net_stream *stream, bool (*what)(const struct net_stream *),
                     int wait_ms)
{
    int64_t until_ms = clock_monotonic_ms() + wait_ms;

    while (!what(stream) && stream->call.state != CALL_ENDED && clock_monotonic_ms() < until_ms)
        net_wait_on(&stream->call.ended, &stream->net->lock, until_ms);
}

static bool has_head(const struct net_stream *stream)
{
    return stream->head;
}

static bool has_bytes(const struct net_stream *stream)
{
    return stream->waiting.size > stream->taken;
}

static enum net_heard judge(struct net_stream *stream, struct err *err)
{
    struct net_try tried;

    return call_judge(&stream->call, &tried, err) < 0 ? NET_HEARD_FAILED : NET_HEARD_END;
}

enum net_heard net_stream_head(struct net_stream *stream, int wait_ms,
                               const struct net_answer **out, struct err *err)
{
    bool head;
    bool ended;

    (void)pthread_mutex_lock(&stream->net->lock);
    wait_for(stream, has_head, wait_ms);
    head = stream->head;
    ended = stream->call.state == CALL_ENDED;
    (void)pthread_mutex_unlock(&stream->net->lock);
    if (head) {
        *out = &stream->answer;
        return NET_HEARD_MORE;
    }
    if (!ended)
        return NET_HEARD_NOTHING;
    if (judge(stream, err) == NET_HEARD_END)
        (void)err_set(err, ERR_UPSTREAM, "%s: no answer", stream->call.shown);
    return NET_HEARD_FAILED;
}

/* Under the lock. */
static size_t take_waiting(struct net_stream *stream, void *to, size_t room)
{
    size_t left = stream->waiting.size - stream->taken;
    size_t size = left < room ? left : room;

    memcpy(to, stream->waiting.data + stream->taken, size);
    stream->taken += size;
    if (stream->taken == stream->waiting.size || stream->taken >= NET_STREAM_ROOM) {
        buf_drop_front(&stream->waiting, stream->taken);
        stream->taken = 0;
    }
    if (stream->paused && stream->waiting.size - stream->taken < NET_STREAM_ROOM / 2) {
        stream->paused = false;
        stream->call.resume = true;
        stream->net->resumes = true;
        (void)curl_multi_wakeup(stream->net->multi);
    }
    return size;
}

enum net_heard net_stream_read(struct net_stream *stream, int wait_ms, void *to, size_t room,
                               size_t *out_size, struct err *err)
{
    size_t size = 0;
    bool ended;

    (void)pthread_mutex_lock(&stream->net->lock);
    wait_for(stream, has_bytes, wait_ms);
    if (has_bytes(stream))
        size = take_waiting(stream, to, room);
    ended = stream->call.state == CALL_ENDED;
    (void)pthread_mutex_unlock(&stream->net->lock);
    if (size) {
        *out_size = size;
        return NET_HEARD_MORE;
    }
    return ended ? judge(stream, err) : NET_HEARD_NOTHING;
}
