/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/explain.h"
#include "api/fields.h"
#include "api/options.h"
#include "base/log.h"
#include "model/agent.h"
#include "model/repository.h"
#include "service/dispatch.h"
#include "store/run_details.h"
#include "store/run_store.h"

#define TICKET_ID_MAX_BYTES 128
#define TICKET_SUMMARY_MAX_BYTES 256
#define TEST_COMMAND_MAX_BYTES 4096

static cJSON *queued_json(const char *id, const char *retry_of)
{
    return jobj({"task_id", jstr(id)}, {"status", jstr("pending")},
                {"message", jstr("Task queued successfully")}, {"retry_of", jstr(retry_of)});
}

static int submit(struct app *app, const struct dispatch_request *wanted, cJSON **out,
                  struct err *err)
{
    char text[ID_TEXT_SIZE];
    struct id id;

    if (dispatch_submit_wait(app->service, wanted, &id, err) < 0)
        return -1;
    id_text(id, text);
    log_info("run queued", KV("run", text), KV("repo", wanted->repo),
             KV("retry_of", wanted->retry_of));
    *out = queued_json(text, wanted->retry_of);
    return 202;
}

/* --- Submitting --------------------------------------------------------------------------- */

struct task_body {
    const char *repository_url;
    const char *description;
    const char *ticket_id;
    const char *ticket_summary;
    const char *test_command;
    const char *base_branch;
    int priority;
};

static const struct jfield task_fields[] = {
    JFIELD(struct task_body, repository_url, J_REQUIRED),
    JFIELD(struct task_body, description, J_REQUIRED),
    JFIELD(struct task_body, ticket_id, J_OPTIONAL),
    JFIELD(struct task_body, ticket_summary, J_OPTIONAL),
    JFIELD(struct task_body, test_command, J_OPTIONAL),
    JFIELD(struct task_body, base_branch, J_OPTIONAL),
    JFIELD(struct task_body, priority, J_OPTIONAL),
};

static int check_task(const struct task_body *body, struct err *err)
{
    if (dispatch_check_prompt("description", body->description, err) < 0
        || field_line("ticket_id", body->ticket_id, TICKET_ID_MAX_BYTES, err) < 0
        || field_line("ticket_summary", body->ticket_summary, TICKET_SUMMARY_MAX_BYTES, err) < 0
        || field_line("test_command", body->test_command, TEST_COMMAND_MAX_BYTES, err) < 0)
        return -1;
    if (body->base_branch && !branch_name_valid(body->base_branch))
        return err_set_field(err, "base_branch", "git takes no branch of this name");
    return 0;
}

int submit_task(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const struct audit_source source = request_source(app, req);
    struct task_body body = {.priority = RUN_PRIORITY_UNSAID};
    scoped_str repo = NULL;
    bool explain = false;

    if (explain_asked(req, &explain, err) < 0
        || json_read(request_body(req), task_fields, &body, err) < 0
        || field_priority(request_body(req), body.priority, err) < 0
        || check_task(&body, err) < 0)
        return -1;
    repo = repository_from_url(app->config->github_server_url, body.repository_url,
                               "repository_url", err);
    if (!repo || principal_check_repo(principal_of(req), repo, err) < 0)
        return -1;
    struct dispatch_request wanted = {
        .prompt = body.description,
        .repo = repo,
        .base_branch = body.base_branch,
        .ticket_id = body.ticket_id,
        .ticket_summary = body.ticket_summary,
        .test_command = body.test_command,
        .owner = principal_of(req)->owner,
        .source = &source,
        .requester = principal_of(req)->requester,
        .priority = body.priority,
    };
    if (explain)
        return explain_run(app, &wanted, out, err);
    return submit(app, &wanted, out, err);
}

/* --- Trying again ------------------------------------------------------------------------- */

static int check_retry(const struct app *app, const struct run *run,
                       const struct options *options, struct err *err)
{
    if (run->status != RUN_FAILED && run->status != RUN_STOPPED)
        return err_set_code(err, ERR_CONFLICT, "not_retryable",
                            "only a failed or stopped task can be tried again: it is %s",
                            run_status_public_name(run->status));
    if (options_have_headers(options))
        return err_set_code(err, ERR_CONFLICT, "headers_gone",
                            "the headers of its tools ended with the task: queue it anew");
    if (strcmp(run->agent, AGENT_COMMAND) == 0 && !app->config->agent_command)
        return err_set_code(err, ERR_CONFLICT, "agent_unavailable",
                            "its agent is no longer offered");
    return 0;
}

/* The same request as a new run; the old one stays what it is. */
int retry_task(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const char *text = request_param(req, "task_id");
    const struct audit_source source = request_source(app, req);
    scoped_run_details details = {0};
    scoped_json document = NULL;
    struct options options;
    struct id id;

    if (!id_parse(text, &id))
        return err_set(err, ERR_NOT_FOUND, "there is no such task");
    scoped(run) run = principal_load_run(app, req, id, err);
    if (!run || principal_check_repo(principal_of(req), run->repo, err) < 0
        || run_details_load(app->db, id, &details, err) < 0
        || options_read(details.options, &options, &document, err) < 0
        || check_retry(app, run, &options, err) < 0)
        return -1;
    struct dispatch_request wanted = {
        .prompt = run->prompt,
        .model = run->model,
        .agent = run->agent,
        .repo = run->repo,
        .provider = run->provider,
        .mode = run->mode,
        .base_branch = run->base_branch,
        .title = run->title,
        .ticket_id = run->ticket_id,
        .ticket_summary = run->ticket_summary,
        .test_command = run->test_command,
        .retry_of = text,
        .options = details.options,
        .installation_id = run->installation_id,
        .webhook_url = run->webhook_url,
        .owner = principal_of(req)->owner,
        .source = &source,
        .requester = principal_of(req)->requester,
        .priority = run->priority,
        .launcher = run->wanted_launcher,
    };
    return submit(app, &wanted, out, err);
}
