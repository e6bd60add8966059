/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run_store.h"

#include <stdlib.h>

#include "base/clock.h"
#include "store/journal.h"
#include "store/run_row.h"

#define IDEMPOTENCY_KEPT_MS (24LL * 3600 * 1000)

/* --- Making them -------------------------------------------------------------------------- */

/* 1: that key was used before, for *out_existing; 0: not within the time we keep them. */
static int find_idempotent(struct db_conn *conn, const struct idempotency *idempotency,
                           int64_t now_ms, struct id *out_existing, struct err *err)
{
    uint8_t body_hash[SHA256_SIZE];
    scoped(stmt) st = db_query(conn, err,
                               "SELECT run_key, run_tail, body_hash FROM idempotency"
                               " WHERE token_id = ?1 AND key = ?2 AND created_ms > ?3",
                               B(idempotency->token_id), B(idempotency->key),
                               B(now_ms - IDEMPOTENCY_KEPT_MS));
    int row = st ? stmt_step(st, err) : -1;

    if (row != 1)
        return row;
    if (!stmt_blob(st, 2, body_hash, sizeof(body_hash))
        || !bytes_equal(body_hash, idempotency->body_hash, sizeof(body_hash)))
        return err_set_code(err, ERR_CONFLICT, "idempotency_key_reused",
                            "this Idempotency-Key was used for another request");
    *out_existing = (struct id){.key = stmt_int(st, 0), .tail = stmt_int(st, 1)};
    return 1;
}

/* An older row of the same key makes place; the new one goes to the end. */
static int keep_idempotent(struct db_conn *conn, const struct idempotency *idempotency,
                           struct id run, int64_t now_ms, struct err *err)
{
    if (db_exec(conn, err, "DELETE FROM idempotency WHERE token_id = ?1 AND key = ?2",
                B(idempotency->token_id), B(idempotency->key))
            < 0
        || db_exec(conn, err,
                   "INSERT INTO idempotency (token_id, key, body_hash, run_key, run_tail,"
                   " created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                   B(idempotency->token_id), B(idempotency->key),
                   B_BLOB(idempotency->body_hash, SHA256_SIZE), B(run.key), B(run.tail),
                   B(now_ms))
               < 0)
        return -1;
    return 0;
}

int run_store_insert(struct db_conn *conn, const struct run *run,
                     const struct idempotency *idempotency, struct id *out_existing,
                     struct err *err)
{
    bool has_key = idempotency && idempotency->token_id && idempotency->key;
    int64_t now_ms = clock_steady_ms();

    *out_existing = (struct id){0};
    if (has_key) {
        int found = find_idempotent(conn, idempotency, now_ms, out_existing, err);

        if (found)
            return found < 0 ? -1 : 0;
        if (keep_idempotent(conn, idempotency, run->id, now_ms, err) < 0)
            return -1;
    }
    if (run_row_insert(conn, run, err) < 0)
        return -1;
    /* Who can watch a run sees it from here on; /dispatchTask doesn't pay for that. */
    return run->owner
               ? journal_add_move(conn, run->id, RUN_PENDING, id_created_ms(run->id), NULL, err)
               : 0;
}

/* --- One ---------------------------------------------------------------------------------- */

struct load {
    struct id id;
    struct run *run;
};

int run_store_no_such(struct id id, struct err *err)
{
    return run_row_missing(id, err);
}

struct run *run_store_load_in(struct db_conn *conn, struct id id, struct err *err)
{
    scoped(run) run = run_row_load(conn, id.key, err);

    if (!run) {
        if (err->kind == ERR_NOT_FOUND)
            (void)run_row_missing(id, err);
        return NULL;
    }
    if (run->id.tail != id.tail) {
        (void)run_row_missing(id, err);
        return NULL;
    }
    return TAKE(run);
}

static int load_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct load *load = ctx;

    load->run = run_store_load_in(conn, load->id, err);
    return load->run ? 0 : -1;
}

struct run *run_store_load(struct db *db, struct id id, struct err *err)
{
    struct load load = {.id = id};

    return db_read(db, load_read, &load, err) < 0 ? NULL : load.run;
}

static int newest_key_read(struct db_conn *conn, void *ctx, struct err *err)
{
    int64_t *out = ctx;
    scoped(stmt) st = db_query(conn, err,
                               "SELECT max(coalesce((SELECT max(key) FROM run), 0),"
                               " coalesce((SELECT max(newest_key) FROM pruned), 0))");
    int row = st ? stmt_step(st, err) : -1;

    if (row < 0)
        return -1;
    *out = stmt_int(st, 0);
    return 0;
}

int run_store_newest_key(struct db *db, int64_t *out, struct err *err)
{
    return db_read(db, newest_key_read, out, err);
}

static int count_read(struct db_conn *conn, void *ctx, struct err *err)
{
    int64_t *out = ctx;
    scoped(stmt) st = db_query(conn, err, "SELECT status, count(*) FROM run GROUP BY status");
    int row = st ? stmt_step(st, err) : -1;

    for (; row == 1; row = stmt_step(st, err)) {
        enum run_status status;

        if (run_status_parse(stmt_text(st, 0), &status))
            out[status] = stmt_int(st, 1);
    }
    return row;
}

int run_store_count(struct db *db, int64_t out[RUN_STATUS_COUNT], struct err *err)
{
    for (int i = 0; i < RUN_STATUS_COUNT; i++)
        out[i] = 0;
    return db_read(db, count_read, out, err);
}
