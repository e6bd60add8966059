/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/jwt_token.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "crypto/digest.h"

void jwt_token_done(struct jwt_token *token)
{
    cJSON_Delete(token->header);
    cJSON_Delete(token->claims);
    free(token->signed_text);
    free(token->signature);
    *token = (struct jwt_token){0};
}

/* One part, which is a JSON object. NULL with the error. */
static cJSON *read_object(const char *name, const char *part, struct err *err)
{
    size_t size = 0;
    scoped_str text = base64url_decode(part, &size);
    scoped_json object = NULL;

    if (!text) {
        err_set(err, ERR_INVALID, "the token's %s isn't base64url", name);
        return NULL;
    }
    object = json_parse(text, size, err);
    if (!object) {
        (void)err_wrap(err, "the token's %s", name);
        return NULL;
    }
    if (!cJSON_IsObject(object)) {
        err_set(err, ERR_INVALID, "the token's %s is no JSON object", name);
        return NULL;
    }
    return TAKE(object);
}

static int read_header(struct jwt_token *token, struct err *err)
{
    static const char *const refused[] = {"crit", "b64", "enc", "zip", "cty",
                                          "jwk",  "jku", "x5u", "x5c"};
    const char *alg = json_get_str(token->header, "alg");
    const cJSON *typ = json_get(token->header, "typ");

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        if (json_get(token->header, refused[i]))
            return err_set(err, ERR_INVALID, "a token with `%s` in its header is refused",
                           refused[i]);
    if (typ && (!cJSON_IsString(typ) || strcasecmp(typ->valuestring, "JWT") != 0))
        return err_set(err, ERR_INVALID, "the token's typ isn't JWT");
    if (!alg || !jwk_alg_parse(alg, &token->alg))
        return err_set(err, ERR_INVALID, "the token's alg is neither RS256 nor ES256");
    token->kid = json_get_str(token->header, "kid");
    if (!token->kid || !*token->kid || strlen(token->kid) > JWK_KID_MAX)
        return err_set(err, ERR_INVALID, "the token has no kid of 1 to %d characters",
                       JWK_KID_MAX);
    return 0;
}

/* Exactly three parts; the first two are cut out of `copy`. */
static int cut(char *copy, char *out_parts[3], struct err *err)
{
    for (int i = 0; i < 3; i++) {
        out_parts[i] = strsep(&copy, ".");
        if (!out_parts[i] || !*out_parts[i])
            return err_set(err, ERR_INVALID, "a token has three parts");
    }
    if (copy)
        return err_set(err, ERR_INVALID, "a token has three parts");
    return 0;
}

int jwt_token_parse(const char *text, struct jwt_token *out, struct err *err)
{
    scoped_jwt_token token = {0};
    scoped_str copy = NULL;
    char *parts[3];

    if (strnlen(text, JWT_TEXT_MAX + 1) > JWT_TEXT_MAX)
        return err_set(err, ERR_INVALID, "a token of more than %d bytes", JWT_TEXT_MAX);
    copy = xstrdup(text);
    if (cut(copy, parts, err) < 0)
        return -1;
    token.header = read_object("header", parts[0], err);
    if (!token.header || read_header(&token, err) < 0)
        return -1;
    token.claims = read_object("claims", parts[1], err);
    if (!token.claims)
        return -1;
    token.signature = base64url_decode(parts[2], &token.signature_size);
    if (!token.signature)
        return err_set(err, ERR_INVALID, "the token's signature isn't base64url");
    token.signed_size = (size_t)(parts[2] - 1 - copy);
    token.signed_text = xstrndup(text, token.signed_size);
    *out = token;
    token = (struct jwt_token){0};
    return 0;
}

int jwt_token_verify(const struct jwt_token *token, const struct jwk *key, struct err *err)
{
    if (token->alg != jwk_alg_of(key))
        return err_set(err, ERR_INVALID, "the token's alg isn't %s, which its key is for",
                       jwk_alg_name(jwk_alg_of(key)));
    if (!jwk_verify(key, token->signed_text, token->signed_size, token->signature,
                    token->signature_size))
        return err_set(err, ERR_INVALID, "the token's signature is wrong");
    return 0;
}
