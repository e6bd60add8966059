/* SPDX-License-Identifier: Apache-2.0 */
#include "service/integration_tokens.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "launch/launcher.h"

const struct jfield token_wish_fields[TOKEN_WISH_FIELDS] = {
    JFIELD(struct token_wish, repo, J_REQUIRED),
    JFIELD(struct token_wish, name, J_OPTIONAL),
    JFIELD(struct token_wish, expires_at, J_OPTIONAL),
    JFIELD(struct token_wish, installation_id, J_OPTIONAL),
    JFIELD(struct token_wish, rate_per_minute, J_OPTIONAL),
    JFIELD(struct token_wish, priority, J_OPTIONAL),
    JFIELD(struct token_wish, launcher, J_OPTIONAL),
    JFIELD(struct token_wish, created_by, J_OPTIONAL),
};

cJSON *token_wish_json(const struct token_wish *wish)
{
    return jobj({"repo", jstr(wish->repo)}, {"name", jstr(wish->name)},
                {"expires_at", jstr(wish->expires_at)},
                {"installation_id", wish->installation_id ? jint(wish->installation_id) : NULL},
                {"rate_per_minute",
                 wish->rate_per_minute == TOKEN_UNSAID ? NULL : jint(wish->rate_per_minute)},
                {"priority", jint(wish->priority)}, {"launcher", jstr(wish->launcher)},
                {"created_by", jstr(wish->created_by)});
}

static int check(const struct token_wish *wish, struct err *err)
{
    if (!wish->repo || !repo_name_valid(wish->repo))
        return err_set_field(err, "repo", "expected OWNER/NAME");
    if (token_wish_label("name", wish->name, err) < 0
        || token_wish_label("created_by", wish->created_by, err) < 0)
        return -1;
    if (wish->installation_id < 0)
        return err_set_field(err, "installation_id", "expected a whole number from 1");
    if (wish->rate_per_minute != TOKEN_UNSAID
        && (wish->rate_per_minute < 1 || wish->rate_per_minute > TOKEN_RATE_MAX))
        return err_set_field(err, "rate_per_minute", "expected a whole number from 1 to %d",
                             TOKEN_RATE_MAX);
    if (wish->priority < RUN_PRIORITY_MIN || wish->priority > RUN_PRIORITY_MAX)
        return err_set_field(err, "priority", "expected a whole number from %d to %d",
                             RUN_PRIORITY_MIN, RUN_PRIORITY_MAX);
    if (wish->launcher && !launcher_known(wish->launcher))
        return err_set_field(err, "launcher", "there is no launcher \"%.40s\"", wish->launcher);
    return 0;
}

static cJSON *token_json(const struct integration_token *token, const struct secret *text)
{
    scoped_str id = xasprintf("%lld", (long long)token->id);

    return jobj(
        {"token", text ? jstr(secret_reveal(text)) : NULL}, {"id", jstr(id)},
        {"display_prefix", jstr(token->display_prefix)}, {"repo", jstr(token->repo)},
        {"name", jstr(token->name)},
        {"installation_id", token->installation_id ? jint(token->installation_id) : NULL},
        {"rate_per_minute", token->rate_per_minute ? jint(token->rate_per_minute) : NULL},
        {"priority", jint(token->priority)}, {"launcher", jstr(token->launcher)},
        {"created_by", jstr(token->created_by)}, {"created_at", jtime(token->created_ms)},
        {"expires_at", jtime(token->expires_ms)}, {"last_used_at", jtime(token->last_used_ms)},
        {"revoked_at", jtime(token->revoked_ms)});
}

cJSON *integration_token_mint(struct token_store *tokens, const struct token_wish *wish,
                              const struct audit_source *source, struct err *err)
{
    scoped(integration_token) token = xcalloc(1, sizeof(*token));
    scoped(secret) text = NULL;

    token->created_ms = clock_wall_ms();
    if (check(wish, err) < 0
        || token_wish_expiry(wish->expires_at, token->created_ms, &token->expires_ms, err) < 0)
        return NULL;
    text = integration_token_make(token->display_prefix);
    token_hash(secret_reveal(text), token->hash);
    token->repo = xstrdup(wish->repo);
    token->name = xstrdup(wish->name);
    token->created_by = xstrdup(wish->created_by ? wish->created_by : "cli");
    token->installation_id = wish->installation_id;
    token->rate_per_minute =
        wish->rate_per_minute == TOKEN_UNSAID ? 0 : (int)wish->rate_per_minute;
    token->priority = (int)wish->priority;
    token->launcher = xstrdup(wish->launcher);
    if (token_store_add(tokens, token, source, err) < 0)
        return NULL;
    log_info("integration token created", KV("prefix", (const char *)token->display_prefix),
             KV("repo", token->repo));
    return token_json(token, text);
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
        cJSON_AddItemToArray(list, token_json(all[i], NULL));
        integration_token_free(all[i]);
    }
    free(all);
    return jobj({"tokens", list});
}
