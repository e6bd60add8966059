/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_SUMMED_FILE_H
#define STORE_SUMMED_FILE_H
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Database files whose pages carry sums (store/page_sum.h), as a VFS of SQLite over its default
 * one. A sum is written with each page that goes to the database file, so at checkpoints, and
 * looked at with each page that is read from it. The write-ahead log has SQLite's own sums and
 * passes as it is, as do journals and temporary files. Private to this folder.
 *
 * A file is taken for what it is when it is opened: one without sums stays without, an empty
 * one will have them, for which its pages have to reserve the room (summed_file_reserve).
 */

/* The VFS's name for sqlite3_open_v2, registered by the first call; NULL: SQLite won't have it.
 */
const char *summed_file_vfs(void);

/* Of the connection's database, just opened and empty: its pages will have sums. */
int summed_file_reserve(sqlite3 *raw);
/* Of one that is to become the copy of a database without sums: it shall have none. */
void summed_file_go_plain(sqlite3 *raw);
bool summed_file_is_summed(sqlite3 *raw);
bool summed_file_is_empty(sqlite3 *raw);

/* The page that wasn't as it was written when it was last read; 0: there was none. */
uint32_t summed_file_wrong_page(sqlite3 *raw);

/* Looks at all pages of the file without SQLite. Not while this process has it open as a
 * database: closing it would end SQLite's locks. ERR_INVALID names the page. */
int summed_file_check(const char *path, uint32_t page_size, off_t size,
                      struct err *err) CHECKED;
#endif
