/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From pending to launched. A few equal threads each take the oldest pending run whose time
 * has come, while fewer than max_workers are active, and ask the launcher to start its job.
 *
 *   - The take (pending -> launching, attempt + 1, the attempt's task token) is durable before
 *     the launcher is asked, so that a crash leaves a run in `launching` and never a job that
 *     nobody knows of.
 *   - A backend that is away fails no run. What was taken stays launching, under the same
 *     attempt, and is asked for again after a pause (launches.h) that holds for all; the rest
 *     stays pending, up to the queue's cap.
 *   - A start whose outcome is unknown is asked for again, for the same attempt, until it is
 *     known: launchers adopt. Giving it up could leave a job behind. It doesn't have to be
 *     claimed before it is known to have started.
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
#include "launch/job_ref.h"
#include "model/token.h"
#include "service/state.h"

#define LAUNCH_FAILURES_MAX 3
#define LAUNCH_RETRY_FIRST_MS 1000
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

/* What is left of a start that came to nothing, or came too late. */
static void stop_leftover(struct service *service, const char *ref)
{
    struct err err = {0};

    if (launcher_stop(service->launcher, ref, &err) < 0)
        log_warn("stopping a job of an ended run failed, will retry", KV("job", ref),
                 KV("error", err.text));
}

/* The job's place. A run may have moved on meanwhile: a fast runner is done by now; one that
 * was stopped meanwhile has a job that nobody wants. */
static void remember_job(struct service *service, const struct launch *launch, const char *ref)
{
    const struct run *run = launch->run;
    struct err err = {0};
    enum run_status status = RUN_LAUNCHING;
    int64_t deadline_ms = 0;

    if (launch->asked > 1)
        deadline_ms = clock_wall_ms() + service->config->claim_timeout_s * 1000;
    if (run_store_job_started(service->db, run->id, run->attempt, ref, deadline_ms, &status,
                              &err)
        < 0) {
        if (err.kind != ERR_CONFLICT)
            log_error("remembering a job failed, it will be found by name", KV("job", ref),
                      KV("error", err.text));
        else
            stop_leftover(service, ref);
    } else if (status == RUN_STOPPED || status == RUN_FAILED) {
        stop_leftover(service, ref);
    }
}

static int start_job(struct service *service, const struct launch *launch, char **out_ref,
                     struct err *err)
{
    const struct run *run = launch->run;
    struct job_spec spec = {
        .run = run->id,
        .attempt = run->attempt,
        .url = service->url,
        .task_token = launch->task_token,
        .repo = run->repo ? run->repo : "", /* a blank workspace has none */
        .agent = run->agent,
        /* The backend's own clock is the last resort: the agent's and ours come first. */
        .timeout_s = service->config->claim_timeout_s + service->config->run_timeout_s
                     + RUN_GRACE_S + BACKEND_MARGIN_S,
        .script = run->prompt,
    };

    return launcher_start(service->launcher, &spec, out_ref, err);
}

static void started(struct service *service, const struct launch *launch, const char *ref)
{
    char id[ID_TEXT_SIZE];

    id_text(launch->run->id, id);
    atomic_fetch_add(&service->launched, 1);
    remember_job(service, launch, ref);
    log_info("job started", KV("run", id), KV("attempt", launch->run->attempt), KV("job", ref),
             KV("launcher", launcher_name(service->launcher)));
}

/* Between two questions the run may have been stopped, or have waited for too long. */
static bool is_wanted(struct service *service, const struct launch *launch)
{
    const struct run *taken = launch->run;
    struct err err = {0};
    scoped(run) run = run_store_load(service->db, taken->id, &err);
    scoped_str why = NULL;
    char reason[LAUNCH_WHY_MAX];

    if (!run)
        return err.kind != ERR_NOT_FOUND; /* asking once more does no harm */
    if (run->status != RUN_LAUNCHING || run->attempt != taken->attempt)
        return false;
    if (run->stop_requested)
        return !service_end_run(service, run, &(struct run_end){.status = RUN_STOPPED});
    if (clock_wall_ms() - id_created_ms(run->id) < service->config->queue_timeout_s * 1000)
        return true;
    (void)launches_paused(&service->launches, reason, sizeof(reason));
    why = xasprintf("the job could not be started in time%s%s", *reason ? ": " : "", reason);
    return !service_end_run(service, run,
                            &(struct run_end){.status = RUN_FAILED,
                                              .error_code = FAILURE_LAUNCH_FAILED,
                                              .error = why});
}

static bool is_open(const struct err *err)
{
    return err->kind == ERR_TIMEOUT || err->kind == ERR_UNAVAILABLE;
}

static void give_up(struct service *service, struct launch *launch)
{
    struct job_ref name = job_ref_make(launch->run->id, launch->run->attempt);

    if (launch->may_exist)
        stop_leftover(service, name.text);
    launches_settled(&service->launches, launch, false);
}

/* Takes the launch. */
static void ask(struct service *service, struct launch *launch)
{
    struct err err = {0};
    scoped_str ref = NULL;

    if (launch->asked > 0 && !is_wanted(service, launch)) {
        give_up(service, launch);
        return;
    }
    launch->asked++;
    if (start_job(service, launch, &ref, &err) == 0) {
        started(service, launch, ref);
    } else if (is_open(&err)) {
        launch->may_exist |= err.kind == ERR_TIMEOUT;
        log_debug("a start is not settled, will ask again", KV("error", err.text));
        launches_missed(&service->launches, launch, &err, clock_monotonic_ms());
        return;
    } else {
        (void)queue_launch_failed(service, launch->run, FAILURE_LAUNCH_FAILED, err.text, true);
    }
    launches_settled(&service->launches, launch, true);
}

/* --- Taking
 * ----------------------------------------------------------------------------------------- */

static bool has_worker(struct service *service)
{
    int64_t limit = service->config->max_workers;

    return !limit || atomic_load(&service->active) < limit;
}

/* The store's part: on -1 nothing was taken. */
static int write_take(struct service *service, const struct launch *launch, int64_t now_ms,
                      struct err *err)
{
    const struct run *run = launch->run;
    uint8_t hash[SHA256_SIZE];
    int attempt;

    token_hash(secret_reveal(launch->task_token), hash);
    if (run_store_launch(service->db, run->id, launcher_name(service->launcher), hash,
                         now_ms + service->config->claim_timeout_s * 1000, &attempt, err)
        < 0)
        return -1;
    if (attempt != run->attempt) /* only takes count attempts, one at a time */
        log_error("a run's attempt is not the one expected", KV("attempt", attempt));
    atomic_fetch_sub(&service->pending, 1);
    atomic_fetch_add(&service->active, 1);
    return 0;
}

/*
 * The next due run as launching, or NULL: then *out_wait_ms says when to look again (-1: when
 * woken).
 */
static struct launch *take(struct service *service, int64_t *out_wait_ms)
{
    struct err err = {0};
    int64_t now_ms = clock_wall_ms();
    int64_t next_ms = 0;
    struct launch *launch;
    struct secret *token;
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
    run->status = RUN_LAUNCHING;
    run->attempt++;
    token = task_token_derive(run->id, run->attempt, service->token_key);
    launch = launches_begin(&service->launches, TAKE(run), token);
    if (write_take(service, launch, now_ms, &err) == 0)
        return launch;
    launches_settled(&service->launches, launch, false);
    if (err.kind != ERR_CONFLICT)
        log_error("taking a run failed, will retry", KV("error", err.text));
    *out_wait_ms = err.kind == ERR_CONFLICT ? 0 : STORE_RETRY_MS;
    return NULL;
}

static int64_t sooner(int64_t a_ms, int64_t b_ms)
{
    return a_ms < 0 ? b_ms : b_ms < 0 || a_ms < b_ms ? a_ms : b_ms;
}

bool queue_launch_again(struct service *service, const struct run *run)
{
    struct err err = {0};
    scoped(run) copy = run_store_load(service->db, run->id, &err);
    scoped(secret) token = NULL;
    uint8_t hash[SHA256_SIZE];

    if (!copy || copy->status != RUN_LAUNCHING || copy->attempt != run->attempt
        || copy->job_ref)
        return true; /* it has moved on */
    token = task_token_derive(copy->id, copy->attempt, service->token_key);
    token_hash(secret_reveal(token), hash);
    if (!bytes_equal(hash, copy->task_token_hash, sizeof(hash)))
        return false;
    launches_resume(&service->launches, TAKE(copy), TAKE(token));
    queue_wake(service);
    return true;
}

/* What to ask the backend for next: what it owes an answer to, before anything new. */
static struct launch *next_launch(struct service *service, int64_t *out_wait_ms)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t again_ms;
    struct launch *launch;
    bool full;

    if (!launches_may_ask(&service->launches, now_ms, out_wait_ms))
        return NULL;
    launch = launches_again(&service->launches, now_ms, &again_ms, &full);
    if (!launch && !full)
        launch = take(service, out_wait_ms);
    if (!launch) {
        launches_none(&service->launches);
        *out_wait_ms = sooner(*out_wait_ms, again_ms);
    }
    return launch;
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
        struct launch *launch;
        int64_t wait_ms;

        (void)pthread_mutex_lock(&service->take_lock);
        launch = next_launch(service, &wait_ms);
        (void)pthread_mutex_unlock(&service->take_lock);
        if (launch) {
            queue_wake(service); /* there may be more: another thread goes on */
            ask(service, launch);
        } else if (wait_ms != 0) {
            wait_for_work(service, seen, wait_ms);
        }
    }
    return NULL;
}
