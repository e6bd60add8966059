/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "task/description.h"
#include "task/findings.h"
#include "task/pull_request.h"
#include "task/pull_request_text.h"
#include "task/work.h"

/* --- Stage -------------------------------------------------------------------------------- */

struct diff_listener {
    struct findings findings;
    struct work *work;
};

static void hear_diff(void *ctx, const char *data, size_t size)
{
    struct diff_listener *listener = ctx;
    struct work *work = listener->work;

    findings_feed(&listener->findings, data, size);
    (void)buf_append_within(&work->diff, data, size, DESCRIPTION_DIFF_MAX_BYTES);
    work->diff_size += size;
}

static int refuse(struct work *work, const char *what, const char *where)
{
    struct err err = {0};

    (void)err_set(&err, ERR_DENIED, "not pushed: the change %s, in %s", what, where);
    return work_fail(work, CODE_PUSH_REJECTED, &err);
}

static void warn(struct work *work, const char *what, const char *where)
{
    buf_printf(&work->warnings, "%s: %s\n", what, where);
    events_warn(work->task->events, "%s: %s", what, where);
}

/* 0 when the change may be published, perhaps with a warning. */
static int judge_findings(struct work *work, const struct findings *found)
{
    const struct assignment *a = work->task->assignment;

    scoped_str looks_like = xasprintf("carries what looks like %s",
                                      found->credential_kind ? found->credential_kind : "");

    if (found->own_secret[0])
        return refuse(work, "carries a secret of this run", found->own_secret);
    if (found->credential[0] && strcmp(a->credentials_in_diff, "draft") != 0)
        return refuse(work, looks_like, found->credential);
    if (found->workflow[0] && strcmp(a->workflow_changes, "draft") != 0)
        return refuse(work, "touches workflows", found->workflow);
    if (found->credential[0])
        warn(work, "The change carries what looks like a credential", found->credential);
    if (found->workflow[0])
        warn(work, "The change touches workflows", found->workflow);
    return 0;
}

/* Before anything is pushed: what is published can't be taken back. */
static int look_through(struct work *work)
{
    struct diff_listener listener = {.work = work};
    struct err err = {0};
    int result;

    findings_init(&listener.findings, work->task->redaction);
    result = workspace_diff(work->task->workspace, work->git, &work->change, hear_diff,
                            &listener, &err);
    findings_end(&listener.findings);
    result = result < 0 ? work_fail(work, CODE_INTERNAL, &err)
                        : judge_findings(work, &listener.findings);
    findings_done(&listener.findings);
    return result;
}

int stage_step(struct work *work)
{
    struct change *change = &work->change;
    struct err err = {0};

    if (workspace_stage(work->task->workspace, work->git, change, &err) < 0)
        return work_fail(work, err.kind == ERR_TIMEOUT ? CODE_INTERNAL : CODE_AGENT_FAILED,
                         &err);
    if (change->nested_git.removed)
        events_warn(work->task->events,
                    "%d entries called .git inside the checkout were left out, the first is %s",
                    change->nested_git.removed, change->nested_git.first);
    work_tell_step(work, "staged",
                   jobj({"files", jint((int64_t)change->n_files)},
                        {"lines_added", jint(change->added)},
                        {"lines_removed", jint(change->removed)}));
    return change->n_files ? look_through(work) : 0;
}

/* --- Push --------------------------------------------------------------------------------- */

/* The branch is there with something else on it (another attempt's, a person's): once more
 * under another name. */
static int push_somewhere(struct work *work, const char *commit, char **out_branch,
                          struct err *err)
{
    scoped_str branch = pull_request_branch(work->task->assignment->run_id, work->title);
    scoped_str other = xasprintf("%s-2", branch);

    if (workspace_push(work->task->workspace, work->git, commit, branch, err) == 0) {
        *out_branch = TAKE(branch);
        return 0;
    }
    if (err->kind != ERR_CONFLICT)
        return -1;
    log_warn("the branch is taken, trying another", KV("error", err->text));
    *err = (struct err){0};
    if (workspace_push(work->task->workspace, work->git, commit, other, err) < 0)
        return err->kind == ERR_CONFLICT
                   ? err_set(err, ERR_CONFLICT,
                             "somebody else's work is on the branch %s, and on %s", branch,
                             other)
                   : -1;
    *out_branch = TAKE(other);
    return 0;
}

int push_step(struct work *work)
{
    const struct assignment *a = work->task->assignment;
    scoped_str message = pull_request_commit_message(a, work->title);
    scoped_str commit = NULL;
    struct err err = {0};

    redaction_apply(work->task->redaction, message);
    if (work_fresh_token(work) < 0)
        return -1;
    if (workspace_commit(work->task->workspace, work->git, &work->change, message, &commit,
                         &err)
        < 0)
        return work_fail(work, CODE_INTERNAL, &err);
    if (push_somewhere(work, commit, &work->outcome->branch, &err) < 0)
        return work_fail(
            work, err.kind == ERR_UNAUTHENTICATED ? CODE_AUTH_EXPIRED : CODE_PUSH_REJECTED,
            &err);
    work_tell_step(work, "pushed",
                   jobj({"branch", jstr(work->outcome->branch)}, {"commit", jstr(commit)}));
    if (workspace_close(work->task->workspace, &err) < 0)
        return work_fail(work, CODE_INTERNAL, &err);
    return 0;
}

/* --- Open --------------------------------------------------------------------------------- */

/* What the draft's warning says; all empty for a change that is whole. */
static struct pull_request_warning warning_of(struct work *work)
{
    const char *partial_reason = agent_output_partial_reason(work->output);
    struct pull_request_warning warning = {
        .partial_reason = partial_reason,
        .sentence = work->shortfall.code ? work->shortfall.sentence : NULL,
        .quote = work->shortfall.quote,
        .findings = work->warnings.size ? work->warnings.data : NULL,
    };

    return warning;
}

static int ask_for(struct work *work, const struct pull_request *wanted)
{
    const struct task *task = work->task;
    struct opened_pull_request opened = {0};
    struct err err = {0};

    if (work_fresh_token(work) < 0)
        return -1;
    if (pull_request_open(task->net, work->token.secret, wanted, &opened, &err) < 0)
        return work_fail(work, CODE_PR_FAILED, &err);
    if (wanted->draft && !opened.draft)
        events_warn(task->events, "the pull request isn't a draft: the repository has none");
    events_add(task->events, "pull_request",
               jobj({"url", jstr(opened.url)}, {"branch", jstr(wanted->head)},
                    {"draft", jbool(opened.draft)}));
    work->outcome->pr_url = opened.url;
    work->outcome->draft = opened.draft;
    return 0;
}

/* A ticket's words come before the agent's: people look for them. */
static char *title_for(const struct work *work, const struct description *own)
{
    const struct assignment *a = work->task->assignment;

    if (!own->title || a->ticket_id || a->ticket_summary || a->title)
        return xstrdup(work->title);
    return pull_request_one_line(own->title);
}

int open_step(struct work *work)
{
    const struct task *task = work->task;
    struct pull_request_warning warning = warning_of(work);
    struct description own = {0};
    bool described = describe_step(work, &own);
    scoped_str defused = described ? description_defuse(own.body) : NULL;
    scoped_str title = title_for(work, &own);
    scoped_str text =
        pull_request_description(task->assignment, &work->change, defused, &warning);
    struct pull_request wanted = {
        .api_url = task->assignment->github_api_url,
        .repo = task->assignment->repo,
        .title = title,
        .description = text,
        .head = work->outcome->branch,
        .base = workspace_base_branch(task->workspace),
        .draft = pull_request_warns(&warning),
    };

    description_done(&own);
    redaction_apply(task->redaction, title);
    redaction_apply(task->redaction, text);
    if (described)
        work_tell_step(work, "described", jobj({"title", jstr(title)}));
    return ask_for(work, &wanted);
}
