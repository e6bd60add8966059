/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/alloc.h"
#include "store/journal.h"
#include "store/prune_slice.h"
#include "store/run_details.h"
#include "store/run_row.h"

/*
 * Forgetting old runs. The work is cut into transactions (prune_slice.h) of steps: a few
 * events, a run, a few idempotency keys. A run's events go before the run, so that an
 * interruption leaves nothing that has no owner.
 */
#define RUNS_PER_COMMIT 64
#define EVENTS_PER_STEP 50
#define KEYS_PER_STEP 50
#define IDEMPOTENCY_KEPT_MS (24LL * 3600 * 1000)

struct prune {
    struct run_page page;
    size_t next; /* of the runs that are to go */
    int64_t before_ms;
    int64_t now_ms;
    bool keys_left;
    int limit;
};

/* A run can't have ended before it was made, so the keys of newer ones aren't looked at. */
static int find_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct prune *prune = ctx;
    scoped(stmt) st =
        db_query(conn, err,
                 "SELECT key, tail, launcher, job_ref, attempt, events FROM run"
                 " WHERE key < ?1 AND ended_ms < ?2 ORDER BY key LIMIT ?3",
                 B(id_first_key(prune->before_ms)), B(prune->before_ms), B(prune->limit));
    int row = st ? stmt_step(st, err) : -1;

    for (; row == 1; row = stmt_step(st, err)) {
        struct run *run = xcalloc(1, sizeof(*run));

        run->id.key = stmt_int(st, 0);
        run->id.tail = stmt_int(st, 1);
        run->launcher = stmt_text_copy(st, 2);
        run->job_ref = stmt_text_copy(st, 3);
        run->attempt = (int)stmt_int(st, 4);
        prune->page.runs[prune->page.n_runs++] = run;
    }
    return row;
}

/* 1 when the run has no more events, 0 when there may be some. */
static int delete_events(struct db_conn *conn, int64_t run, struct err *err)
{
    int64_t deleted = db_exec(conn, err,
                              "DELETE FROM event WHERE (run, attempt, seq) IN"
                              " (SELECT run, attempt, seq FROM event WHERE run = ?1 LIMIT ?2)",
                              B(run), B(EVENTS_PER_STEP));

    return deleted < 0 ? -1 : deleted < EVENTS_PER_STEP;
}

static int delete_run(struct db_conn *conn, int64_t key, struct err *err)
{
    if (db_exec(conn, err, "DELETE FROM run WHERE key = ?1", B(key)) < 0
        || db_exec(conn, err, "DELETE FROM run_input WHERE key = ?1", B(key)) < 0
        || run_details_delete(conn, key, err) < 0)
        return -1;
    return db_exec(conn, err, "UPDATE pruned SET newest_key = ?1 WHERE newest_key < ?1", B(key))
                   < 0
               ? -1
               : 0;
}

static int delete_runs(struct db_conn *conn, struct prune *prune,
                       const struct prune_slice *slice, struct err *err)
{
    size_t end = prune->next + RUNS_PER_COMMIT;

    if (end > prune->page.n_runs)
        end = prune->page.n_runs;
    if (journal_keep_numbers(conn, err) < 0)
        return -1;
    do {
        int64_t key = prune->page.runs[prune->next]->id.key;
        int is_bare = delete_events(conn, key, err);

        if (is_bare < 0 || (is_bare && delete_run(conn, key, err) < 0))
            return -1;
        prune->next += (size_t)is_bare;
    } while (prune->next < end && !prune_slice_is_over(slice));
    return 0;
}

static int runs_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct prune_slice slice = prune_slice_begin();
    int result = delete_runs(conn, ctx, &slice, err);

    prune_slice_end(&slice);
    return result;
}

/* The oldest keys stand first: only those are looked at. */
static int delete_keys(struct db_conn *conn, struct prune *prune, struct err *err)
{
    int64_t deleted = db_exec(conn, err,
                              "DELETE FROM idempotency WHERE created_ms <= ?1 AND number IN"
                              " (SELECT number FROM idempotency ORDER BY number LIMIT ?2)",
                              B(prune->now_ms - IDEMPOTENCY_KEPT_MS), B(KEYS_PER_STEP));

    prune->keys_left = deleted == KEYS_PER_STEP;
    return deleted < 0 ? -1 : 0;
}

static int keys_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct prune *prune = ctx;
    struct prune_slice slice = prune_slice_begin();
    int result;

    do
        result = delete_keys(conn, prune, err);
    while (result == 0 && prune->keys_left && !prune_slice_is_over(&slice));
    prune_slice_end(&slice);
    return result;
}

static int prune_all(struct db *db, struct prune *prune, struct err *err)
{
    do {
        if (db_write(db, keys_write, prune, err) < 0)
            return -1;
    } while (prune->keys_left);
    if (db_read(db, find_read, prune, err) < 0)
        return -1;
    while (prune->next < prune->page.n_runs)
        if (db_write(db, runs_write, prune, err) < 0)
            return -1;
    return 0;
}

int run_store_prune(struct db *db, int64_t before_ms, int64_t now_ms, int limit,
                    struct run_page *out, struct err *err)
{
    struct prune prune = {.before_ms = before_ms, .now_ms = now_ms, .limit = limit};

    if (limit < 1 || before_ms < 0)
        return err_set(err, ERR_INTERNAL, "pruning needs a limit and a moment");
    prune.page.runs = xcalloc((size_t)limit, sizeof(struct run *));
    if (prune_all(db, &prune, err) < 0) {
        run_page_done(&prune.page);
        return -1;
    }
    *out = prune.page;
    return 0;
}
