/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_SERVER_H
#define HTTPD_SERVER_H
#include "httpd/httpd.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "httpd/connection.h"
#include "httpd/linger.h"
#include "httpd/listener.h"
#include "httpd/router.h"
#include "httpd/workers.h"

/*
 * What the files of this folder share. One thread, the loop, owns libmicrohttpd and every
 * connection: it alone calls into the daemon, moves connections between the lists and
 * closes sockets, so none of that needs a lock. The other threads meet it in three places:
 * the queue of the workers, the stack of finished requests, and the stop orders below.
 */
struct counters {
    _Atomic int64_t requests;
    _Atomic int64_t connections;
    _Atomic int64_t streams;
    _Atomic int64_t by_status[6];
    _Atomic int64_t refused_malformed;
    _Atomic int64_t cut_late;
};

/* What the loop tells the thread that stops it; under `lock`. */
struct farewell {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopped; /* nothing is served any more */
    bool ended;   /* about to leave its thread */
    int n_cut;
};

struct httpd {
    struct httpd_options options; /* the defaults filled in */
    struct listener listener;
    struct router *router;
    struct workers *workers;
    struct MHD_Daemon *daemon;
    struct counters counters;
    struct farewell farewell;

    /* Orders to the loop. */
    _Atomic bool stopping; /* answers close their connection, new requests are refused */
    _Atomic bool quitting; /* end the thread once no handler holds a request */
    _Atomic int grace_ms;

    /* Requests answered by some thread, and streams that have something, for the loop to take
     * up again. */
    _Atomic(struct request *) finished;
    _Atomic(struct httpd_stream *) woken;
    _Atomic int finishers; /* inside loop_finished now: they still touch this struct */
    int wake_fd;

    /* The rest belongs to the loop. */
    pthread_t thread;
    bool thread_runs;
    int poll_fd;
    int64_t now_ms; /* monotonic, as of this turn of the loop */
    struct connection_list lists[N_PHASES];
    struct linger_set linger;
    int gone_fd;     /* an epoll of the streams' sockets, in poll_fd: who has hung up */
    int n_working;   /* suspended connections */
    int n_waiting;   /* the same for streams */
    bool turn_again; /* a connection was closed */
    bool draining;   /* the order to stop was seen */
    bool stopped;
    int64_t stop_until_ms;
    int64_t flush_until_ms; /* streams have until then to be read to their end */
    uint64_t id_seed;
    uint64_t id_count;
};

static inline void counter_add(_Atomic int64_t *counter, int64_t more)
{
    (void)atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}
#endif
