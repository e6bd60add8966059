/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_DB_FILE_H
#define STORE_DB_FILE_H
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The database as a file, before SQLite may write to it. Private to this folder.
 *
 * Makes an empty file (0600) where there is none. Refuses, without having changed anything,
 * what db_open says it refuses: ERR_INVALID, ERR_CONFLICT (schema newer than
 * `newest_version`), ERR_DENIED.
 */
int db_file_prepare(const char *path, int newest_version, struct err *err) CHECKED;

/* The same looks at a file that has to be there already, without a log beside it; nothing is
 * made. ERR_NOT_FOUND. */
int db_file_check(const char *path, int newest_version, struct err *err) CHECKED;

/* With sums in its pages or without. */
bool db_file_is_ours(int64_t application_id);
#endif
