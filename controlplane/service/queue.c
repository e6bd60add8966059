/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From pending to launched. A few equal threads each take the oldest pending run whose time
 * has come, while fewer than max_workers are active, and ask the launcher to start its job.
 *
 *   - The take (pending -> launching, attempt + 1, the attempt's task token) is durable before
 *     the launcher is asked, so that a crash leaves a run in `launching` and never a job that
 *     nobody knows of.
 *   - A start whose outcome is unknown is asked again for the same attempt: launchers adopt.
 *   - A start that failed goes back to pending with a pause, up to LAUNCH_FAILURES_MAX times.
 *
 * Threads sleep until a run is queued, a worker comes free, or a pause ends: there is no tick.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "model/token.h"
#include "service/state.h"

#define LAUNCH_FAILURES_MAX 3
#define LAUNCH_RETRY_FIRST_MS 1000
#define START_TRIES_MAX 3
#define STORE_RETRY_MS 1000
#define BACKEND_MARGIN_S 60

void queue_wake(struct service *service)
{
    (void)pthread_mutex_lock(&service->lock);
    service->queue_signals++;
    (void)pthread_cond_signal(&service->queue_wake);
    (void)pthread_mutex_unlock(&service->lock);
}

/* --- What follows a start
 * ------------------------------------------------------------------------ */

/* 1 s, 4 s, 16 s: an image registry or a quota needs moments, not milliseconds. */
static int64_t pause_after_ms(int failures)
{
    int64_t pause_ms = LAUNCH_RETRY_FIRST_MS;

    for (int i = 1; i < failures; i++)
        pause_ms *= 4;
    return pause_ms;
}

bool queue_launch_failed(struct service *service, const struct run *run, enum failure_code code,
                         const char *why, bool counts)
{
    struct err err = {0};
    int failures = run->launch_failures + (counts ? 1 : 0);
    int64_t now_ms = clock_wall_ms();
    int64_t due_ms = counts ? now_ms + pause_after_ms(failures) : now_ms;
    char id[ID_TEXT_SIZE];

    id_text(run->id, id);
    if (counts)
        atomic_fetch_add(&service->launch_failures, 1);
    log_warn("launch failed", KV("run", id), KV("attempt", run->attempt), KV("error", why),
             KV("will_retry", (bool)(failures < LAUNCH_FAILURES_MAX)));
    if (failures >= LAUNCH_FAILURES_MAX) {
        struct run_end end = {.status = RUN_FAILED, .error_code = code, .error = why};

        return service_end_run(service, run, &end);
    }
    if (run_store_requeue(service->db, run->id, run->attempt, due_ms,
                          due_ms + service->config->queue_timeout_s * 1000, why, counts, &err)
        < 0) {
        if (err.kind != ERR_CONFLICT)
            log_error("putting a run back failed, its deadline will", KV("run", id),
                      KV("error", err.text));
        return false;
    }
    atomic_fetch_add(&service->pending, 1);
    atomic_fetch_sub(&service->active, 1);
    queue_wake(service);
    return true;
}

/* The job's place, unless the run moved on meanwhile (a fast runner is done by now). */
static void remember_job(struct service *service, const struct run *run, const char *ref)
{
    struct err err = {0};

    if (run_store_set_job(service->db, run->id, run->attempt, ref, &err) < 0
        && err.kind != ERR_CONFLICT)
        log_error("remembering a job failed, it will be found by name", KV("job", ref),
                  KV("error", err.text));
}

static int start_job(struct service *service, const struct run *run,
                     const struct secret *task_token, char **out_ref, struct err *err)
{
    struct job_spec spec = {
        .run = run->id,
        .attempt = run->attempt,
        .url = service->url,
        .task_token = task_token,
        .repo = run->repo,
        .agent = run->agent,
        /* The backend's own clock is the last resort: the agent's and ours come first. */
        .timeout_s = service->config->claim_timeout_s + service->config->run_timeout_s
                     + RUN_GRACE_S + BACKEND_MARGIN_S,
        .script = run->prompt,
    };

    for (int tries = 1;; tries++) {
        if (launcher_start(service->launcher, &spec, out_ref, err) == 0)
            return 0;
        if (err->kind != ERR_TIMEOUT || tries == START_TRIES_MAX)
            return -1;
        log_warn("a start went unanswered, asking again", KV("error", err->text));
    }
}

static void launch(struct service *service, const struct run *run,
                   const struct secret *task_token)
{
    struct err err = {0};
    scoped_str ref = NULL;
    char id[ID_TEXT_SIZE];

    id_text(run->id, id);
    if (start_job(service, run, task_token, &ref, &err) < 0) {
        (void)queue_launch_failed(service, run, FAILURE_LAUNCH_FAILED, err.text, true);
        return;
    }
    atomic_fetch_add(&service->launched, 1);
    remember_job(service, run, ref);
    log_info("job started", KV("run", id), KV("attempt", run->attempt), KV("job", ref),
             KV("launcher", launcher_name(service->launcher)));
}

/* --- Taking
 * ----------------------------------------------------------------------------------------- */

static bool has_worker(struct service *service)
{
    int64_t limit = service->config->max_workers;

    return !limit || atomic_load(&service->active) < limit;
}

/*
 * The next due run as launching, or NULL: then *out_wait_ms says when to look again (-1: when
 * woken).
 */
static struct run *take(struct service *service, struct secret **out_token,
                        int64_t *out_wait_ms)
{
    struct err err = {0};
    int64_t now_ms = clock_wall_ms();
    int64_t next_ms = 0;
    uint8_t hash[SHA256_SIZE];
    scoped(run) run = NULL;

    *out_wait_ms = -1;
    if (!has_worker(service))
        return NULL;
    run = run_store_next_pending(service->db, now_ms, &next_ms, &err);
    if (!run) {
        if (err.kind != ERR_NOT_FOUND)
            log_error("reading the queue failed, will retry", KV("error", err.text));
        *out_wait_ms = err.kind != ERR_NOT_FOUND ? STORE_RETRY_MS
                       : next_ms                 ? next_ms - now_ms + 1
                                                 : -1;
        return NULL;
    }
    scoped(secret) token = handoff_take(&service->handoff, run->id);
    if (!token)
        token = task_token_make(run->id);
    token_hash(secret_reveal(token), hash);
    if (run_store_launch(service->db, run->id, launcher_name(service->launcher), hash,
                         now_ms + service->config->claim_timeout_s * 1000, &run->attempt, &err)
        < 0) {
        if (err.kind != ERR_CONFLICT)
            log_error("taking a run failed, will retry", KV("error", err.text));
        *out_wait_ms = err.kind == ERR_CONFLICT ? 0 : STORE_RETRY_MS;
        return NULL;
    }
    run->status = RUN_LAUNCHING;
    atomic_fetch_sub(&service->pending, 1);
    atomic_fetch_add(&service->active, 1);
    *out_token = TAKE(token);
    return TAKE(run);
}

/* Waits for a reason to look: a signal that came after `seen`, the time, or the stop. */
static void wait_for_work(struct service *service, uint64_t seen, int64_t wait_ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    if (wait_ms < 0)
        wait_ms = 60000;
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&service->lock);
    while (!service->stopping && service->queue_signals == seen)
        if (pthread_cond_timedwait(&service->queue_wake, &service->lock, &until) == ETIMEDOUT)
            break;
    (void)pthread_mutex_unlock(&service->lock);
}

static bool is_stopping(struct service *service, uint64_t *out_seen)
{
    bool stopping;

    (void)pthread_mutex_lock(&service->lock);
    stopping = service->stopping;
    *out_seen = service->queue_signals;
    (void)pthread_mutex_unlock(&service->lock);
    return stopping;
}

void *queue_thread(void *arg)
{
    struct service *service = arg;
    uint64_t seen;

    while (!is_stopping(service, &seen)) {
        scoped(secret) token = NULL;
        scoped(run) run = NULL;
        int64_t wait_ms;

        (void)pthread_mutex_lock(&service->take_lock);
        run = take(service, &token, &wait_ms);
        (void)pthread_mutex_unlock(&service->take_lock);
        if (run) {
            queue_wake(service); /* there may be more: another thread goes on */
            launch(service, run, token);
        } else if (wait_ms != 0) {
            wait_for_work(service, seen, wait_ms);
        }
    }
    return NULL;
}
