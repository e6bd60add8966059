/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/stream.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/log.h"
#include "httpd/loop.h"
#include "httpd/server.h"

/* libmicrohttpd copies pieces through this for clients that know no chunks (HTTP/1.0). */
#define PIECE_BYTES 2048
/* What the kernel holds for a client that doesn't read; twice that with its own accounts. */
#define SOCKET_BUFFER_BYTES (64 * 1024)
/* A client whose machine has vanished is known for gone after about two minutes. */
#define KEEPALIVE_AFTER_S 60
#define KEEPALIVE_EVERY_S 15
#define KEEPALIVE_PROBES 4
#define GONE_A_TURN 64

struct httpd_stream {
    struct request *req;
    const struct httpd_stream_ops *ops;
    void *ctx;
    const char *content_type;
    struct httpd_stream *next_woken;
    _Atomic bool woken;
    bool begun;
    bool suspended;
    bool is_idle;   /* resumed because nothing was sent for long */
    bool finishing; /* the server stops */
};

/* --- Life ----------------------------------------------------------------------------------
 */

struct httpd_stream *request_set_stream(struct request *req, const char *content_type,
                                        const struct httpd_stream_ops *ops, void *ctx)
{
    struct httpd_stream *stream = xcalloc(1, sizeof(*stream));

    stream->req = req;
    stream->ops = ops;
    stream->ctx = ctx;
    stream->content_type = content_type;
    req->stream = stream;
    return stream;
}

static void tune_socket(int fd)
{
    const int size = SOCKET_BUFFER_BYTES;
    const int on = 1;
    const int after_s = KEEPALIVE_AFTER_S;
    const int every_s = KEEPALIVE_EVERY_S;
    const int probes = KEEPALIVE_PROBES;

    /* A unix socket has no such things, and a stream works without. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after_s, sizeof(after_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof(every_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

void stream_begin(struct request *req)
{
    struct httpd_stream *stream = req->stream;
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = stream};

    if (!stream)
        return;
    stream->begun = true;
    stream->finishing = req->httpd->draining;
    counter_add(&req->httpd->counters.streams, 1);
    tune_socket(req->connection->fd);
    if (epoll_ctl(req->httpd->gone_fd, EPOLL_CTL_ADD, req->connection->fd, &event) < 0)
        log_warn("a stream's client can't be watched, ignoring", KV("request", req->id));
}

void stream_end(struct request *req)
{
    struct httpd_stream *stream = TAKE(req->stream);

    if (!stream)
        return;
    stream->ops->close(stream->ctx);
    /* Nobody wakes it from here on; but it may be among those that were woken. */
    if (atomic_load_explicit(&stream->woken, memory_order_acquire))
        streams_resume_woken(req->httpd);
    if (stream->begun) {
        (void)epoll_ctl(req->httpd->gone_fd, EPOLL_CTL_DEL, req->connection->fd, NULL);
        counter_add(&req->httpd->counters.streams, -1);
        req->httpd->n_waiting -= stream->suspended;
    }
    free(stream);
}

/* --- Reading -------------------------------------------------------------------------------
 */

static ssize_t wait_for_more(struct httpd_stream *stream)
{
    struct request *req = stream->req;

    stream->suspended = true;
    req->httpd->n_waiting++;
    connection_enter(req->connection, PHASE_STREAMING);
    MHD_suspend_connection(req->mhd);
    return 0;
}

/* libmicrohttpd has room for more: MHD_ContentReaderCallback. */
static ssize_t read_more(void *cls, uint64_t position, char *out, size_t room)
{
    struct request *req = cls;
    struct httpd_stream *stream = req->stream;
    bool is_idle = stream->is_idle;
    ssize_t got;

    (void)position;
    if (req->connection->phase == PHASE_CUT)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    stream->is_idle = false;
    got = stream->ops->read(stream->ctx, out, room);
    if (got == 0 && stream->finishing)
        got = HTTPD_STREAM_END;
    if (got == 0 && is_idle && stream->ops->idle)
        got = stream->ops->idle(stream->ctx, out, room);
    if (got == 0)
        return wait_for_more(stream);
    connection_enter(req->connection, got < 0 ? PHASE_ANSWERING : PHASE_SENDING);
    return got < 0 ? MHD_CONTENT_READER_END_OF_STREAM : got;
}

struct MHD_Response *stream_response(struct request *req)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, read_more, req, NULL);

    if (!response
        || MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                   req->stream->content_type)
               != MHD_YES)
        out_of_memory();
    return response;
}

/* --- Waking --------------------------------------------------------------------------------
 */

void httpd_stream_wake(struct httpd_stream *stream)
{
    struct httpd *httpd = stream->req->httpd;
    struct httpd_stream *top;

    if (atomic_exchange_explicit(&stream->woken, true, memory_order_acq_rel))
        return;
    top = atomic_load_explicit(&httpd->woken, memory_order_relaxed);
    do {
        stream->next_woken = top;
    } while (!atomic_compare_exchange_weak_explicit(
        &httpd->woken, &top, stream, memory_order_release, memory_order_relaxed));
    if (!top)
        loop_wake(httpd);
}

static void resume(struct httpd_stream *stream)
{
    struct request *req = stream->req;

    if (!stream->suspended)
        return;
    stream->suspended = false;
    req->httpd->n_waiting--;
    if (req->connection->phase != PHASE_CUT)
        connection_enter(req->connection, PHASE_SENDING);
    MHD_resume_connection(req->mhd);
}

void streams_resume_woken(struct httpd *httpd)
{
    struct httpd_stream *stream =
        atomic_exchange_explicit(&httpd->woken, NULL, memory_order_acquire);

    while (stream) {
        struct httpd_stream *next = stream->next_woken;

        /* From here on it may be woken anew, which changes next_woken. */
        atomic_store_explicit(&stream->woken, false, memory_order_release);
        resume(stream);
        stream = next;
    }
}

void streams_resume_idle(struct httpd *httpd)
{
    struct connection *c;

    while ((c = httpd->lists[PHASE_STREAMING].first) && c->due_ms <= httpd->now_ms) {
        c->request.stream->is_idle = true;
        resume(c->request.stream);
    }
}

void stream_wake_cut(struct request *req)
{
    if (req->stream)
        resume(req->stream);
}

void streams_cut_gone(struct httpd *httpd)
{
    struct epoll_event events[GONE_A_TURN];
    int n = epoll_wait(httpd->gone_fd, events, GONE_A_TURN, 0);

    for (int i = 0; i < n; i++) {
        const struct httpd_stream *stream = events[i].data.ptr;

        connection_cut(stream->req->connection);
    }
}

void streams_finish(struct httpd *httpd)
{
    static const enum phase phases[] = {PHASE_ANSWERING, PHASE_SENDING, PHASE_STREAMING};

    for (size_t i = 0; i < ARRAY_SIZE(phases); i++) {
        struct connection *next;

        for (struct connection *c = httpd->lists[phases[i]].first; c; c = next) {
            next = c->next;
            if (!c->request.stream)
                continue;
            c->request.stream->finishing = true;
            resume(c->request.stream);
        }
    }
}
