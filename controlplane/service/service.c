/* SPDX-License-Identifier: Apache-2.0 */
#include "service/service.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "service/deliveries.h"
#include "service/state.h"
#include "service/take.h"

#define TOKEN_KEY_PURPOSE "task tokens"

/* --- Life cycle ------------------------------------------------------------------------------
 */

/* The launcher's word that a job may have changed. Beyond CHANGES_MAX it is enough to know
 * that there were some. */
static void job_changed(void *ctx, struct id run, int attempt)
{
    struct service *service = ctx;

    (void)pthread_mutex_lock(&service->lock);
    if (service->n_changes < CHANGES_MAX)
        service->changes[service->n_changes++] = (struct job_change){run, attempt};
    else
        service->changes_lost = true;
    (void)pthread_cond_signal(&service->reconcile_wake);
    (void)pthread_mutex_unlock(&service->lock);
}

static int read_gauges(struct service *service, struct err *err)
{
    int64_t counts[RUN_STATUS_COUNT];

    if (run_store_count(service->db, counts, err) < 0)
        return -1;
    atomic_store(&service->pending, counts[RUN_PENDING]);
    atomic_store(&service->active, counts[RUN_LAUNCHING] + counts[RUN_RUNNING]);
    return 0;
}

/* Waits on these conditions are measured on the monotonic clock. */
static void init_conditions(struct service *service)
{
    pthread_condattr_t attributes;

    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&service->queue_wake, &attributes);
    (void)pthread_cond_init(&service->reconcile_wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

static bool is_backend_ready(const void *ctx, struct backend_route route)
{
    struct backends *backends = (struct backends *)(uintptr_t)ctx; /* ours */

    return route.at == BACKEND_NONE || backends_ready(backends, route);
}

static int open_backends(struct service *service, struct err *err)
{
    if (backends_open(&service->backends, service->config, service->tokens, job_changed,
                      service, err)
        < 0)
        return -1;
    if (service->backends.count > 1)
        admission_gate(service->admission, is_backend_ready, &service->backends);
    return 0;
}

struct service *service_new(const struct service_options *options, struct err *err)
{
    scoped(service) service = xcalloc(1, sizeof(*service));
    int64_t newest_key = 0;

    service->config = options->config;
    service->db = options->db;
    service->tokens = options->tokens;
    service->personal_tokens = options->personal_tokens;
    service->deliveries = options->deliveries;
    service->started_ms = clock_steady_ms();
    if (options->vault)
        vault_derive(options->vault, TOKEN_KEY_PURPOSE, service->token_key);
    else
        random_bytes(service->token_key, sizeof(service->token_key));
    (void)pthread_mutex_init(&service->lock, NULL);
    (void)pthread_mutex_init(&service->take_lock, NULL);
    init_conditions(service);
    service->admission = admission_new(options->config);
    if (open_backends(service, err) < 0
        || run_store_newest_key(options->db, &newest_key, err) < 0
        || restored_read(service, err) < 0 || read_gauges(service, err) < 0
        || take_restore(service, err) < 0)
        return NULL;
    id_start_after(newest_key);
    return TAKE(service);
}

static int start_threads(struct service *service)
{
    int failed = pthread_create(&service->reconcile_thread, NULL, reconcile_thread, service);

    service->reconciling = failed == 0;
    for (size_t i = 0; !failed && i < LAUNCH_THREADS * service->backends.count; i++) {
        failed = pthread_create(&service->launch_threads[i], NULL, queue_thread, service);
        service->n_launch_threads += failed == 0;
    }
    return failed;
}

int service_start(struct service *service, const char *url, struct err *err)
{
    int failed;

    (void)pthread_mutex_lock(&service->lock);
    service->url = xstrdup(url);
    (void)pthread_mutex_unlock(&service->lock);
    if (reconcile_after_restart(service, err) < 0)
        return -1;
    failed = start_threads(service);
    if (failed) {
        service_stop(service);
        return err_set_errno(err, failed, "starting the service's threads");
    }
    return 0;
}

void service_stop(struct service *service)
{
    (void)pthread_mutex_lock(&service->lock);
    service->stopping = true;
    (void)pthread_cond_broadcast(&service->queue_wake);
    (void)pthread_cond_broadcast(&service->reconcile_wake);
    (void)pthread_mutex_unlock(&service->lock);
    for (size_t i = 0; i < service->n_launch_threads; i++)
        (void)pthread_join(service->launch_threads[i], NULL);
    service->n_launch_threads = 0;
    if (service->reconciling)
        (void)pthread_join(service->reconcile_thread, NULL);
    service->reconciling = false;
}

void service_free(struct service *service)
{
    if (!service)
        return;
    service_stop(service);
    backends_done(&service->backends);
    admission_free(service->admission);
    waiting_done(&service->waiting);
    (void)pthread_cond_destroy(&service->queue_wake);
    (void)pthread_cond_destroy(&service->reconcile_wake);
    (void)pthread_mutex_destroy(&service->lock);
    (void)pthread_mutex_destroy(&service->take_lock);
    secret_wipe(service->token_key, sizeof(service->token_key));
    free(service->url);
    free(service);
}

bool service_is_stopping(struct service *service)
{
    bool stopping;

    (void)pthread_mutex_lock(&service->lock);
    stopping = service->stopping;
    (void)pthread_mutex_unlock(&service->lock);
    return stopping;
}

bool service_has_launcher(const struct service *service, const char *name, char **out_names)
{
    const struct backends *backends = &service->backends;
    scoped_buf names = {0};
    bool has = false;

    for (size_t i = 0; i < backends->count; i++) {
        has |= strcmp(backends->all[i].name, name) == 0;
        buf_printf(&names, "%s%s", i ? ", " : "", backends->all[i].name);
    }
    *out_names = buf_take(&names);
    return has;
}

struct backend *service_backend(struct service *service, const struct run *run)
{
    return backends_find(&service->backends, run->launcher);
}

bool service_is_launching(struct service *service, const struct run *run)
{
    struct backend *backend = service_backend(service, run);

    return backend && launches_has(&backend->launches, run->id, run->attempt);
}

static void fill_backends(struct service *service, struct service_gauges *out)
{
    struct backends *backends = &service->backends;

    _Static_assert(SERVICE_BACKENDS_MAX == BACKENDS_MAX, "as many as can be open");
    out->n_backends = backends->count;
    for (size_t i = 0; i < backends->count; i++) {
        struct backend *backend = &backends->all[i];
        bool paused = launches_paused(&backend->launches, NULL, 0);

        out->backends[i] = (struct service_backend){backend->name, paused};
        out->launching_paused |= paused;
    }
}

void service_gauges(struct service *service, struct service_gauges *out)
{
    *out = (struct service_gauges){
        .pending = atomic_load(&service->pending),
        .active = atomic_load(&service->active),
        .launched = atomic_load(&service->launched),
        .launch_failures = atomic_load(&service->launch_failures),
        .orphans = atomic_load(&service->orphans),
        .strangers = atomic_load(&service->strangers),
        .launch_moves = atomic_load(&service->launch_moves),
        .pruned = atomic_load(&service->pruned),
        .restoring = service_is_restoring(service),
    };
    for (int i = 0; i < RUN_STATUS_COUNT; i++)
        out->ended[i] = atomic_load(&service->ended[i]);
    fill_backends(service, out);
}

/* --- Intake
 * ------------------------------------------------------------------------------------ */

int service_reserve(struct service *service, struct err *err)
{
    int64_t limit = service->config->max_queue_size;

    if (atomic_fetch_add(&service->pending, 1) < limit)
        return 0;
    service_unreserve(service);
    (void)err_set_code(err, ERR_LIMITED, "queue_full",
                       "the queue is full: %lld runs are waiting", (long long)limit);
    err->retry_after_s = 5;
    return -1;
}

void service_unreserve(struct service *service)
{
    atomic_fetch_sub(&service->pending, 1);
}

void service_queued(struct service *service)
{
    int64_t limit = service->config->max_workers;

    /* With every worker busy it is the end of a run that wakes the queue. */
    if (!limit || atomic_load(&service->active) < limit)
        queue_wake(service);
}

/* --- Ends
 * ---------------------------------------------------------------------------------------- */

static void count_end(struct service *service, struct id id, enum run_status from,
                      enum run_status to)
{
    if (run_status_is_terminal(from))
        return; /* a repeat */
    admission_leave(service->admission, id);
    atomic_fetch_sub(from == RUN_PENDING ? &service->pending : &service->active, 1);
    atomic_fetch_add(&service->ended[to], 1);
    deliveries_wake(service->deliveries);
    queue_wake(service);
}

static void log_end(struct id id, const struct run_end *end, const char *by)
{
    char text[ID_TEXT_SIZE];

    id_text(id, text);
    log_info("run ended", KV("run", text), KV("status", run_status_name(end->status)),
             KV("by", by), KV("code", failure_code_name(end->error_code)),
             KV("error", end->error), KV("pr_url", end->pr_url));
}

int service_report_end(struct service *service, struct id id, int attempt,
                       const struct run_end *end, struct err *err)
{
    enum run_status from;

    if (run_store_end(service->db, id, attempt, end, clock_steady_ms(), &from, err) < 0)
        return -1;
    if (!run_status_is_terminal(from)) {
        log_end(id, end, "runner");
        note_end(service, id, attempt, end);
    }
    count_end(service, id, from, end->status);
    return 0;
}

bool service_end_run(struct service *service, const struct run *run, const struct run_end *end)
{
    struct err err = {0};
    struct run_end ours = *end;
    enum run_status from;

    ours.seen = run;
    if (run_store_end(service->db, run->id, 0, &ours, clock_steady_ms(), &from, &err) < 0) {
        if (err.kind != ERR_CONFLICT)
            log_error("ending a run failed, will retry", KV("error", err.text));
        return false;
    }
    log_end(run->id, end, "dispatchd");
    if (from != RUN_PENDING)
        note_end(service, run->id, run->attempt, end);
    count_end(service, run->id, from, end->status);
    return true;
}

/* The runner hears of it by signal or heartbeat and reports its end itself; what it doesn't
 * within the store's grace, reconcile does. */
static void stop_active(struct service *service, const struct run *run)
{
    struct err err = {0};
    struct run_end end = {.status = RUN_STOPPED};
    struct backend *backend = service_backend(service, run);

    if (run->job_ref && backend && launcher_stop(backend->launcher, run->job_ref, &err) < 0)
        log_warn("stopping a job failed, its deadline will", KV("error", err.text));
    if (run->status == RUN_LAUNCHING)
        (void)service_end_run(service, run, &end);
}

int service_stop_run(struct service *service, struct id id, const struct audit_source *source,
                     struct err *err)
{
    bool ended = false;

    if (run_store_request_stop(service->db, id, clock_steady_ms(), source, &ended, err) < 0)
        return -1;
    if (ended) {
        log_end(id, &(struct run_end){.status = RUN_STOPPED}, "request");
        count_end(service, id, RUN_PENDING, RUN_STOPPED);
        return 0;
    }
    scoped(run) run = run_store_load(service->db, id, err);
    if (!run)
        return -1;
    stop_active(service, run);
    return 0;
}
