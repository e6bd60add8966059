/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPTO_MUST_H
#define CRYPTO_MUST_H
#include <stdbool.h>

/* Stops the process, saying what didn't work, unless `ok`: for calls that fail only when
 * memory is out or the machine's OpenSSL is broken. */
void crypto_must(bool ok, const char *what);
#endif
