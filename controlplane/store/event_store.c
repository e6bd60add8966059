/* SPDX-License-Identifier: Apache-2.0 */
#include "store/event_store.h"

#include <string.h>

#include "store/journal.h"
#include "store/run_row.h"

struct add {
    struct id run;
    int attempt;
    const struct run_event *events;
    size_t n_events;
    int64_t stored;
};

/* What a run has so far, and what it may still have. */
struct tally {
    int64_t events;
    int64_t bytes;
    int64_t dropped;
    int64_t owner; /* of the run */
};

struct walk {
    struct id run;
    int64_t after_seq;
    int limit;
    int (*each)(void *ctx, const struct run_event *event);
    void *ctx;
};

/* --- Storing ------------------------------------------------------------------------------ */

/* The run must be under way, and in that attempt. */
static int load_tally(struct db_conn *conn, const struct add *add, struct tally *out,
                      struct err *err)
{
    enum run_status status;
    scoped(stmt) st = db_query(conn, err,
                               "SELECT status, attempt, events, event_bytes, events_dropped,"
                               " owner"
                               " FROM run WHERE key = ?1 AND tail = ?2",
                               B(add->run.key), B(add->run.tail));
    int row = st ? stmt_step(st, err) : -1;

    if (row == 0)
        return run_row_missing(add->run, err);
    if (row < 0)
        return -1;
    if (!run_status_parse(stmt_text(st, 0), &status) || run_status_is_terminal(status))
        return err_set_code(err, ERR_CONFLICT, "run_ended", "the run has ended: it is %s",
                            stmt_text(st, 0));
    if (stmt_int(st, 1) != add->attempt || status == RUN_PENDING)
        return err_set_code(err, ERR_CONFLICT, "stale_attempt",
                            "the run's current attempt is %d", (int)stmt_int(st, 1));
    *out = (struct tally){stmt_int(st, 2), stmt_int(st, 3), stmt_int(st, 4), stmt_int(st, 5)};
    return 0;
}

static int64_t size_of(const struct run_event *event)
{
    return (int64_t)(strlen(event->type) + (event->data ? strlen(event->data) : 0));
}

/* 1 or 0, or -1 */
static int is_stored(struct db_conn *conn, const struct add *add, int64_t seq, struct err *err)
{
    scoped(stmt) st = db_query(conn, err,
                               "SELECT 1 FROM event WHERE run = ?1 AND attempt = ?2"
                               " AND seq = ?3",
                               B(add->run.key), B(add->attempt), B(seq));

    return st ? stmt_step(st, err) : -1;
}

static int add_one(struct db_conn *conn, struct add *add, const struct run_event *event,
                   struct tally *tally, struct err *err)
{
    int64_t size = size_of(event);
    int64_t changed;

    if (tally->events >= EVENTS_PER_RUN_MAX || tally->bytes + size > EVENT_BYTES_PER_RUN_MAX) {
        int known = is_stored(conn, add, event->seq, err);

        tally->dropped += known == 0;
        return known < 0 ? -1 : 0;
    }
    changed = db_exec(conn, err,
                      "INSERT INTO event (run, attempt, seq, at_ms, type, data, number, owner)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, " JOURNAL_NEXT ", ?7)"
                      " ON CONFLICT DO NOTHING",
                      B(add->run.key), B(add->attempt), B(event->seq), B(event->at_ms),
                      B(event->type), B(event->data), B_INT0(tally->owner));
    if (changed < 0)
        return -1;
    if (changed) {
        tally->events++;
        tally->bytes += size;
        add->stored++;
        db_announce(conn);
    }
    return 0;
}

static int add_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct add *add = ctx;
    struct tally tally = {0};
    struct tally before;

    if (load_tally(conn, add, &tally, err) < 0)
        return -1;
    before = tally;
    for (size_t i = 0; i < add->n_events; i++)
        if (add_one(conn, add, &add->events[i], &tally, err) < 0)
            return -1;
    if (tally.events == before.events && tally.dropped == before.dropped)
        return 0;
    return db_exec(conn, err,
                   "UPDATE run SET events = ?2, event_bytes = ?3, events_dropped = ?4"
                   " WHERE key = ?1",
                   B(add->run.key), B(tally.events), B(tally.bytes), B_INT0(tally.dropped))
                   < 0
               ? -1
               : 0;
}

int event_store_add(struct db *db, struct id run, int attempt, const struct run_event *events,
                    size_t n_events, int64_t *out_stored, struct err *err)
{
    struct add add = {.run = run, .attempt = attempt, .events = events, .n_events = n_events};

    if (db_write(db, add_write, &add, err) < 0)
        return -1;
    *out_stored = add.stored;
    return 0;
}

/* --- Walking ------------------------------------------------------------------------------ */

static int walk_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct walk *walk = ctx;
    scoped(stmt) st =
        db_query(conn, err,
                 "SELECT seq, at_ms, type, data FROM event WHERE run = ?1 AND attempt ="
                 " (SELECT attempt FROM run WHERE key = ?1 AND tail = ?2)"
                 " AND seq > max(?3, 0) ORDER BY seq LIMIT ?4",
                 B(walk->run.key), B(walk->run.tail), B(walk->after_seq), B(walk->limit));
    int row = st ? stmt_step(st, err) : -1;

    for (; row == 1; row = stmt_step(st, err)) {
        struct run_event event = {
            .seq = stmt_int(st, 0),
            .at_ms = stmt_int(st, 1),
            .type = stmt_text(st, 2),
            .data = stmt_text(st, 3),
        };

        if (walk->each(walk->ctx, &event))
            return 0;
    }
    return row;
}

int event_store_each(struct db *db, struct id run, int64_t after_seq, int limit,
                     int (*each)(void *ctx, const struct run_event *event), void *ctx,
                     struct err *err)
{
    struct walk walk = {
        .run = run, .after_seq = after_seq, .limit = limit, .each = each, .ctx = ctx};

    return db_read(db, walk_read, &walk, err);
}
