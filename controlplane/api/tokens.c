/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of both kinds, made, listed and revoked: by an operator over the API, and by whoever
 * may open the control socket (`dispatchd token ...`), so that the serving process stays the
 * only writer of its database and a revocation is in force in its memory before anybody is
 * answered. What is done is in the audit log when it is done: the stores write both in one
 * transaction.
 */
#include <string.h>

#include "api/app.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "service/integration_tokens.h"
#include "service/personal_tokens.h"

/* Those at the control socket have the database anyway, and say who they are; over the API it
 * is the caller. The field for it is the last of both tables. */
static bool is_local(const struct request *req)
{
    return strcmp(principal_of(req)->actor, "control-socket") == 0;
}

static int revoked(struct request *req, const char *kind, cJSON **out)
{
    const char *which = request_param(req, "which");

    log_info("token revoked", KV("kind", kind), KV("which", which),
             KV("by", (const char *)principal_of(req)->actor));
    *out = jobj({"revoked", jstr(which)});
    return 200;
}

/* --- Of integrations ------------------------------------------------------------------------
 */

/* Its runs would find it closed until the next start. */
static int check_open(const struct app *app, const char *launcher, struct err *err)
{
    scoped_str names = NULL;

    if (service_has_launcher(app->service, launcher, &names))
        return 0;
    return err_set_field(err, "launcher",
                         "no launcher \"%.40s\" is open here (those that are: %s); the setting "
                         "`launchers` names others to open",
                         launcher, names);
}

int create_integration_token(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const struct audit_source source = request_source(app, req);
    struct token_wish wish = {TOKEN_WISH_DEFAULTS, .created_by = principal_of(req)->actor};

    if (json_read_fields(request_body(req), token_wish_fields,
                         TOKEN_WISH_FIELDS - (is_local(req) ? 0 : 1), true, NULL, &wish, err)
        < 0)
        return -1;
    if (wish.launcher && check_open(app, wish.launcher, err) < 0)
        return -1;
    *out = integration_token_mint(app->tokens, &wish, &source, err);
    return *out ? 201 : -1;
}

int list_integration_tokens(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    static const char *const no_query[] = {NULL};

    if (request_query_only(req, no_query, err) < 0)
        return -1;
    *out = integration_tokens_json(app->tokens, err);
    return *out ? 200 : -1;
}

int revoke_integration_token(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const struct audit_source source = request_source(app, req);

    if (token_store_revoke(app->tokens, request_param(req, "which"), clock_wall_ms(), &source,
                           err)
        < 0)
        return -1;
    return revoked(req, "integration", out);
}

/* --- Of people ------------------------------------------------------------------------------
 */

int create_personal_token(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const struct audit_source source = request_source(app, req);
    struct personal_wish wish = {.created_by = principal_of(req)->actor};

    if (json_read_fields(request_body(req), personal_wish_fields,
                         PERSONAL_WISH_FIELDS - (is_local(req) ? 0 : 1), true, NULL, &wish, err)
        < 0)
        return -1;
    *out = personal_token_mint(app->personal_tokens, &wish, &source, err);
    return *out ? 201 : -1;
}

int list_personal_tokens(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    static const char *const no_query[] = {NULL};

    if (request_query_only(req, no_query, err) < 0)
        return -1;
    *out = personal_tokens_json(app->personal_tokens);
    return 200;
}

int revoke_personal_token(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const struct audit_source source = request_source(app, req);

    if (personal_token_store_revoke(app->personal_tokens, request_param(req, "which"),
                                    clock_wall_ms(), &source, err)
        < 0)
        return -1;
    return revoked(req, "personal", out);
}
