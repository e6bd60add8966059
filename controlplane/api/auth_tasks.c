/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever watches over runs: by an API key of the operator's, a personal token, or a token that
 * an OIDC issuer gave to a workflow. Each sees its own runs; the operator's keys also those of
 * integration tokens; personal tokens of scope admin all.
 */
#include <string.h>

#include "api/api_keys.h"
#include "api/auth.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "oidc/oidc.h"
#include "store/credential_store.h"

static int deny(struct err *err, const char *why)
{
    return err_set_code(err, ERR_DENIED, "insufficient_scope", "%s", why);
}

/* For tokens takes more than any API key and any workflow has. */
static int deny_operator(enum scope scope, struct err *err)
{
    if (scope != SCOPE_OPERATOR)
        return 0;
    return deny(err, "this takes a personal token of scope admin");
}

static int let_key_in(const struct api_key *key, struct request *req, enum scope scope,
                      struct err *err)
{
    struct principal *principal;

    if (deny_operator(scope, err) < 0)
        return -1;
    principal = auth_let_in(req, "%s", key->name);
    principal->owner = key->credential;
    principal->sees_shared = true;
    return 0;
}

/* --- Personal tokens ------------------------------------------------------------------------
 */

static int check_scopes(const struct personal_grant *grant, enum scope scope, struct err *err)
{
    if (scope == SCOPE_OPERATOR && !token_scopes_allow(grant->scopes, TOKEN_ADMIN))
        return deny_operator(scope, err);
    if (scope == SCOPE_TASKS && !token_scopes_allow(grant->scopes, TOKEN_DISPATCH))
        return deny(err, "this personal token may look only: it lacks the scope dispatch");
    if (!token_scopes_allow(grant->scopes, TOKEN_READ))
        return deny(err, "this personal token lacks the scope read");
    return 0;
}

static int let_grant_in(struct app *app, struct request *req, struct personal_grant *grant,
                        struct err *err)
{
    scoped_str name = xasprintf("personal:%lld", (long long)grant->id);
    struct principal *principal;
    int64_t owner;

    if (credential_store_number(app->credentials, name, &owner, err) < 0)
        return -1;
    principal = auth_let_in(req, "%s", name);
    principal->owner = owner;
    principal->sees_all = token_scopes_allow(grant->scopes, TOKEN_ADMIN);
    principal->requester = TAKE(grant->requester);
    return 0;
}

static int authorize_person(struct app *app, struct request *req, const char *bearer,
                            enum scope scope, struct err *err)
{
    struct personal_grant grant;
    int result = -1;

    if (!personal_token_well_formed(bearer)
        || !personal_token_store_find(app->personal_tokens, bearer, clock_latest_ms(), &grant))
        return auth_refuse(err, "the personal token is unknown, revoked or expired");
    if (check_scopes(&grant, scope, err) == 0)
        result = let_grant_in(app, req, &grant, err);
    personal_grant_done(&grant);
    return result;
}

/* --- Workflows ------------------------------------------------------------------------------
 */

static int authorize_workflow(struct app *app, struct request *req, const char *bearer,
                              enum scope scope, struct err *err)
{
    scoped_oidc_identity identity = {0};
    scoped_str name = NULL;
    struct principal *principal;
    int64_t owner;

    if (oidc_check(app->oidc, bearer, &identity, err) < 0 || deny_operator(scope, err) < 0)
        return -1;
    name = xasprintf("oidc:%s", identity.repository);
    if (credential_store_number(app->credentials, name, &owner, err) < 0)
        return -1;
    principal = auth_let_in(req, "%s", name);
    principal->owner = owner;
    principal->only_repo = TAKE(identity.repository);
    principal->requester = TAKE(identity.requester);
    return 0;
}

/* --- Which of them --------------------------------------------------------------------------
 */

/* A key is what the operator says it is, whatever it looks like. */
int authorize_tasks(struct app *app, struct request *req, enum scope scope, struct err *err)
{
    const char *bearer = request_bearer(req);
    const struct api_key *key;

    if (!bearer)
        return auth_refuse(
            err, "an API key or a personal token is needed: Authorization: Bearer ...");
    key = api_keys_find(app->api_keys, bearer);
    if (key)
        return let_key_in(key, req, scope, err);
    if (strncmp(bearer, PERSONAL_TOKEN_PREFIX, strlen(PERSONAL_TOKEN_PREFIX)) == 0)
        return authorize_person(app, req, bearer, scope, err);
    if (app->oidc && oidc_is_token(bearer))
        return authorize_workflow(app, req, bearer, scope, err);
    return auth_refuse(err, "the API key is unknown");
}
