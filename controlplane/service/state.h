/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_STATE_H
#define SERVICE_STATE_H
#include "model/token.h"
#include "service/admission.h"
#include "service/backends.h"
#include "service/service.h"
#include "service/waiting.h"
#include "store/backup.h"
#include "store/run_store.h"

#include <pthread.h>
#include <stdatomic.h>

/* What the files of this folder share; nobody outside includes it. */
#define LAUNCH_THREADS 12 /* for each backend: half as many again as it has connections */
#define CHANGES_MAX 4096

struct job_change {
    struct id run;
    int attempt;
};

struct service {
    const struct config *config;
    struct db *db;
    struct token_store *tokens;
    struct personal_token_store *personal_tokens;
    struct backends backends;
    struct deliveries *deliveries; /* NULL: none */
    char *url;
    uint8_t token_key[TASK_TOKEN_KEY_SIZE];
    struct admission *admission;

    _Atomic int64_t pending;
    _Atomic int64_t active;
    _Atomic int64_t launched;
    _Atomic int64_t launch_failures;
    _Atomic int64_t launch_moves; /* to another backend */
    _Atomic int64_t pruned;       /* runs */
    _Atomic int64_t ended[RUN_STATUS_COUNT];
    _Atomic int64_t orphans;   /* jobs stopped because no run needed them */
    _Atomic int64_t strangers; /* jobs of runs unknown to the store, at the last look */
    int64_t started_ms;
    _Atomic bool restoring;      /* runs of a restored backup are still to be settled */
    struct backup_mark restored; /* which */

    pthread_mutex_t take_lock; /* one thread at a time looks for the next pending run */
    pthread_mutex_t lock;      /* for what follows */
    pthread_cond_t queue_wake;
    pthread_cond_t reconcile_wake;
    uint64_t queue_signals; /* counts reasons to look at the queue */
    bool stopping;
    struct job_change changes[CHANGES_MAX];
    size_t n_changes;
    bool changes_lost; /* more than fit: look at every active run */

    pthread_t launch_threads[LAUNCH_THREADS * BACKENDS_MAX];
    size_t n_launch_threads;
    pthread_t reconcile_thread;
    bool reconciling;

    /* Of the thread that reconciles (before it starts: of service_start). */
    struct waiting waiting;
};

void *queue_thread(void *service);     /* queue.c */
void *reconcile_thread(void *service); /* reconcile.c */
void queue_wake(struct service *service);

/* Back to pending as a new attempt, or failed when there were too many; `counts`: the launch
 * itself failed (against: we restarted in the middle of it). Both move the gauges. False when
 * the run had moved on meanwhile. */
bool queue_launch_failed(struct service *service, const struct run *run, enum failure_code code,
                         const char *why, bool counts);
/* The same, where it is certain that there is no job of that attempt (any more): when it has
 * failed for good in this backend, the next one is tried. */
bool queue_launch_refused(struct service *service, const struct run *run,
                          enum failure_code code, const char *why);

/* Where its job is; NULL: that backend isn't open any more. */
struct backend *service_backend(struct service *service, const struct run *run);
/* A thread is at its launch, or will be. */
bool service_is_launching(struct service *service, const struct run *run);

/* What a job is started from; without the token. */
struct job_spec queue_job_spec(const struct service *service, const struct run *run,
                               const char *url);

/* Asks again for the job of a launch that isn't known to have led to one, under the same
 * attempt. False when its token can't be had again. */
bool queue_launch_again(struct service *service, const struct run *run);

/* Ends a run on our own account, as long as it is where `run` says: same state, same attempt.
 * False when somebody else was first. */
bool service_end_run(struct service *service, const struct run *run, const struct run_end *end);

bool service_is_stopping(struct service *service);

/* Tells people what became of a run's job (notes.c). */
void note_end(struct service *service, struct id run, int attempt, const struct run_end *end);

/* look.c */
void look_at_job(struct service *service, const struct run *run);
void look_at_run(struct service *service, const struct run *run, int64_t now_ms);
void look_at_deadline(struct service *service, const struct run *run, int64_t now_ms);
void look_after_restart(struct service *service, const struct run *run, int64_t now_ms);

/* Stops jobs that no run needs, reports those of runs unknown (orphans.c). False when the
 * launcher keeps no list. */
bool orphans_sweep(struct service *service);

/* restored.c. Reads whether there is anything to be settled; settles it. False: a launcher
 * doesn't answer; call again, and until then launch nothing and keep no deadline. */
int restored_read(struct service *service, struct err *err) CHECKED;
bool restored_settle(struct service *service);

/* Settles every launch and run that the last process left under way. */
int reconcile_after_restart(struct service *service, struct err *err) CHECKED;
#endif
