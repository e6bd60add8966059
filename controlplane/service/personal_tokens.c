/* SPDX-License-Identifier: Apache-2.0 */
#include "service/personal_tokens.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

const struct jfield personal_wish_fields[PERSONAL_WISH_FIELDS] = {
    JFIELD(struct personal_wish, user, J_REQUIRED),
    JFIELD(struct personal_wish, email, J_OPTIONAL),
    JFIELD(struct personal_wish, name, J_OPTIONAL),
    JFIELD(struct personal_wish, scopes, J_OPTIONAL),
    JFIELD(struct personal_wish, expires_at, J_OPTIONAL),
    JFIELD(struct personal_wish, created_by, J_OPTIONAL),
};

cJSON *personal_wish_json(const struct personal_wish *wish)
{
    return jobj({"user", jstr(wish->user)}, {"email", jstr(wish->email)},
                {"name", jstr(wish->name)},
                {"scopes", wish->scopes ? cJSON_Duplicate(wish->scopes, true) : NULL},
                {"expires_at", jstr(wish->expires_at)}, {"created_by", jstr(wish->created_by)});
}

/* --- Checking -------------------------------------------------------------------------------
 */

static int check_user(const char *user, struct err *err)
{
    if (!user)
        return err_set_field(err, "user", "required");
    if (token_wish_label("user", user, err) < 0)
        return -1;
    if (strpbrk(user, "<>") || *user == ' ' || user[strlen(user) - 1] == ' ')
        return err_set_field(err, "user", "expected a name without <, > and blanks around it");
    return 0;
}

static int check_email(const char *email, struct err *err)
{
    const char *at = email ? strchr(email, '@') : NULL;

    if (!email)
        return 0;
    if (strlen(email) > TOKEN_EMAIL_MAX)
        return err_set_field(err, "email", "longer than %d characters", TOKEN_EMAIL_MAX);
    for (const char *c = email; *c; c++)
        if (*c <= ' ' || (unsigned char)*c >= 0x7f || strchr("<>()[]\\,;:\"", *c))
            at = NULL;
    if (!at || at == email || !at[1] || strchr(at + 1, '@'))
        return err_set_field(err, "email", "expected NAME@HOST");
    return 0;
}

static int read_scopes(const cJSON *scopes, unsigned *out, struct err *err)
{
    const cJSON *each;

    if (scopes && (!cJSON_IsArray(scopes) || !cJSON_GetArraySize(scopes)))
        return err_set_field(err, "scopes", "expected a list of read, dispatch, admin");
    *out = scopes ? 0 : TOKEN_DISPATCH;
    cJSON_ArrayForEach(each, scopes)
    {
        enum token_scope scope;

        if (!cJSON_IsString(each) || !token_scope_parse(each->valuestring, &scope))
            return err_set_field(err, "scopes", "expected a list of read, dispatch, admin");
        if (*out & scope)
            return err_set_field(err, "scopes", "%s is here twice", token_scope_name(scope));
        *out |= scope;
    }
    return 0;
}

/* --- Minting and showing --------------------------------------------------------------------
 */

static cJSON *scopes_json(unsigned scopes)
{
    cJSON *list = json_array(NULL, 0);

    for (unsigned bit = TOKEN_READ; bit <= TOKEN_ADMIN; bit <<= 1)
        if (scopes & bit)
            cJSON_AddItemToArray(list, jstr(token_scope_name((enum token_scope)bit)));
    return list;
}

static cJSON *token_json(const struct personal_token *token, const struct secret *text)
{
    scoped_str id = xasprintf("%lld", (long long)token->id);

    return jobj(
        {"token", text ? jstr(secret_reveal(text)) : NULL}, {"id", jstr(id)},
        {"display_prefix", jstr(token->display_prefix)}, {"user", jstr(token->user)},
        {"email", jstr(token->email)}, {"name", jstr(token->name)},
        {"scopes", scopes_json(token->scopes)}, {"created_by", jstr(token->created_by)},
        {"created_at", jtime(token->created_ms)}, {"expires_at", jtime(token->expires_ms)},
        {"last_used_at", jtime(token->last_used_ms)}, {"revoked_at", jtime(token->revoked_ms)});
}

cJSON *personal_token_mint(struct personal_token_store *tokens,
                           const struct personal_wish *wish, const struct audit_source *source,
                           struct err *err)
{
    scoped(personal_token) token = xcalloc(1, sizeof(*token));
    scoped(secret) text = NULL;

    token->created_ms = clock_wall_ms();
    if (check_user(wish->user, err) < 0 || check_email(wish->email, err) < 0
        || token_wish_label("name", wish->name, err) < 0
        || token_wish_label("created_by", wish->created_by, err) < 0
        || read_scopes(wish->scopes, &token->scopes, err) < 0
        || token_wish_expiry(wish->expires_at, token->created_ms, &token->expires_ms, err) < 0)
        return NULL;
    text = personal_token_make(token->display_prefix);
    token_hash(secret_reveal(text), token->hash);
    token->user = xstrdup(wish->user);
    token->email = xstrdup(wish->email);
    token->name = xstrdup(wish->name);
    token->created_by = xstrdup(wish->created_by ? wish->created_by : "cli");
    if (personal_token_store_add(tokens, token, source, err) < 0)
        return NULL;
    log_info("personal token created", KV("prefix", (const char *)token->display_prefix));
    return token_json(token, text);
}

cJSON *personal_tokens_json(struct personal_token_store *tokens)
{
    size_t count = 0;
    struct personal_token **all = personal_token_store_list(tokens, &count);
    cJSON *list = json_array(NULL, 0);

    for (size_t i = 0; i < count; i++) {
        cJSON_AddItemToArray(list, token_json(all[i], NULL));
        personal_token_free(all[i]);
    }
    free(all);
    return jobj({"tokens", list});
}
