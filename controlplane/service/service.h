/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H
#include "config/config.h"
#include "launch/launcher.h"
#include "model/run.h"
#include "store/db.h"
#include "store/personal_token_store.h"
#include "store/token_store.h"
#include "store/vault.h"

/*
 * The life of runs, from the intake to the end.
 *
 *     intake      a request becomes a pending run                        (dispatch.h)
 *     queue       threads that take pending runs and launch them         (queue.c)
 *     reconcile   one thread that ends what won't end by itself: late, lost, stopped, crashed
 *                 runs; after a restart it first settles every launch that was under way
 *     housekeep   the same thread, once a minute: prunes, writes last-used times
 *
 * Every move is a compare-and-set in the store, so these may meet over a run and the first
 * one wins. The store is the truth; what is kept here are two gauges (how many runs are
 * pending and active), exact because each move that succeeds adjusts them once.
 *
 * After a crash: pending runs are launched. A launching run whose job isn't known to have
 * started is started again, under the same attempt and with the same token: launchers adopt
 * what is there. The other launching and the running ones are looked up in their backend by
 * their job's name; one that isn't there is launched anew, or has failed as lost.
 *
 * A backend that is away (an API server that restarts) fails nothing: runs are taken in up to
 * the queue's cap and launched when it is back (launches.h).
 */
struct service;
struct deliveries;

struct service_options {
    const struct config *config;
    struct db *db;
    struct token_store *tokens;
    struct personal_token_store *personal_tokens; /* both for their last-used times */
    struct deliveries *deliveries;                /* woken when a run ends; NULL: none */
    const struct vault *vault; /* NULL: task tokens are not to be had again after a restart */
};

/* Opens the launchers (backends.h) and reads the gauges. Runs can be queued; nothing is
 * launched yet. */
struct service *service_new(const struct service_options *options, struct err *err) CHECKED;
/* Settles what the last process left under way and starts the threads. `url` is where runners
 * call home; copied. */
int service_start(struct service *service, const char *url, struct err *err) CHECKED;
/* Ends the threads after what they are doing; runs and their jobs go on. */
void service_stop(struct service *service);
void service_free(struct service *service); /* stops first */
DEFINE_SCOPED(service)

/* Is this launcher open? *out_names: those that are, for people; the caller frees it. */
bool service_has_launcher(const struct service *service, const char *name, char **out_names);

/* What a runner gets around its agent's wall clock, for cloning, pushing and reporting, before
 * the run is ended over its head. */
#define RUN_GRACE_S 180

#define SERVICE_BACKENDS_MAX 8

struct service_gauges {
    int64_t pending;
    int64_t active; /* launching or running */
    int64_t launched;
    int64_t launch_failures;
    int64_t ended[RUN_STATUS_COUNT]; /* since start, by terminal status */
    int64_t orphans;                 /* jobs stopped because no run needed them */
    int64_t strangers;               /* jobs in the backend of runs that the store lacks */
    int64_t launch_moves;            /* runs that moved on to another backend */
    int64_t pruned;                  /* runs that were forgotten */
    bool launching_paused;           /* a backend is away */
    bool restoring;                  /* service_is_restoring */
    struct service_backend {
        const char *launcher;
        bool paused;
    } backends[SERVICE_BACKENDS_MAX]; /* the usual one first */
    size_t n_backends;
};
void service_gauges(struct service *service, struct service_gauges *out);

/* --- Moves that come from outside ----------------------------------------------------------
 */

/* The database was restored, and not every launcher has said yet which of its runs it has. */
bool service_is_restoring(const struct service *service);

/* A place in the queue for one more pending run: ERR_LIMITED (code "queue_full") when it is
 * full. Either service_queued or service_unreserve follows. */
int service_reserve(struct service *service, struct err *err) CHECKED;
void service_unreserve(struct service *service);
void service_queued(struct service *service); /* it is durable: launch it */

/* Tells people who look at the run's job in its backend: see launcher_ops.note. */
void service_note(struct service *service, struct id run, int attempt, const char *reason,
                  const char *sentence);

#define PENDING_REASON_MAX 256
/* Why a run that is publicly pending isn't running yet; false when there is nothing to say.
 * Cheap: nobody is asked who isn't here. */
bool service_pending_reason(struct service *service, const struct run *run, char *out,
                            size_t size);

/* What the run's job wrote, as its backend has it, at most limit_bytes from the end.
 * ERR_NOT_FOUND (code "no_job_log") where there is nothing of the kind. */
int service_job_log(struct service *service, const struct run *run, size_t limit_bytes,
                    struct buf *out, struct err *err) CHECKED;

/* The runner's report: see run_store_end. */
struct run_end;
int service_report_end(struct service *service, struct id id, int attempt,
                       const struct run_end *end, struct err *err) CHECKED;

/* A person's stop: a pending run is stopped at once, an active one soon. ERR_NOT_FOUND,
 * ERR_CONFLICT (code "run_ended"). */
struct audit_source;
int service_stop_run(struct service *service, struct id id, const struct audit_source *source,
                     struct err *err) CHECKED;
#endif
