/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_ADD_SUMS_H
#define STORE_ADD_SUMS_H
#include "base/err.h"

#include <stdbool.h>

/*
 * Sums for the pages of a database that was made without. Private to this folder. The caller
 * holds the lock on the database, has looked at it (store/db_file.h), and has it closed.
 */

/* False also when it can't be read, or isn't there. */
bool add_sums_is_due(const char *database);

/* So large a database is copied at a start, in about a second; a larger one would hold that
 * up, and gets its sums when it is restored from a backup. */
#define ADD_SUMS_BELOW_BYTES (64LL * 1024 * 1024)
bool add_sums_is_quick(const char *database);

/*
 * Puts a copy with sums in the database's place, of the same owner and mode, by renaming it: at
 * any moment there is the one or the other, whole and durable. On -1 it is as it was. Takes the
 * room of a second database meanwhile.
 */
int add_sums(const char *database, struct err *err) CHECKED;
#endif
