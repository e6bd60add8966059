/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/fake_job.h"

#include "base/alloc.h"
#include "launch/outcome.h"

#define ASK_AGAIN_MS 250
#define DEFAULT_HEARTBEAT_S 10
#define EXIT_REFUSED 3

struct fake_job *fake_job_new(const struct job_spec *spec)
{
    struct fake_job *job = xcalloc(1, sizeof(*job));

    job->run = spec->run;
    job->attempt = spec->attempt;
    job->url = xstrdup(spec->url);
    job->token = secret_new(secret_reveal(spec->task_token));
    job->heartbeat_s = DEFAULT_HEARTBEAT_S;
    job->exit_code = -1;
    fake_script_read(spec->script, &job->script);
    return job;
}

/* An ended job may be remembered for a day, and there may be many. */
static void release_strings(struct fake_job *job)
{
    fake_script_done(&job->script);
    secret_free(TAKE(job->token));
    free(TAKE(job->url));
}

void fake_job_free(struct fake_job *job)
{
    if (!job)
        return;
    release_strings(job);
    buf_done(&job->notes);
    free(job);
}

bool fake_job_is_over(const struct fake_job *job)
{
    return job->state == FAKE_ENDED || job->state == FAKE_LOST;
}

bool fake_job_is_waiting(const struct fake_job *job, int64_t now_ms)
{
    return job->state == FAKE_BEGUN && now_ms < job->begin_ms;
}

static bool hears_stop(const struct fake_job *job)
{
    return job->told_to_stop && !job->script.stubborn && !job->reporting;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When the runner itself does its next thing. */
static int64_t runner_due_ms(const struct fake_job *job)
{
    int64_t due_ms = job->act_ms;

    if (hears_stop(job))
        due_ms = 0;
    else if (job->script.end == FAKE_SILENT
             || (job->script.end == FAKE_FROZEN && job->state == FAKE_CLAIMED))
        return INT64_MAX;
    else if (job->state == FAKE_CLAIMED && !job->reporting)
        due_ms = earlier(due_ms, job->heartbeat_ms);
    return due_ms < job->not_before_ms ? job->not_before_ms : due_ms;
}

int64_t fake_job_due_ms(const struct fake_job *job)
{
    int64_t due_ms;

    if (job->state == FAKE_ASKED || fake_job_is_over(job))
        return INT64_MAX;
    due_ms = runner_due_ms(job);
    if (job->kill_ms)
        return earlier(due_ms, job->kill_ms);
    return job->deadline_ms ? earlier(due_ms, job->deadline_ms) : due_ms;
}

void fake_job_begin(struct fake_job *job, int64_t timeout_s, int64_t now_ms)
{
    job->state = FAKE_BEGUN;
    job->times_begun++;
    job->begin_ms = now_ms + job->script.waiting_ms;
    job->act_ms = job->begin_ms + job->script.claim_ms;
    job->deadline_ms = timeout_s > 0 ? now_ms + timeout_s * 1000 : 0;
}

void fake_job_stop(struct fake_job *job, int64_t now_ms)
{
    if (fake_job_is_over(job) || job->kill_ms)
        return;
    job->told_to_stop = true;
    job->kill_ms = now_ms + FAKE_KILL_AFTER_MS;
    if (job->state == FAKE_ASKED) {
        job->state = FAKE_ENDED;
        release_strings(job);
    }
}

static enum fake_call end(struct fake_job *job, int exit_code, enum failure_code reason,
                          const char *detail)
{
    job->state = FAKE_ENDED;
    job->exit_code = exit_code;
    job->reason = reason;
    job->detail = detail;
    release_strings(job);
    return FAKE_CALL_NONE;
}

static enum fake_call report(struct fake_job *job, enum fake_end as)
{
    job->reporting = true;
    job->report = as;
    return FAKE_CALL_COMPLETE;
}

static enum fake_call reach_end(struct fake_job *job)
{
    switch (job->script.end) {
    case FAKE_CRASH:
        return end(job, 139, FAILURE_NONE, "the fake runner crashed as asked");
    case FAKE_OOM:
        return end(job, 137, FAILURE_OUT_OF_MEMORY, "out of memory");
    case FAKE_EVICTED:
        return end(job, -1, FAILURE_EVICTED, "evicted");
    case FAKE_VANISH:
        job->state = FAKE_LOST;
        release_strings(job);
        return FAKE_CALL_NONE;
    case FAKE_COMPLETED:
    case FAKE_FAILED:
    case FAKE_STOPPED:
    case FAKE_SILENT:
    case FAKE_FROZEN:
        break;
    }
    return report(job, job->script.end);
}

static enum fake_call hear_stop(struct fake_job *job)
{
    if (job->script.end == FAKE_FROZEN || job->script.end == FAKE_SILENT)
        return end(job, -1, FAILURE_NONE, "the runner was ended by signal 15");
    if (job->state == FAKE_BEGUN)
        return end(job, OUTCOME_EXIT_STOPPED, FAILURE_NONE, "stopped before its claim");
    return report(job, FAKE_STOPPED);
}

enum fake_call fake_job_step(struct fake_job *job, int64_t now_ms)
{
    if (job->state == FAKE_ASKED || fake_job_is_over(job))
        return FAKE_CALL_NONE;
    if (job->deadline_ms && now_ms >= job->deadline_ms)
        fake_job_stop(job, now_ms);
    if (job->kill_ms && now_ms >= job->kill_ms)
        return end(job, -1, FAILURE_NONE, "the runner was ended by signal 9");
    if (now_ms < runner_due_ms(job))
        return FAKE_CALL_NONE;
    if (job->reporting)
        return FAKE_CALL_COMPLETE;
    if (hears_stop(job))
        return hear_stop(job);
    if (job->state == FAKE_BEGUN)
        return FAKE_CALL_CLAIM;
    return now_ms >= job->act_ms ? reach_end(job) : FAKE_CALL_HEARTBEAT;
}

static void set_heartbeat(struct fake_job *job, int64_t now_ms)
{
    job->heartbeat_ms = now_ms + (int64_t)job->heartbeat_s * 1000;
}

static void refused(struct fake_job *job)
{
    (void)end(job, EXIT_REFUSED, FAILURE_NONE, "its call home was refused");
}

static void completed(struct fake_job *job)
{
    if (job->report == FAKE_FAILED)
        (void)end(job, OUTCOME_EXIT_FAILED, FAILURE_AGENT_FAILED, "failed as asked");
    else if (job->report == FAKE_STOPPED)
        (void)end(job, OUTCOME_EXIT_STOPPED, FAILURE_NONE, "stopped");
    else
        (void)end(job, OUTCOME_EXIT_COMPLETED, FAILURE_NONE, NULL);
}

void fake_job_answered(struct fake_job *job, enum fake_call call, enum fake_answer answer,
                       int64_t now_ms)
{
    if (answer == FAKE_ANSWER_NONE) {
        job->not_before_ms = now_ms + ASK_AGAIN_MS;
        return;
    }
    switch (call) {
    case FAKE_CALL_CLAIM:
        if (answer == FAKE_ANSWER_REFUSED) {
            refused(job);
            return;
        }
        job->state = FAKE_CLAIMED;
        job->act_ms = now_ms + job->script.run_ms;
        set_heartbeat(job, now_ms);
        break;
    case FAKE_CALL_HEARTBEAT:
        if (answer == FAKE_ANSWER_REFUSED) {
            refused(job);
            return;
        }
        job->told_to_stop = job->told_to_stop || answer == FAKE_ANSWER_STOP;
        set_heartbeat(job, now_ms);
        break;
    case FAKE_CALL_COMPLETE: /* refused: someone else has ended the run */
        completed(job);
        break;
    case FAKE_CALL_NONE:
        break;
    }
}
