/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread that compares what the store believes with what is so, and ends what won't end
 * by itself:
 *
 *   every second       deadlines: pending too long, launched but not claimed, running past
 *                      the wall clock, stop asked for and not followed
 *   when told          a job that changed in its backend: ended without a report, gone
 *   every few seconds  every active run: is its job still there, does its runner still call?
 *   and                pruning, last-used times
 *
 * A runner reports its end before it exits, so a job that has ended while its run is active
 * ended without a report. After a restart, heartbeats and deadlines count from the restart at
 * the earliest: runners could not call while we were away.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "launch/job_ref.h"
#include "service/state.h"

#define TICK_MS 1000
#define SWEEP_EVERY_MS 5000
#define PAGE_RUNS 256
#define PRUNE_BATCH 200
#define PRUNE_BATCHES_MAX 50
/* What runners get after our restart before deadlines that passed meanwhile are held
 * against them: several heartbeats. */
#define RESTART_GRACE_MS 30000

/* --- One run
 * -------------------------------------------------------------------------------------- */

/* Noted after the start; a job that we didn't live to note has the name all jobs have. */
static const char *job_of(const struct run *run, struct job_ref *space)
{
    if (run->job_ref)
        return run->job_ref;
    *space = job_ref_make(run->id, run->attempt);
    return space->text;
}

static void stop_job(struct service *service, const struct run *run)
{
    struct err err = {0};
    struct job_ref name;

    if (launcher_stop(service->launcher, job_of(run, &name), &err) < 0)
        log_warn("stopping a job failed, ignoring", KV("error", err.text));
}

static bool is_active(const struct run *run)
{
    return run->status == RUN_LAUNCHING || run->status == RUN_RUNNING;
}

/* The verdict comes before the job's end: a runner that claimed or reported in the meantime
 * has won, and its job is left alone. */
static bool fail_run(struct service *service, const struct run *run, enum failure_code code,
                     const char *why)
{
    struct run_end end = {.status = RUN_FAILED, .error_code = code, .error = why};

    return service_end_run(service, run, &end);
}

static void stop_run(struct service *service, const struct run *run)
{
    struct run_end end = {.status = RUN_STOPPED};

    if (service_end_run(service, run, &end))
        stop_job(service, run);
}

/* Its job is no longer there while the run is active. */
static void job_is_over(struct service *service, const struct run *run,
                        const struct job_view *view)
{
    scoped_str why = NULL;
    bool ended = view->phase == JOB_ENDED;
    enum failure_code code = view->reason;

    if (run->stop_requested) {
        stop_run(service, run);
        return;
    }
    if (run->status == RUN_LAUNCHING) {
        why =
            xasprintf("the job %s before its runner claimed the run%s%s",
                      ended ? "ended" : "vanished", view->detail[0] ? ": " : "", view->detail);
        (void)queue_launch_failed(service, run, code ? code : FAILURE_LAUNCH_FAILED, why, true);
        return;
    }
    why = xasprintf("the job %s without a report of its runner%s%s",
                    ended ? "ended" : "vanished", view->detail[0] ? ": " : "", view->detail);
    (void)fail_run(service, run, code ? code : FAILURE_LOST, why);
}

static void look_at_job(struct service *service, const struct run *run)
{
    struct job_view view = {0};
    struct err err = {0};
    struct job_ref name;

    if (launcher_poll(service->launcher, job_of(run, &name), &view, &err) < 0)
        log_warn("looking at a job failed, will retry", KV("error", err.text));
    else if (view.phase == JOB_ENDED || view.phase == JOB_LOST)
        job_is_over(service, run, &view);
}

static bool is_lost(const struct service *service, const struct run *run, int64_t now_ms)
{
    int64_t heard_ms = run->heartbeat_ms > service->started_wall_ms ? run->heartbeat_ms
                                                                    : service->started_wall_ms;

    return run->status == RUN_RUNNING
           && now_ms - heard_ms > service->config->lost_after_s * 1000;
}

static void look_at_run(struct service *service, const struct run *run, int64_t now_ms)
{
    if (is_lost(service, run, now_ms)) {
        if (fail_run(service, run, FAILURE_LOST, "the runner stopped calling home"))
            stop_job(service, run);
    } else if (run->job_ref) {
        look_at_job(service, run);
    }
}

/* --- Deadlines
 * -------------------------------------------------------------------------------------- */

/* True when the run was moved on and its job, if it has one, is to end. */
static bool is_late(struct service *service, const struct run *run)
{
    switch (run->status) {
    case RUN_PENDING:
        return fail_run(service, run, FAILURE_LAUNCH_FAILED,
                        "no worker came free for it in time");
    case RUN_LAUNCHING:
        return queue_launch_failed(service, run, FAILURE_LAUNCH_FAILED,
                                   "the job's runner did not claim the run in time", true);
    default:
        return fail_run(service, run, FAILURE_DEADLINE, "the run took longer than it may");
    }
}

static void is_due(struct service *service, const struct run *run, int64_t now_ms)
{
    bool fresh = now_ms - service->started_wall_ms < RESTART_GRACE_MS
                 && run->deadline_ms < service->started_wall_ms;

    if (run->stop_requested)
        stop_run(service, run);
    else if ((run->status == RUN_PENDING || !fresh) && is_late(service, run)
             && run->status != RUN_PENDING)
        stop_job(service, run);
}

/* Pending runs that were never tried have no deadline of their own: their id tells how long
 * they have waited. */
static void look_at_deadlines(struct service *service)
{
    struct err err = {0};
    struct run_page due = {0};
    struct run_page stale = {0};
    int64_t now_ms = clock_wall_ms();
    int64_t stale_ms = now_ms - service->config->queue_timeout_s * 1000;

    if (run_store_due(service->db, now_ms, PAGE_RUNS, &due, &err) < 0
        || run_store_stale(service->db, stale_ms, PAGE_RUNS, &stale, &err) < 0)
        log_error("reading deadlines failed, will retry", KV("error", err.text));
    for (size_t i = 0; i < due.n_runs; i++)
        is_due(service, due.runs[i], now_ms);
    for (size_t i = 0; i < stale.n_runs; i++)
        is_due(service, stale.runs[i], now_ms);
    run_page_done(&due);
    run_page_done(&stale);
}

/* --- Every active run
 * ---------------------------------------------------------------------------------- */

typedef void (*each_run_fn)(struct service *service, const struct run *run, int64_t now_ms);

static int each_active(struct service *service, each_run_fn each, struct err *err)
{
    struct id after = {0};
    int64_t now_ms = clock_wall_ms();

    do {
        struct run_page page = {0};

        if (run_store_active(service->db, after, PAGE_RUNS, &page, err) < 0)
            return -1;
        for (size_t i = 0; i < page.n_runs; i++)
            each(service, page.runs[i], now_ms);
        after = page.n_runs == PAGE_RUNS ? page.runs[page.n_runs - 1]->id : (struct id){0};
        run_page_done(&page);
    } while (after.key);
    return 0;
}

static void sweep(struct service *service)
{
    struct err err = {0};

    if (each_active(service, look_at_run, &err) < 0)
        log_error("reading the active runs failed, will retry", KV("error", err.text));
}

/* Found in its backend: the run goes on where it stood. A launch that never reached the
 * backend is no failure of its own. */
static void settle(struct service *service, const struct run *run, int64_t now_ms)
{
    struct job_view view = {0};
    struct err err = {0};
    struct job_ref name;
    const char *ref = job_of(run, &name);

    (void)now_ms;
    if (launcher_poll(service->launcher, ref, &view, &err) < 0) {
        log_warn("looking at a job failed, will retry", KV("job", ref), KV("error", err.text));
        return;
    }
    if (run->status == RUN_LAUNCHING && view.phase == JOB_LOST) {
        queue_launch_failed(service, run, FAILURE_LAUNCH_FAILED,
                            "dispatchd restarted before the job was started", false);
    } else if (view.phase == JOB_LOST || view.phase == JOB_ENDED) {
        job_is_over(service, run, &view);
    } else if (!run->job_ref
               && run_store_set_job(service->db, run->id, run->attempt, ref, &err) < 0) {
        log_warn("remembering a job failed, ignoring", KV("error", err.text));
    }
}

int reconcile_after_restart(struct service *service, struct err *err)
{
    return each_active(service, settle, err);
}

/* --- Changes the launcher tells of
 * ----------------------------------------------------------------------- */

static void look_at_change(struct service *service, const struct job_change *change)
{
    struct err err = {0};
    scoped(run) run = run_store_load(service->db, change->run, &err);

    if (run && run->attempt == change->attempt && is_active(run))
        look_at_job(service, run);
}

static void look_at_changes(struct service *service)
{
    struct job_change *changes;
    size_t n_changes;
    bool lost;

    (void)pthread_mutex_lock(&service->lock);
    n_changes = service->n_changes;
    changes = xcalloc(n_changes, sizeof(*changes));
    memcpy(changes, service->changes, n_changes * sizeof(*changes));
    service->n_changes = 0;
    lost = service->changes_lost;
    service->changes_lost = false;
    (void)pthread_mutex_unlock(&service->lock);
    for (size_t i = 0; i < n_changes; i++)
        look_at_change(service, &changes[i]);
    free(changes);
    if (lost)
        sweep(service);
}

/* --- Housekeeping
 * ------------------------------------------------------------------------------------------ */

/* Of every attempt: those that failed to launch may have left something too. */
static void forget_jobs(struct service *service, const struct run *run)
{
    for (int attempt = 1; attempt <= run->attempt; attempt++) {
        struct job_ref ref = job_ref_make(run->id, attempt);
        struct err err = {0};

        if (launcher_forget(service->launcher, ref.text, &err) < 0)
            log_warn("forgetting a job failed, ignoring", KV("job", (const char *)ref.text),
                     KV("error", err.text));
    }
}

/* True while there may be more to prune. */
static bool prune(struct service *service)
{
    int64_t now_ms = clock_wall_ms();
    int64_t before_ms = now_ms - service->config->task_retention_s * 1000;
    struct run_page page = {0};
    struct err err = {0};
    bool more;

    if (run_store_prune(service->db, before_ms, now_ms, PRUNE_BATCH, &page, &err) < 0)
        log_error("pruning failed, will retry", KV("error", err.text));
    for (size_t i = 0; i < page.n_runs; i++)
        forget_jobs(service, page.runs[i]);
    more = page.n_runs == PRUNE_BATCH;
    run_page_done(&page);
    return more;
}

static void write_last_uses(struct service *service)
{
    struct err err = {0};

    if (token_store_flush(service->tokens, &err) < 0)
        log_warn("writing last-used times failed, will retry", KV("error", err.text));
}

static void housekeep(struct service *service)
{
    for (int batch = 0; batch < PRUNE_BATCHES_MAX && prune(service); batch++)
        ;
    write_last_uses(service);
}

/* --- The thread
 * ----------------------------------------------------------------------------------------------
 */

/* False when it is time to stop. */
static bool wait_for_tick(struct service *service)
{
    struct timespec until;
    bool stopping;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TICK_MS / 1000;
    (void)pthread_mutex_lock(&service->lock);
    while (!service->stopping && !service->n_changes && !service->changes_lost)
        if (pthread_cond_timedwait(&service->reconcile_wake, &service->lock, &until)
            == ETIMEDOUT)
            break;
    stopping = service->stopping;
    (void)pthread_mutex_unlock(&service->lock);
    return !stopping;
}

void *reconcile_thread(void *arg)
{
    struct service *service = arg;
    int64_t next_tick_ms = 0;
    int64_t next_sweep_ms = clock_monotonic_ms() + SWEEP_EVERY_MS;

    while (wait_for_tick(service)) {
        int64_t now_ms = clock_monotonic_ms();

        look_at_changes(service);
        if (now_ms >= next_tick_ms) {
            look_at_deadlines(service);
            next_tick_ms = now_ms + TICK_MS;
        }
        if (now_ms >= next_sweep_ms) {
            sweep(service);
            housekeep(service);
            next_sweep_ms = now_ms + SWEEP_EVERY_MS;
        }
    }
    write_last_uses(service); /* those since the last round would be forgotten */
    return NULL;
}
