/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_RUN_ROW_H
#define STORE_RUN_ROW_H
#include "store/run_store.h"

/* Between rows of the tables run and run_input and struct run. Private to this folder. */

/* By key alone. NULL with ERR_NOT_FOUND. */
struct run *run_row_load(struct db_conn *conn, int64_t key, struct err *err) CHECKED;

/* Writes both rows of a new run, as it stands. */
int run_row_insert(struct db_conn *conn, const struct run *run, struct err *err) CHECKED;

/* "there is no run <id>". Always -1. */
int run_row_missing(struct id id, struct err *err);

/* Reads the keys that `keys` gives and loads the run of each. */
int run_row_collect(struct db_conn *conn, struct stmt *keys, struct run_page *out,
                    struct err *err) CHECKED;

/* A hash as it is bound: NULL when it is all zeroes, which no SHA-256 is. */
struct bind run_row_hash(const uint8_t hash[SHA256_SIZE]);
#endif
