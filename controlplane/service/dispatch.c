/* SPDX-License-Identifier: Apache-2.0 */
#include "service/dispatch.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "crypto/random.h"
#include "model/token.h"
#include "service/state.h"

struct submission {
    struct service *service;
    struct run run;
    struct idempotency idempotency; /* key: owned */
    char *idempotency_key;
    struct secret *task_token;
    struct id existing;
    bool reserved; /* it has a place in the queue */
    dispatch_done_fn done;
    void *ctx;
};

/* --- Checking
 * --------------------------------------------------------------------------------- */

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n\f\v")] == '\0';
}

static int check_prompt(const char *prompt, struct err *err)
{
    if (!prompt || is_blank(prompt))
        return err_set_field(err, "prompt", "expected some text");
    if (strlen(prompt) > PROMPT_MAX_BYTES)
        return err_set_field(err, "prompt", "longer than %d bytes", PROMPT_MAX_BYTES);
    return 0;
}

/* Model names end in argv and in URLs: a short list of characters will do. */
static int check_model(const char *model, struct err *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._:/@+-[]";
    size_t length = model ? strlen(model) : 0;

    if (!model)
        return 0;
    if (!length || length > MODEL_MAX_CHARS || strspn(model, allowed) != length
        || model[0] == '-')
        return err_set_field(err, "model", "expected a model's name of at most %d characters",
                             MODEL_MAX_CHARS);
    return 0;
}

static int check_agent(const struct config *config, const char *agent, struct err *err)
{
    static const char *const known[] = {"claude-code", "gemini-code", "opencode"};

    if (!agent)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(agent, known[i]) == 0)
            return 0;
    if (config->agent_command && strcmp(agent, "command") == 0)
        return 0;
    return err_set_field(err, "codingAgent",
                         "expected one of claude-code, gemini-code, opencode%s",
                         config->agent_command ? ", command" : "");
}

int dispatch_check(const struct config *config, const struct dispatch_request *request,
                   struct err *err)
{
    return check_prompt(request->prompt, err) < 0 || check_model(request->model, err) < 0
                   || check_agent(config, request->agent, err) < 0
               ? -1
               : 0;
}

/* --- Submitting
 * -------------------------------------------------------------------------------- */

static void submission_free(struct submission *submission)
{
    free(submission->run.repo);
    free(submission->run.agent);
    free(submission->run.model);
    free(submission->run.prompt);
    free(submission->idempotency_key);
    secret_free(submission->task_token);
    free(submission);
}

static struct submission *submission_new(struct service *service,
                                         const struct dispatch_request *request)
{
    struct submission *submission = xcalloc(1, sizeof(*submission));
    struct run *run = &submission->run;
    int64_t now_ms = clock_wall_ms();
    const char *agent = request->agent ? request->agent : service->config->default_agent;

    submission->service = service;
    run->id = id_make(now_ms, random_u64());
    run->status = RUN_PENDING;
    run->repo = xstrdup(request->repo);
    run->agent = xstrdup(agent);
    run->model = xstrdup(request->model);
    run->prompt = xstrdup(request->prompt);
    run->token_id = request->token_id;
    run->installation_id = request->installation_id;
    submission->task_token = task_token_make(run->id);
    token_hash(secret_reveal(submission->task_token), run->task_token_hash);
    if (request->idempotency) {
        submission->idempotency = *request->idempotency;
        submission->idempotency_key = xstrdup(request->idempotency->key);
        submission->idempotency.key = submission->idempotency_key;
    }
    return submission;
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
    if (submission->reserved || submission->existing.key)
        return 0;
    if (service_reserve(submission->service, err) < 0)
        return -1;
    submission->reserved = true;
    return 0;
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
        handoff_put(&service->handoff, id, TAKE(submission->task_token));
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
