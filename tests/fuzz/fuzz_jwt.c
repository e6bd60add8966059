/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens, keys and claims of strangers. The private halves of these two keys are gone: nothing
 * verifies but what they signed while they were there.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/jwt_token.h"
#include "fuzz.h"
#include "oidc/claims.h"

static const char keys_text[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"rsa\",\"use\":\"sig\",\"alg\":\"RS256\",\"e\":"
    "\"AQAB\",\"n\":\"p17K"
    "4opvQj_oF_fG9cLcX5hSZQKtAJFrCYFhQ4HXmn-3cJxPctGUr6dLSEnGRPBU6OVfqwHs2uZAvMx0hdV-"
    "rgOxRCpv47EC07Fee26O7qWOW_6GrOTTsd_OkdNE0ZXJdFn7FOBq_5K9ccGr3gVZ69SO-OhycI8UBey-"
    "_c8Q4oNPOGNXwf0Hpm8BcctkBO1uZvsz7boncbb5D3HjyVGQ46SvMvudIsnVWQ_sfGokmwsUS9mLif7J"
    "29EsE9eIs-g9NRJiQ9ePXMqKum3VvpG9KZQ36HvIEhtZhY7oVJiyAuWSUXtrmaz2yyQyF5N5Cf4nUHCC"
    "8CFnjETA3Dc6C3KGYQ\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"ec\",\"use\":\"sig\","
    "\"alg\":\"ES2"
    "56\",\"x\":\"8RxAxeCu4Ji4SGvf6EpZN_bj1KLHhWPSePnDLdgrZ5c\",\"y\":\"YUDgZkod0rIm1k4ixNUiB"
    "0ZRVnz5QpkI0Jx4wRUA6ws\"}]}";
static const char *const signed_texts[] = {
    "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnNhIn0.eyJpc3MiOiAiaHR0cHM6Ly9pc3"
    "N1ZXIuZXhhbXBsZS5jb20iLCAiYXVkIjogWyJodHRwczovL2Rpc3BhdGNoLmV4YW1wbGUuY29tIl0sICJleHAi"
    "OiAxODAwMDAwMzAwLCAiaWF0IjogMTgwMDAwMDAwMCwgInJlcG9zaXRvcnkiOiAib2N0by9oZWxsbyIsICJhY3"
    "RvciI6ICJvY3RvY2F0In0",
    "eyJhbGciOiAiRVMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAiZWMifQ.eyJpc3MiOiAiaHR0cHM6Ly9pc3N"
    "1ZXIuZXhhbXBsZS5jb20iLCAiYXVkIjogWyJodHRwczovL2Rpc3BhdGNoLmV4YW1wbGUuY29tIl0sICJleHAiO"
    "iAxODAwMDAwMzAwLCAiaWF0IjogMTgwMDAwMDAwMCwgInJlcG9zaXRvcnkiOiAib2N0by9oZWxsbyIsICJhY3R"
    "vciI6ICJvY3RvY2F0In0",
};
static const struct jwk_set *known_keys(void)
{
    static struct jwk_set *keys;
    struct err err = {0};

    if (!keys) {
        json_setup();
        scoped_json document = json_parse(keys_text, strlen(keys_text), &err);
        keys = jwk_set_parse(document, &err);
        if (!keys || jwk_set_count(keys) != 2)
            abort();
    }
    return keys;
}

static bool was_signed(const struct jwt_token *token)
{
    for (size_t i = 0; i < ARRAY_SIZE(signed_texts); i++)
        if (strcmp(token->signed_text, signed_texts[i]) == 0)
            return true;
    return false;
}

static void take_token(const char *text)
{
    const struct jwk_set *keys = known_keys();
    scoped_jwt_token token = {0};
    struct err err = {0};
    const struct jwk *key;

    if (jwt_token_parse(text, &token, &err) < 0) {
        if (err.kind != ERR_INVALID || token.header || token.claims)
            abort();
        return;
    }
    key = jwk_set_find(keys, token.kid, token.alg);
    if (key && jwt_token_verify(&token, key, &err) == 0 && !was_signed(&token))
        abort();
}

static void take_document(const cJSON *document)
{
    static const struct claims_rule rule = {.issuer = "https://issuer.example.com",
                                            .audience = "https://dispatch.example.com",
                                            .now_s = 1800000000};
    struct err err = {0};
    scoped(jwk_set) keys = jwk_set_parse(document, &err);
    scoped_str requester = claims_requester(document);

    if (keys && (!jwk_set_count(keys) || jwk_set_count(keys) > JWK_SET_MAX))
        abort();
    if (requester && strpbrk(requester, "\r\n"))
        abort();
    (void)!claims_check(document, &rule, &err);
    (void)!claims_repository(document, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped_str text = xstrndup((const char *)data, size);
    struct err err = {0};
    scoped_json document = NULL;

    (void)known_keys();
    take_token(text);
    document = json_parse((const char *)data, size, &err);
    if (document)
        take_document(document);
    return 0;
}
