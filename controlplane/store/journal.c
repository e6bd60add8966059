/* SPDX-License-Identifier: Apache-2.0 */
#include "store/journal.h"

#include <string.h>

#include "store/run_row.h"

#define MOVE_TYPE "status"

struct walk {
    const struct journal_query *query;
    int (*each)(void *ctx, const struct journal_entry *entry);
    void *ctx;
    int64_t until; /* how far this walk may look */
    int64_t seen;
};

/* --- Adding --------------------------------------------------------------------------------
 */

/* A move's place among the sequence numbers: runners count from 1. */
static int64_t seq_of(enum run_status status)
{
    return -1 - (int64_t)status;
}

int journal_add_move(struct db_conn *conn, struct id run, enum run_status status, int64_t at_ms,
                     const char *reason, struct err *err)
{
    if (db_exec(conn, err,
                "INSERT INTO event (run, attempt, seq, at_ms, type, data, number, owner)"
                " SELECT key, attempt, ?2, ?3, '" MOVE_TYPE "', ?4, " JOURNAL_NEXT
                ", owner FROM run WHERE key = ?1",
                B(run.key), B(seq_of(status)), B(at_ms), B(reason))
        < 0)
        return -1;
    db_announce(conn);
    return 0;
}

int journal_keep_numbers(struct db_conn *conn, struct err *err)
{
    return db_exec(conn, err,
                   "UPDATE pruned SET newest_number = n.newest FROM"
                   " (SELECT max(number) AS newest FROM event) AS n"
                   " WHERE n.newest > newest_number")
                   < 0
               ? -1
               : 0;
}

/* --- Walking -------------------------------------------------------------------------------
 */

/* These two know the order of the columns; change one with the other. The run's own columns
 * say how it ended. */
#define ENTRY_COLUMNS                                                                          \
    "e.number, e.run, r.tail, e.owner, e.attempt, e.seq, e.at_ms, e.type, e.data, "            \
    "r.error_code, r.error, r.pr_url, r.branch_name, r.summary, r.draft, r.partial"

static void move_from_row(const struct stmt *st, struct journal_entry *out)
{
    out->status = (enum run_status)(-1 - stmt_int(st, 5));
    out->reason = stmt_text(st, 8);
    if (!run_status_is_terminal(out->status))
        return;
    out->error_code = stmt_text(st, 9);
    out->error = stmt_text(st, 10);
    out->pr_url = stmt_text(st, 11);
    out->branch_name = stmt_text(st, 12);
    out->summary = stmt_text(st, 13);
    out->draft = stmt_int(st, 14) != 0;
    out->partial = stmt_int(st, 15) != 0;
}

static void entry_from_row(const struct stmt *st, struct journal_entry *out)
{
    int64_t seq = stmt_int(st, 5);

    *out = (struct journal_entry){
        .number = stmt_int(st, 0),
        .run = {.key = stmt_int(st, 1), .tail = stmt_int(st, 2)},
        .owner = stmt_int(st, 3),
        .attempt = (int)stmt_int(st, 4),
        .at_ms = stmt_int(st, 6),
    };
    if (seq < 0) {
        move_from_row(st, out);
        return;
    }
    out->seq = seq;
    out->type = stmt_text(st, 7);
    out->data = stmt_text(st, 8);
}

/* Who may see it is asked of the index alone; only what matches is looked up. */
static struct stmt *find(struct db_conn *conn, const struct walk *walk, struct err *err)
{
    const struct journal_query *query = walk->query;

    if (query->run.key)
        return db_query(conn, err,
                        "SELECT " ENTRY_COLUMNS " FROM event AS e"
                        " JOIN run AS r ON r.key = e.run WHERE e.run = ?1 AND r.tail = ?2"
                        " AND e.number > ?3 AND e.number <= ?4 ORDER BY e.number LIMIT ?5",
                        B(query->run.key), B(query->run.tail), B(query->after), B(walk->until),
                        B(query->limit));
    return db_query(conn, err,
                    "SELECT " ENTRY_COLUMNS " FROM (SELECT number, run, attempt, seq FROM event"
                    " WHERE number > ?1 AND number <= ?2"
                    " AND (?3 OR owner = ?4 OR (?5 AND owner IS NULL))"
                    " ORDER BY number LIMIT ?6) AS n"
                    " CROSS JOIN event AS e ON e.run = n.run AND e.attempt = n.attempt"
                    " AND e.seq = n.seq JOIN run AS r ON r.key = e.run ORDER BY n.number",
                    B(query->after), B(walk->until), B(query->all), B_INT0(query->owner),
                    B(query->shared), B(query->limit));
}

static int walk_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct walk *walk = ctx;
    scoped(stmt) st = find(conn, walk, err);
    int row = st ? stmt_step(st, err) : -1;
    int given = 0;

    for (; row == 1; row = stmt_step(st, err)) {
        struct journal_entry entry;

        entry_from_row(st, &entry);
        if (walk->each(walk->ctx, &entry))
            return 0;
        walk->seen = entry.number;
        given++;
    }
    if (row == 0 && given < walk->query->limit && walk->until > walk->seen)
        walk->seen = walk->until;
    return row;
}

int journal_each(struct db *db, const struct journal_query *query,
                 int (*each)(void *ctx, const struct journal_entry *entry), void *ctx,
                 int64_t *out_seen, struct err *err)
{
    struct walk walk = {
        .query = query,
        .each = each,
        .ctx = ctx,
        .until = query->until,
        .seen = query->after,
    };

    if (!query->run.key && query->until - query->after > JOURNAL_NUMBERS_MAX)
        walk.until = query->after + JOURNAL_NUMBERS_MAX;
    if (db_read(db, walk_read, &walk, err) < 0)
        return -1;
    *out_seen = walk.seen;
    return 0;
}

/* --- The newest ----------------------------------------------------------------------------
 */

static int newest_read(struct db_conn *conn, void *ctx, struct err *err)
{
    int64_t *out = ctx;
    scoped(stmt) st = db_query(conn, err, "SELECT " JOURNAL_NEXT " - 1");
    int row = st ? stmt_step(st, err) : -1;

    if (row == 1)
        *out = stmt_int(st, 0);
    return row < 0 ? -1 : 0;
}

int journal_newest(struct db *db, int64_t *out, struct err *err)
{
    return db_read(db, newest_read, out, err);
}

struct newest_of {
    struct id run;
    int64_t number;
    bool over;
};

static int newest_of_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct newest_of *ask = ctx;
    enum run_status status;
    scoped(stmt) st = db_query(conn, err,
                               "SELECT status, (SELECT max(number) FROM event WHERE run = ?1)"
                               " FROM run WHERE key = ?1 AND tail = ?2",
                               B(ask->run.key), B(ask->run.tail));
    int row = st ? stmt_step(st, err) : -1;

    ask->over = row == 0;
    if (row == 1) {
        ask->over =
            run_status_parse(stmt_text(st, 0), &status) && run_status_is_terminal(status);
        ask->number = stmt_int(st, 1);
    }
    return row < 0 ? -1 : 0;
}

int journal_newest_of(struct db *db, struct id run, int64_t *out, bool *out_over,
                      struct err *err)
{
    struct newest_of ask = {.run = run};

    if (db_read(db, newest_of_read, &ask, err) < 0)
        return -1;
    *out = ask.number;
    *out_over = ask.over;
    return 0;
}
