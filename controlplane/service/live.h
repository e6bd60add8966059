/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_LIVE_H
#define SERVICE_LIVE_H
#include "store/db.h"
#include "store/journal.h"

#include <sys/types.h>

/*
 * Hands what is added to the journal to those who watch. One thread does all of it, for any
 * number of streams: it is told of commits (db_watch), reads what is new once, renders each
 * entry once for each face that somebody watches through, and puts the text into the queues of
 * the streams it belongs to.
 *
 * A stream first catches up: from where it begins, page by page from the store, as its reader
 * takes what there is. When it has everything up to what the thread has handed out, it is fed
 * with the others; both are the same thread's doing, so nothing is lost or given twice on the
 * way over. A queue is short (LIVE_QUEUE_TEXTS, LIVE_QUEUE_BYTES): a stream that isn't read
 * fast enough to take the next text goes back to catching up, from its place in the store. So a
 * slow reader costs no memory, and one that reads again later has missed nothing.
 *
 * Safe from any thread. The streams are closed before live_free.
 */
#define LIVE_STREAMS_PER_ACTOR_MAX 10
#define LIVE_QUEUE_TEXTS 64
#define LIVE_QUEUE_BYTES (64 * 1024) /* a single longer text fits into an empty queue */
#define LIVE_PAGE_BYTES (8 * 1024)   /* the same while catching up: these texts aren't shared */
#define LIVE_RETRY_AFTER_S 5

struct live;
struct live_stream;

struct live *live_new(struct db *db, struct err *err) CHECKED;
void live_free(struct live *live);
DEFINE_SCOPED(live)

/* How an entry looks to those who watch in this way. A constant: it is known by its address. */
struct live_face {
    /* Text for the caller to free; NULL: this entry isn't shown. On live's thread. */
    char *(*render)(const struct journal_entry *entry);
};
#define LIVE_FACES_MAX 4 /* that are in use at a time */

struct live_wish {
    const struct live_face *face;
    const char *actor;          /* for the limit; NULL: it doesn't count */
    struct journal_query query; /* whose entries; `until` and `limit` are not looked at */
    bool once;                  /* ends when it has caught up */
    void (*wake)(void *ctx);    /* live_read has something: under a lock, so call nothing of
                                   live's from within */
    void *ctx;
};

/* ERR_LIMITED (code "too_many_streams") when the actor has LIVE_STREAMS_PER_ACTOR_MAX. A stream
 * of one run ends with it. `wake` may be called before this returns. */
struct live_stream *live_open(struct live *live, const struct live_wish *wish,
                              struct err *err) CHECKED;
/* Nobody is woken when this has returned. */
void live_close(struct live_stream *stream);

#define LIVE_END (-1)
/* Takes at most `room` bytes of what is there: how many, 0: nothing now, LIVE_END. */
ssize_t live_read(struct live_stream *stream, char *out, size_t room);

struct live_stats {
    int64_t streams; /* open */
    int64_t read;    /* entries that were read because they were new */
    int64_t caught;  /* entries that were read to catch up */
};
void live_stats(struct live *live, struct live_stats *out);
#endif
