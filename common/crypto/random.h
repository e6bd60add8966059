/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPTO_RANDOM_H
#define CRYPTO_RANDOM_H
#include <stddef.h>
#include <stdint.h>

/* Random bytes from the operating system's generator. There is no failure to handle: a
 * machine without entropy stops the process. Safe from any thread. */
void random_bytes(void *out, size_t count);
uint64_t random_u64(void);

/* 43 characters base62 carrying 256 random bits (62^43 > 2^256), and a NUL. */
#define RANDOM_BASE62_LENGTH 43 /* BASE62_256_LENGTH of digest.h */
void random_base62(char out[RANDOM_BASE62_LENGTH + 1]);
#endif
