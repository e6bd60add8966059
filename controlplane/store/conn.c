/* SPDX-License-Identifier: Apache-2.0 */
#include "store/conn.h"

#include <pthread.h>

#include "base/alloc.h"

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
                    "PRAGMA journal_size_limit = 33554432; PRAGMA cache_size = -32768;",
    [CONN_READS] = "PRAGMA query_only = ON; PRAGMA cache_size = -8192;",
    [CONN_LOOKS] = "PRAGMA query_only = ON;",
};

static const int open_flags[] = {
    [CONN_WRITES] = SQLITE_OPEN_READWRITE,
    [CONN_READS] = SQLITE_OPEN_READONLY,
    [CONN_LOOKS] = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
};

struct db_conn *db_conn_open(const char *name, enum conn_use use, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    scoped(db_conn) conn = xcalloc(1, sizeof(*conn));

    (void)pthread_once(&once, set_up_library);
    if (sqlite3_open_v2(name, &conn->raw, open_flags[use] | SQLITE_OPEN_NOMUTEX, NULL)
        != SQLITE_OK) {
        (void)db_conn_fail(conn, NULL, err);
        return NULL;
    }
    (void)sqlite3_extended_result_codes(conn->raw, 1);
    (void)sqlite3_busy_timeout(conn->raw, BUSY_TIMEOUT_MS);
    /* Only the writer checkpoints, and it decides when. */
    (void)sqlite3_wal_autocheckpoint(conn->raw, 0);
    if (use != CONN_WRITES)
        (void)sqlite3_db_config(conn->raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (db_script(conn, pragmas[use], err) < 0)
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

int db_conn_fail(struct db_conn *conn, const char *sql, struct err *err)
{
    int code = conn->raw ? sqlite3_extended_errcode(conn->raw) : SQLITE_NOMEM;

    return err_set(err, kind_of(code), "%s (%d)%s%.200s",
                   conn->raw ? sqlite3_errmsg(conn->raw) : "no memory", code,
                   sql ? " in: " : "", sql ? sql : "");
}
