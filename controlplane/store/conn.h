/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_CONN_H
#define STORE_CONN_H
#include <sqlite3.h>
#include <stdatomic.h>

#include "crypto/digest.h"
#include "store/db.h"

/*
 * One SQLite connection and its prepared statements: what db.h's statements run on. Private
 * to this folder. A connection is used by one thread at a time.
 */
#define STMT_CACHE_SLOTS 256 /* a power of two, well above the number of statements we have */

/* Shared by all connections of a database. */
struct db_damage {
    _Atomic bool found;
    void (*heard)(void *ctx); /* once, on the thread that found it; NULL */
    void *ctx;
};

struct db_conn {
    sqlite3 *raw;
    struct db_damage *damage; /* NULL: whoever opened it looks for itself */
    struct stmt *cache[STMT_CACHE_SLOTS];
    int n_cached;
    bool announced; /* since the transaction began: db_announce */

    /* The audit log's end as the transaction sees it, so that each entry needn't look it up.
     * Whoever rolls back anything forgets it. */
    bool audit_known;
    int64_t audit_number;
    uint8_t audit_hash[SHA256_SIZE];
};

enum conn_use {
    CONN_WRITES, /* the one that writes and checkpoints */
    CONN_READS,  /* reads beside it, and never checkpoints */
    CONN_COPIES, /* makes a file that is nobody else's yet, and not synced until it is whole */
    CONN_LOOKS,  /* looks at a file that may turn out not to be ours: changes nothing */
};

/* `name` is a path, or for CONN_LOOKS a URI. */
struct db_conn *db_conn_open(const char *name, enum conn_use use, struct err *err) CHECKED;
void db_conn_free(struct db_conn *conn);
DEFINE_SCOPED(db_conn)

/* Records SQLite's latest complaint, with the statement it was about. Always -1. */
int db_conn_fail(struct db_conn *conn, const char *sql, struct err *err);
/* What was read can't have been written by us: see db_watch_damage. Always -1. */
int db_conn_damaged(struct db_conn *conn, const char *what, struct err *err);

/* The number that a literal of SQL without values gives; 0 where there is no row. */
int db_conn_number(struct db_conn *conn, const char *sql, int64_t *out,
                   struct err *err) CHECKED;
/* `pragma`: a literal, integrity_check(1) or quick_check(1). ERR_INTERNAL: what is wrong. */
int db_conn_check(struct db_conn *conn, const char *pragma, struct err *err) CHECKED;

/* Gives back what the statement cache holds; for db_conn_free. */
void stmt_cache_clear(struct db_conn *conn);
#endif
