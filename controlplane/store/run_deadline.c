/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run_row.h"

/* A launch under way: what is noted of it while its state stays the same. */
struct note {
    struct id id;
    int attempt;
    const char *job_ref;
    int64_t deadline_ms;
    enum run_status out_status;
};

static int not_that_attempt(struct err *err)
{
    return err_set_code(err, ERR_CONFLICT, "run_moved_on",
                        "the run is no longer launching that attempt");
}

static struct stmt *started(struct db_conn *conn, const struct note *note, struct err *err)
{
    /* The common case leaves the deadline's index alone. */
    if (!note->deadline_ms)
        return db_query(conn, err,
                        "UPDATE run SET job_ref = ?4 WHERE key = ?1 AND tail = ?2"
                        " AND attempt = ?3 AND status <> 'pending' RETURNING status",
                        B(note->id.key), B(note->id.tail), B(note->attempt), B(note->job_ref));
    return db_query(conn, err,
                    "UPDATE run SET job_ref = ?4, deadline_ms ="
                    " iif(status = 'launching' AND stop_requested IS NULL, ?5, deadline_ms)"
                    " WHERE key = ?1 AND tail = ?2 AND attempt = ?3 AND status <> 'pending'"
                    " RETURNING status",
                    B(note->id.key), B(note->id.tail), B(note->attempt), B(note->job_ref),
                    B(note->deadline_ms));
}

static int started_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct note *note = ctx;
    scoped(stmt) st = started(conn, note, err);
    int row = st ? stmt_step(st, err) : -1;

    if (row <= 0)
        return row < 0 ? -1 : not_that_attempt(err);
    if (!run_status_parse(stmt_text(st, 0), &note->out_status))
        return err_set(err, ERR_INTERNAL, "a run has the unknown status %s", stmt_text(st, 0));
    return 0;
}

int run_store_job_started(struct db *db, struct id id, int attempt, const char *job_ref,
                          int64_t deadline_ms, enum run_status *out_status, struct err *err)
{
    struct note note = {
        .id = id, .attempt = attempt, .job_ref = job_ref, .deadline_ms = deadline_ms};

    if (db_write(db, started_write, &note, err) < 0)
        return -1;
    *out_status = note.out_status;
    return 0;
}

static int push_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct note *note = ctx;
    int64_t changed =
        db_exec(conn, err,
                "UPDATE run SET deadline_ms = ?4 WHERE key = ?1 AND tail = ?2"
                " AND attempt = ?3 AND status = 'launching' AND stop_requested IS NULL",
                B(note->id.key), B(note->id.tail), B(note->attempt), B(note->deadline_ms));

    if (changed != 0)
        return changed < 0 ? -1 : 0;
    return not_that_attempt(err);
}

int run_store_push_deadline(struct db *db, struct id id, int attempt, int64_t deadline_ms,
                            struct err *err)
{
    struct note note = {.id = id, .attempt = attempt, .deadline_ms = deadline_ms};

    return db_write(db, push_write, &note, err);
}
