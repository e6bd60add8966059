/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_VAULT_H
#define STORE_VAULT_H
#include "base/err.h"
#include "base/secret.h"

#include <stdint.h>

/*
 * Seals what is secret before it goes into the database, so that a stolen database says
 * nothing. The key is the operator's, or it is made at the first start and kept in a file
 * beside the database, "<database>.key" (0600), that belongs into another backup. Safe from any
 * thread.
 */
struct vault;

/* `key`: 32 bytes in base64, or NULL for the file. ERR_INVALID for a bad key or file. The
 * caller holds the lock on the database (store/lock.h). */
struct vault *vault_open(const char *database, const struct secret *key,
                         struct err *err) CHECKED;
void vault_free(struct vault *vault); /* wipes the key */
DEFINE_SCOPED(vault)

/* A key for another purpose, the same each time for the same `purpose`. */
#define VAULT_KEY_SIZE 32
void vault_derive(const struct vault *vault, const char *purpose, uint8_t out[VAULT_KEY_SIZE]);

/* Sealed for one `context` ("tool-headers 0mhyv1x3k9q2zj7w4b8t"): it opens for no other. The
 * caller frees the bytes. `value` isn't NULL. */
uint8_t *vault_seal(const struct vault *vault, const char *context, const struct secret *value,
                    size_t *out_size) CHECKED;
/* NULL with ERR_INVALID: sealed under another key, or changed. */
struct secret *vault_unseal(const struct vault *vault, const char *context,
                            const uint8_t *sealed, size_t size, struct err *err) CHECKED;
#endif
