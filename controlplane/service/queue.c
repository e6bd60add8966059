/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From pending to launched. A few equal threads each take the run whose turn it is (take.c),
 * while fewer than max_workers are active, and ask the launcher to start its job.
 *
 *   - The take (pending -> launching, attempt + 1, the attempt's task token) is durable before
 *     the launcher is asked, so that a crash leaves a run in `launching` and never a job that
 *     nobody knows of.
 *   - Each backend has its own pause and its own threads' worth of starts (backends.h): one
 * that is away or slow holds up no run of another.
 *   - A backend that is away fails no run. What was taken stays launching, under the same
 *     attempt, and is asked for again after a pause (launches.h) that holds for all; the rest
 *     stays pending, up to the queue's cap.
 *   - A start whose outcome is unknown is asked for again, for the same attempt, until it is
 *     known: launchers adopt. Giving it up could leave a job behind. It doesn't have to be
 *     claimed before it is known to have started.
 *   - A start that failed goes back to pending with a pause, up to LAUNCH_FAILURES_MAX times.
 *   - A run moves on to the next backend as a new attempt, and only when it is certain that the
 *     last one has no job of it: the start was refused, or failed for good. A start that went
 *     unanswered is settled first, however long that takes.
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
#include "service/take.h"

#define WAITED_MS 100
#define LAUNCH_FAILURES_MAX 3
#define LAUNCH_RETRY_FIRST_MS 1000
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

/* A run that goes back to the queue. */
struct return_ticket {
    const char *why;
    int64_t due_ms;
    bool counts;
    int backend; /* the one that it moves on to; BACKEND_NONE: it stays with its own */
};

static int write_requeue(struct service *service, const struct run *run,
                         const struct return_ticket *ticket, struct err *err)
{
    bool has_turn = admission_knows(service->admission, run->id);
    int64_t not_before_ms = has_turn ? RUN_WAITS_ITS_TURN : ticket->due_ms;
    int64_t deadline_ms = ticket->due_ms + service->config->queue_timeout_s * 1000;

    if (ticket->backend == BACKEND_NONE)
        return run_store_requeue(service->db, run->id, run->attempt, not_before_ms, deadline_ms,
                                 ticket->why, ticket->counts, err);
    return run_store_requeue_for(service->db, run->id, run->attempt,
                                 service->backends.all[ticket->backend].name, not_before_ms,
                                 deadline_ms, ticket->why, err);
}

static void take_place(struct service *service, const struct run *run,
                       const struct return_ticket *ticket)
{
    struct backend_route route = backends_route_of(&service->backends, run);

    if (ticket->backend != BACKEND_NONE)
        route.at = ticket->backend;
    admission_reroute(service->admission, run->id, run->repo, route);
    admission_put_back(service->admission, run->id, ticket->due_ms);
}

static bool put_back(struct service *service, const struct run *run,
                     const struct return_ticket *ticket)
{
    struct err err = {0};
    char id[ID_TEXT_SIZE];

    if (write_requeue(service, run, ticket, &err) < 0) {
        id_text(run->id, id);
        if (err.kind != ERR_CONFLICT)
            log_error("putting a run back failed, its deadline will", KV("run", id),
                      KV("error", err.text));
        return false;
    }
    take_place(service, run, ticket);
    atomic_fetch_add(&service->pending, 1);
    atomic_fetch_sub(&service->active, 1);
    queue_wake(service);
    return true;
}

static bool move_on(struct service *service, const struct run *run, int backend,
                    const char *why)
{
    struct return_ticket ticket = {.why = why, .due_ms = clock_steady_ms(), .backend = backend};
    char id[ID_TEXT_SIZE];

    if (!put_back(service, run, &ticket))
        return false;
    id_text(run->id, id);
    atomic_fetch_add(&service->launch_moves, 1);
    log_warn("a launcher refused a run, the next one is tried", KV("run", id),
             KV("attempt", run->attempt), KV("launcher", run->launcher),
             KV("next", service->backends.all[backend].name), KV("error", why));
    return true;
}

/* `next`: where it goes when it has failed for good; BACKEND_NONE. */
static bool launch_failed(struct service *service, const struct run *run,
                          enum failure_code code, const char *why, bool counts, int next)
{
    int failures = run->launch_failures + (counts ? 1 : 0);
    int64_t now_ms = clock_steady_ms();
    struct return_ticket ticket = {.why = why,
                                   .due_ms =
                                       counts ? now_ms + pause_after_ms(failures) : now_ms,
                                   .counts = counts,
                                   .backend = BACKEND_NONE};
    char id[ID_TEXT_SIZE];

    id_text(run->id, id);
    if (counts)
        atomic_fetch_add(&service->launch_failures, 1);
    log_warn("launch failed", KV("run", id), KV("attempt", run->attempt), KV("error", why),
             KV("will_retry", (bool)(failures < LAUNCH_FAILURES_MAX)));
    if (failures >= LAUNCH_FAILURES_MAX && next != BACKEND_NONE)
        return move_on(service, run, next, why);
    if (failures >= LAUNCH_FAILURES_MAX) {
        struct run_end end = {.status = RUN_FAILED, .error_code = code, .error = why};

        return service_end_run(service, run, &end);
    }
    return put_back(service, run, &ticket);
}

bool queue_launch_failed(struct service *service, const struct run *run, enum failure_code code,
                         const char *why, bool counts)
{
    return launch_failed(service, run, code, why, counts, BACKEND_NONE);
}

bool queue_launch_refused(struct service *service, const struct run *run,
                          enum failure_code code, const char *why)
{
    struct backend_route route = backends_route_of(&service->backends, run);

    return launch_failed(service, run, code, why, true,
                         backends_next(&service->backends, route));
}

/* What is left of a start that came to nothing, or came too late. */
static void stop_leftover(struct service *service, const struct run *run, const char *ref)
{
    struct backend *backend = service_backend(service, run);
    struct err err = {0};

    if (backend && launcher_stop(backend->launcher, ref, &err) < 0)
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
        deadline_ms = clock_steady_ms() + service->config->claim_timeout_s * 1000;
    if (run_store_job_started(service->db, run->id, run->attempt, ref, deadline_ms, &status,
                              &err)
        < 0) {
        if (err.kind != ERR_CONFLICT)
            log_error("remembering a job failed, it will be found by name", KV("job", ref),
                      KV("error", err.text));
        else
            stop_leftover(service, run, ref);
    } else if (status == RUN_STOPPED || status == RUN_FAILED) {
        stop_leftover(service, run, ref);
    }
}

struct job_spec queue_job_spec(const struct service *service, const struct run *run,
                               const char *url)
{
    return (struct job_spec){
        .run = run->id,
        .attempt = run->attempt,
        .url = url,
        .repo = run->repo ? run->repo : "", /* a blank workspace has none */
        .agent = run->agent,
        /* The backend's own clock is the last resort: the agent's and ours come first. */
        .timeout_s = service->config->claim_timeout_s + service->config->run_timeout_s
                     + RUN_GRACE_S + BACKEND_MARGIN_S,
        .script = run->prompt,
    };
}

static int start_job(struct service *service, const struct backend *backend,
                     const struct launch *launch, char **out_ref, struct err *err)
{
    struct job_spec spec = queue_job_spec(service, launch->run, service->url);

    spec.task_token = launch->task_token;
    return launcher_start(backend->launcher, &spec, out_ref, err);
}

static void started(struct service *service, const struct launch *launch, const char *ref)
{
    char id[ID_TEXT_SIZE];

    id_text(launch->run->id, id);
    atomic_fetch_add(&service->launched, 1);
    remember_job(service, launch, ref);
    log_info("job started", KV("run", id), KV("attempt", launch->run->attempt), KV("job", ref),
             KV("launcher", launch->run->launcher));
}

/* Between two questions the run may have been stopped, or have waited for too long. */
static bool is_wanted(struct service *service, struct backend *backend,
                      const struct launch *launch)
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
    if (clock_steady_ms() - id_created_ms(run->id) < service->config->queue_timeout_s * 1000)
        return true;
    (void)launches_paused(&backend->launches, reason, sizeof(reason));
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

/* A backend may know more: that it was the image. */
static enum failure_code failure_of(const struct err *err)
{
    enum failure_code code;

    return err->code && failure_code_parse(err->code, &code) ? code : FAILURE_LAUNCH_FAILED;
}

/* A start that went unanswered has led to a job all the same, and its runner is at work. */
static bool has_job(struct service *service, const struct run *taken)
{
    struct err ignored = {0};
    scoped(run) run = run_store_load(service->db, taken->id, &ignored);

    return run && run->attempt == taken->attempt
           && (run->status == RUN_RUNNING || run->status == RUN_COMPLETED);
}

static void give_up(struct service *service, struct backend *backend, struct launch *launch)
{
    struct job_ref name = job_ref_make(launch->run->id, launch->run->attempt);

    if (has_job(service, launch->run))
        remember_job(service, launch, name.text);
    else if (launch->may_exist)
        stop_leftover(service, launch->run, name.text);
    launches_settled(&backend->launches, launch, false);
}

/* Since it was taken, or last asked for. One that a thread had to come for goes at once. */
static bool has_waited(const struct launch *launch)
{
    return launch->asked > 0
           || (launch->next_ms && clock_monotonic_ms() - launch->next_ms > WAITED_MS);
}

/* Takes the launch. */
static void ask(struct service *service, struct backend *backend, struct launch *launch)
{
    struct err err = {0};
    scoped_str ref = NULL;

    if (has_waited(launch) && !is_wanted(service, backend, launch)) {
        give_up(service, backend, launch);
        return;
    }
    launch->asked++;
    if (start_job(service, backend, launch, &ref, &err) == 0) {
        started(service, launch, ref);
    } else if (is_open(&err)) {
        launch->may_exist |= err.kind == ERR_TIMEOUT;
        log_debug("a start is not settled, will ask again", KV("error", err.text));
        launches_missed(&backend->launches, launch, &err, clock_monotonic_ms());
        return;
    } else {
        (void)queue_launch_refused(service, launch->run, failure_of(&err), err.text);
    }
    launches_settled(&backend->launches, launch, true);
}

/* --- What to ask for ---------------------------------------------------------------------- */

static int64_t sooner(int64_t a_ms, int64_t b_ms)
{
    return a_ms < 0 ? b_ms : b_ms < 0 || a_ms < b_ms ? a_ms : b_ms;
}

bool queue_launch_again(struct service *service, const struct run *run)
{
    struct err err = {0};
    scoped(run) copy = run_store_load(service->db, run->id, &err);
    scoped(secret) token = NULL;
    struct backend *backend;
    uint8_t hash[SHA256_SIZE];

    if (!copy || copy->status != RUN_LAUNCHING || copy->attempt != run->attempt
        || copy->job_ref)
        return true; /* it has moved on */
    token = task_token_derive(copy->id, copy->attempt, service->token_key);
    token_hash(secret_reveal(token), hash);
    if (!bytes_equal(hash, copy->task_token_hash, sizeof(hash)))
        return false;
    backend = service_backend(service, copy);
    if (!backend)
        return false;
    launches_resume(&backend->launches, TAKE(copy), TAKE(token));
    queue_wake(service);
    return true;
}

/* What a thread does next. */
struct errand {
    struct backend *backend;
    struct launch *launch; /* NULL: nothing */
    bool parts;            /* it isn't asked for here any more */
};

static bool has_refuge(const void *ctx, const struct run *run)
{
    struct service *service = (struct service *)(uintptr_t)ctx; /* ours */
    struct backends *backends = &service->backends;
    struct backend_route route = backends_route_of(backends, run);

    do {
        route.at = backends_next(backends, route);
    } while (route.at != BACKEND_NONE && backends->all[route.at].gone);
    return route.at != BACKEND_NONE;
}

/* Of a backend that has been away for too long: what waits for it and can go elsewhere. */
static struct launch *leave(struct service *service, struct backend *backend)
{
    return backend->gone ? launches_part(&backend->launches, has_refuge, service) : NULL;
}

/* What the backend owes an answer to, before anything new. */
static struct launch *owed(struct service *service, struct backend *backend, int64_t now_ms,
                           int64_t *inout_wait_ms)
{
    struct launch *launch;
    int64_t wait_ms = -1;
    bool full;

    backend->ready = false;
    backend->has_turn = launches_in_hand(&backend->launches) < LAUNCH_THREADS
                        && launches_may_ask(&backend->launches, now_ms, &wait_ms);
    if (launches_in_hand(&backend->launches) >= LAUNCH_THREADS)
        return NULL; /* who has them comes back */
    if (!backend->has_turn) {
        *inout_wait_ms = sooner(*inout_wait_ms, wait_ms);
        return NULL;
    }
    launch =
        launches_again(&backend->launches, now_ms, take_has_worker(service), &wait_ms, &full);
    backend->ready = !full;
    *inout_wait_ms = sooner(*inout_wait_ms, wait_ms);
    return launch;
}

static void look_who_is_gone(struct backends *backends, int64_t now_ms, int64_t *inout_wait_ms)
{
    for (size_t i = 0; i < backends->count; i++) {
        struct backend *backend = &backends->all[i];
        int64_t in_ms = -1;

        backend->has_turn = false;
        backend->ready = false;
        backend->gone = launches_gone(&backend->launches, now_ms, backends->fallback_after_ms,
                                      backends->n_fallback ? &in_ms : NULL);
        if (backends->n_fallback)
            *inout_wait_ms = sooner(*inout_wait_ms, in_ms);
    }
}

static struct errand next_old(struct service *service, int64_t now_ms, int64_t *inout_wait_ms)
{
    struct backends *backends = &service->backends;
    struct errand errand = {0};

    for (size_t i = 0; i < backends->count && !errand.launch; i++) {
        errand.backend = &backends->all[i];
        errand.launch = leave(service, errand.backend);
        errand.parts = errand.launch != NULL;
        if (!errand.parts)
            errand.launch = owed(service, errand.backend, now_ms, inout_wait_ms);
    }
    return errand;
}

static struct errand next_new(struct service *service, int64_t *inout_wait_ms)
{
    struct backends *backends = &service->backends;
    struct errand errand = {0};
    int64_t wait_ms;
    bool ready = false;

    for (size_t i = 0; i < backends->count; i++)
        ready |= backends->all[i].ready;
    if (!ready)
        return errand;
    errand.launch = take_next(service, &wait_ms);
    if (errand.launch)
        errand.backend = service_backend(service, errand.launch->run);
    else
        *inout_wait_ms = sooner(*inout_wait_ms, wait_ms);
    return errand;
}

/* Under take_lock. */
static struct errand next_errand(struct service *service, int64_t *out_wait_ms)
{
    struct backends *backends = &service->backends;
    int64_t now_ms = clock_monotonic_ms();
    struct errand errand;

    *out_wait_ms = -1;
    if (service_is_restoring(service))
        return (struct errand){0};
    look_who_is_gone(backends, now_ms, out_wait_ms);
    errand = next_old(service, now_ms, out_wait_ms);
    if (!errand.launch)
        errand = next_new(service, out_wait_ms);
    for (size_t i = 0; i < backends->count; i++) {
        struct backend *backend = &backends->all[i];

        if (backend->has_turn && (!errand.launch || errand.parts || backend != errand.backend))
            launches_none(&backend->launches);
    }
    return errand;
}

/* Takes the launch. */
static void part(struct service *service, struct backend *backend, struct launch *launch)
{
    const struct run *run = launch->run;
    int next = backends_refuge(&service->backends, backends_route_of(&service->backends, run),
                               clock_monotonic_ms());
    char reason[LAUNCH_WHY_MAX];
    scoped_str why = NULL;

    (void)launches_paused(&backend->launches, reason, sizeof(reason));
    why = xasprintf("%s does not answer%s%s", backend->name, *reason ? ": " : "", reason);
    if (next == BACKEND_NONE) /* since the look */
        next = backends_next(&service->backends, backends_route_of(&service->backends, run));
    if (!is_wanted(service, backend, launch) || move_on(service, run, next, why)) {
        launches_parted(&backend->launches, launch);
        return;
    }
    log_warn("a run could not move on, its deadline will see to it", KV("error", why));
    launches_parted(&backend->launches, launch);
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
        struct errand errand;
        int64_t wait_ms;

        (void)pthread_mutex_lock(&service->take_lock);
        errand = next_errand(service, &wait_ms);
        (void)pthread_mutex_unlock(&service->take_lock);
        if (errand.launch) {
            queue_wake(service); /* there may be more: another thread goes on */
            if (errand.parts)
                part(service, errand.backend, errand.launch);
            else
                ask(service, errand.backend, errand.launch);
        } else if (wait_ms != 0) {
            wait_for_work(service, seen, wait_ms);
        }
    }
    return NULL;
}
