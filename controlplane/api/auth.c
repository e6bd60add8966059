/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/app.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "store/run_store.h"

/* After a run's end its token still opens the callbacks for repeats of a report whose answer
 * was lost (CONTRACT section 6). */
#define TASK_TOKEN_GRACE_MS (10 * 60 * 1000)

static int refuse(struct err *err, const char *why)
{
    return err_set(err, ERR_UNAUTHENTICATED, "%s", why);
}

static struct principal *let_in(struct request *req)
{
    struct principal *principal = xcalloc(1, sizeof(*principal));

    request_set_principal(req, principal);
    return principal;
}

void principal_free(void *principal)
{
    struct principal *p = principal;

    if (!p)
        return;
    run_free(p->run);
    free(p->requester);
    free(p->only_repo);
    free(p);
}

bool principal_may_see(const struct principal *principal, const struct run *run)
{
    return principal->sees_all || (principal->sees_shared && !run->owner)
           || (principal->owner && run->owner == principal->owner);
}

const struct principal *principal_of(const struct request *req)
{
    return request_principal(req);
}

/* A bearer of another kind never reaches the look-up: a task token that went astray is told
 * from an integration token by its first characters. */
static int authorize_dispatch(struct app *app, struct request *req, struct err *err)
{
    const char *bearer = request_bearer(req);
    struct token_grant grant;

    if (!bearer)
        return refuse(err, "an integration token is needed: Authorization: Bearer vgvbot_...");
    if (!integration_token_well_formed(bearer))
        return refuse(err, "this is no integration token");
    if (!token_store_find(app->tokens, bearer, clock_wall_ms(), &grant))
        return refuse(err, "the integration token is unknown or revoked");
    let_in(req)->grant = grant;
    return 0;
}

/* Digests are compared, all of them, so that the time tells neither length nor place. */
static bool is_api_key(const struct config *config, const char *text)
{
    uint8_t given[SHA256_SIZE];
    bool found = false;

    sha256(text, strlen(text), given);
    for (size_t i = 0; i < config->n_api_keys; i++) {
        const char *key = secret_reveal(config->api_keys[i]);
        uint8_t known[SHA256_SIZE];

        sha256(key, strlen(key), known);
        found |= bytes_equal(given, known, sizeof(known));
    }
    return found;
}

static int authorize_tasks(struct app *app, struct request *req, struct err *err)
{
    const char *bearer = request_bearer(req);

    if (!bearer)
        return refuse(err, "an API key is needed: Authorization: Bearer ...");
    if (!is_api_key(app->config, bearer))
        return refuse(err, "the API key is unknown");
    let_in(req)->sees_all = true;
    return 0;
}

static int read_attempt(const struct request *req, int *out, struct err *err)
{
    const char *text = request_header(req, "X-Dispatch-Attempt");
    char *end;
    long attempt;

    if (!text)
        return err_set_field(err, "X-Dispatch-Attempt", "required");
    attempt = strtol(text, &end, 10);
    if (end == text || *end || attempt < 1 || attempt > 1000000)
        return err_set_field(err, "X-Dispatch-Attempt", "expected a whole number from 1");
    *out = (int)attempt;
    return 0;
}

static bool token_is_good(const struct run *run, const char *bearer)
{
    uint8_t given[SHA256_SIZE];

    token_hash(bearer, given);
    return bytes_equal(given, run->task_token_hash, sizeof(given))
           && (!run_status_is_terminal(run->status)
               || clock_wall_ms() - run->ended_ms <= TASK_TOKEN_GRACE_MS);
}

static int authorize_runner(struct app *app, struct request *req, struct err *err)
{
    const char *bearer = request_bearer(req);
    struct err missing = {0};
    struct id id;
    int attempt;

    if (!bearer || !task_token_parse(bearer, &id))
        return refuse(err, "a run's task token is needed");
    scoped(run) run = run_store_load(app->db, id, &missing);
    if (!run && missing.kind != ERR_NOT_FOUND) {
        *err = missing;
        return -1;
    }
    if (!run || !token_is_good(run, bearer))
        return refuse(err, "the task token is unknown or has ended with its run");
    if (read_attempt(req, &attempt, err) < 0)
        return -1;
    if (attempt != run->attempt)
        return err_set_code(err, ERR_CONFLICT, "stale_attempt",
                            "attempt %d is not the current one", attempt);
    struct principal *principal = let_in(req);
    principal->run = TAKE(run);
    principal->attempt = attempt;
    return 0;
}

int authorize(struct app *app, struct request *req, int scope, struct err *err)
{
    switch ((enum scope)scope) {
    case ANYONE:
    case SCOPE_ADMIN: /* the control socket's file mode is the check */
        return 0;
    case SCOPE_DISPATCH:
        return authorize_dispatch(app, req, err);
    case SCOPE_OPERATOR:
    case SCOPE_READ:
    case SCOPE_TASKS:
        return authorize_tasks(app, req, err);
    case SCOPE_RUNNER:
        return authorize_runner(app, req, err);
    }
    return err_set(err, ERR_INTERNAL, "a route of no known scope");
}
