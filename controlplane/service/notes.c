/* SPDX-License-Identifier: Apache-2.0 */
/* What is told to people: beside the job in its backend, and about a run that waits. */
#include <stdio.h>

#include "base/alloc.h"
#include "launch/job_ref.h"
#include "service/state.h"

void service_note(struct service *service, struct id run, int attempt, const char *reason,
                  const char *sentence)
{
    struct job_ref ref = job_ref_make(run, attempt);

    launcher_note(service->launcher, ref.text, reason, sentence);
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

static bool job_waits(struct service *service, const struct run *run, char *out, size_t size)
{
    struct job_view view = {0};
    struct err err = {0};

    if (!run->job_ref || launcher_poll(service->launcher, run->job_ref, &view, &err) < 0
        || view.phase != JOB_STARTING || !view.waiting || !view.detail[0])
        return false;
    (void)snprintf(out, size, "%s", view.detail);
    return true;
}

bool service_pending_reason(struct service *service, const struct run *run, char *out,
                            size_t size)
{
    if (run->status == RUN_LAUNCHING && run->job_ref)
        return job_waits(service, run, out, size);
    if (run->status != RUN_PENDING && run->status != RUN_LAUNCHING)
        return false;
    if (!launches_paused(&service->launches, NULL, 0))
        return false;
    (void)snprintf(out, size, "%s does not answer: the run is launched when it does",
                   launcher_name(service->launcher));
    return true;
}
