/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "store/run_row.h"

/*
 * The questions about many runs. Each asks for keys first, from an index alone and at most as
 * many as are wanted, and loads those runs in the same transaction.
 */
#define PAGE_LIMIT_MAX 1000
#define ALL_STATUSES ((1U << RUN_STATUS_COUNT) - 1)

struct question {
    struct run_page page;
    const struct run_filter *filter;
    int64_t after;
    int64_t now_ms;
    int64_t next_ms;
    int limit;
};

void run_page_done(struct run_page *page)
{
    for (size_t i = 0; i < page->n_runs; i++)
        run_free(page->runs[i]);
    free(page->runs);
    *page = (struct run_page){0};
}

/* Hands the page on, or drops what was read before the failure. */
static int ask(struct db *db, db_read_fn read, struct question *question, struct run_page *out,
               struct err *err)
{
    if (db_read(db, read, question, err) < 0) {
        run_page_done(&question->page);
        return -1;
    }
    *out = question->page;
    return 0;
}

static int collect(struct db_conn *conn, struct stmt *taken, struct question *question,
                   struct err *err)
{
    scoped(stmt) keys = taken;

    return keys ? run_row_collect(conn, keys, &question->page, err) : -1;
}

/* --- Pages -------------------------------------------------------------------------------- */

/* clang-format off */
/* The newest of one status, straight from an index; `more` says whose. Of run_by_status only
 * pending runs have a not_before_ms, and they are few: those are sorted. */
#define NEWEST_OF(bit, status, from, more)                                                     \
    "SELECT key FROM (SELECT key FROM " from " WHERE ?3 & " bit " AND status = '" status       \
    "'" more " AND key < ?1 ORDER BY key DESC LIMIT ?2)"
#define AND_OF " UNION ALL " NEWEST_OF
#define NO_WAIT " AND not_before_ms IS NULL"
#define OF_STATUSES(from, more, no_wait)                                                       \
    NEWEST_OF("1", "pending", from, more)                                                      \
    AND_OF("2", "launching", from, more no_wait)                                               \
    AND_OF("4", "running", from, more no_wait)                                                 \
    AND_OF("8", "completed", from, more no_wait)                                               \
    AND_OF("16", "failed", from, more no_wait)                                                 \
    AND_OF("32", "stopped", from, more no_wait)
#define OF_OWNER OF_STATUSES("run INDEXED BY run_by_owner", " AND owner = ?4", "")
/* Those of no owner have an index of their own once they have ended. The others are few: it
 * passes over who else waits or runs. */
#define SHARED " AND owner IS NULL"
#define ENDED "run INDEXED BY run_ended_shared"
#define SHARED_ENDED SHARED " AND ended_ms IS NOT NULL"
#define OF_NOBODY                                                                              \
    NEWEST_OF("1", "pending", "run INDEXED BY run_by_status", SHARED)                          \
    AND_OF("2", "launching", "run INDEXED BY run_by_status", SHARED NO_WAIT)                   \
    AND_OF("4", "running", "run INDEXED BY run_by_status", SHARED NO_WAIT)                     \
    AND_OF("8", "completed", ENDED, SHARED_ENDED)                                              \
    AND_OF("16", "failed", ENDED, SHARED_ENDED)                                                \
    AND_OF("32", "stopped", ENDED, SHARED_ENDED)
#define NEWEST_FIRST " ORDER BY key DESC LIMIT ?2"
/* clang-format on */

/* What anybody may have asked for. */
static struct stmt *keys_of_all(struct db_conn *conn, unsigned statuses, int64_t before,
                                int limit, struct err *err)
{
    if (statuses == ALL_STATUSES)
        return db_query(conn, err,
                        "SELECT key FROM run WHERE key < ?1 ORDER BY key DESC LIMIT ?2",
                        B(before), B(limit));
    return db_query(conn, err, OF_STATUSES("run", "", NO_WAIT) NEWEST_FIRST, B(before),
                    B(limit), bind_int(statuses));
}

/* Those of one owner, and of none. */
static struct stmt *keys_of_some(struct db_conn *conn, const struct run_filter *filter,
                                 unsigned statuses, int64_t before, int limit, struct err *err)
{
    if (!filter->shared)
        return db_query(conn, err, OF_OWNER NEWEST_FIRST, B(before), B(limit),
                        bind_int(statuses), B(filter->owner));
    return db_query(conn, err, OF_NOBODY " UNION ALL " OF_OWNER NEWEST_FIRST, B(before),
                    B(limit), bind_int(statuses), B(filter->owner));
}

static struct stmt *page_keys(struct db_conn *conn, const struct run_filter *filter,
                              int64_t before, int limit, struct err *err)
{
    unsigned statuses = filter->statuses & ALL_STATUSES;

    if (!statuses)
        statuses = ALL_STATUSES;
    return filter->all ? keys_of_all(conn, statuses, before, limit, err)
                       : keys_of_some(conn, filter, statuses, before, limit, err);
}

static int page_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct question *question = ctx;
    const struct run_filter *filter = question->filter;
    struct run_page *page = &question->page;
    int64_t before = filter->before.key ? filter->before.key : INT64_MAX;

    /* One more than asked for tells whether there is a next page. */
    if (collect(conn, page_keys(conn, filter, before, filter->limit + 1, err), question, err)
        < 0)
        return -1;
    if (page->n_runs > (size_t)filter->limit) {
        run_free(page->runs[--page->n_runs]);
        page->next = page->runs[page->n_runs - 1]->id;
    }
    return 0;
}

int run_store_page(struct db *db, const struct run_filter *filter, struct run_page *out,
                   struct err *err)
{
    struct question question = {.filter = filter};

    if (filter->limit < 1 || filter->limit > PAGE_LIMIT_MAX)
        return err_set_field(err, "limit", "expected a whole number from 1 to %d",
                             PAGE_LIMIT_MAX);
    return ask(db, page_read, &question, out, err);
}

/* --- The queue ---------------------------------------------------------------------------- */

/* The oldest of those never tried, and of those whose wait is over. */
static int due_pending(struct db_conn *conn, struct question *question, struct err *err)
{
    return collect(conn,
                   db_query(conn, err,
                            "SELECT min(key) FROM ("
                            "SELECT key FROM (SELECT key FROM run WHERE status = 'pending'"
                            " AND not_before_ms IS NULL ORDER BY key LIMIT 1)"
                            " UNION ALL "
                            "SELECT key FROM (SELECT key FROM run WHERE status = 'pending'"
                            " AND not_before_ms <= ?1 ORDER BY key LIMIT 1))"
                            " HAVING min(key) IS NOT NULL",
                            B(question->now_ms)),
                   question, err);
}

static int next_pending_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct question *question = ctx;
    scoped(stmt) st = NULL;
    int row;

    if (due_pending(conn, question, err) < 0)
        return -1;
    if (question->page.n_runs)
        return 0;
    st = db_query(conn, err,
                  "SELECT not_before_ms FROM run WHERE status = 'pending'"
                  " AND not_before_ms > ?1 AND not_before_ms < ?2"
                  " ORDER BY not_before_ms LIMIT 1",
                  B(question->now_ms), B(RUN_WAITS_ITS_TURN));
    row = st ? stmt_step(st, err) : -1;
    if (row == 1)
        question->next_ms = stmt_int(st, 0);
    return row < 0 ? -1 : 0;
}

struct run *run_store_next_pending(struct db *db, int64_t now_ms, int64_t *out_next_ms,
                                   struct err *err)
{
    struct question question = {.now_ms = now_ms};
    struct run_page page = {0};
    struct run *run = NULL;

    *out_next_ms = 0;
    if (ask(db, next_pending_read, &question, &page, err) < 0)
        return NULL;
    if (page.n_runs) {
        run = TAKE(page.runs[0]);
    } else {
        *out_next_ms = question.next_ms;
        err_set(err, ERR_NOT_FOUND, "no run is due");
    }
    run_page_done(&page);
    return run;
}

static int pending_after_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct question *question = ctx;

    return collect(conn,
                   db_query(conn, err,
                            "SELECT key FROM run WHERE status = 'pending'"
                            " AND not_before_ms IS NULL AND key > ?1 ORDER BY key LIMIT ?2",
                            B(question->after), B(question->limit)),
                   question, err);
}

int run_store_pending_after(struct db *db, struct id after, int limit, struct run_page *out,
                            struct err *err)
{
    struct question question = {.after = after.key, .limit = limit};

    return ask(db, pending_after_read, &question, out, err);
}

/* --- Under way ---------------------------------------------------------------------------- */

static int due_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct question *question = ctx;

    return collect(conn,
                   db_query(conn, err,
                            "SELECT key FROM run WHERE deadline_ms <= ?1"
                            " ORDER BY deadline_ms LIMIT ?2",
                            B(question->now_ms), B(question->limit)),
                   question, err);
}

int run_store_due(struct db *db, int64_t now_ms, int limit, struct run_page *out,
                  struct err *err)
{
    struct question question = {.now_ms = now_ms, .limit = limit};

    return ask(db, due_read, &question, out, err);
}

/* A key begins with the time of its making, so no column and no index is spent on that. */
static int stale_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct question *question = ctx;

    return collect(conn,
                   db_query(conn, err,
                            "SELECT key FROM run WHERE status = 'pending'"
                            " AND not_before_ms IS NULL AND key < ?1 ORDER BY key LIMIT ?2",
                            B(id_first_key(question->now_ms)), B(question->limit)),
                   question, err);
}

int run_store_stale(struct db *db, int64_t made_before_ms, int limit, struct run_page *out,
                    struct err *err)
{
    struct question question = {.now_ms = made_before_ms, .limit = limit};

    return ask(db, stale_read, &question, out, err);
}

static int active_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct question *question = ctx;

    return collect(conn,
                   db_query(conn, err,
                            "SELECT key FROM (SELECT key FROM run WHERE status = 'launching'"
                            " AND not_before_ms IS NULL AND key > ?1 ORDER BY key LIMIT ?2)"
                            " UNION ALL "
                            "SELECT key FROM (SELECT key FROM run WHERE status = 'running'"
                            " AND not_before_ms IS NULL AND key > ?1 ORDER BY key LIMIT ?2)"
                            " ORDER BY key LIMIT ?2",
                            B(question->after), B(question->limit)),
                   question, err);
}

int run_store_active(struct db *db, struct id after, int limit, struct run_page *out,
                     struct err *err)
{
    struct question question = {.after = after.key, .limit = limit};

    return ask(db, active_read, &question, out, err);
}
