/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_STATE_H
#define SERVICE_STATE_H
#include "service/service.h"
#include "store/run_store.h"

#include <pthread.h>
#include <stdatomic.h>

/* What the files of this folder share; nobody outside includes it. */
#define LAUNCH_THREADS 4
#define CHANGES_MAX 4096
#define HANDOFF_SLOTS 1024

struct job_change {
    struct id run;
    int attempt;
};

/* The text of a run's first task token between its intake and its launch, so that what was
 * made durable at intake is what the runner gets. Only a cache: a token that isn't here any
 * more (another took its slot, we restarted) is replaced by a new one at the launch. */
struct handoff {
    pthread_mutex_t lock;
    struct {
        int64_t key;
        struct secret *token;
    } slots[HANDOFF_SLOTS];
};

struct service {
    const struct config *config;
    struct db *db;
    struct token_store *tokens;
    struct launcher *launcher;
    char *url;
    struct handoff handoff;

    _Atomic int64_t pending;
    _Atomic int64_t active;
    _Atomic int64_t launched;
    _Atomic int64_t launch_failures;
    _Atomic int64_t ended[RUN_STATUS_COUNT];
    int64_t started_wall_ms;

    pthread_mutex_t take_lock; /* one thread at a time looks for the next pending run */
    pthread_mutex_t lock;      /* for what follows */
    pthread_cond_t queue_wake;
    pthread_cond_t reconcile_wake;
    uint64_t queue_signals; /* counts reasons to look at the queue */
    bool stopping;
    struct job_change changes[CHANGES_MAX];
    size_t n_changes;
    bool changes_lost; /* more than fit: look at every active run */

    pthread_t launch_threads[LAUNCH_THREADS];
    size_t n_launch_threads;
    pthread_t reconcile_thread;
    bool reconciling;
};

void handoff_put(struct handoff *handoff, struct id run, struct secret *token); /* takes */
struct secret *handoff_take(struct handoff *handoff, struct id run) CHECKED;    /* or NULL */

void *queue_thread(void *service);     /* queue.c */
void *reconcile_thread(void *service); /* reconcile.c */
void queue_wake(struct service *service);

/* Back to pending as a new attempt, or failed when there were too many; `counts`: the launch
 * itself failed (against: we restarted in the middle of it). Both move the gauges. False when
 * the run had moved on meanwhile. */
bool queue_launch_failed(struct service *service, const struct run *run, enum failure_code code,
                         const char *why, bool counts);

/* Ends a run on our own account, as long as it is where `run` says: same state, same attempt.
 * False when somebody else was first. */
bool service_end_run(struct service *service, const struct run *run, const struct run_end *end);

/* Settles every launch and run that the last process left under way. */
int reconcile_after_restart(struct service *service, struct err *err) CHECKED;
#endif
