/* SPDX-License-Identifier: Apache-2.0 */
#include "task/task.h"

#include <string.h>

#include "agent/agent.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "home/stop.h"
#include "sandbox/sandbox.h"
#include "task/pull_request.h"
#include "task/pull_request_text.h"

/*
 * The steps, and the failure code of each:
 *
 *     prepare    supported? a git token                  internal, auth_expired
 *     clone      one commit of the base branch           clone_failed, auth_expired
 *     agent      runs until all it started has ended     agent_failed, agent_timeout
 *     stage      its tree, against the base              agent_failed; no change: completed
 *     push       one commit on a branch of its own       push_rejected, auth_expired
 *     open       the pull request                        pr_failed
 *
 * A full disk is `internal` wherever it shows. When we were asked to stop, a step that fails
 * is the stop at work: the run ends as stopped and nothing more is pushed.
 */

/* A token that ends sooner than this is asked for again before a push. */
#define TOKEN_MARGIN_MS (10 * 60 * 1000)

struct work {
    const struct task *task;
    struct outcome *outcome;
    struct git *git;
    struct git_token token;
    struct agent_output *output;
    struct change change;
    char *title;
    int64_t step_began_ms;
};

static void work_done(struct work *work)
{
    agent_output_free(work->output);
    change_done(&work->change);
    git_free(work->git);
    secret_free(work->token.secret);
    free(work->title);
}

/* Takes `fields`. */
static void tell_step(struct work *work, const char *name, cJSON *fields)
{
    int64_t now_ms = clock_monotonic_ms();

    cJSON_AddItemToObject(fields, "name", jstr(name));
    cJSON_AddItemToObject(fields, "took_ms", jint(now_ms - work->step_began_ms));
    work->step_began_ms = now_ms;
    events_add(work->task->events, "step", fields);
}

static int fail(struct work *work, const char *code, const struct err *err)
{
    return outcome_fail(work->outcome, err->kind == ERR_UNAVAILABLE ? CODE_INTERNAL : code,
                        err);
}

/* --- Prepare ----------------------------------------------------------------------------- */

static int check_supported(struct work *work, struct err *err)
{
    const struct assignment *a = work->task->assignment;

    if (!agent_find(a->agent))
        return err_set(err, ERR_INVALID, "this runner has no agent %.60s", a->agent);
    if (strcmp(a->mode, "execute") != 0)
        return err_set(err, ERR_INVALID, "this runner doesn't know mode %.60s", a->mode);
    if (a->blank_workspace)
        return err_set(err, ERR_INVALID, "this runner doesn't run in a blank workspace");
    if (a->test_command)
        events_warn(work->task->events, "the test command isn't run by this runner");
    return 0;
}

static int get_token(struct work *work)
{
    struct err err = {0};

    if (home_git_token(work->task->home, &work->token, &err) < 0) {
        if (err.kind == ERR_CONFLICT || err.kind == ERR_UNAUTHENTICATED)
            stop_request(); /* the run isn't ours any more */
        return outcome_fail(work->outcome, CODE_AUTH_EXPIRED, &err);
    }
    if (git_set_token(work->git, work->token.secret, &err) < 0)
        return fail(work, CODE_INTERNAL, &err);
    return 0;
}

static int prepare(struct work *work)
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

    if (check_supported(work, &err) < 0)
        return fail(work, CODE_INTERNAL, &err);
    work->title = pull_request_title(a);
    redaction_apply(task->redaction, work->title);
    work->git = git_new(&options, &err);
    if (!work->git)
        return fail(work, CODE_CLONE_FAILED, &err);
    return get_token(work);
}

/* --- Clone ------------------------------------------------------------------------------- */

static int clone(struct work *work)
{
    const char *branch = work->task->assignment->base_branch;
    struct err err = {0};

    if (workspace_clone(work->task->workspace, work->git, branch, &err) < 0) {
        err_wrap(&err, "cloning %s", work->task->assignment->repo);
        return fail(work,
                    err.kind == ERR_UNAUTHENTICATED ? CODE_AUTH_EXPIRED : CODE_CLONE_FAILED,
                    &err);
    }
    tell_step(work, "cloned",
              jobj({"branch", jstr(workspace_base_branch(work->task->workspace))},
                   {"commit", jstr(workspace_base_commit(work->task->workspace))}));
    return 0;
}

/* --- Agent ------------------------------------------------------------------------------- */

static const char *code_of_agent(const struct err *err)
{
    if (err->kind == ERR_TIMEOUT)
        return CODE_AGENT_TIMEOUT;
    return err->kind == ERR_INTERNAL ? CODE_INTERNAL : CODE_AGENT_FAILED;
}

static int run_agent(struct work *work)
{
    const struct task *task = work->task;
    struct sandbox sandbox;
    struct agent_job job = {
        .kind = agent_find(task->assignment->agent),
        .assignment = task->assignment,
        .workspace = work->task->workspace,
        .sandbox = &sandbox,
        .stop = stop_flag(),
    };
    struct err err = {0};
    int result;

    work->output = agent_output_new(task->events, task->redaction);
    job.output = work->output;
    sandbox_init(&sandbox);
    tell_step(work, "agent_started",
              jobj({"agent", jstr(job.kind->name)}, {"sandbox", sandbox_to_json(&sandbox)}));
    result = agent_run(&job, &err);
    sandbox_done(&sandbox);
    if (result < 0)
        return fail(work, code_of_agent(&err), &err);
    tell_step(work, "agent_ended", jobj({"agent", jstr(job.kind->name)}));
    return 0;
}

/* --- Stage ------------------------------------------------------------------------------- */

static int stage(struct work *work)
{
    struct change *change = &work->change;
    struct err err = {0};

    if (workspace_stage(work->task->workspace, work->git, change, &err) < 0)
        return fail(work, err.kind == ERR_TIMEOUT ? CODE_INTERNAL : CODE_AGENT_FAILED, &err);
    if (change->nested_git.removed)
        events_warn(work->task->events,
                    "%d entries called .git inside the checkout were left out, the first is %s",
                    change->nested_git.removed, change->nested_git.first);
    tell_step(work, "staged",
              jobj({"files", jint((int64_t)change->n_files)},
                   {"lines_added", jint(change->added)},
                   {"lines_removed", jint(change->removed)}));
    return 0;
}

/* --- Push -------------------------------------------------------------------------------- */

static bool token_ends_soon(const struct work *work)
{
    return work->token.expires_ms && work->token.expires_ms - clock_wall_ms() < TOKEN_MARGIN_MS;
}

static int push(struct work *work)
{
    const struct assignment *a = work->task->assignment;
    scoped_str message = pull_request_commit_message(a, work->title);
    scoped_str branch = pull_request_branch(a->run_id, work->title);
    scoped_str commit = NULL;
    struct err err = {0};

    if (token_ends_soon(work) && get_token(work) < 0)
        return -1;
    if (workspace_commit(work->task->workspace, work->git, &work->change, message, &commit,
                         &err)
        < 0)
        return fail(work, CODE_INTERNAL, &err);
    if (workspace_push(work->task->workspace, work->git, commit, branch, &err) < 0)
        return fail(work,
                    err.kind == ERR_UNAUTHENTICATED ? CODE_AUTH_EXPIRED : CODE_PUSH_REJECTED,
                    &err);
    tell_step(work, "pushed", jobj({"branch", jstr(branch)}, {"commit", jstr(commit)}));
    work->outcome->branch = TAKE(branch);
    return 0;
}

/* --- Open -------------------------------------------------------------------------------- */

static int open_pull_request(struct work *work)
{
    const struct task *task = work->task;
    const char *partial_reason = agent_output_partial_reason(work->output);
    scoped_str text = pull_request_description(task->assignment, &work->change, partial_reason);
    struct pull_request wanted = {
        .api_url = task->assignment->github_api_url,
        .repo = task->assignment->repo,
        .title = work->title,
        .description = text,
        .head = work->outcome->branch,
        .base = workspace_base_branch(work->task->workspace),
        .draft = partial_reason != NULL,
    };
    struct opened_pull_request opened = {0};
    struct err err = {0};

    redaction_apply(task->redaction, text);
    if (pull_request_open(task->net, work->token.secret, &wanted, &opened, &err) < 0)
        return fail(work, CODE_PR_FAILED, &err);
    if (wanted.draft && !opened.draft)
        events_warn(task->events, "the pull request isn't a draft: the repository has none");
    events_add(task->events, "pull_request",
               jobj({"url", jstr(opened.url)}, {"branch", jstr(wanted.head)},
                    {"draft", jbool(opened.draft)}));
    work->outcome->pr_url = opened.url;
    work->outcome->draft = opened.draft;
    return 0;
}

/* --- All of it --------------------------------------------------------------------------- */

/* The caller frees it. */
static char *no_change_summary(const char *partial_reason)
{
    if (!partial_reason)
        return xstrdup("The agent changed nothing.");
    return xasprintf("The agent changed nothing. It says that it is only partly done: %s",
                     partial_reason);
}

/* 0 when the run is completed; -1 when it failed, or was stopped. */
static int do_all(struct work *work)
{
    struct outcome *outcome = work->outcome;

    if (prepare(work) < 0 || clone(work) < 0 || run_agent(work) < 0 || stage(work) < 0)
        return -1;
    outcome->partial = agent_output_partial_reason(work->output) != NULL;
    if (!work->change.n_files) {
        outcome->summary = no_change_summary(agent_output_partial_reason(work->output));
        return 0;
    }
    if (stop_requested() || push(work) < 0)
        return -1;
    outcome->summary = pull_request_counts(&work->change);
    if (!work->task->assignment->auto_create_pr)
        return 0;
    return open_pull_request(work);
}

void task_run(const struct task *task, struct outcome *out)
{
    struct work work = {.task = task, .outcome = out, .step_began_ms = clock_monotonic_ms()};

    if (do_all(&work) == 0) {
        out->status = OUTCOME_COMPLETED;
    } else if (stop_requested()) {
        out->status = OUTCOME_STOPPED;
        out->error_code = NULL;
    }
    redaction_apply(task->redaction, out->error);
    work_done(&work);
}
