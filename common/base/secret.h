/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H
#include "base/scoped.h"

/*
 * Text that must not be seen: tokens, keys, passwords. It is a type of its own so that no
 * log call accepts it (KV in log.h has no case for it), and its memory is wiped when it is
 * released. secret_reveal is the one place where the text comes out: grep for it.
 */
struct secret;

/* Copies. secret_new(NULL) and secret_new("") are NULL: there is no empty secret. */
struct secret *secret_new(const char *text) CHECKED;
void secret_free(struct secret *secret);
DEFINE_SCOPED(secret)

/* Borrowed, never NULL: "" for NULL. */
const char *secret_reveal(const struct secret *secret);

/* Overwrites memory in a way the compiler may not leave out. */
void secret_wipe(void *memory, size_t size);
#endif
