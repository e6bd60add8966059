/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_LAUNCHES_H
#define SERVICE_LAUNCHES_H
#include "base/err.h"
#include "base/secret.h"
#include "model/run.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * The launches under way in one backend: runs that were taken from the queue and whose start
 * isn't settled. Each is in the hands of a thread, or waits to be asked for again, with the
 * token and under the attempt that it was taken with: because the backend was away, or because
 * it left open whether it has started the job.
 *
 * A backend that doesn't answer is left alone, by all: for a quarter of a second, then twice
 * as long each time up to LAUNCH_PAUSE_MAX_MS, a random part of it, so that several dispatchds
 * don't come back at the same moment; then one launch asks, and when that is answered (with a
 * failure too) everybody goes on. What was taken meanwhile is asked for first.
 *
 * One that waits though the backend is known to have started nothing is parked: it keeps no
 * worker from runs of other backends.
 *
 * Safe from any thread.
 */
#define LAUNCH_PAUSE_FIRST_MS 250
#define LAUNCH_PAUSE_MAX_MS 15000
#define LAUNCH_RETRY_AFTER_MAX_S 300 /* a backend that asks for more is asked before */
#define LAUNCHES_WAITING_MAX 64      /* no more are taken then */
#define LAUNCH_WHY_MAX ERR_TEXT_MAX

struct launch {
    struct run *run;
    struct secret *task_token;
    int asked;      /* for the how-manieth time */
    bool may_exist; /* a start of it went unanswered */
    bool in_hand;
    int64_t next_ms; /* monotonic; while it waits, and since when it waited; 0: it never has */
    uint64_t round;
    struct launch *next;
};

struct launches {
    const char *name;
    pthread_mutex_t lock;
    struct launch *first; /* oldest first */
    struct launch **last;
    size_t waiting;
    size_t parked; /* of these */
    size_t in_hand;
    int misses; /* in a row; 0: the backend answers */
    int64_t closed_until_ms;
    int64_t away_since_ms; /* while there are misses */
    uint64_t round;        /* counts the pauses: what began before one doesn't lengthen it */
    bool asking;           /* after a pause one launch asks for all */
    char why[LAUNCH_WHY_MAX];
};

/* `name`: the backend's, for the log; borrowed. */
void launches_init(struct launches *launches, const char *name);
void launches_done(struct launches *launches);

/* May a start be asked for now? The caller then takes one with the two functions below, or
 * calls launches_none. False: *out_wait_ms says when to look again, -1: when woken. */
bool launches_may_ask(struct launches *launches, int64_t now_ms, int64_t *out_wait_ms);

/* One that waits, its time come, or NULL: *out_wait_ms is then the time until one is due, -1
 * when none waits; *out_full: no new one is to be taken. `unpark`: there is a worker for one
 * that is parked. */
struct launch *launches_again(struct launches *launches, int64_t now_ms, bool unpark,
                              int64_t *out_wait_ms, bool *out_full);

/* Has the backend been away for so long? Else *out_in_ms says when it will have been, -1: it is
 * not away. NULL: not wanted. */
bool launches_gone(struct launches *launches, int64_t now_ms, int64_t after_ms,
                   int64_t *out_in_ms);
/* Takes one in hand that is parked and that `may` go elsewhere; NULL. launches_parted frees
 * it. */
struct launch *launches_part(struct launches *launches,
                             bool (*may)(const void *ctx, const struct run *run),
                             const void *ctx);
void launches_parted(struct launches *launches, struct launch *launch);
size_t launches_parked(struct launches *launches);
size_t launches_in_hand(struct launches *launches);

/* Before the store is told of the attempt, so that whoever finds the run launching finds it
 * here. Takes both; in the caller's hand. */
struct launch *launches_begin(struct launches *launches, struct run *run,
                              struct secret *task_token) CHECKED;
/* One just begun for which there is no thread yet: parked, due at once. */
void launches_park(struct launches *launches, struct launch *launch, int64_t now_ms);
/* One of the last process, which may have got as far as its job. It waits, due at once. */
void launches_resume(struct launches *launches, struct run *run, struct secret *task_token);
void launches_none(struct launches *launches); /* nothing was there to ask for */

/* Nothing is known: it waits to be asked for again, and all pause. */
void launches_missed(struct launches *launches, struct launch *launch, const struct err *err,
                     int64_t now_ms);
/* It is known. Frees the launch; `answered`: by the backend. */
void launches_settled(struct launches *launches, struct launch *launch, bool answered);

bool launches_has(struct launches *launches, struct id run, int attempt);

/* Is the backend left alone at the moment? Then why, cut to the size (0: not wanted). */
bool launches_paused(struct launches *launches, char *out_why, size_t size);
#endif
