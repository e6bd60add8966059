/* SPDX-License-Identifier: Apache-2.0 */
#include "service/integration_tokens.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

const struct jfield token_wish_fields[4] = {
    JFIELD(struct token_wish, repo, J_REQUIRED),
    JFIELD(struct token_wish, name, J_OPTIONAL),
    JFIELD(struct token_wish, created_by, J_OPTIONAL),
    JFIELD(struct token_wish, installation_id, J_OPTIONAL),
};

cJSON *token_wish_json(const struct token_wish *wish)
{
    return jobj(
        {"repo", jstr(wish->repo)}, {"name", jstr(wish->name)},
        {"created_by", jstr(wish->created_by)},
        {"installation_id", wish->installation_id ? jint(wish->installation_id) : NULL});
}

/* It is shown in lists, on terminals. */
static bool has_controls(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    return false;
}

static int check(const struct token_wish *wish, struct err *err)
{
    if (!wish->repo || !repo_name_valid(wish->repo))
        return err_set_field(err, "repo", "expected OWNER/NAME");
    if (wish->name && (!*wish->name || strlen(wish->name) > TOKEN_NAME_MAX))
        return err_set_field(err, "name", "expected 1 to %d bytes", TOKEN_NAME_MAX);
    if (wish->name && has_controls(wish->name))
        return err_set_field(err, "name", "control characters are not allowed");
    if (wish->installation_id < 0)
        return err_set_field(err, "installation_id", "expected a whole number from 1");
    return 0;
}

struct secret *integration_token_mint(struct token_store *tokens, const struct token_wish *wish,
                                      struct err *err)
{
    scoped(integration_token) token = NULL;
    scoped(secret) text = NULL;

    if (check(wish, err) < 0)
        return NULL;
    token = xcalloc(1, sizeof(*token));
    text = integration_token_make(token->display_prefix);
    token_hash(secret_reveal(text), token->hash);
    token->repo = xstrdup(wish->repo);
    token->name = xstrdup(wish->name);
    token->created_by = xstrdup(wish->created_by ? wish->created_by : "cli");
    token->installation_id = wish->installation_id;
    token->created_ms = clock_wall_ms();
    if (token_store_add(tokens, token, err) < 0)
        return NULL;
    log_info("integration token created", KV("prefix", (const char *)token->display_prefix),
             KV("repo", token->repo));
    return TAKE(text);
}

static cJSON *token_json(const struct integration_token *token)
{
    scoped_str id = xasprintf("%lld", (long long)token->id);

    return jobj(
        {"id", jstr(id)}, {"display_prefix", jstr(token->display_prefix)},
        {"repo", jstr(token->repo)}, {"name", jstr(token->name)},
        {"installation_id", token->installation_id ? jint(token->installation_id) : NULL},
        {"created_by", jstr(token->created_by)}, {"created_at", jtime(token->created_ms)},
        {"last_used_at", jtime(token->last_used_ms)}, {"revoked_at", jtime(token->revoked_ms)});
}

cJSON *integration_tokens_json(struct token_store *tokens, struct err *err)
{
    struct integration_token **all = NULL;
    size_t count = 0;
    cJSON *list;

    if (token_store_list(tokens, &all, &count, err) < 0)
        return NULL;
    list = json_array(NULL, 0);
    for (size_t i = 0; i < count; i++) {
        cJSON_AddItemToArray(list, token_json(all[i]));
        integration_token_free(all[i]);
    }
    free(all);
    return jobj({"tokens", list});
}
