/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run held against its job: what follows when the job is over, waits, or is late. A runner
 * reports its end before it exits, so a job that has ended while its run is active ended
 * without a report.
 *
 * A backend that is away decides nothing: neither is a job that can't be seen taken for gone,
 * nor does the time to claim run out meanwhile. Runs wait no longer for it than queue_timeout_s
 * from their making.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "launch/job_ref.h"
#include "service/state.h"

/* What runners get after our restart before deadlines that passed meanwhile are held
 * against them: several heartbeats. */
#define RESTART_GRACE_MS 30000

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
    struct backend *backend = service_backend(service, run);
    struct err err = {0};
    struct job_ref name;

    if (!backend)
        log_warn("a job can't be stopped, its launcher is not configured any more",
                 KV("job", job_of(run, &name)), KV("launcher", run->launcher));
    else if (launcher_stop(backend->launcher, job_of(run, &name), &err) < 0)
        log_warn("stopping a job failed, ignoring", KV("error", err.text));
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

/* --- The job
 * -------------------------------------------------------------------------------------- */

/* After one call that went unanswered the others of this round to that backend aren't made:
 * each could take as long, and deadlines have to be kept meanwhile. */
static int poll_job(struct service *service, const struct run *run, struct job_view *out)
{
    struct backend *backend = service_backend(service, run);
    struct err err = {0};
    struct job_ref name;

    if (!backend || backend->silent)
        return -1;
    if (launcher_poll(backend->launcher, job_of(run, &name), out, &err) == 0)
        return 0;
    backend->silent = err.kind == ERR_TIMEOUT || err.kind == ERR_UNAVAILABLE;
    log_warn("looking at a job failed, will retry", KV("job", job_of(run, &name)),
             KV("error", err.text));
    return -1;
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
        (void)queue_launch_refused(service, run, code ? code : FAILURE_LAUNCH_FAILED, why);
        return;
    }
    why = xasprintf("the job %s without a report of its runner%s%s",
                    ended ? "ended" : "vanished", view->detail[0] ? ": " : "", view->detail);
    (void)fail_run(service, run, code ? code : FAILURE_LOST, why);
}

/* The run has the whole time to claim from now on. */
static void push_deadline(struct service *service, const struct run *run)
{
    struct err err = {0};
    int64_t until_ms = clock_steady_ms() + service->config->claim_timeout_s * 1000;

    if (run_store_push_deadline(service->db, run->id, run->attempt, until_ms, &err) < 0
        && err.kind != ERR_CONFLICT)
        log_error("moving a deadline failed, will retry", KV("error", err.text));
}

static bool is_waiting(const struct run *run, const struct job_view *view)
{
    return run->status == RUN_LAUNCHING && view->phase == JOB_STARTING && view->waiting;
}

static void look_at_view(struct service *service, const struct run *run,
                         const struct job_view *view)
{
    bool over = view->phase == JOB_ENDED || view->phase == JOB_LOST;

    if (is_waiting(run, view))
        waiting_note(&service->waiting, run->id);
    else if (waiting_over(&service->waiting, run->id) && !over && run->status == RUN_LAUNCHING)
        push_deadline(service, run);
    if (over)
        job_is_over(service, run, view);
}

void look_at_job(struct service *service, const struct run *run)
{
    struct job_view view = {0};

    if (poll_job(service, run, &view) == 0)
        look_at_view(service, run, &view);
}

static bool is_lost(const struct service *service, const struct run *run, int64_t now_ms)
{
    int64_t heard_ms =
        run->heartbeat_ms > service->started_ms ? run->heartbeat_ms : service->started_ms;

    return run->status == RUN_RUNNING
           && now_ms - heard_ms > service->config->lost_after_s * 1000;
}

/* --- Launches of the last process
 * ----------------------------------------------------------------- */

/* Nobody can say whether its job was started, and its token is lost with its key: it goes on if
 * it is there. A launch that never reached the backend is no failure of its own. */
static void look_for_job(struct service *service, const struct run *run)
{
    struct job_view view = {0};
    struct err err = {0};
    struct job_ref name;

    if (poll_job(service, run, &view) < 0)
        return;
    if (run->status == RUN_LAUNCHING && view.phase == JOB_LOST) {
        (void)queue_launch_failed(service, run, FAILURE_LAUNCH_FAILED,
                                  "dispatchd restarted before the job was started", false);
        return;
    }
    if (run_store_set_job(service->db, run->id, run->attempt, job_of(run, &name), &err) < 0)
        log_warn("remembering a job failed, ignoring", KV("error", err.text));
    look_at_view(service, run, &view);
}

/* Its job isn't known to have started. */
static void settle(struct service *service, const struct run *run)
{
    if (!service_backend(service, run) || service_is_launching(service, run))
        return; /* nobody to ask, or a thread of this process is at it */
    if (run->stop_requested)
        stop_run(service, run);
    else if (run->status != RUN_LAUNCHING || !queue_launch_again(service, run))
        look_for_job(service, run);
}

/* A launch that never was is no failure, whether or not its job's name was noted. */
void look_after_restart(struct service *service, const struct run *run, int64_t now_ms)
{
    (void)now_ms;
    if (run->status == RUN_LAUNCHING && !run->job_ref)
        settle(service, run);
    else
        look_for_job(service, run);
}

void look_at_run(struct service *service, const struct run *run, int64_t now_ms)
{
    if (is_lost(service, run, now_ms)) {
        if (fail_run(service, run, FAILURE_LOST,
                     service_backend(service, run) ? "the runner stopped calling home"
                                                   : "the runner stopped calling home, and its "
                                                     "launcher is not configured any more"))
            stop_job(service, run);
    } else if (run->job_ref) {
        look_at_job(service, run);
    } else {
        settle(service, run);
    }
}

/* --- Deadlines
 * -------------------------------------------------------------------------------------- */

/* True when the run was moved on and its job, if it has one, is to end. */
static bool end_waiting(struct service *service, const struct run *run,
                        const struct job_view *view)
{
    scoped_str why = xasprintf("its job did not come to run in time%s%s",
                               view->detail[0] ? ": " : "", view->detail);

    return fail_run(service, run, FAILURE_LAUNCH_FAILED, why);
}

/* The same. Its runner had its time to claim; nobody can say whether there is a job. */
static bool fail_homeless(struct service *service, const struct run *run)
{
    scoped_str why = xasprintf("its runner did not claim the run, and the launcher %s that may "
                               "have its job is not configured any more",
                               run->launcher ? run->launcher : "");

    return fail_run(service, run, FAILURE_LAUNCH_FAILED, why);
}

/* The same. */
static bool launch_is_late(struct service *service, const struct run *run, int64_t now_ms)
{
    bool in_time = now_ms - id_created_ms(run->id) < service->config->queue_timeout_s * 1000;
    struct job_view view = {0};

    if (!service_backend(service, run))
        return fail_homeless(service, run);
    if (!run->job_ref)
        settle(service, run);
    if (service_is_launching(service, run)) {
        push_deadline(service, run); /* who is at it also knows when to give up */
        return false;
    }
    if (poll_job(service, run, &view) < 0 || is_waiting(run, &view)) {
        if (!in_time)
            return end_waiting(service, run, &view);
        if (is_waiting(run, &view))
            waiting_note(&service->waiting, run->id);
        push_deadline(service, run);
        return false;
    }
    if (waiting_over(&service->waiting, run->id) && in_time) {
        push_deadline(service, run); /* it began to run since the last look */
        return false;
    }
    return queue_launch_failed(service, run, FAILURE_LAUNCH_FAILED,
                               "the job's runner did not claim the run in time", true);
}

/* The same. */
static bool is_late(struct service *service, const struct run *run, int64_t now_ms)
{
    switch (run->status) {
    case RUN_PENDING:
        return fail_run(service, run, FAILURE_LAUNCH_FAILED,
                        "no worker came free for it in time");
    case RUN_LAUNCHING:
        return launch_is_late(service, run, now_ms);
    default:
        return fail_run(service, run, FAILURE_DEADLINE, "the run took longer than it may");
    }
}

void look_at_deadline(struct service *service, const struct run *run, int64_t now_ms)
{
    bool fresh = now_ms - service->started_ms < RESTART_GRACE_MS
                 && run->deadline_ms < service->started_ms;

    if (run->stop_requested)
        stop_run(service, run);
    else if ((run->status == RUN_PENDING || !fresh) && is_late(service, run, now_ms)
             && run->status != RUN_PENDING)
        stop_job(service, run);
}
