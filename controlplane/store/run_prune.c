/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/alloc.h"
#include "store/journal.h"
#include "store/run_details.h"
#include "store/run_row.h"

/*
 * Forgetting old runs. The work is cut into transactions of a few milliseconds each, so that
 * nobody's dispatch waits behind it: runs a handful at a time, long event lists in slices. A
 * run's events go before the run, so that an interruption leaves nothing that has no owner.
 */
#define RUNS_PER_COMMIT 64
#define EVENTS_PER_COMMIT 2000
#define KEYS_PER_COMMIT 1000
#define IDEMPOTENCY_KEPT_MS (24LL * 3600 * 1000)

struct prune {
    struct run_page page;
    size_t first; /* of the runs that the next commit takes */
    size_t end;
    int64_t before_ms;
    int64_t now_ms;
    int64_t deleted;
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

/* One slice of the events of the runs at hand. */
static int events_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct prune *prune = ctx;
    int64_t left = EVENTS_PER_COMMIT;

    prune->deleted = 0;
    if (journal_keep_numbers(conn, err) < 0)
        return -1;
    for (size_t i = prune->first; i < prune->end && left > 0; i++) {
        int64_t changed =
            db_exec(conn, err,
                    "DELETE FROM event WHERE (run, attempt, seq) IN"
                    " (SELECT run, attempt, seq FROM event WHERE run = ?1 LIMIT ?2)",
                    B(prune->page.runs[i]->id.key), B(left));

        if (changed < 0)
            return -1;
        prune->deleted += changed;
        left -= changed;
    }
    return 0;
}

static int runs_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct prune *prune = ctx;

    for (size_t i = prune->first; i < prune->end; i++) {
        int64_t key = prune->page.runs[i]->id.key;

        if (db_exec(conn, err, "DELETE FROM run WHERE key = ?1", B(key)) < 0
            || db_exec(conn, err, "DELETE FROM run_input WHERE key = ?1", B(key)) < 0
            || run_details_delete(conn, key, err) < 0
            || db_exec(conn, err, "UPDATE pruned SET newest_key = ?1 WHERE newest_key < ?1",
                       B(key))
                   < 0)
            return -1;
    }
    return 0;
}

/* The oldest keys stand first: only those are looked at. */
static int keys_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct prune *prune = ctx;

    prune->deleted = db_exec(conn, err,
                             "DELETE FROM idempotency WHERE created_ms <= ?1 AND number IN"
                             " (SELECT number FROM idempotency ORDER BY number LIMIT ?2)",
                             B(prune->now_ms - IDEMPOTENCY_KEPT_MS), B(KEYS_PER_COMMIT));
    return prune->deleted < 0 ? -1 : 0;
}

static int delete_some(struct db *db, struct prune *prune, struct err *err)
{
    do {
        if (db_write(db, events_write, prune, err) < 0)
            return -1;
    } while (prune->deleted == EVENTS_PER_COMMIT);
    return db_write(db, runs_write, prune, err);
}

static int prune_all(struct db *db, struct prune *prune, struct err *err)
{
    do {
        if (db_write(db, keys_write, prune, err) < 0)
            return -1;
    } while (prune->deleted == KEYS_PER_COMMIT);
    if (db_read(db, find_read, prune, err) < 0)
        return -1;
    for (; prune->first < prune->page.n_runs; prune->first = prune->end) {
        prune->end = prune->first + RUNS_PER_COMMIT;
        if (prune->end > prune->page.n_runs)
            prune->end = prune->page.n_runs;
        if (delete_some(db, prune, err) < 0)
            return -1;
    }
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
