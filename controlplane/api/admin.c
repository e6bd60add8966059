/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `dispatchd token ...` asks a running dispatchd to do, over its control socket: the
 * serving process stays the only writer of its database, and a revocation is in force in its
 * memory before the command returns.
 */
#include <string.h>

#include "api/app.h"
#include "base/clock.h"
#include "base/log.h"
#include "service/integration_tokens.h"

int create_token(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    struct token_wish wish = {0};
    struct secret *token;

    if (json_read(request_body(req), token_wish_fields, &wish, err) < 0)
        return -1;
    token = integration_token_mint(app->tokens, &wish, err);
    if (!token)
        return -1;
    *out = jobj({"token", jstr(secret_reveal(token))});
    secret_free(token);
    return 201;
}

int list_tokens(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    (void)req;
    *out = integration_tokens_json(app->tokens, err);
    return *out ? 200 : -1;
}

int revoke_token(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const char *which = request_param(req, "which");

    if (token_store_revoke(app->tokens, which, clock_wall_ms(), err) < 0)
        return -1;
    log_info("integration token revoked", KV("which", which));
    *out = jobj({"revoked", jstr(which)});
    return 200;
}
