/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <string.h>

#include "api/app.h"
#include "api/claim.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "service/dispatch.h"
#include "store/event_store.h"
#include "store/run_details.h"
#include "store/run_store.h"

#define RUNNER_ID_MAX 128
#define EVENTS_PER_BATCH_MAX 256
#define EVENT_BYTES_MAX 65536
#define SENTENCE_MAX_BYTES 4096
#define URL_MAX_BYTES 2048
/* Runners that wait for GitHub at once: the other workers stay free for heartbeats. */
#define GIT_TOKEN_CALLS_MAX 8

/* --- Claim
 * ---------------------------------------------------------------------------------------- */

struct claim_body {
    const char *runner_id;
};

static const struct jfield claim_fields[] = {
    JFIELD(struct claim_body, runner_id, J_REQUIRED),
};

static int check_runner_id(const char *text, struct err *err)
{
    size_t length = strlen(text);

    for (const char *c = text; *c; c++)
        if (*c <= ' ' || (unsigned char)*c >= 0x7f)
            return err_set_field(err, "runner_id", "expected visible ASCII characters");
    if (!length || length > RUNNER_ID_MAX)
        return err_set_field(err, "runner_id", "expected 1 to %d characters", RUNNER_ID_MAX);
    return 0;
}

int claim_run(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const struct principal *runner = principal_of(req);
    const struct run *run = runner->run;
    struct claim_body body = {0};
    struct options options;
    scoped_run_details details = {0};
    scoped_json document = NULL;
    const struct audit_source source = request_source(app, req);
    int64_t now_ms = clock_steady_ms();
    char id[ID_TEXT_SIZE];

    if (json_read(request_body(req), claim_fields, &body, err) < 0
        || check_runner_id(body.runner_id, err) < 0
        || run_details_load(app->db, run->id, &details, err) < 0
        || options_read(details.options, &options, &document, err) < 0
        || run_store_claim(app->db, run->id, runner->attempt, body.runner_id, now_ms,
                           now_ms + (app->config->run_timeout_s + RUN_GRACE_S) * 1000, &source,
                           err)
               < 0)
        return -1;
    id_text(run->id, id);
    log_info("run claimed", KV("run", id), KV("attempt", runner->attempt),
             KV("runner", body.runner_id));
    if (run->status == RUN_LAUNCHING) /* not for a repeat */
        service_note(app->service, run->id, runner->attempt, "Claimed",
                     "the runner has claimed the run");
    *out = claim_json(app->config, run, &options);
    return 200;
}

/* --- Secrets that the claim doesn't have
 * -------------------------------------------------------------------------------------- */

static int check_running(const struct run *run, struct err *err)
{
    if (run->status == RUN_RUNNING)
        return 0;
    return err_set_code(err, ERR_CONFLICT, "not_running", "the run is not running");
}

static int ask_git_token(struct app *app, const struct run *run, cJSON **out, struct err *err)
{
    struct github_token token = {0};
    char expires[CLOCK_TEXT_SIZE];

    if (github_token(app->github, run->repo, run->installation_id, &token, err) < 0)
        return -1;
    clock_text(token.expires_ms, expires);
    *out = jobj({"token", jstr(secret_reveal(token.token))}, {"expires_at", jstr(expires)});
    github_token_done(&token);
    return 200;
}

int give_git_token(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    static _Atomic int waiting;
    const struct run *run = principal_of(req)->run;
    int status;

    if (check_running(run, err) < 0)
        return -1;
    if (!run->repo)
        return err_set_code(err, ERR_CONFLICT, "no_repository",
                            "the run is in a blank workspace: it has no repository");
    if (atomic_fetch_add(&waiting, 1) >= GIT_TOKEN_CALLS_MAX) {
        (void)err_set_code(err, ERR_UNAVAILABLE, "busy", "too many runners wait for GitHub");
        err->retry_after_s = 1;
        status = -1;
    } else {
        status = ask_git_token(app, run, out, err);
    }
    atomic_fetch_sub(&waiting, 1);
    return status;
}

/* {TOOL: {NAME: VALUE}} as it was sealed when the run was queued; empty when there is none. */
static cJSON *open_headers(const struct app *app, struct id run, const uint8_t *sealed,
                           size_t size, struct err *err)
{
    scoped_str context = dispatch_headers_context(run);
    scoped(secret) text = NULL;

    if (!sealed)
        return json_object(NULL, 0);
    text = vault_unseal(app->vault, context, sealed, size, err);
    if (text)
        return json_parse(secret_reveal(text), strlen(secret_reveal(text)), err);
    err->kind = ERR_INTERNAL; /* nothing that a runner could do about it */
    return NULL;
}

int give_tool_headers(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const struct run *run = principal_of(req)->run;
    uint8_t *sealed = NULL;
    size_t size = 0;
    cJSON *headers;

    if (check_running(run, err) < 0
        || run_details_secret(app->db, run->id, &sealed, &size, err) < 0)
        return -1;
    headers = open_headers(app, run->id, sealed, size, err);
    free(sealed);
    if (!headers)
        return -1;
    *out = jobj({"tools", headers});
    return 200;
}

/* --- Events
 * ----------------------------------------------------------------------------------------- */

struct event_body {
    int64_t seq;
    const char *at;
    const char *type;
};

static const struct jfield event_fields[] = {
    JFIELD(struct event_body, seq, J_REQUIRED),
    JFIELD(struct event_body, at, J_REQUIRED),
    JFIELD(struct event_body, type, J_REQUIRED),
};

static bool is_event_type(const char *type)
{
    static const char *const known[] = {"started",       "log",          "step",
                                        "agent_message", "tool_use",     "usage",
                                        "warning",       "pull_request", "finished"};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(type, known[i]) == 0)
            return true;
    return false;
}

/* The event without what has a column of its own, as text for the caller to free. */
static char *event_data(const cJSON *event)
{
    scoped_json data = cJSON_Duplicate(event, true);

    cJSON_DeleteItemFromObjectCaseSensitive(data, "seq");
    cJSON_DeleteItemFromObjectCaseSensitive(data, "at");
    cJSON_DeleteItemFromObjectCaseSensitive(data, "type");
    return json_text(data);
}

static int read_event(const cJSON *event, size_t index, struct run_event *out, struct err *err)
{
    struct event_body body = {0};
    char path[32];

    (void)snprintf(path, sizeof(path), "events[%zu]", index);
    if (json_read_fields(event, event_fields, ARRAY_SIZE(event_fields), false, path, &body, err)
        < 0)
        return -1;
    if (body.seq < 1)
        return err_set_field(err, "events", "[%zu].seq counts from 1", index);
    if (!is_event_type(body.type))
        return err_set_field(err, "events", "[%zu].type is none of ours", index);
    if (!clock_parse(body.at, &out->at_ms))
        return err_set_field(err, "events", "[%zu].at is no RFC 3339 time", index);
    scoped_str data = event_data(event);
    if (strlen(data) > EVENT_BYTES_MAX)
        return err_set_field(err, "events", "[%zu] is longer than %d bytes", index,
                             EVENT_BYTES_MAX);
    out->seq = body.seq;
    out->type = body.type;
    out->data = TAKE(data);
    return 0;
}

struct batch_body {
    const cJSON *events;
};

static const struct jfield batch_fields[] = {
    JFIELD(struct batch_body, events, J_REQUIRED),
};

struct batch {
    struct run_event events[EVENTS_PER_BATCH_MAX];
    size_t count;
};

static int read_batch(const cJSON *body, struct batch *batch, struct err *err)
{
    struct batch_body given = {0};
    const cJSON *event;

    if (json_read(body, batch_fields, &given, err) < 0)
        return -1;
    if (!cJSON_IsArray(given.events))
        return err_set_field(err, "events", "expected an array");
    cJSON_ArrayForEach(event, given.events)
    {
        if (batch->count == EVENTS_PER_BATCH_MAX)
            return err_set_field(err, "events", "more than %d in a batch",
                                 EVENTS_PER_BATCH_MAX);
        if (read_event(event, batch->count, &batch->events[batch->count], err) < 0)
            return -1;
        batch->count++;
    }
    return 0;
}

/* The url of the batch's pull request, if it has one: the caller's. */
static char *pull_request_in(const cJSON *body)
{
    const cJSON *event;

    cJSON_ArrayForEach(event, json_get(body, "events"))
    {
        const char *type = json_get_str(event, "type");
        const char *url = json_get_str(event, "url");

        if (type && url && strcmp(type, "pull_request") == 0 && strlen(url) <= URL_MAX_BYTES)
            return xstrdup(url);
    }
    return NULL;
}

/* Once: a batch that comes again stores nothing. */
static void note_pull_request(const struct app *app, const struct principal *runner,
                              const cJSON *body)
{
    scoped_str url = pull_request_in(body);
    scoped_str sentence = url ? xasprintf("the pull request is open: %s", url) : NULL;

    if (sentence)
        service_note(app->service, runner->run->id, runner->attempt, "PullRequestOpened",
                     sentence);
}

int add_events(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const struct principal *runner = principal_of(req);
    struct batch *batch = xcalloc(1, sizeof(*batch));
    int64_t stored = 0;
    int done = read_batch(request_body(req), batch, err);

    if (done == 0)
        done = event_store_add(app->db, runner->run->id, runner->attempt, batch->events,
                               batch->count, &stored, err);
    for (size_t i = 0; i < batch->count; i++) {
        char *data = (char *)(uintptr_t)batch->events[i].data; /* ours: event_data made it */

        free(data);
    }
    free(batch);
    if (done < 0)
        return -1;
    if (stored > 0)
        note_pull_request(app, runner, request_body(req));
    *out = jobj({"stored", jint(stored)});
    return 200;
}

/* --- Heartbeat
 * ---------------------------------------------------------------------------------------- */

int heartbeat(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const struct principal *runner = principal_of(req);
    bool stop = false;

    if (run_store_heartbeat(app->db, runner->run->id, runner->attempt, clock_steady_ms(), &stop,
                            err)
        < 0)
        return -1;
    *out = jobj({"stop", jbool(stop)});
    return 200;
}

/* --- The end
 * ------------------------------------------------------------------------------------------ */

struct report {
    const char *task_id;
    const char *status;
    const char *pr_url;
    const char *branch_name;
    const char *summary;
    const char *result;
    const char *error;
    const char *error_code;
    const cJSON *usage;
    bool draft;
    bool partial;
};

static const struct jfield report_fields[] = {
    JFIELD(struct report, task_id, J_REQUIRED), JFIELD(struct report, status, J_REQUIRED),
    JFIELD(struct report, pr_url, J_OPTIONAL),  JFIELD(struct report, branch_name, J_OPTIONAL),
    JFIELD(struct report, summary, J_OPTIONAL), JFIELD(struct report, result, J_OPTIONAL),
    JFIELD(struct report, error, J_OPTIONAL),   JFIELD(struct report, error_code, J_OPTIONAL),
    JFIELD(struct report, usage, J_OPTIONAL),   JFIELD(struct report, draft, J_OPTIONAL),
    JFIELD(struct report, partial, J_OPTIONAL),
};

static int check_length(const char *field, const char *text, size_t limit, struct err *err)
{
    if (text && strlen(text) > limit)
        return err_set_field(err, field, "longer than %zu bytes", limit);
    return 0;
}

static int check_report(const struct report *report, const struct run *run, struct run_end *out,
                        struct err *err)
{
    char id[ID_TEXT_SIZE];

    id_text(run->id, id);
    if (strcmp(report->task_id, id) != 0)
        return err_set_field(err, "task_id", "this token is for task %s", id);
    if (!run_status_parse(report->status, &out->status) || !run_status_is_terminal(out->status))
        return err_set_field(err, "status", "expected one of completed, failed, stopped");
    if (report->error_code && !failure_code_parse(report->error_code, &out->error_code))
        return err_set_field(err, "error_code", "expected one of the known failure codes");
    if (out->error_code && out->status == RUN_COMPLETED)
        return err_set_field(err, "error_code", "a completed run has none");
    if (out->status == RUN_FAILED && !out->error_code)
        out->error_code = FAILURE_INTERNAL; /* every failed run has one */
    if (report->usage && !cJSON_IsObject(report->usage))
        return err_set_field(err, "usage", "expected an object");
    if (report->pr_url && strncmp(report->pr_url, "https://", 8) != 0
        && strncmp(report->pr_url, "http://", 7) != 0)
        return err_set_field(err, "pr_url", "expected a URL");
    return check_length("pr_url", report->pr_url, URL_MAX_BYTES, err) < 0
                   || check_length("branch_name", report->branch_name, URL_MAX_BYTES, err) < 0
                   || check_length("summary", report->summary, SENTENCE_MAX_BYTES, err) < 0
                   || check_length("result", report->result, RESULT_MAX_BYTES, err) < 0
                   || check_length("error", report->error, SENTENCE_MAX_BYTES, err) < 0
               ? -1
               : 0;
}

/* Two reports are the same when their fields are, whatever their order or blanks. */
static void hash_report(const struct report *report, const char *usage,
                        uint8_t out[SHA256_SIZE])
{
    scoped_json fields =
        jarr(jobj({"s", jstr(report->status)}, {"p", jstr(report->pr_url)},
                  {"b", jstr(report->branch_name)}, {"m", jstr(report->summary)},
                  {"e", jstr(report->error)}, {"c", jstr(report->error_code)},
                  {"u", jstr(usage)}, {"r", jstr(report->result)}, {"d", jbool(report->draft)},
                  {"h", jbool(report->partial)}));
    scoped_str text = json_text(fields);

    sha256(text, strlen(text), out);
}

int complete_run(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const struct principal *runner = principal_of(req);
    const struct audit_source source = request_source(app, req);
    struct report report = {0};
    struct run_end end = {.source = &source};

    if (json_read(request_body(req), report_fields, &report, err) < 0
        || check_report(&report, runner->run, &end, err) < 0)
        return -1;
    scoped_str usage = report.usage ? json_text(report.usage) : NULL;
    if (check_length("usage", usage, SENTENCE_MAX_BYTES, err) < 0)
        return -1;
    end.error = report.error;
    end.pr_url = report.pr_url;
    end.branch_name = report.branch_name;
    end.summary = report.summary;
    end.result = report.result;
    end.usage = usage;
    end.draft = report.draft;
    end.partial = report.partial;
    hash_report(&report, usage, end.report_hash);
    if (service_report_end(app->service, runner->run->id, runner->attempt, &end, err) < 0)
        return -1;
    *out = jobj({"ok", jbool(true)});
    return 200;
}
