/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H
#include "config/config.h"
#include "launch/launcher.h"
#include "store/db.h"
#include "store/token_store.h"

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
 * After a crash: pending runs are launched; a launching or running run is looked up in its
 * backend by its job's name: there, it goes on being that run's job; not there, a launching
 * run goes back to pending and a running one has failed as lost.
 */
struct service;

struct service_options {
    const struct config *config;
    struct db *db;
    struct token_store *tokens;
};

/* Opens the launcher and reads the gauges. Runs can be queued; nothing is launched yet. */
struct service *service_new(const struct service_options *options, struct err *err) CHECKED;
/* Settles what the last process left under way and starts the threads. `url` is where runners
 * call home; copied. */
int service_start(struct service *service, const char *url, struct err *err) CHECKED;
/* Ends the threads after what they are doing; runs and their jobs go on. */
void service_stop(struct service *service);
void service_free(struct service *service); /* stops first */
DEFINE_SCOPED(service)

const struct launcher *service_launcher(const struct service *service);

/* What a runner gets around its agent's wall clock, for cloning, pushing and reporting, before
 * the run is ended over its head. */
#define RUN_GRACE_S 180

struct service_gauges {
    int64_t pending;
    int64_t active; /* launching or running */
    int64_t launched;
    int64_t launch_failures;
    int64_t ended[RUN_STATUS_COUNT]; /* since start, by terminal status */
};
void service_gauges(struct service *service, struct service_gauges *out);

/* --- Moves that come from outside ----------------------------------------------------------
 */

/* A place in the queue for one more pending run: ERR_LIMITED (code "queue_full") when it is
 * full. Either service_queued or service_unreserve follows. */
int service_reserve(struct service *service, struct err *err) CHECKED;
void service_unreserve(struct service *service);
void service_queued(struct service *service); /* it is durable: launch it */

/* The runner's report: see run_store_end. */
struct run_end;
int service_report_end(struct service *service, struct id id, int attempt,
                       const struct run_end *end, struct err *err) CHECKED;

/* A person's stop: a pending run is stopped at once, an active one soon. ERR_NOT_FOUND,
 * ERR_CONFLICT (code "run_ended"). */
int service_stop_run(struct service *service, struct id id, struct err *err) CHECKED;
#endif
