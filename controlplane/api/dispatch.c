/* SPDX-License-Identifier: Apache-2.0 */
#include "service/dispatch.h"

#include <string.h>

#include "api/explain.h"
#include "base/log.h"

#define IDEMPOTENCY_KEY_MAX 255

struct dispatch_body {
    const char *prompt;
    const char *model;
    const char *codingAgent; /* the seed's own spelling */
};

static const struct jfield dispatch_fields[] = {
    JFIELD(struct dispatch_body, prompt, J_REQUIRED),
    JFIELD(struct dispatch_body, model, J_OPTIONAL),
    JFIELD(struct dispatch_body, codingAgent, J_OPTIONAL),
};

/* The same key with the same bytes is the same request. */
static int read_idempotency(const struct request *req, int64_t token_id,
                            struct idempotency *out, struct err *err)
{
    const char *key = request_header(req, "Idempotency-Key");
    size_t size;
    const char *body = request_body_text(req, &size);

    if (!key)
        return 0;
    if (!*key || strlen(key) > IDEMPOTENCY_KEY_MAX)
        return err_set_field(err, "Idempotency-Key", "expected 1 to %d characters",
                             IDEMPOTENCY_KEY_MAX);
    for (const char *c = key; *c; c++)
        if (*c <= ' ' || (unsigned char)*c >= 0x7f)
            return err_set_field(err, "Idempotency-Key", "expected visible ASCII characters");
    out->token_id = token_id;
    out->key = key;
    sha256(body, size, out->body_hash);
    return 0;
}

static void answer(void *ctx, struct id run, const struct err *err)
{
    struct request *req = ctx;
    char text[ID_TEXT_SIZE];

    if (err) {
        request_finish(req, -1, NULL, err);
        return;
    }
    id_text(run, text);
    log_info("run queued", KV("request", request_id(req)), KV("run", text),
             KV("repo", (const char *)principal_of(req)->grant.repo));
    request_finish(req, 200, jobj({"runId", jstr(text)}), NULL);
}

/* A token of the usual priority says nothing, so that its repository may. */
static int asked_priority(const struct token_grant *grant)
{
    return grant->priority == RUN_PRIORITY_USUAL ? RUN_PRIORITY_UNSAID : grant->priority;
}

int dispatch_task(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const struct token_grant *grant = &principal_of(req)->grant;
    struct dispatch_body body = {0};
    const struct audit_source source = request_source(app, req);
    struct idempotency idempotency = {0};
    bool explain = false;

    if (explain_asked(req, &explain, err) < 0
        || json_read(request_body(req), dispatch_fields, &body, err) < 0
        || read_idempotency(req, grant->id, &idempotency, err) < 0)
        return -1;
    struct dispatch_request wanted = {
        .prompt = body.prompt,
        .model = body.model,
        .agent = body.codingAgent,
        .repo = grant->repo,
        .token_id = grant->id,
        .installation_id = grant->installation_id,
        .priority = asked_priority(grant),
        .launcher = grant->launcher[0] ? grant->launcher : NULL,
        .idempotency = idempotency.key ? &idempotency : NULL,
        .source = &source,
    };
    if (dispatch_check(app->config, &wanted, err) < 0)
        return -1;
    if (explain)
        return explain_run(app, &wanted, out, err);
    if (dispatch_submit(app->service, &wanted, answer, req, err) < 0)
        return -1;
    return REPLY_LATER; /* when the run is durable */
}
