/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_FLOOR_STORE_H
#define BENCH_FLOOR_STORE_H
#include "base/alloc.h"
#include "base/id.h"
#include "crypto/digest.h"

#include <sqlite3.h>

/*
 * The bare table of runs that the floor program writes: durable as dispatchd's, with what a
 * run can't do without. Calls are one thread's. SQLite's failures end the program.
 */
#define CHECKPOINT_PAGES 1000
#define TOKEN_ID 1

struct row {
    struct id id;
    const char *prompt;
    size_t prompt_size;
    uint8_t token_hash[SHA256_SIZE];
};

struct store {
    sqlite3 *db;
    sqlite3_stmt *begin;
    sqlite3_stmt *insert;
    sqlite3_stmt *commit;
    int wal_pages;
};

/* Its key, its state in an index, the prompt, the token. */
static const char schema[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
    "CREATE TABLE run (key INTEGER PRIMARY KEY, tail INTEGER NOT NULL, status INTEGER NOT NULL,"
    " token_id INTEGER NOT NULL, prompt TEXT NOT NULL, task_token_hash BLOB NOT NULL) STRICT;"
    "CREATE INDEX run_by_status ON run (status);";

static inline void must(struct store *store, int code)
{
    if (code != SQLITE_OK && code != SQLITE_DONE) {
        (void)fprintf(stderr, "floor: sqlite: %s\n", sqlite3_errmsg(store->db));
        exit(1);
    }
}

static inline int on_wal(void *ctx, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    ((struct store *)ctx)->wal_pages = pages;
    return SQLITE_OK;
}

static inline sqlite3_stmt *prepare(struct store *store, const char *sql)
{
    sqlite3_stmt *made = NULL;

    must(store, sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &made, NULL));
    return made;
}

static inline void store_init(struct store *store, const char *dir)
{
    scoped_str path = xasprintf("%s/floor.db", dir);

    *store = (struct store){0};
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    must(store, sqlite3_open_v2(
                    path, &store->db,
                    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL));
    must(store, sqlite3_exec(store->db, schema, NULL, NULL, NULL));
    (void)sqlite3_wal_hook(store->db, on_wal, store);
    store->begin = prepare(store, "BEGIN IMMEDIATE");
    store->insert = prepare(store, "INSERT INTO run VALUES (?1, ?2, 0, ?3, ?4, ?5)");
    store->commit = prepare(store, "COMMIT");
}

static inline void store_done(struct store *store)
{
    (void)sqlite3_finalize(store->begin);
    (void)sqlite3_finalize(store->insert);
    (void)sqlite3_finalize(store->commit);
    (void)sqlite3_close_v2(store->db);
}

static inline void step(struct store *store, sqlite3_stmt *stmt)
{
    must(store, sqlite3_step(stmt));
    (void)sqlite3_reset(stmt);
}

static inline void store_insert(struct store *store, const struct row *row)
{
    sqlite3_stmt *insert = store->insert;

    must(store, sqlite3_bind_int64(insert, 1, row->id.key));
    must(store, sqlite3_bind_int64(insert, 2, row->id.tail));
    must(store, sqlite3_bind_int64(insert, 3, TOKEN_ID));
    must(store, sqlite3_bind_text(insert, 4, row->prompt, (int)row->prompt_size, NULL));
    must(store, sqlite3_bind_blob(insert, 5, row->token_hash, SHA256_SIZE, NULL));
    step(store, insert);
}

/* Between commits, so that no commit waits for it. */
static inline void store_checkpoint(struct store *store)
{
    if (store->wal_pages < CHECKPOINT_PAGES)
        return;
    (void)sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    store->wal_pages = 0;
}
#endif
