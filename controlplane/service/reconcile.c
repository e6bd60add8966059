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
 *   every few minutes  every job of ours in the backend: does a run need it? (orphans.c)
 *
 * What is done about one run is in look.c. After a restart, heartbeats and deadlines count from
 * the restart at the earliest: runners could not call while we were away.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "launch/job_ref.h"
#include "service/state.h"
#include "store/delivery_store.h"

#define TICK_MS 1000
#define SWEEP_EVERY_MS 5000
#define PAGE_RUNS 256
#define PRUNE_BATCH 200
#define PRUNE_BATCHES_MAX 50
/* After the settling of the last process' launches. */
#define ORPHANS_FIRST_MS 10000
#define ORPHANS_EVERY_MS 180000

/* --- Deadlines
 * -------------------------------------------------------------------------------------- */

/* Pending runs that were never tried have no deadline of their own: their id tells how long
 * they have waited. */
static void look_at_deadlines(struct service *service)
{
    struct err err = {0};
    struct run_page due = {0};
    struct run_page stale = {0};
    int64_t now_ms = clock_steady_ms();
    int64_t stale_ms = now_ms - service->config->queue_timeout_s * 1000;

    backends_listen(&service->backends);
    if (run_store_due(service->db, now_ms, PAGE_RUNS, &due, &err) < 0
        || run_store_stale(service->db, stale_ms, PAGE_RUNS, &stale, &err) < 0)
        log_error("reading deadlines failed, will retry", KV("error", err.text));
    for (size_t i = 0; i < due.n_runs; i++)
        look_at_deadline(service, due.runs[i], now_ms);
    for (size_t i = 0; i < stale.n_runs; i++)
        look_at_deadline(service, stale.runs[i], now_ms);
    run_page_done(&due);
    run_page_done(&stale);
}

/* --- Every active run
 * ---------------------------------------------------------------------------------- */

typedef void (*each_run_fn)(struct service *service, const struct run *run, int64_t now_ms);

static int each_active(struct service *service, each_run_fn each, struct err *err)
{
    struct id after = {0};
    int64_t now_ms = clock_steady_ms();

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

    backends_listen(&service->backends);
    waiting_begin(&service->waiting);
    if (each_active(service, look_at_run, &err) < 0)
        log_error("reading the active runs failed, will retry", KV("error", err.text));
    else if (!backends_any_silent(&service->backends))
        waiting_end(&service->waiting);
}

int reconcile_after_restart(struct service *service, struct err *err)
{
    backends_listen(&service->backends);
    if (!restored_settle(service))
        return 0;
    return each_active(service, look_after_restart, err);
}

/* --- Changes the launcher tells of
 * ----------------------------------------------------------------------- */

static void look_at_change(struct service *service, const struct job_change *change)
{
    struct err err = {0};
    scoped(run) run = run_store_load(service->db, change->run, &err);

    if (run && run->attempt == change->attempt
        && (run->status == RUN_LAUNCHING || run->status == RUN_RUNNING))
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
    backends_listen(&service->backends);
    for (size_t i = 0; i < n_changes; i++)
        look_at_change(service, &changes[i]);
    free(changes);
    if (lost)
        sweep(service);
}

/* --- Housekeeping
 * ------------------------------------------------------------------------------------------ */

static void forget_job(struct launcher *launcher, const char *ref)
{
    struct err err = {0};

    if (launcher_forget(launcher, ref, &err) < 0)
        log_warn("forgetting a job failed, ignoring", KV("job", ref), KV("error", err.text));
}

/* Of every attempt: those that failed to launch may have left something too. Only of the last
 * one it is known in which backend. */
static void forget_jobs(struct service *service, const struct run *run)
{
    for (int attempt = 1; attempt <= run->attempt; attempt++) {
        struct job_ref ref = job_ref_make(run->id, attempt);

        for (size_t i = 0; i < service->backends.count; i++) {
            const struct backend *backend = &service->backends.all[i];
            bool is_its = run->launcher && strcmp(run->launcher, backend->name) == 0;

            if (is_its || attempt < run->attempt)
                forget_job(backend->launcher, ref.text);
        }
    }
}

/* True while there may be more to prune. */
static bool prune(struct service *service)
{
    int64_t now_ms = clock_steady_ms();
    int64_t before_ms = now_ms - service->config->task_retention_s * 1000;
    struct run_page page = {0};
    struct err err = {0};
    bool more;

    if (run_store_prune(service->db, before_ms, now_ms, PRUNE_BATCH, &page, &err) < 0)
        log_error("pruning failed, will retry", KV("error", err.text));
    for (size_t i = 0; i < page.n_runs; i++)
        forget_jobs(service, page.runs[i]);
    more = page.n_runs == PRUNE_BATCH;
    atomic_fetch_add(&service->pruned, (int64_t)page.n_runs);
    run_page_done(&page);
    return more;
}

static void write_last_uses(struct service *service)
{
    struct err err = {0};

    if (token_store_flush(service->tokens, &err) < 0
        || personal_token_store_flush(service->personal_tokens, &err) < 0)
        log_warn("writing last-used times failed, will retry", KV("error", err.text));
}

static void prune_deliveries(struct service *service)
{
    int64_t before_ms = clock_steady_ms() - service->config->task_retention_s * 1000;
    int64_t pruned = PRUNE_BATCH;
    struct err err = {0};

    for (int batch = 0; batch < PRUNE_BATCHES_MAX && pruned == PRUNE_BATCH; batch++) {
        if (delivery_store_prune(service->db, before_ms, PRUNE_BATCH, &pruned, &err) < 0) {
            log_error("pruning deliveries failed, will retry", KV("error", err.text));
            return;
        }
    }
}

static void housekeep(struct service *service)
{
    for (int batch = 0; batch < PRUNE_BATCHES_MAX && prune(service); batch++)
        ;
    prune_deliveries(service);
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

/* After a restore nothing is judged before it is settled. */
static void try_once_more(struct service *service, int64_t now_ms, int64_t *inout_next_ms)
{
    struct err err = {0};

    /* Once it is, every active run is looked at. */
    (void)pthread_mutex_lock(&service->lock);
    service->n_changes = 0;
    service->changes_lost = false;
    (void)pthread_mutex_unlock(&service->lock);
    if (now_ms < *inout_next_ms)
        return;
    *inout_next_ms = now_ms + SWEEP_EVERY_MS;
    if (reconcile_after_restart(service, &err) < 0)
        log_error("reading the active runs failed, will retry", KV("error", err.text));
}

void *reconcile_thread(void *arg)
{
    struct service *service = arg;
    int64_t next_tick_ms = 0;
    int64_t next_sweep_ms = clock_monotonic_ms() + SWEEP_EVERY_MS;
    int64_t next_orphans_ms = clock_monotonic_ms() + ORPHANS_FIRST_MS;

    while (wait_for_tick(service)) {
        int64_t now_ms = clock_monotonic_ms();

        if (service_is_restoring(service)) {
            try_once_more(service, now_ms, &next_sweep_ms);
            continue;
        }
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
        if (now_ms >= next_orphans_ms)
            next_orphans_ms = orphans_sweep(service) ? now_ms + ORPHANS_EVERY_MS : INT64_MAX;
    }
    write_last_uses(service); /* those since the last round would be forgotten */
    return NULL;
}
