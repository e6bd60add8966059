/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/agent_json.h"
#include "api/explain.h"
#include "api/fields.h"
#include "api/options.h"
#include "api/run_query.h"
#include "api/tools.h"
#include "base/log.h"
#include "model/repository.h"
#include "model/token.h"
#include "service/dispatch.h"
#include "store/run_details.h"
#include "store/run_store.h"

#define AGENT_DEFAULT "opencode"

/* --- Creating ----------------------------------------------------------------------------- */

struct agent_body {
    const char *repo;
    const char *prompt;
    const char *model;
    const char *provider;
    const char *branch;
    const char *webhook_url;
    const char *mode;
    const char *agent_provider;
    const cJSON *tools;
    const cJSON *agents;
    bool auto_create_pr;
    bool blank_workspace;
    int priority;
};

static const struct jfield agent_fields[] = {
    JFIELD(struct agent_body, repo, J_OPTIONAL),
    JFIELD(struct agent_body, prompt, J_REQUIRED),
    JFIELD(struct agent_body, model, J_OPTIONAL),
    JFIELD(struct agent_body, provider, J_OPTIONAL),
    JFIELD(struct agent_body, branch, J_OPTIONAL),
    JFIELD(struct agent_body, webhook_url, J_OPTIONAL),
    JFIELD(struct agent_body, mode, J_OPTIONAL),
    JFIELD(struct agent_body, agent_provider, J_OPTIONAL),
    JFIELD(struct agent_body, tools, J_OPTIONAL),
    JFIELD(struct agent_body, agents, J_OPTIONAL),
    JFIELD(struct agent_body, auto_create_pr, J_OPTIONAL),
    JFIELD(struct agent_body, blank_workspace, J_OPTIONAL),
    JFIELD(struct agent_body, priority, J_OPTIONAL),
};

/* In a blank workspace repo, branch and auto_create_pr are ignored. */
static int settle_repository(const struct config *config, struct agent_body *body,
                             struct err *err)
{
    if (body->blank_workspace) {
        body->repo = NULL;
        body->branch = NULL;
        body->auto_create_pr = true;
        return 0;
    }
    if (!body->repo)
        body->repo = config->default_repo;
    if (!body->repo)
        return err_set_field(err, "repo", "required, as there is no default repository");
    if (!repo_name_valid(body->repo))
        return err_set_field(err, "repo", "repo must be in format: owner/repo");
    if (body->branch && !branch_name_valid(body->branch))
        return err_set_field(err, "branch", "git takes no branch of this name");
    return 0;
}

static int check_agent(const struct config *config, const struct agent_body *body,
                       struct err *err)
{
    static const char *const modes[] = {"execute", "plan", NULL};
    static const char *const agents[] = {"opencode", "claude-code", NULL};

    if (dispatch_check_prompt("prompt", body->prompt, err) < 0
        || dispatch_check_name("model", body->model, err) < 0
        || dispatch_check_name("provider", body->provider, err) < 0
        || field_word("mode", body->mode, modes, err) < 0
        || field_word("agent_provider", body->agent_provider, agents, err) < 0)
        return -1;
    if (!body->webhook_url)
        return 0;
    return public_url_check("webhook_url", body->webhook_url, &config->allow_private_urls, err);
}

/* What the lists and flags of a body come to. */
struct extras {
    cJSON *tools;
    cJSON *headers;
    cJSON *agents;
    struct secret *headers_text;
    char *options;
};

#define scoped_extras __attribute__((cleanup(extras_done))) struct extras

static void extras_done(struct extras *extras)
{
    cJSON_Delete(extras->tools);
    cJSON_Delete(extras->headers);
    cJSON_Delete(extras->agents);
    secret_free(extras->headers_text);
    free(extras->options);
}

static struct secret *headers_secret(const cJSON *headers)
{
    char *text = headers ? json_text(headers) : NULL;
    struct secret *secret = secret_new(text);

    if (text)
        secret_wipe(text, strlen(text));
    free(text);
    return secret;
}

static int read_extras(const struct config *config, const struct agent_body *body,
                       struct extras *out, struct err *err)
{
    struct options options = {
        .auto_create_pr = body->auto_create_pr,
        .blank_workspace = body->blank_workspace,
    };

    if (tools_read(body->tools, &config->allow_private_urls, &out->tools, &out->headers, err)
            < 0
        || subagents_read(body->agents, &out->agents, err) < 0)
        return -1;
    options.tools = out->tools;
    options.agents = out->agents;
    out->headers_text = headers_secret(out->headers);
    return options_write(&options, &out->options, err);
}

static int submit(struct app *app, const struct dispatch_request *wanted, cJSON **out,
                  struct err *err)
{
    scoped_str title = agent_title(wanted->prompt);
    char text[ID_TEXT_SIZE];
    struct id id;

    if (dispatch_submit_wait(app->service, wanted, &id, err) < 0)
        return -1;
    id_text(id, text);
    log_info("run queued", KV("run", text), KV("repo", wanted->repo),
             KV("agent", wanted->agent));
    *out = jobj({"id", jstr(text)}, {"title", jstr(title)}, {"status", jstr("queued")},
                {"message", jstr("Agent run queued successfully")});
    return 201;
}

/* The seed's own default, unless the operator's is a program of theirs, which this face can't
 * name. */
static const char *default_agent(const struct config *config)
{
    return strcmp(config->default_agent, "command") == 0 ? config->default_agent
                                                         : AGENT_DEFAULT;
}

int create_agent(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    struct agent_body body = {.auto_create_pr = true, .priority = RUN_PRIORITY_UNSAID};
    const struct audit_source source = request_source(app, req);
    scoped_extras extras = {0};
    bool explain = false;

    if (explain_asked(req, &explain, err) < 0
        || json_read(request_body(req), agent_fields, &body, err) < 0
        || field_priority(request_body(req), body.priority, err) < 0
        || settle_repository(app->config, &body, err) < 0
        || principal_check_repo(principal_of(req), body.repo, err) < 0
        || check_agent(app->config, &body, err) < 0
        || read_extras(app->config, &body, &extras, err) < 0)
        return -1;
    struct dispatch_request wanted = {
        .prompt = body.prompt,
        .model = body.model,
        .agent = body.agent_provider ? body.agent_provider : default_agent(app->config),
        .repo = body.repo,
        .provider = body.provider,
        .mode = body.mode,
        .base_branch = body.branch,
        .options = extras.options,
        .tool_headers = extras.headers_text,
        .vault = app->vault,
        .webhook_url = body.webhook_url,
        .owner = principal_of(req)->owner,
        .source = &source,
        .requester = principal_of(req)->requester,
        .priority = body.priority,
    };
    if (explain)
        return explain_run(app, &wanted, out, err);
    return submit(app, &wanted, out, err);
}

/* --- Looking ------------------------------------------------------------------------------ */

static int agent_id(const struct request *req, struct id *out, struct err *err)
{
    const char *text = request_param(req, "id");

    if (!id_parse(text, out))
        return err_set(err, ERR_NOT_FOUND, "there is no such agent run");
    return 0;
}

int show_agent(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    scoped_run_details details = {0};
    scoped_json document = NULL;
    struct options options;
    struct id id;

    if (agent_id(req, &id, err) < 0)
        return -1;
    scoped(run) run = principal_load_run(app, req, id, err);
    if (!run || run_details_load(app->db, id, &details, err) < 0
        || options_read(details.options, &options, &document, err) < 0)
        return -1;
    *out = agent_json(run, &options, details.result);
    return 200;
}

int list_agents(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    struct run_filter filter;
    struct run_page page = {0};
    char next[ID_TEXT_SIZE];
    cJSON *agents;

    if (run_query_read(req, agent_status_name, ALL_STATUSES, &filter, err) < 0)
        return -1;
    principal_narrow(principal_of(req), &filter);
    if (run_store_page(app->db, &filter, &page, err) < 0)
        return -1;
    agents = json_array(NULL, 0);
    for (size_t i = 0; i < page.n_runs; i++)
        cJSON_AddItemToArray(agents, agent_json(page.runs[i], NULL, NULL));
    id_text(page.next, next);
    *out = jobj({"agents", agents}, {"count", jint((int64_t)page.n_runs)},
                {"next_cursor", page.next.key ? jstr(next) : NULL});
    run_page_done(&page);
    return 200;
}

/* --- Stopping ----------------------------------------------------------------------------- */

int stop_agent_run(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const struct audit_source source = request_source(app, req);
    struct id id;

    if (agent_id(req, &id, err) < 0)
        return -1;
    scoped(run) run = principal_load_run(app, req, id, err);
    if (!run || service_stop_run(app->service, id, &source, err) < 0)
        return -1;
    *out = jobj({"id", jstr(request_param(req, "id"))},
                {"message", jstr("The agent run is being stopped")});
    return 202;
}
