/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPTO_SEAL_H
#define CRYPTO_SEAL_H
#include "base/err.h"
#include "base/secret.h"

#include <stdint.h>

/*
 * Sealed values: AES-256-GCM with a random 96-bit nonce, for secrets at rest. `context` is
 * authenticated but not stored: a value sealed for one row does not open in another.
 */
#define SEAL_KEY_SIZE 32

/* version byte || nonce (12) || ciphertext || tag (16); the caller frees it. What is sealed
 * must be a secret: NULL seals to something that never opens. */
uint8_t *seal(const uint8_t key[SEAL_KEY_SIZE], const char *context, const struct secret *value,
              size_t *out_size) CHECKED;

/* NULL with ERR_INVALID when the key or the context is another or a bit has changed. */
struct secret *unseal(const uint8_t key[SEAL_KEY_SIZE], const char *context,
                      const uint8_t *sealed, size_t size, struct err *err) CHECKED;
#endif
