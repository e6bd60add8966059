/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/way_in.h"

#include <string.h>

#include "base/alloc.h"
#include "dispatchctl/limit.h"
#include "model/run.h"
#include "model/token.h"

/* What each way in knows, besides the prompt. */
struct asked {
    const char *flag;
    bool given;
    unsigned ways; /* bits of enum way_in */
};

enum { ON_DISPATCH = 1 << WAY_DISPATCH, ON_TASK = 1 << WAY_TASK, ON_AGENT = 1 << WAY_AGENT };

#define ASKED_COUNT 14

static void list_asked(const struct options *o, struct asked out[ASKED_COUNT])
{
    const struct asked all[ASKED_COUNT] = {
        {"repo", o->repo, ON_TASK | ON_AGENT},
        {"branch", o->branch, ON_TASK | ON_AGENT},
        {"agent", o->agent, ON_DISPATCH | ON_AGENT},
        {"model", o->model, ON_DISPATCH | ON_AGENT},
        {"provider", o->provider, ON_AGENT},
        {"mode", o->mode, ON_AGENT},
        {"no-pr", o->no_pr, ON_AGENT},
        {"blank", o->blank, ON_AGENT},
        {"webhook-url", o->webhook_url, ON_AGENT},
        {"ticket-id", o->ticket_id, ON_TASK},
        {"ticket-summary", o->ticket_summary, ON_TASK},
        {"test-command", o->test_command, ON_TASK},
        {"idempotency-key", o->idempotency_key, ON_DISPATCH},
        {"priority", o->priority, ON_TASK | ON_AGENT},
    };

    memcpy(out, all, sizeof(all));
}

/* The first flag given that is only known there; NULL. */
static const char *only_on(const struct asked *asked, unsigned ways)
{
    for (size_t i = 0; i < ASKED_COUNT; i++)
        if (asked[i].given && asked[i].ways == ways)
            return asked[i].flag;
    return NULL;
}

static const char *not_on(const struct asked *asked, unsigned way)
{
    for (size_t i = 0; i < ASKED_COUNT; i++)
        if (asked[i].given && !(asked[i].ways & way))
            return asked[i].flag;
    return NULL;
}

static int check_dispatch(const struct options *options, const struct asked *asked,
                          struct err *err)
{
    const char *stranger = not_on(asked, ON_DISPATCH);

    if (options->wait || options->follow)
        return err_set(
            err, ERR_INVALID,
            "an integration token can't see runs, so there is no --%s: use an API key "
            "or a personal token",
            options->wait ? "wait" : "follow");
    if (stranger)
        return err_set(
            err, ERR_INVALID,
            "--%s can't be used with an integration token, which names its repository "
            "and only hands over a prompt, --model and --agent",
            stranger);
    return 0;
}

int way_in_choose(const struct options *options, bool dispatches_only, enum way_in *out,
                  struct err *err)
{
    struct asked asked[ASKED_COUNT];
    const char *of_agents;
    const char *of_tasks;

    list_asked(options, asked);
    if (dispatches_only) {
        *out = WAY_DISPATCH;
        return check_dispatch(options, asked, err);
    }
    of_tasks = only_on(asked, ON_TASK);
    of_agents = not_on(asked, ON_TASK);
    if (options->idempotency_key)
        return err_set(err, ERR_INVALID, "--idempotency-key is for integration tokens");
    if (of_tasks && of_agents)
        return err_set(err, ERR_INVALID, "--%s and --%s: no run can have both", of_agents,
                       of_tasks);
    if (of_tasks && !options->repo)
        return err_set(err, ERR_INVALID, "--%s needs a --repo", of_tasks);
    *out = of_agents || !options->repo ? WAY_AGENT : WAY_TASK;
    return 0;
}

const char *way_in_path(enum way_in way)
{
    return way == WAY_DISPATCH ? "/dispatchTask"
           : way == WAY_TASK   ? "/api/tasks"
                               : "/api/v1/agents";
}

const char *way_in_id_key(enum way_in way)
{
    return way == WAY_DISPATCH ? "runId" : way == WAY_TASK ? "task_id" : "id";
}

/* --- What it says ------------------------------------------------------------------------- */

/* For tasks: what git would clone. */
static char *repository_url(const char *repo, const char *github_url)
{
    size_t length = strlen(github_url);

    if (!repo_name_valid(repo))
        return xstrdup(repo); /* a URL, or what the server will find fault with */
    while (length && github_url[length - 1] == '/')
        length--;
    return xasprintf("%.*s/%s.git", (int)length, github_url, repo);
}

/* For agents: OWNER/NAME, which ends a URL. */
static char *repository_name(const char *repo)
{
    size_t length = strlen(repo);
    const char *name;
    char *found;

    if (length > 4 && strcmp(repo + length - 4, ".git") == 0)
        length -= 4;
    name = memrchr(repo, '/', length);
    while (name && name > repo && name[-1] != '/' && name[-1] != ':')
        name--;
    found = xstrndup(name ? name : repo, (size_t)(repo + length - (name ? name : repo)));
    if (strpbrk(repo, ":") && repo_name_valid(found))
        return found;
    free(found);
    return xstrdup(repo);
}

static cJSON *priority_of(const struct options *options, struct err *err)
{
    int64_t priority;

    if (!options->priority
        || limit_number("priority", options->priority, RUN_PRIORITY_MIN, RUN_PRIORITY_MAX,
                        &priority, err)
               < 0)
        return NULL;
    return jint(priority);
}

static cJSON *agent_body(const struct options *o, const char *prompt)
{
    scoped_str repo = o->repo ? repository_name(o->repo) : NULL;

    return jobj({"repo", jstr(repo)}, {"prompt", jstr(prompt)}, {"model", jstr(o->model)},
                {"provider", jstr(o->provider)}, {"branch", jstr(o->branch)},
                {"mode", jstr(o->mode)}, {"agent_provider", jstr(o->agent)},
                {"webhook_url", jstr(o->webhook_url)},
                {"auto_create_pr", o->no_pr ? jbool(false) : NULL},
                {"blank_workspace", jtrue(o->blank)});
}

static cJSON *task_body(const struct options *o, const char *prompt, const char *github_url)
{
    scoped_str url = repository_url(o->repo, github_url);

    return jobj({"repository_url", jstr(url)}, {"description", jstr(prompt)},
                {"ticket_id", jstr(o->ticket_id)}, {"ticket_summary", jstr(o->ticket_summary)},
                {"test_command", jstr(o->test_command)}, {"base_branch", jstr(o->branch)});
}

static cJSON *dispatch_body(const struct options *o, const char *prompt)
{
    return jobj({"prompt", jstr(prompt)}, {"model", jstr(o->model)},
                {"codingAgent", jstr(o->agent)});
}

cJSON *way_in_body(const struct options *options, enum way_in way, const char *prompt,
                   const char *github_url, struct err *err)
{
    struct err bad = {0};
    cJSON *priority = priority_of(options, &bad);
    cJSON *body;

    if (bad.kind != ERR_NONE) {
        *err = bad;
        return NULL;
    }
    body = way == WAY_AGENT  ? agent_body(options, prompt)
           : way == WAY_TASK ? task_body(options, prompt, github_url)
                             : dispatch_body(options, prompt);
    if (priority)
        (void)cJSON_AddItemToObject(body, "priority", priority);
    return body;
}
