/* SPDX-License-Identifier: Apache-2.0 */
#include "store/conn.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "store/summed_file.h"

#define BUSY_TIMEOUT_MS 5000

/*
 * The memory statistics cost a process-wide lock for every allocation. Nobody reads them.
 */
static void set_up_library(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/* secure_delete=FAST: Debian's default would write every freed page once more. The limit cuts
 * the WAL back after a burst. */
static const char *const pragmas[] = {
    [CONN_WRITES] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                    "PRAGMA foreign_keys = OFF; PRAGMA secure_delete = FAST;"
                    "PRAGMA journal_size_limit = 33554432; PRAGMA cache_size = -8192;",
    [CONN_READS] = "PRAGMA query_only = ON; PRAGMA cache_size = -2048;",
    [CONN_COPIES] = "PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF;",
    [CONN_LOOKS] = "PRAGMA query_only = ON;",
};

static const int open_flags[] = {
    [CONN_WRITES] = SQLITE_OPEN_READWRITE,
    [CONN_READS] = SQLITE_OPEN_READONLY,
    [CONN_COPIES] = SQLITE_OPEN_READWRITE,
    [CONN_LOOKS] = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
};

/* The pages of a new database leave room for their sums. */
static int make_room(struct db_conn *conn, struct err *err)
{
    if (!summed_file_is_empty(conn->raw) || summed_file_reserve(conn->raw) == SQLITE_OK)
        return 0;
    return err_set(err, ERR_INTERNAL, "SQLite leaves no room for the sums of pages");
}

struct db_conn *db_conn_open(const char *name, enum conn_use use, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    scoped(db_conn) conn = xcalloc(1, sizeof(*conn));

    (void)pthread_once(&once, set_up_library);
    if (!summed_file_vfs()) {
        err_set(err, ERR_INTERNAL, "SQLite has no VFS to put sums of pages over");
        return NULL;
    }
    if (sqlite3_open_v2(name, &conn->raw, open_flags[use] | SQLITE_OPEN_NOMUTEX,
                        summed_file_vfs())
        != SQLITE_OK) {
        (void)db_conn_fail(conn, NULL, err);
        return NULL;
    }
    (void)sqlite3_extended_result_codes(conn->raw, 1);
    (void)sqlite3_busy_timeout(conn->raw, BUSY_TIMEOUT_MS);
    /* Only the writer checkpoints, and it decides when. */
    (void)sqlite3_wal_autocheckpoint(conn->raw, 0);
    if (use == CONN_READS || use == CONN_LOOKS)
        (void)sqlite3_db_config(conn->raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (make_room(conn, err) < 0 || db_script(conn, pragmas[use], err) < 0)
        return NULL;
    return TAKE(conn);
}

void db_conn_free(struct db_conn *conn)
{
    if (!conn)
        return;
    stmt_cache_clear(conn);
    (void)sqlite3_close_v2(conn->raw);
    free(conn);
}

static enum err_kind kind_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        return ERR_CONFLICT;
    case SQLITE_NOMEM:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_INTERRUPT:
        return ERR_UNAVAILABLE;
    default:
        return ERR_INTERNAL;
    }
}

static bool is_damage(int code)
{
    return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB
           || code == SQLITE_IOERR_DATA;
}

int db_conn_damaged(struct db_conn *conn, const char *what, struct err *err)
{
    struct db_damage *damage = conn->damage;

    if (!damage)
        return err_set(err, ERR_INTERNAL, "%s", what);
    if (!atomic_exchange(&damage->found, true)) {
        log_error("the database is corrupt, nothing more is read from it or written to it",
                  KV("database", sqlite3_db_filename(conn->raw, "main")), KV("error", what));
        if (damage->heard)
            damage->heard(damage->ctx);
    }
    return err_set_code(err, ERR_UNAVAILABLE, "database_corrupt", "the database is corrupt");
}

static int fail_of_page(struct db_conn *conn, struct err *err)
{
    char what[64];

    (void)snprintf(what, sizeof(what), "page %u isn't as it was written",
                   summed_file_wrong_page(conn->raw));
    return db_conn_damaged(conn, what, err);
}

int db_conn_fail(struct db_conn *conn, const char *sql, struct err *err)
{
    int code = conn->raw ? sqlite3_extended_errcode(conn->raw) : SQLITE_NOMEM;

    if (code == SQLITE_IOERR_DATA)
        return fail_of_page(conn, err);
    if (is_damage(code) && conn->damage)
        return db_conn_damaged(conn, sqlite3_errmsg(conn->raw), err);
    return err_set(err, kind_of(code), "%s (%d)%s%.200s",
                   conn->raw ? sqlite3_errmsg(conn->raw) : "no memory", code,
                   sql ? " in: " : "", sql ? sql : "");
}

int db_conn_number(struct db_conn *conn, const char *sql, int64_t *out, struct err *err)
{
    scoped(stmt) stmt = db_prepare(conn, err, sql, (const struct bind[]){{0}}, 1);
    int row = stmt ? stmt_step(stmt, err) : -1;

    if (row < 0)
        return -1;
    *out = stmt_int(stmt, 0);
    return 0;
}

int db_conn_check(struct db_conn *conn, const char *pragma, struct err *err)
{
    scoped(stmt) stmt = db_prepare(conn, err, pragma, (const struct bind[]){{0}}, 1);
    int row = stmt ? stmt_step(stmt, err) : -1;

    if (row < 0)
        return -1;
    if (row == 1 && stmt_text(stmt, 0) && strcmp(stmt_text(stmt, 0), "ok") == 0)
        return 0;
    if (summed_file_wrong_page(conn->raw))
        return fail_of_page(conn, err);
    return err_set(err, ERR_INTERNAL, "%s", row == 1 ? stmt_text(stmt, 0) : "no answer");
}
