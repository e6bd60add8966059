/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "store/conn.h"

/* Past this the probing gets long, and there is a leak of literals to look for. */
#define STMT_CACHE_FULL (STMT_CACHE_SLOTS * 3 / 4)

struct stmt {
    struct db_conn *conn;
    sqlite3_stmt *raw;
    const char *sql;
    bool busy;
    bool cached;
};

/* The slot of a literal: where it is, or the free one where it belongs. */
static struct stmt **find_slot(struct db_conn *conn, const char *sql)
{
    size_t at = ((uintptr_t)sql >> 3) * 0x9e3779b97f4a7c15ULL >> 40;

    for (;; at++) {
        struct stmt **slot = &conn->cache[at % STMT_CACHE_SLOTS];

        if (!*slot || (*slot)->sql == sql)
            return slot;
    }
}

static struct stmt *make(struct db_conn *conn, const char *sql, struct err *err)
{
    struct stmt *stmt;
    sqlite3_stmt *raw = NULL;

    if (sqlite3_prepare_v3(conn->raw, sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, NULL)
            != SQLITE_OK
        || !raw) {
        (void)db_conn_fail(conn, sql, err);
        return NULL;
    }
    stmt = xcalloc(1, sizeof(*stmt));
    *stmt = (struct stmt){.conn = conn, .raw = raw, .sql = sql};
    return stmt;
}

/* A statement ready to be bound. One that is being stepped already gets a twin, which lasts
 * for one use. */
static struct stmt *borrow(struct db_conn *conn, const char *sql, struct err *err)
{
    struct stmt **slot = find_slot(conn, sql);
    struct stmt *stmt = *slot;

    if (!stmt || stmt->busy) {
        stmt = make(conn, sql, err);
        if (stmt && !*slot && conn->n_cached < STMT_CACHE_FULL) {
            *slot = stmt;
            stmt->cached = true;
            conn->n_cached++;
        }
    }
    if (stmt)
        stmt->busy = true;
    return stmt;
}

static int bind_one(struct stmt *stmt, int at, const struct bind *value)
{
    switch (value->type) {
    case BIND_INT:
        return sqlite3_bind_int64(stmt->raw, at, value->number);
    case BIND_TEXT:
        return sqlite3_bind_text(stmt->raw, at, value->bytes, -1, SQLITE_STATIC);
    case BIND_BLOB:
        return sqlite3_bind_blob64(stmt->raw, at, value->bytes, value->size, SQLITE_STATIC);
    case BIND_NULL:
        break;
    }
    return sqlite3_bind_null(stmt->raw, at);
}

struct stmt *db_prepare(struct db_conn *conn, struct err *err, const char *sql,
                        const struct bind *binds, size_t n_binds)
{
    scoped(stmt) stmt = borrow(conn, sql, err);
    int wanted = stmt ? sqlite3_bind_parameter_count(stmt->raw) : 0;

    if (!stmt)
        return NULL;
    if ((size_t)wanted + 1 != n_binds) {
        err_set(err, ERR_INTERNAL, "%zu values for %d placeholders in: %.200s", n_binds - 1,
                wanted, sql);
        return NULL;
    }
    for (int i = 1; i <= wanted; i++) {
        if (bind_one(stmt, i, &binds[i]) != SQLITE_OK) {
            (void)db_conn_fail(conn, sql, err);
            return NULL;
        }
    }
    return TAKE(stmt);
}

int64_t db_run(struct db_conn *conn, struct err *err, const char *sql, const struct bind *binds,
               size_t n_binds)
{
    int64_t before = sqlite3_total_changes64(conn->raw);
    scoped(stmt) stmt = db_prepare(conn, err, sql, binds, n_binds);
    int row = stmt ? 1 : -1;

    while (row > 0)
        row = stmt_step(stmt, err);
    return row < 0 ? -1 : sqlite3_total_changes64(conn->raw) - before;
}

int db_script(struct db_conn *conn, const char *sql, struct err *err)
{
    if (sqlite3_exec(conn->raw, sql, NULL, NULL, NULL) != SQLITE_OK)
        return db_conn_fail(conn, sql, err);
    return 0;
}

int stmt_step(struct stmt *stmt, struct err *err)
{
    switch (sqlite3_step(stmt->raw)) {
    case SQLITE_ROW:
        return 1;
    case SQLITE_DONE:
        return 0;
    default:
        return db_conn_fail(stmt->conn, stmt->sql, err);
    }
}

int64_t stmt_int(const struct stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->raw, column);
}

/* A value that there was no memory for reads as NULL, which would be a false answer. */
static void check_memory(const struct stmt *stmt)
{
    if (sqlite3_errcode(stmt->conn->raw) == SQLITE_NOMEM)
        out_of_memory();
}

const char *stmt_text(const struct stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt->raw, column);

    if (!text)
        check_memory(stmt);
    return text;
}

char *stmt_text_copy(const struct stmt *stmt, int column)
{
    return xstrdup(stmt_text(stmt, column));
}

bool stmt_is_sound(const struct stmt *stmt, int column)
{
    const char *text;
    size_t size;

    if (sqlite3_column_type(stmt->raw, column) != SQLITE_TEXT)
        return true;
    text = (const char *)sqlite3_column_text(stmt->raw, column);
    size = (size_t)sqlite3_column_bytes(stmt->raw, column);
    for (size_t at = 0; at < size;) {
        size_t length = text[at] ? utf8_first(text + at, size - at) : 0;

        if (!length)
            return false;
        at += length;
    }
    return true;
}

bool stmt_blob(const struct stmt *stmt, int column, void *out, size_t size)
{
    if (sqlite3_column_type(stmt->raw, column) == SQLITE_BLOB
        && (size_t)sqlite3_column_bytes(stmt->raw, column) == size) {
        memcpy(out, sqlite3_column_blob(stmt->raw, column), size);
        return true;
    }
    memset(out, 0, size);
    return false;
}

const void *stmt_bytes(const struct stmt *stmt, int column, size_t *out_size)
{
    *out_size = 0;
    if (sqlite3_column_type(stmt->raw, column) != SQLITE_BLOB)
        return NULL;
    *out_size = (size_t)sqlite3_column_bytes(stmt->raw, column);
    return sqlite3_column_blob(stmt->raw, column);
}

static void destroy(struct stmt *stmt)
{
    (void)sqlite3_finalize(stmt->raw);
    free(stmt);
}

void stmt_free(struct stmt *stmt)
{
    if (!stmt)
        return;
    if (!stmt->cached) {
        destroy(stmt);
        return;
    }
    (void)sqlite3_reset(stmt->raw);
    (void)sqlite3_clear_bindings(stmt->raw);
    stmt->busy = false;
}

void stmt_cache_clear(struct db_conn *conn)
{
    for (size_t i = 0; i < STMT_CACHE_SLOTS; i++)
        if (conn->cache[i])
            destroy(conn->cache[i]);
    memset(conn->cache, 0, sizeof(conn->cache));
    conn->n_cached = 0;
}
