/* SPDX-License-Identifier: Apache-2.0 */
/* dispatchd token create|list|revoke, of both kinds. */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "command/command.h"
#include "command/control.h"
#include "command/token_order.h"
#include "net/net.h"

/* Nobody serves the database: whoever may open it is as good as at the socket. */
static const struct audit_source here = {.actor = "control-socket"};

/* --- Doing it, one way or the other
 * ------------------------------------------------------------ */

static cJSON *revoked(int done, const struct token_order *order)
{
    return done < 0 ? NULL : jobj({"revoked", jstr(order->which)});
}

static cJSON *integration_here(struct db *db, const void *ctx, struct err *err)
{
    const struct token_order *order = ctx;
    scoped(token_store) tokens = token_store_open(db, err);

    if (!tokens)
        return NULL;
    switch (order->action) {
    case TOKEN_CREATE:
        return integration_token_mint(tokens, &order->wish, &here, err);
    case TOKEN_LIST:
        return integration_tokens_json(tokens, err);
    case TOKEN_REVOKE:
        return revoked(token_store_revoke(tokens, order->which, clock_wall_ms(), &here, err),
                       order);
    }
    return NULL;
}

static cJSON *personal_here(struct db *db, const void *ctx, struct err *err)
{
    const struct token_order *order = ctx;
    scoped(personal_token_store) tokens = personal_token_store_open(db, err);

    if (!tokens)
        return NULL;
    switch (order->action) {
    case TOKEN_CREATE:
        return personal_token_mint(tokens, &order->person, &here, err);
    case TOKEN_LIST:
        return personal_tokens_json(tokens);
    case TOKEN_REVOKE:
        return revoked(
            personal_token_store_revoke(tokens, order->which, clock_wall_ms(), &here, err),
            order);
    }
    return NULL;
}

static const char *method_of(enum token_action action)
{
    switch (action) {
    case TOKEN_CREATE:
        return "POST";
    case TOKEN_REVOKE:
        return "DELETE";
    default:
        return "GET";
    }
}

static cJSON *wish_of(const struct token_order *order)
{
    if (order->action != TOKEN_CREATE)
        return NULL;
    return order->personal ? personal_wish_json(&order->person) : token_wish_json(&order->wish);
}

static cJSON *do_order(const struct token_order *order, const struct config *config,
                       struct err *err)
{
    scoped_json wish = wish_of(order);
    scoped_str body = wish ? json_text(wish) : NULL;
    scoped_str which = order->which ? net_escape(order->which) : xstrdup("");
    scoped_str path = xasprintf("/admin/v1/%stokens%s%s", order->personal ? "personal-" : "",
                                order->which ? "/" : "", which);
    struct control_call call = {
        .method = method_of(order->action),
        .path = path,
        .body = body,
        .timeout_ms = 10000,
        .here = order->personal ? personal_here : integration_here,
        .ctx = order,
    };

    return control_do(config, &call, err);
}

/* --- Output
 * ------------------------------------------------------------------------------------ */

static const char *or_dash(const cJSON *object, const char *key)
{
    const char *text = json_get_str(object, key);

    return text ? text : "-";
}

/* What both tables have, around what each has of its own. */
static void print_row(const cJSON *token, const char *id, const char *whose, const char *more)
{
    printf("%-6s %-12s  %-32s %-24s %-24s %-24s %-24s %s%s\n", id,
           or_dash(token, "display_prefix"), whose, or_dash(token, "created_at"),
           or_dash(token, "last_used_at"), or_dash(token, "revoked_at"),
           or_dash(token, "expires_at"), more, or_dash(token, "name"));
}

static void print_heading(const char *whose, const char *more)
{
    printf("%-6s %-12s  %-32s %-24s %-24s %-24s %-24s %sNAME\n", "ID", "PREFIX", whose,
           "CREATED", "LAST USED", "REVOKED", "EXPIRES", more);
}

static void print_integrations(const cJSON *answer)
{
    const cJSON *token;

    print_heading("REPOSITORY", "");
    cJSON_ArrayForEach(token, json_get(answer, "tokens"))
    {
        print_row(token, or_dash(token, "id"), or_dash(token, "repo"), "");
    }
}

static char *scopes_text(const cJSON *token)
{
    scoped_buf text = {0};
    const cJSON *scope;

    cJSON_ArrayForEach(scope, json_get(token, "scopes"))
    {
        buf_printf(&text, "%s%s", text.size ? "," : "", scope->valuestring);
    }
    return xasprintf("%-20s ", text.data ? text.data : "-");
}

static void print_people(const cJSON *answer)
{
    const cJSON *token;

    if (!cJSON_GetArraySize(json_get(answer, "tokens")))
        return;
    printf("\n");
    print_heading("USER", "SCOPES               ");
    cJSON_ArrayForEach(token, json_get(answer, "tokens"))
    {
        scoped_str id = xasprintf("p%s", or_dash(token, "id"));
        scoped_str scopes = scopes_text(token);

        print_row(token, id, or_dash(token, "user"), scopes);
    }
}

/* Both kinds, one table after the other. */
static int list_all(struct token_order *order, const struct config *config, struct err *err)
{
    scoped_json integrations = do_order(order, config, err);
    scoped_json people = NULL;

    if (!integrations)
        return -1;
    order->personal = true;
    people = do_order(order, config, err);
    if (!people)
        return -1;
    print_integrations(integrations);
    print_people(people);
    return 0;
}

static int act(struct token_order *order, const struct config *config, struct err *err)
{
    scoped_json answer = NULL;

    if (order->action == TOKEN_LIST)
        return list_all(order, config, err);
    answer = do_order(order, config, err);
    if (!answer)
        return -1;
    if (order->action == TOKEN_CREATE)
        printf("%s\n", json_get_str(answer, "token"));
    else
        printf("revoked %s\n", order->which);
    return 0;
}

int command_token(char *const *argv)
{
    struct err err = {0};
    scoped_token_order order = {0};
    scoped_config config = {0};

    if (!token_order_read(argv, &order)) {
        (void)fputs(token_order_usage, stderr);
        return 2;
    }
    if (control_config(order.config, &config, &err) < 0)
        return command_quit("configuration", &err);
    if (act(&order, &config, &err) < 0)
        return command_quit("token", &err);
    return fflush(stdout) == 0 ? 0 : 1;
}
