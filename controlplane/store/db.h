/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_DB_H
#define STORE_DB_H
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The SQLite database: one connection that writes and checkpoints, on a thread of its own,
 * and readers beside it. Whatever writers hand in while a commit is under way shares the next
 * one (group commit): each write runs inside its own savepoint, so one that fails takes
 * nothing else with it, and nobody is answered before the commit is durable (WAL,
 * synchronous=FULL). When a commit fails (disk full, I/O error) every write of that batch
 * fails with ERR_UNAVAILABLE and the connection goes on.
 */
struct db;
struct db_conn; /* one connection with its prepared statements */
struct migration {
    const char *name;
    const char *sql;
};
extern const struct migration migrations[];
extern const int n_migrations;

/*
 * Opens (and creates, 0600) the database, migrates it, starts the writer. The caller must
 * hold the lock on it (store/lock.h). ":memory:" gives a private database for tests, in a new
 * directory under /dev/shm (or $TMPDIR) that goes away with it: real files, because SQLite's
 * in-memory databases have no WAL and lock whole tables. Each page has a sum; a database from
 * before there were any is given them, unless that would take long. Refusals are one clear
 * sentence: not a database or corrupt (the sums; PRAGMA quick_check after an unclean end)
 * ERR_INVALID, a schema newer than ours ERR_CONFLICT, a directory that can't be written
 * ERR_DENIED. A refused file is left as it was.
 */
struct db *db_open(const char *path, struct err *err) CHECKED;
/* Finishes the writes that were handed in, checkpoints, closes. */
void db_free(struct db *db);
DEFINE_SCOPED(db)

/* A piece of a transaction. Runs on the writer's thread; 0, or -1 with err: rolled back. */
typedef int (*db_write_fn)(struct db_conn *conn, void *ctx, struct err *err);

/* Runs `write` in the next commit and waits until it is durable. */
int db_write(struct db *db, db_write_fn write, void *ctx, struct err *err) CHECKED;

/*
 * The same without waiting: `done` is called once on the writer's thread after the commit,
 * with NULL or why it failed; it must not block. ctx stays the caller's until then.
 * ERR_UNAVAILABLE (and no call) when the queue of DB_QUEUE_MAX is full or we are closing.
 */
#define DB_QUEUE_MAX 16384
int db_write_later(struct db *db, db_write_fn write, void *ctx,
                   void (*done)(void *ctx, const struct err *err), struct err *err) CHECKED;

/* Runs `read` on a reader connection, seeing everything committed before the call. Readers
 * are a small pool: keep it short. */
typedef int (*db_read_fn)(struct db_conn *conn, void *ctx, struct err *err);
int db_read(struct db *db, db_read_fn read, void *ctx, struct err *err) CHECKED;

/*
 * Calls `heard` on the writer's thread after each commit of which a piece called db_announce;
 * it must not block. One at a time; NULL ends it, and none is under way when that returns.
 */
void db_watch(struct db *db, void (*heard)(void *ctx), void *ctx);
void db_announce(struct db_conn *conn);

/*
 * A page or a row turned out to be damaged: from then on every read and write is refused with
 * ERR_UNAVAILABLE (code "database_corrupt"), since no answer could be believed. `heard` is told
 * once, on the thread that found it; set it before anybody uses the database.
 */
void db_watch_damage(struct db *db, void (*heard)(void *ctx), void *ctx);
bool db_is_damaged(struct db *db);

/* PRAGMA integrity_check, for tests and start-up checks. */
int db_check(struct db *db, struct err *err) CHECKED;

/* What the writer has done since the database was opened. */
struct db_stats {
    int64_t writes;  /* pieces that were run */
    int64_t commits; /* transactions they shared */
    int64_t largest_batch;
    int64_t wal_pages; /* length of the write-ahead log at the last commit */
};
void db_stats(struct db *db, struct db_stats *out);

/* --- Statements (inside a read or a write) ------------------------------------------------ */

struct bind {
    enum { BIND_NULL, BIND_INT, BIND_TEXT, BIND_BLOB } type;
    int64_t number;
    const void *bytes;
    size_t size;
};

static inline struct bind bind_int(int64_t number)
{
    return (struct bind){.type = BIND_INT, .number = number};
}
static inline struct bind bind_text(const char *text)
{
    return (struct bind){.type = text ? BIND_TEXT : BIND_NULL, .bytes = text};
}
/* clang-format off */
#define B(value) _Generic((value), char *: bind_text, const char *: bind_text, bool: bind_int, \
    int: bind_int, long: bind_int, long long: bind_int)(value)
/* clang-format on */
/* A blob of a fixed size, and a whole number that is NULL when it is 0. */
#define B_BLOB(data, length)                                                                   \
    ((struct bind){.type = BIND_BLOB, .bytes = (data), .size = (length)})
#define B_INT0(value) ((value) ? bind_int(value) : (struct bind){0})

/*
 * A prepared statement with its values bound, to be stepped; scoped(stmt) gives it back to
 * the connection's cache. `sql` must be a string literal (the cache goes by its address).
 * The number of values is checked against the placeholders. Texts and blobs are borrowed until
 * the statement is given back.
 */
struct stmt;
#define db_query(conn, err, sql, ...)                                                          \
    db_prepare((conn), (err), (sql), (const struct bind[]){{0}, ##__VA_ARGS__},                \
               sizeof((const struct bind[]){{0}, ##__VA_ARGS__}) / sizeof(struct bind))
/* Runs it to its end: the number of rows changed, or -1. */
#define db_exec(conn, err, sql, ...)                                                           \
    db_run((conn), (err), (sql), (const struct bind[]){{0}, ##__VA_ARGS__},                    \
           sizeof((const struct bind[]){{0}, ##__VA_ARGS__}) / sizeof(struct bind))

/* binds[0] is a placeholder and is skipped. */
struct stmt *db_prepare(struct db_conn *conn, struct err *err, const char *sql,
                        const struct bind *binds, size_t n_binds) CHECKED;
int64_t db_run(struct db_conn *conn, struct err *err, const char *sql, const struct bind *binds,
               size_t n_binds) CHECKED;
/* Several statements without values, for migrations. */
int db_script(struct db_conn *conn, const char *sql, struct err *err) CHECKED;

int stmt_step(struct stmt *stmt, struct err *err) CHECKED; /* 1: a row, 0: the end, -1 */
int64_t stmt_int(const struct stmt *stmt, int column);     /* 0 for NULL */
const char *stmt_text(const struct stmt *stmt,
                      int column); /* borrowed until the next step; NULL */
char *stmt_text_copy(const struct stmt *stmt, int column) CHECKED; /* the caller's; NULL */
/* False when the column is a text that isn't UTF-8. */
bool stmt_is_sound(const struct stmt *stmt, int column);
/* Copies exactly `size` bytes; false (and zeroes) when the column isn't a blob of that size. */
bool stmt_blob(const struct stmt *stmt, int column, void *out, size_t size);
/* Borrowed until the next step; NULL and 0 when the column isn't a blob. */
const void *stmt_bytes(const struct stmt *stmt, int column, size_t *out_size);
void stmt_free(struct stmt *stmt);
DEFINE_SCOPED(stmt)
#endif
