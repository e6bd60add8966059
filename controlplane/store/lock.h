/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_LOCK_H
#define STORE_LOCK_H
#include "base/err.h"

/*
 * Who may write a database: the process that holds an flock on "<database>.lock". The kernel
 * gives it back when the process ends, however it ends. The file stays. Children don't
 * inherit it.
 */
struct store_lock;

/* Makes the directories above the database that are missing. */
int store_lock_make_folder(const char *database, struct err *err) CHECKED;

/* ERR_CONFLICT when another process holds it (naming its pid) for longer than `wait_ms`;
 * ERR_DENIED or ERR_INTERNAL when the file can't be made. Missing directories are created. */
struct store_lock *store_lock_take(const char *database, int wait_ms, struct err *err) CHECKED;
void store_lock_free(struct store_lock *lock);
DEFINE_SCOPED(store_lock)
#endif
