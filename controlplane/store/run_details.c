/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run_details.h"

#include <string.h>

#include "base/alloc.h"

struct ask {
    struct id id;
    struct run_details details;
    uint8_t *sealed;
    size_t size;
};

void run_details_done(struct run_details *details)
{
    free(details->options);
    free(details->result);
    *details = (struct run_details){0};
}

static int load_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct ask *ask = ctx;
    scoped(stmt) st = db_query(conn, err,
                               "SELECT i.options, o.text FROM run AS r"
                               " LEFT JOIN run_input AS i ON i.key = r.key"
                               " LEFT JOIN run_result AS o ON o.key = r.key"
                               " WHERE r.key = ?1 AND r.tail = ?2",
                               B(ask->id.key), B(ask->id.tail));
    int row = st ? stmt_step(st, err) : -1;

    if (row == 1) {
        ask->details.options = stmt_text_copy(st, 0);
        ask->details.result = stmt_text_copy(st, 1);
    }
    return row < 0 ? -1 : 0;
}

int run_details_load(struct db *db, struct id id, struct run_details *out, struct err *err)
{
    struct ask ask = {.id = id};

    if (db_read(db, load_read, &ask, err) < 0) {
        run_details_done(&ask.details);
        return -1;
    }
    *out = ask.details;
    return 0;
}

static int secret_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct ask *ask = ctx;
    scoped(stmt) st =
        db_query(conn, err, "SELECT sealed FROM run_secret WHERE key = ?1", B(ask->id.key));
    int row = st ? stmt_step(st, err) : -1;
    const void *bytes;

    if (row != 1)
        return row;
    bytes = stmt_bytes(st, 0, &ask->size);
    if (ask->size) {
        ask->sealed = xcalloc(1, ask->size);
        memcpy(ask->sealed, bytes, ask->size);
    }
    return 0;
}

int run_details_secret(struct db *db, struct id id, uint8_t **out, size_t *out_size,
                       struct err *err)
{
    struct ask ask = {.id = id};

    if (db_read(db, secret_read, &ask, err) < 0) {
        free(ask.sealed);
        return -1;
    }
    *out = ask.sealed;
    *out_size = ask.size;
    return 0;
}

int run_details_keep_secret(struct db_conn *conn, struct id id, const uint8_t *sealed,
                            size_t size, struct err *err)
{
    return db_exec(conn, err, "INSERT INTO run_secret (key, sealed) VALUES (?1, ?2)", B(id.key),
                   B_BLOB(sealed, size))
                   < 0
               ? -1
               : 0;
}

int run_details_end(struct db_conn *conn, struct id id, const char *result, struct err *err)
{
    if (db_exec(conn, err, "DELETE FROM run_secret WHERE key = ?1", B(id.key)) < 0)
        return -1;
    if (result
        && db_exec(conn, err, "INSERT INTO run_result (key, text) VALUES (?1, ?2)", B(id.key),
                   B(result))
               < 0)
        return -1;
    return 0;
}

int run_details_delete(struct db_conn *conn, int64_t key, struct err *err)
{
    return db_exec(conn, err, "DELETE FROM run_result WHERE key = ?1", B(key)) < 0
                   || db_exec(conn, err, "DELETE FROM run_secret WHERE key = ?1", B(key)) < 0
               ? -1
               : 0;
}
