/* SPDX-License-Identifier: Apache-2.0 */
#include "task/task.h"

#include <string.h>

#include "agent/agent.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "home/stop.h"
#include "sandbox/sandbox.h"
#include "task/pull_request_text.h"
#include "task/work.h"

/*
 * The steps, and the failure code of each:
 *
 *     prepare    supported? a git token                  internal, auth_expired
 *     clone      one commit of the base branch           clone_failed, auth_expired
 *     agent      runs until all it started has ended     agent_failed, agent_timeout,
 *                                                        out_of_memory, budget_exceeded
 *     test       the command that was asked for          tests_failed
 *     stage      its tree, against the base              agent_failed; no change: completed
 *                looked through before it is published   push_rejected
 *     push       one commit on a branch of its own       push_rejected, auth_expired
 *     open       the pull request                        pr_failed
 *
 * In mode plan and in a blank workspace the agent's answer is the result, and the steps after
 * it fall away. Tests that fail, a spent budget and a machine that is taken away are
 * shortfalls: what there is is published as a draft that says so, and the run has failed with
 * their code. A full disk is `internal` in each step of ours, and `agent_failed` where the
 * agent fails of it, who mostly is the one that filled it; either way the sentence says so.
 * When home asked us to stop, a step that fails is the stop at work: the run ends as stopped
 * and nothing more is pushed.
 */

/* A token that ends sooner than this is asked for again before it is used. */
#define TOKEN_MARGIN_MS (10 * 60 * 1000)
/* How long saving may take: launchers give 15 s from TERM to KILL, and the agent had some. */
#define SAVE_FOR_MS 8000
#define RESULT_MAX_BYTES (200 * 1024)

static void work_done(struct work *work)
{
    gateway_free(work->gateway);
    agent_output_free(work->output);
    change_done(&work->change);
    git_free(work->git);
    secret_free(work->token.secret);
    free(work->title);
    free(work->shortfall.quote);
    buf_done(&work->diff);
    buf_done(&work->warnings);
}

void work_tell_step(struct work *work, const char *name, cJSON *fields)
{
    int64_t now_ms = clock_monotonic_ms();

    cJSON_AddItemToObject(fields, "name", jstr(name));
    cJSON_AddItemToObject(fields, "took_ms", jint(now_ms - work->step_began_ms));
    work->step_began_ms = now_ms;
    events_add(work->task->events, "step", fields);
}

int work_fail(struct work *work, const char *code, const struct err *err)
{
    return outcome_fail(work->outcome, err->kind == ERR_UNAVAILABLE ? CODE_INTERNAL : code,
                        err);
}

void work_fall_short(struct work *work, const char *code, const char *sentence,
                     const char *quote)
{
    if (work->shortfall.code)
        return; /* the first one says why */
    work->shortfall.code = code;
    (void)snprintf(work->shortfall.sentence, sizeof(work->shortfall.sentence), "%s", sentence);
    work->shortfall.quote = xstrdup(quote);
    redaction_apply(work->task->redaction, work->shortfall.sentence);
    events_warn(work->task->events, "%s", work->shortfall.sentence);
}

bool work_may_save(struct work *work)
{
    struct err err = {0};
    bool stop = false;

    if (stop_by_home())
        return false;
    if (home_heartbeat(work->task->home, &stop, &err) < 0
        && (err.kind == ERR_CONFLICT || err.kind == ERR_UNAUTHENTICATED))
        stop = true; /* the run isn't ours any more */
    if (stop)
        stop_request();
    return stop_postpone(SAVE_FOR_MS);
}

/* --- Prepare ----------------------------------------------------------------------------- */

static int get_token(struct work *work)
{
    struct git_token token = {0};
    struct err err = {0};

    if (home_git_token(work->task->home, &token, &err) < 0) {
        if (err.kind == ERR_CONFLICT || err.kind == ERR_UNAUTHENTICATED)
            stop_request(); /* the run isn't ours any more */
        return outcome_fail(work->outcome, CODE_AUTH_EXPIRED, &err);
    }
    secret_free(work->token.secret);
    work->token = token;
    if (git_set_token(work->git, work->token.secret, &err) < 0)
        return work_fail(work, CODE_INTERNAL, &err);
    return 0;
}

int work_fresh_token(struct work *work)
{
    bool soon =
        work->token.expires_ms && work->token.expires_ms - clock_wall_ms() < TOKEN_MARGIN_MS;

    return soon ? get_token(work) : 0;
}

static int prepare_git(struct work *work)
{
    const struct task *task = work->task;
    const struct assignment *a = task->assignment;
    struct git_options options = {
        .self = "/proc/self/exe",
        .clone_url = a->clone_url,
        .ca_file = task->settings->ca_file,
        .user_name = a->bot_name,
        .user_email = a->bot_email,
        .redaction = task->redaction,
        .stop = stop_flag(),
    };
    struct err err = {0};

    work->title = pull_request_title(a);
    redaction_apply(task->redaction, work->title);
    work->git = git_new(&options, &err);
    if (!work->git)
        return work_fail(work, CODE_CLONE_FAILED, &err);
    return get_token(work);
}

static int prepare(struct work *work)
{
    const struct assignment *a = work->task->assignment;
    struct err err = {0};

    if (!agent_find(a->agent)) {
        (void)err_set(&err, ERR_INVALID, "this runner has no agent %.60s", a->agent);
        return work_fail(work, CODE_INTERNAL, &err);
    }
    return a->blank_workspace ? 0 : prepare_git(work);
}

/* --- Clone ------------------------------------------------------------------------------- */

/* What other repositories consist of is none of this agent's business. */
static bool cache_is_safe(struct work *work)
{
    const char *folder = work->task->settings->git_cache;

    if (!folder)
        return false;
    if (strcmp(work->task->assignment->sandbox, "off") != 0 && sandbox_hides(folder))
        return true;
    events_warn(work->task->events,
                "the cache of clones isn't used: nothing here would keep the agent from it");
    return false;
}

static int clone(struct work *work)
{
    const char *branch = work->task->assignment->base_branch;
    struct err err = {0};

    if (cache_is_safe(work))
        workspace_use_cache(work->task->workspace, work->task->settings->git_cache);
    if (workspace_clone(work->task->workspace, work->git, branch, &err) < 0) {
        err_wrap(&err, "cloning %s", work->task->assignment->repo);
        return work_fail(
            work, err.kind == ERR_UNAUTHENTICATED ? CODE_AUTH_EXPIRED : CODE_CLONE_FAILED,
            &err);
    }
    work_tell_step(work, "cloned",
                   jobj({"branch", jstr(workspace_base_branch(work->task->workspace))},
                        {"commit", jstr(workspace_base_commit(work->task->workspace))},
                        {"from_cache", jtrue(workspace_from_cache(work->task->workspace))}));
    return 0;
}

/* --- The end ----------------------------------------------------------------------------- */

/* A plan, or the answer of a run without a repository. */
static int answer(struct work *work, const char *what)
{
    const char *text = agent_output_answer(work->output);
    struct err err = {0};

    if (!text[0] && !work->shortfall.code) {
        (void)err_set(&err, ERR_UPSTREAM, "the agent ended without %s", what);
        return work_fail(work, CODE_AGENT_FAILED, &err);
    }
    work->outcome->result = xstrndup(text, RESULT_MAX_BYTES);
    work->outcome->summary = xasprintf("The agent ended with %s.", what);
    return 0;
}

/* The caller frees it. */
static char *no_change_summary(const char *partial_reason)
{
    if (!partial_reason)
        return xstrdup("The agent changed nothing.");
    return xasprintf("The agent changed nothing. It says that it is only partly done: %s",
                     partial_reason);
}

static int publish(struct work *work)
{
    struct outcome *outcome = work->outcome;

    if (stage_step(work) < 0)
        return -1;
    if (!work->change.n_files) {
        outcome->summary = no_change_summary(agent_output_partial_reason(work->output));
        return 0;
    }
    if (stop_requested() || push_step(work) < 0)
        return -1;
    outcome->summary = pull_request_counts(&work->change);
    return work->task->assignment->auto_create_pr ? open_step(work) : 0;
}

/* 0 when all that was to be done is done; -1 when it failed, or was stopped. */
static int do_all(struct work *work)
{
    const struct assignment *a = work->task->assignment;

    if (prepare(work) < 0 || (!a->blank_workspace && clone(work) < 0) || agent_step(work) < 0)
        return -1;
    work->outcome->partial = agent_output_partial_reason(work->output) != NULL;
    if (a->blank_workspace)
        return answer(work, "an answer");
    if (strcmp(a->mode, "plan") == 0)
        return answer(work, "a plan");
    if (a->test_command && !work->shortfall.code && test_step(work) < 0)
        return -1;
    return publish(work);
}

static void take_usage(struct work *work)
{
    struct model_totals totals;

    if (!work->gateway)
        return;
    gateway_stop(work->gateway);
    totals = gateway_usage(work->gateway);
    if (totals.requests)
        work->outcome->usage = model_totals_to_json(&totals);
}

/* A signal that home knows nothing of is the end of the machine, not a wish. Of one that came
 * while the agent worked or the tests ran home was asked then. */
static void was_stopped(struct work *work)
{
    bool known = work->shortfall.code && strcmp(work->shortfall.code, CODE_EVICTED) == 0;
    struct err err = {0};

    if (stop_by_home() || (!known && !work_may_save(work))) {
        work->outcome->status = OUTCOME_STOPPED;
        work->outcome->error_code = NULL;
        return;
    }
    if (known)
        (void)err_set(&err, ERR_UPSTREAM, "%s, and there was no time to save what there is",
                      work->shortfall.sentence);
    else
        (void)err_set(&err, ERR_UPSTREAM,
                      "the machine was taken away while the run was under way");
    (void)work_fail(work, CODE_EVICTED, &err);
}

void task_run(const struct task *task, struct outcome *out)
{
    struct work work = {.task = task,
                        .outcome = out,
                        .began_ms = clock_monotonic_ms(),
                        .step_began_ms = clock_monotonic_ms()};
    struct err err = {0};
    int result = do_all(&work);

    if (result < 0 && stop_requested()) {
        was_stopped(&work);
    } else if (result == 0 && work.shortfall.code) {
        (void)err_set(&err, ERR_UPSTREAM, "%s", work.shortfall.sentence);
        (void)outcome_fail(out, work.shortfall.code, &err);
        out->partial = true;
    } else if (result == 0) {
        out->status = OUTCOME_COMPLETED;
    }
    take_usage(&work);
    redaction_apply(task->redaction, out->error);
    work_done(&work);
}
