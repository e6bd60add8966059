/* SPDX-License-Identifier: Apache-2.0 */
/* What is told to people: beside the job in its backend, and about a run that waits. */
#include <stdio.h>

#include "base/alloc.h"
#include "launch/job_ref.h"
#include "service/state.h"
#include "service/take.h"

static struct backend *find_backend(struct service *service, struct id id)
{
    struct err ignored = {0};
    scoped(run) run = run_store_load(service->db, id, &ignored);

    return run ? service_backend(service, run) : NULL;
}

void service_note(struct service *service, struct id run, int attempt, const char *reason,
                  const char *sentence)
{
    struct job_ref ref = job_ref_make(run, attempt);
    struct backend *backend = &service->backends.all[0];

    if (service->backends.count > 1)
        backend = find_backend(service, run);
    if (backend)
        launcher_note(backend->launcher, ref.text, reason, sentence);
}

void note_end(struct service *service, struct id run, int attempt, const struct run_end *end)
{
    const char *code = failure_code_name(end->error_code);
    const char *reason = "Completed";
    scoped_str sentence = NULL;

    if (end->status == RUN_FAILED) {
        reason = "Failed";
        sentence = xasprintf("the run failed (%s)%s%s", code ? code : "internal",
                             end->error ? ": " : "", end->error ? end->error : "");
    } else if (end->status == RUN_STOPPED) {
        reason = "Stopped";
        sentence = xstrdup("the run was stopped");
    } else {
        sentence = xasprintf("the run completed%s%s", end->pr_url ? ": " : "",
                             end->pr_url ? end->pr_url : "");
    }
    service_note(service, run, attempt, reason, sentence);
}

int service_job_log(struct service *service, const struct run *run, size_t limit_bytes,
                    struct buf *out, struct err *err)
{
    struct backend *backend = service_backend(service, run);

    if (!run->job_ref)
        return err_set_code(err, ERR_NOT_FOUND, "no_job_log", "the run has no job");
    if (!backend)
        return err_set_code(err, ERR_NOT_FOUND, "no_job_log",
                            "the run's launcher is not configured any more");
    if (launcher_logs(backend->launcher, run->job_ref, limit_bytes, out, err) == 0)
        return 0;
    if (err->kind == ERR_UNSUPPORTED)
        return err_set_code(err, ERR_NOT_FOUND, "no_job_log",
                            "this launcher keeps no logs of its jobs");
    if (err->kind == ERR_NOT_FOUND)
        err->code = "no_job_log";
    return -1;
}

static bool job_waits(struct service *service, const struct run *run, char *out, size_t size)
{
    struct backend *backend = service_backend(service, run);
    struct job_view view = {0};
    struct err err = {0};

    if (!run->job_ref || !backend
        || launcher_poll(backend->launcher, run->job_ref, &view, &err) < 0
        || view.phase != JOB_STARTING || !view.waiting || !view.detail[0])
        return false;
    (void)snprintf(out, size, "%s", view.detail);
    return true;
}

/* What a pending run waits for, as far as we decide. */
static bool turn_waits(struct service *service, const struct run *run, char *out, size_t size)
{
    int64_t active = atomic_load(&service->active);

    if (admission_blocked(service->admission, run->repo, run->base_branch, out, size))
        return true;
    if (take_has_worker(service))
        return false;
    (void)snprintf(out, size, "%lld run%s in flight, which is the limit", (long long)active,
                   active == 1 ? " is" : "s are");
    return true;
}

bool service_pending_reason(struct service *service, const struct run *run, char *out,
                            size_t size)
{
    struct backend *backend;

    if (run->status == RUN_LAUNCHING && run->job_ref)
        return job_waits(service, run, out, size);
    if (run->status != RUN_PENDING && run->status != RUN_LAUNCHING)
        return false;
    backend =
        run->status == RUN_PENDING
            ? backends_likely(&service->backends, backends_route_of(&service->backends, run))
            : service_backend(service, run);
    if (!backend || !launches_paused(&backend->launches, NULL, 0))
        return run->status == RUN_PENDING && turn_waits(service, run, out, size);
    (void)snprintf(out, size, "%s does not answer: the run is launched when it does",
                   backend->name);
    return true;
}
