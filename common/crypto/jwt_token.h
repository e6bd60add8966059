/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPTO_JWT_TOKEN_H
#define CRYPTO_JWT_TOKEN_H
#include "crypto/jwk.h"

/*
 * JSON Web Tokens that others signed (RFC 7519, RFC 7515): hostile text, of which nothing holds
 * before jwt_token_verify. What a token says of its algorithm and of keys decides nothing: it
 * must be what the key's own type demands, and keys come from elsewhere.
 */
#define JWT_TEXT_MAX 8192

struct jwt_token {
    cJSON *header;
    cJSON *claims;
    const char *kid;  /* borrowed from the header */
    enum jwk_alg alg; /* as it says */
    char *signed_text;
    size_t signed_size;
    uint8_t *signature;
    size_t signature_size;
};

#define scoped_jwt_token __attribute__((cleanup(jwt_token_done))) struct jwt_token
void jwt_token_done(struct jwt_token *token);

/*
 * Form only: at most JWT_TEXT_MAX bytes, three parts in strict base64url, two JSON objects with
 * no member twice, a header with alg RS256 or ES256, a kid, no typ but "JWT", and nothing in it
 * that would change what the token is or bring a key along (crit, b64, enc, zip, cty, jwk, jku,
 * x5u, x5c). ERR_INVALID. `out` is filled on success only.
 */
int jwt_token_parse(const char *text, struct jwt_token *out, struct err *err) CHECKED;

/* ERR_INVALID unless it is this key's signature, under the one algorithm of its type. */
int jwt_token_verify(const struct jwt_token *token, const struct jwk *key,
                     struct err *err) CHECKED;
#endif
