/* SPDX-License-Identifier: Apache-2.0 */
#include "oidc/claims.h"

#include <string.h>

#include "base/alloc.h"
#include "model/token.h"

#define ACTOR_MAX 64 /* a login has 39 at most, an app's ends with "[bot]" */

static bool is_text(const cJSON *value, const char *text)
{
    return cJSON_IsString(value) && strcmp(value->valuestring, text) == 0;
}

/* One, or several of which one is ours. */
static bool is_for(const cJSON *aud, const char *audience)
{
    const cJSON *each;

    if (!cJSON_IsArray(aud))
        return is_text(aud, audience);
    if (cJSON_GetArraySize(aud) > CLAIMS_AUDIENCES_MAX)
        return false;
    cJSON_ArrayForEach(each, aud)
    {
        if (is_text(each, audience))
            return true;
    }
    return false;
}

/* False when it is there and isn't a moment. */
static bool moment(const cJSON *claims, const char *name, bool *out_given, double *out_s)
{
    const cJSON *value = json_get(claims, name);

    *out_given = value != NULL;
    *out_s = 0;
    if (!value)
        return true;
    *out_s = value->valuedouble;
    return cJSON_IsNumber(value) && *out_s >= 0 && *out_s < JSON_WHOLE_LIMIT;
}

static int check_times(const cJSON *claims, int64_t now_s, struct err *err)
{
    double early_s = (double)(now_s - CLAIMS_LEEWAY_S);
    double late_s = (double)(now_s + CLAIMS_LEEWAY_S);
    bool given;
    double at_s;

    if (!moment(claims, "exp", &given, &at_s) || !given)
        return err_set(err, ERR_INVALID, "the token has no end (exp)");
    if (at_s <= early_s)
        return err_set(err, ERR_INVALID, "the token has expired");
    if (!moment(claims, "nbf", &given, &at_s) || (given && at_s > late_s))
        return err_set(err, ERR_INVALID, "the token isn't good yet (nbf)");
    if (!moment(claims, "iat", &given, &at_s) || (given && at_s > late_s))
        return err_set(err, ERR_INVALID, "the token is from the future (iat)");
    return 0;
}

int claims_check(const cJSON *claims, const struct claims_rule *rule, struct err *err)
{
    if (!is_text(json_get(claims, "iss"), rule->issuer))
        return err_set(err, ERR_INVALID, "the token is of another issuer");
    if (!is_for(json_get(claims, "aud"), rule->audience))
        return err_set(err, ERR_INVALID, "the token is for another audience: ask for %.200s",
                       rule->audience);
    return check_times(claims, rule->now_s, err);
}

const char *claims_repository(const cJSON *claims, struct err *err)
{
    const char *repository = json_get_str(claims, "repository");

    if (repository && repo_name_valid(repository))
        return repository;
    err_set(err, ERR_INVALID, "the token names no `repository` as OWNER/NAME");
    return NULL;
}

char *claims_requester(const cJSON *claims)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789-_[]";
    const char *actor = json_get_str(claims, "actor");
    size_t length = actor ? strnlen(actor, ACTOR_MAX + 1) : 0;

    if (!length || length > ACTOR_MAX || strspn(actor, allowed) != length)
        return NULL;
    return xasprintf("%s <%s@users.noreply.github.com>", actor, actor);
}
