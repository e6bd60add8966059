/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_JWT_SIGNER_H
#define SUPPORT_JWT_SIGNER_H
#include <openssl/evp.h>

#include "base/scoped.h"

/* Keys as an issuer of tokens has them, and tokens of any content, right or wrong. Texts are
 * the caller's to free. */

/* {"kty": ...}, the public half, as JSON. `more` is put in front of its end:
 * ",\"use\":\"sig\"". */
char *jwt_signer_jwk(EVP_PKEY *key, const char *kid, const char *more) CHECKED;
/* {"keys": [a, b]}; b may be NULL. Takes neither. */
char *jwt_signer_jwks(const char *a, const char *b) CHECKED;

/* base64url(header).base64url(claims).signature, by RS256 or ES256 as the key is. */
char *jwt_signer_sign(EVP_PKEY *key, const char *header, const char *claims) CHECKED;

/* The same in steps: what is signed, the signature's bytes, and the whole. */
char *jwt_signer_head(const char *header, const char *claims) CHECKED;
unsigned char *jwt_signer_signature(EVP_PKEY *key, const char *head, size_t *out_size) CHECKED;
char *jwt_signer_join(const char *head, const void *signature, size_t size) CHECKED;
#endif
