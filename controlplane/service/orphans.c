/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that no run needs: one whose stop never reached the backend, one of an attempt that was
 * given up while the backend was away. Every few minutes the backend is asked for all jobs of
 * ours and each is held against the store.
 *
 * Stopped is only what we know to be over: a job of an earlier attempt, or of a run that ended
 * a while ago. A job of a run that we don't know, or of an attempt that is still to come, says
 * that the store is older than the job (it was restored from a backup, or two stores share a
 * backend): that is for people to decide, and is reported.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "service/state.h"

/* A runner ends by itself soon after its report; so long is it left alone. */
#define ENDED_GRACE_MS 60000
/* How many strangers are named in the log, each time their number changes. */
#define STRANGERS_NAMED 5

struct found {
    struct id run;
    int attempt;
    char *ref;
};

struct inventory {
    struct found *jobs;
    size_t count;
    size_t room;
};

static void inventory_done(struct inventory *inventory)
{
    for (size_t i = 0; i < inventory->count; i++)
        free(inventory->jobs[i].ref);
    free(inventory->jobs);
}

static void add(void *ctx, struct id run, int attempt, const char *ref)
{
    struct inventory *inventory = ctx;

    if (inventory->count == inventory->room) {
        inventory->room = inventory->room ? inventory->room * 2 : 64;
        inventory->jobs = xrealloc(inventory->jobs, inventory->room * sizeof(*inventory->jobs));
    }
    inventory->jobs[inventory->count++] =
        (struct found){.run = run, .attempt = attempt, .ref = xstrdup(ref)};
}

enum verdict { IS_NEEDED, IS_OVER, IS_STRANGE };

/* The same attempt in another backend than ours: as if it were still to come. */
static enum verdict judge(const struct run *run, const char *launcher, int attempt,
                          int64_t now_ms)
{
    if (attempt > run->attempt)
        return IS_STRANGE;
    if (attempt < run->attempt || run->status == RUN_PENDING)
        return IS_OVER;
    if (run->launcher && strcmp(run->launcher, launcher) != 0)
        return IS_STRANGE;
    if (run_status_is_terminal(run->status) && now_ms - run->ended_ms > ENDED_GRACE_MS)
        return IS_OVER;
    return IS_NEEDED;
}

static void stop_orphan(struct service *service, struct launcher *launcher,
                        const struct found *job)
{
    struct job_view view = {0};
    struct err err = {0};

    if (launcher_poll(launcher, job->ref, &view, &err) == 0
        && (view.phase == JOB_ENDED || view.phase == JOB_LOST))
        return; /* it is left for people to look at until it is forgotten */
    if (err.kind || launcher_stop(launcher, job->ref, &err) < 0) {
        log_warn("stopping a job that no run needs failed, will retry", KV("job", job->ref),
                 KV("error", err.text));
        return;
    }
    atomic_fetch_add(&service->orphans, 1);
    log_warn("stopped a job that no run needs", KV("job", job->ref));
}

static enum verdict look_at(struct service *service, struct backend *backend,
                            const struct found *job)
{
    struct err err = {0};
    enum verdict verdict;
    scoped(run) run = NULL;

    if (launches_has(&backend->launches, job->run, job->attempt))
        return IS_NEEDED;
    run = run_store_load(service->db, job->run, &err);
    if (!run && err.kind != ERR_NOT_FOUND) {
        log_error("reading a run failed, will retry", KV("error", err.text));
        return IS_NEEDED;
    }
    verdict = run ? judge(run, backend->name, job->attempt, clock_steady_ms()) : IS_STRANGE;
    if (verdict == IS_OVER)
        stop_orphan(service, backend->launcher, job);
    return verdict;
}

static void report_strangers(struct service *service, int64_t count, const char *names)
{
    if (atomic_exchange(&service->strangers, count) == count || !count)
        return;
    log_warn("the backend has jobs of runs that this store does not know; they are left alone",
             KV("count", count), KV("some", names));
}

/* False when it keeps no list. */
static bool sweep(struct service *service, struct backend *backend, struct buf *names,
                  int64_t *inout_strangers)
{
    struct inventory inventory = {0};
    struct err err = {0};

    if (launcher_list(backend->launcher, add, &inventory, &err) < 0) {
        inventory_done(&inventory);
        if (err.kind == ERR_UNSUPPORTED)
            return false;
        log_warn("listing the backend's jobs failed, will retry", KV("error", err.text));
        return true;
    }
    for (size_t i = 0; i < inventory.count && !service_is_stopping(service); i++) {
        const struct found *job = &inventory.jobs[i];

        if (look_at(service, backend, job) != IS_STRANGE)
            continue;
        if ((*inout_strangers)++ < STRANGERS_NAMED)
            buf_printf(names, "%s%s", names->size ? " " : "", job->ref);
    }
    inventory_done(&inventory);
    return true;
}

bool orphans_sweep(struct service *service)
{
    scoped_buf names = {0};
    int64_t strangers = 0;
    bool any = false;

    for (size_t i = 0; i < service->backends.count; i++)
        any |= sweep(service, &service->backends.all[i], &names, &strangers);
    if (any)
        report_strangers(service, strangers, names.data ? names.data : "");
    return any;
}
