/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_LIVE_STATE_H
#define SERVICE_LIVE_STATE_H
#include "service/live.h"

#include <pthread.h>

/*
 * What live.c (the streams) and live_feed.c (the thread) share. Everything but the database is
 * under `lock`.
 */
#define LIVE_BUCKETS 256
#define LIVE_WIDE LIVE_BUCKETS /* the list of those that watch more than one run */

/* One entry as one face shows it, shared by the queues that it is in. */
struct live_text {
    size_t refs;
    size_t size;
    char bytes[];
};

struct live_stream {
    struct live *live;
    struct live_stream *previous; /* in its bucket */
    struct live_stream *next;
    struct live_stream *next_hungry;
    struct live_wish wish; /* query.after: its place, up to which all was queued */
    char *actor;
    bool is_fed;    /* gets what is new; else it is catching up */
    bool is_hungry; /* on the list of those that want their next page */
    bool in_hand;   /* the thread reads a page for it: closing leaves it to the thread */
    bool closed;
    bool ended; /* when the queue is empty */
    struct live_text *queue[LIVE_QUEUE_TEXTS];
    size_t first;
    size_t count;
    size_t bytes; /* in the queue, what was taken of the first text included */
    size_t taken; /* of the first text */
};

struct live {
    struct db *db;
    pthread_t thread;
    bool thread_runs;

    pthread_mutex_t lock;
    pthread_cond_t work;
    bool quit;
    bool news; /* the journal has grown */
    struct live_stream *streams[LIVE_BUCKETS + 1];
    struct live_stream *first_hungry;
    struct live_stream **last_hungry;
    size_t n_fed;
    int64_t seen; /* up to here entries were handed out; the thread's own */
    struct live_stats stats;
};

struct live_stream **live_bucket(struct live *live, const struct journal_query *query);
struct live_text *live_text_new(char *taken) CHECKED; /* no references yet */
void live_text_drop(struct live_text *text);          /* one reference less, or none yet */

/* False when it doesn't fit. */
bool live_queue_push(struct live_stream *stream, struct live_text *text);
void live_stream_hunger(struct live_stream *stream);
void live_stream_free(struct live_stream *stream);

void *live_feed_thread(void *live);
#endif
