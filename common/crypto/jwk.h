/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPTO_JWK_H
#define CRYPTO_JWK_H
#include "json/json.h"

/*
 * Public keys as others publish them (RFC 7517), to verify their signatures with. A key's own
 * type says what it verifies: RSA is RS256, P-256 is ES256, and nothing else is ever done with
 * it. A set doesn't change, so any thread may use it.
 */
enum jwk_alg { JWK_RS256, JWK_ES256 };
const char *jwk_alg_name(enum jwk_alg alg);
/* "RS256", "ES256", in these very letters. */
bool jwk_alg_parse(const char *name, enum jwk_alg *out);

struct jwk;
struct jwk_set;

#define JWK_SET_MAX 64
#define JWK_KID_MAX 256
#define JWK_RSA_BITS_MIN 2048 /* RFC 7518 section 3.3 */
#define JWK_RSA_BITS_MAX 8192 /* what a signature costs us grows with it */

/*
 * Of {"keys": [...]} those that have a `kid` and that we can use; others are passed over:
 * another kty or curve, use other than "sig", an alg that isn't the type's, RSA too small or
 * too large, a point off its curve. ERR_INVALID when none is left, or there are more than
 * JWK_SET_MAX.
 */
struct jwk_set *jwk_set_parse(const cJSON *document, struct err *err) CHECKED;
void jwk_set_free(struct jwk_set *set);
DEFINE_SCOPED(jwk_set)

size_t jwk_set_count(const struct jwk_set *set);
/* The key of that name and kind, borrowed; NULL. */
const struct jwk *jwk_set_find(const struct jwk_set *set, const char *kid, enum jwk_alg alg);

enum jwk_alg jwk_alg_of(const struct jwk *key);
/* Is this the key's signature over those bytes? As in a JWT: PKCS#1 v1.5, or r and s of 32
 * bytes each. */
bool jwk_verify(const struct jwk *key, const void *text, size_t size, const void *signature,
                size_t signature_size);
#endif
