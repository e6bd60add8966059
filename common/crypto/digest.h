/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* SHA-256, HMAC-SHA256 and the text forms of bytes. Safe from any thread. */
#define SHA256_SIZE 32
#define SHA256_HEX_SIZE 65

void sha256(const void *data, size_t size, uint8_t out[SHA256_SIZE]);
void hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                 uint8_t out[SHA256_SIZE]);

/* In time that depends on `size` alone. */
bool bytes_equal(const void *a, const void *b, size_t size);

/* Lower-case hex; out holds 2 * size + 1 bytes. */
void hex_encode(const void *data, size_t size, char *out);
/* False unless `text` is exactly 2 * size hex digits. */
bool hex_decode(const char *text, void *out, size_t size);

/* RFC 4648 section 5 without padding. The caller frees it. */
char *base64url_encode(const void *data, size_t size) CHECKED;
/* Strict: no padding, no white space, no stray bits. NULL when malformed; else the caller's,
 * with its size in *out_size. */
void *base64url_decode(const char *text, size_t *out_size) CHECKED;
/* 256 bits, most significant first, as one number in base 62 (0-9A-Za-z): each value has its
 * own text, so nothing is lost and nothing is favoured. */
#define BASE62_256_LENGTH 43
void base62_256(const uint8_t number[32], char out[BASE62_256_LENGTH + 1]);

/* RFC 4648 section 4, padded. The caller frees it. */
char *base64_encode(const void *data, size_t size) CHECKED;
#endif
