/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_WAL_FILE_H
#define STORE_WAL_FILE_H
#include "base/err.h"

/*
 * The write-ahead log as a file, before SQLite recovers it. Private to this folder.
 *
 * SQLite takes what is whole from its beginning and drops the rest without a word, as a crash
 * may tear the end. But every commit is synced before anybody is answered, so a crash tears
 * the last one alone: where more than one stands behind a damaged place, acknowledged work
 * would be dropped. ERR_INVALID then. Changes nothing.
 */
int wal_file_check(const char *database, const char *wal, struct err *err) CHECKED;
#endif
