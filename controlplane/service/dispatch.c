/* SPDX-License-Identifier: Apache-2.0 */
#include "service/dispatch.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "crypto/random.h"
#include "model/agent.h"
#include "model/token.h"
#include "service/state.h"
#include "store/run_details.h"

struct submission {
    struct service *service;
    struct run run;
    struct idempotency idempotency; /* key: owned */
    char *idempotency_key;
    uint8_t *sealed; /* the tools' headers; NULL: none */
    size_t sealed_size;
    struct id existing;
    struct audit_source source; /* owned texts; no actor: none was given */
    bool reserved;              /* it has a place in the queue */
    dispatch_done_fn done;
    void *ctx;
};

/* --- Checking
 * --------------------------------------------------------------------------------- */

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n\f\v")] == '\0';
}

int dispatch_check_prompt(const char *field, const char *prompt, struct err *err)
{
    if (!prompt || is_blank(prompt))
        return err_set_field(err, field, "expected some text");
    if (strlen(prompt) > PROMPT_MAX_BYTES)
        return err_set_field(err, field, "longer than %d bytes", PROMPT_MAX_BYTES);
    return 0;
}

/* Model names end in argv and in URLs: a short list of characters will do. */
int dispatch_check_name(const char *field, const char *name, struct err *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._:/@+-[]";
    size_t length = name ? strlen(name) : 0;

    if (!name)
        return 0;
    if (!length || length > MODEL_MAX_CHARS || strspn(name, allowed) != length
        || name[0] == '-')
        return err_set_field(err, field, "expected a %s's name of at most %d characters", field,
                             MODEL_MAX_CHARS);
    return 0;
}

static int check_agent(const struct config *config, const char *agent, struct err *err)
{
    if (!agent
        || (agent_name_valid(agent)
            && (config->agent_command || strcmp(agent, AGENT_COMMAND) != 0)))
        return 0;
    return err_set_field(err, "codingAgent",
                         "expected one of claude-code, gemini-code, opencode%s",
                         config->agent_command ? ", command" : "");
}

int dispatch_check(const struct config *config, const struct dispatch_request *request,
                   struct err *err)
{
    return dispatch_check_prompt("prompt", request->prompt, err) < 0
                   || dispatch_check_name("model", request->model, err) < 0
                   || check_agent(config, request->agent, err) < 0
               ? -1
               : 0;
}

/* --- Submitting
 * -------------------------------------------------------------------------------- */

static void source_done(struct audit_source *source)
{
    free((char *)(uintptr_t)source->actor); /* ours: source_copy made them */
    free((char *)(uintptr_t)source->request_id);
}

static struct audit_source source_copy(const struct audit_source *source)
{
    struct audit_source copy = source ? *source : (struct audit_source){0};

    copy.actor = xstrdup(copy.actor);
    copy.request_id = xstrdup(copy.request_id);
    return copy;
}

static void submission_free(struct submission *submission)
{
    struct run *run = &submission->run;

    source_done(&submission->source);
    free(run->repo);
    free(run->agent);
    free(run->model);
    free(run->provider);
    free(run->mode);
    free(run->base_branch);
    free(run->title);
    free(run->prompt);
    free(run->ticket_id);
    free(run->ticket_summary);
    free(run->test_command);
    free(run->retry_of);
    free(run->requester);
    free(run->webhook_url);
    free(run->wanted_launcher);
    free(run->options);
    free(submission->sealed);
    free(submission->idempotency_key);
    free(submission);
}

char *dispatch_headers_context(struct id run)
{
    char text[ID_TEXT_SIZE];

    id_text(run, text);
    return xasprintf("tool-headers %s", text);
}

/* What only some surfaces ask for. */
static void fill_rest(struct run *run, const struct dispatch_request *request)
{
    run->provider = xstrdup(request->provider);
    run->mode = xstrdup(request->mode);
    run->base_branch = xstrdup(request->base_branch);
    run->title = xstrdup(request->title);
    run->ticket_id = xstrdup(request->ticket_id);
    run->ticket_summary = xstrdup(request->ticket_summary);
    run->test_command = xstrdup(request->test_command);
    run->retry_of = xstrdup(request->retry_of);
    run->requester = xstrdup(request->requester);
    run->webhook_url = xstrdup(request->webhook_url);
    run->options = xstrdup(request->options);
    run->wanted_launcher = xstrdup(request->launcher);
}

static void seal_headers(struct submission *submission, const struct dispatch_request *request)
{
    scoped_str context = dispatch_headers_context(submission->run.id);

    submission->sealed =
        vault_seal(request->vault, context, request->tool_headers, &submission->sealed_size);
}

/* Its priority; and whether it waits for more than a worker. */
static void set_place(const struct service *service, struct run *run,
                      const struct dispatch_request *request)
{
    struct admission_run place = {.repo = request->repo, .branch = request->base_branch};

    run->priority = admission_priority(service->admission, request->repo, request->priority);
    place.priority = run->priority;
    if (!admission_concerns(service->admission, &place))
        return;
    run->not_before_ms = RUN_WAITS_ITS_TURN;
    run->deadline_ms = id_created_ms(run->id) + service->config->queue_timeout_s * 1000;
}

static void fill_run(const struct service *service, struct run *run,
                     const struct dispatch_request *request)
{
    run->status = RUN_PENDING;
    run->repo = xstrdup(request->repo);
    run->agent = xstrdup(request->agent ? request->agent : service->config->default_agent);
    run->model = xstrdup(request->model);
    run->prompt = xstrdup(request->prompt);
    run->token_id = request->token_id;
    run->owner = request->owner;
    run->installation_id = request->installation_id;
    fill_rest(run, request);
    set_place(service, run, request);
}

struct run *dispatch_preview(struct service *service, const struct dispatch_request *request)
{
    struct run *run = xcalloc(1, sizeof(*run));

    fill_run(service, run, request);
    run->attempt = 1;
    return run;
}

static struct submission *submission_new(struct service *service,
                                         const struct dispatch_request *request)
{
    struct submission *submission = xcalloc(1, sizeof(*submission));
    struct run *run = &submission->run;
    int64_t now_ms = clock_steady_ms();
    scoped(secret) task_token = NULL;

    submission->service = service;
    submission->source = source_copy(request->source);
    run->id = id_make(now_ms, random_u64());
    fill_run(service, run, request);
    if (request->tool_headers)
        seal_headers(submission, request);
    task_token = task_token_derive(run->id, 1, service->token_key);
    token_hash(secret_reveal(task_token), run->task_token_hash);
    if (request->idempotency) {
        submission->idempotency = *request->idempotency;
        submission->idempotency_key = xstrdup(request->idempotency->key);
        submission->idempotency.key = submission->idempotency_key;
    }
    return submission;
}

static int note_queued(struct db_conn *conn, const struct submission *submission,
                       struct err *err)
{
    const struct run *run = &submission->run;
    const struct audit_source *source = submission->source.actor ? &submission->source : NULL;

    if (run->retry_of)
        return audit_append_run(conn, source, "run.retry", run->id, run->retry_of, err);
    return audit_append_run(conn, source, "run.queue", run->id, run->repo, err);
}

/*
 * A repeat of a key takes no place: it is answered when the queue is full as well, and pushes
 * nobody out. Whether a request is one is known only here, so a keyed one takes its place
 * after the insert, which comes to nothing when there is none.
 */
static int insert(struct db_conn *conn, void *ctx, struct err *err)
{
    struct submission *submission = ctx;
    const struct idempotency *idempotency =
        submission->idempotency_key ? &submission->idempotency : NULL;

    if (run_store_insert(conn, &submission->run, idempotency, &submission->existing, err) < 0)
        return -1;
    if (submission->sealed && !submission->existing.key
        && run_details_keep_secret(conn, submission->run.id, submission->sealed,
                                   submission->sealed_size, err)
               < 0)
        return -1;
    if (submission->existing.key)
        return 0;
    if (note_queued(conn, submission, err) < 0)
        return -1;
    if (submission->reserved)
        return 0;
    if (service_reserve(submission->service, err) < 0)
        return -1;
    submission->reserved = true;
    return 0;
}

static void wait_its_turn(struct service *service, const struct run *run)
{
    struct admission_run waiting = {.id = run->id,
                                    .priority = run->priority,
                                    .repo = run->repo,
                                    .branch = run->base_branch,
                                    .route = backends_route_of(&service->backends, run)};

    if (run->not_before_ms == RUN_WAITS_ITS_TURN)
        admission_wait(service->admission, &waiting);
}

static void inserted(void *ctx, const struct err *err)
{
    struct submission *submission = ctx;
    struct service *service = submission->service;
    bool repeated = submission->existing.key != 0;
    struct id id = repeated ? submission->existing : submission->run.id;

    if (err || repeated) {
        if (submission->reserved)
            service_unreserve(service);
    } else {
        wait_its_turn(service, &submission->run);
        service_queued(service);
    }
    submission->done(submission->ctx, id, err);
    submission_free(submission);
}

int dispatch_submit(struct service *service, const struct dispatch_request *request,
                    dispatch_done_fn done, void *ctx, struct err *err)
{
    bool keyed = request->idempotency != NULL;
    struct submission *submission;

    if (!keyed && service_reserve(service, err) < 0)
        return -1;
    submission = submission_new(service, request);
    submission->reserved = !keyed;
    submission->done = done;
    submission->ctx = ctx;
    if (db_write_later(service->db, insert, submission, inserted, err) < 0) {
        if (submission->reserved)
            service_unreserve(service);
        submission_free(submission);
        return -1;
    }
    return 0;
}

struct waited {
    struct id run;
    int status;
    struct err err;
};

static void note_result(void *ctx, struct id run, const struct err *err)
{
    struct waited *waited = ctx;

    waited->run = run;
    waited->status = err ? -1 : 0;
    if (err)
        waited->err = *err;
}

int dispatch_submit_wait(struct service *service, const struct dispatch_request *request,
                         struct id *out, struct err *err)
{
    struct waited waited = {0};
    struct submission *submission;
    struct err failed = {0};
    int status;

    if (service_reserve(service, err) < 0)
        return -1;
    submission = submission_new(service, request);
    submission->reserved = true;
    submission->done = note_result;
    submission->ctx = &waited;
    status = db_write(service->db, insert, submission, &failed);
    inserted(submission, status < 0 ? &failed : NULL);
    if (waited.status < 0) {
        *err = waited.err;
        return -1;
    }
    *out = waited.run;
    return 0;
}
