/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPTO_JWT_H
#define CRYPTO_JWT_H
#include "base/secret.h"
#include "json/json.h"

/* RS256 JSON Web Tokens (RFC 7519, RFC 7518 section 3.3) as GitHub Apps sign them. A key may
 * be used from several threads. */
struct jwt_key;

/* PEM, PKCS#1 or PKCS#8, RSA of 2048 bits or more. ERR_NOT_FOUND, ERR_DENIED, ERR_INVALID
 * (with the file's name and never its content). */
struct jwt_key *jwt_key_load(const char *path, struct err *err) CHECKED;
/* The same from PEM text; `name` stands for it in complaints. */
struct jwt_key *jwt_key_parse(const char *pem, size_t size, const char *name,
                              struct err *err) CHECKED;
void jwt_key_free(struct jwt_key *key);
DEFINE_SCOPED(jwt_key)

/* header.claims.signature. `claims` stays the caller's. */
struct secret *jwt_sign(const struct jwt_key *key, const cJSON *claims,
                        struct err *err) CHECKED;
#endif
