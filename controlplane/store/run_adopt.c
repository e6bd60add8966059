/* SPDX-License-Identifier: Apache-2.0 */
#include "store/journal.h"
#include "store/run_row.h"

/*
 * A run whose job is ahead of what a restored database knows of it. Whether its runner has
 * claimed it before, nobody can say: runner_id stays empty, and run_store_claim lets the first
 * one have it.
 */
static int moved_on(struct err *err)
{
    return err_set_code(err, ERR_CONFLICT, "run_moved_on",
                        "the run is no longer as the backup had it");
}

static int adopt_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct run_adoption *adoption = ctx;
    const struct run *seen = adoption->seen;
    int64_t changed = db_exec(
        conn, err,
        "UPDATE run SET status = ?5, attempt = ?6, launcher = ?7, job_ref = ?8,"
        " task_token_hash = ?9, deadline_ms = ?10, not_before_ms = NULL, runner_id = NULL,"
        " started_ms = iif(?5 = 'running', ?11, NULL),"
        " heartbeat_ms = iif(?5 = 'running', ?11, NULL)"
        " WHERE key = ?1 AND tail = ?2 AND status = ?3 AND attempt = ?4",
        B(seen->id.key), B(seen->id.tail), B(run_status_name(seen->status)), B(seen->attempt),
        B(run_status_name(adoption->to)), B(adoption->attempt), B(adoption->launcher),
        B(adoption->job_ref), run_row_hash(adoption->token_hash), B_INT0(adoption->deadline_ms),
        B(adoption->now_ms));

    if (changed <= 0)
        return changed < 0 ? -1 : moved_on(err);
    if (adoption->to != RUN_RUNNING)
        return 0;
    return journal_add_move(conn, seen->id, RUN_RUNNING, adoption->now_ms, NULL, err);
}

int run_store_adopt(struct db *db, const struct run_adoption *adoption, struct err *err)
{
    struct run_adoption copy = *adoption;

    return db_write(db, adopt_write, &copy, err);
}
