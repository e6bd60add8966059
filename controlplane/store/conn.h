/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_CONN_H
#define STORE_CONN_H
#include <sqlite3.h>

#include "store/db.h"

/*
 * One SQLite connection and its prepared statements: what db.h's statements run on. Private
 * to this folder. A connection is used by one thread at a time.
 */
#define STMT_CACHE_SLOTS 256 /* a power of two, well above the number of statements we have */

struct db_conn {
    sqlite3 *raw;
    struct stmt *cache[STMT_CACHE_SLOTS];
    int n_cached;
    bool announced; /* since the transaction began: db_announce */
};

enum conn_use {
    CONN_WRITES, /* the one that writes and checkpoints */
    CONN_READS,  /* reads beside it, and never checkpoints */
    CONN_LOOKS,  /* looks at a file that may turn out not to be ours: changes nothing */
};

/* `name` is a path, or for CONN_LOOKS a URI. */
struct db_conn *db_conn_open(const char *name, enum conn_use use, struct err *err) CHECKED;
void db_conn_free(struct db_conn *conn);
DEFINE_SCOPED(db_conn)

/* Records SQLite's latest complaint, with the statement it was about. Always -1. */
int db_conn_fail(struct db_conn *conn, const char *sql, struct err *err);

/* Gives back what the statement cache holds; for db_conn_free. */
void stmt_cache_clear(struct db_conn *conn);
#endif
