/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/clock.h"
#include "store/audit.h"
#include "store/delivery_store.h"
#include "store/journal.h"
#include "store/run_details.h"
#include "store/run_row.h"

/*
 * The moves of a run's state. Each is one UPDATE that names where the run has to be: its
 * status, and its attempt where a runner speaks. When that changes no row, the run is looked
 * at to say why not. All of it happens on the writer's thread inside one transaction, so
 * nothing can come between the two.
 */
struct state {
    enum run_status status;
    int attempt;
    bool has_report;
    uint8_t report_hash[SHA256_SIZE];
};

struct move {
    struct id id;
    int attempt;
    int64_t now_ms;
    int64_t not_before_ms;
    int64_t deadline_ms;
    const char *text;     /* launcher, job, runner or reason */
    const char *launcher; /* of a run put back: the next one; NULL: the same */
    const uint8_t *token_hash;
    const struct run_end *end;
    const struct audit_source *source;
    int out_attempt;
    bool flag;
    bool out_flag;
    enum run_status out_from;
};

static int state_load(struct db_conn *conn, struct id id, struct state *out, struct err *err)
{
    scoped(stmt) st = db_query(conn, err,
                               "SELECT status, attempt, report_hash FROM run"
                               " WHERE key = ?1 AND tail = ?2",
                               B(id.key), B(id.tail));
    int row = st ? stmt_step(st, err) : -1;

    if (row == 0)
        return run_row_missing(id, err);
    if (row < 0)
        return -1;
    if (!run_status_parse(stmt_text(st, 0), &out->status))
        return err_set(err, ERR_INTERNAL, "a run has the unknown status %s", stmt_text(st, 0));
    out->attempt = (int)stmt_int(st, 1);
    out->has_report = stmt_blob(st, 2, out->report_hash, sizeof(out->report_hash));
    return 0;
}

/* Before any SQL: is it a move at all? */
static int check_move(enum run_status from, enum run_status to, struct err *err)
{
    if (run_may_move(from, to))
        return 0;
    return err_set(err, ERR_INTERNAL, "a run never goes from %s to %s", run_status_name(from),
                   run_status_name(to));
}

/* --- Why not ------------------------------------------------------------------------------ */

static int moved_on(const struct state *state, struct err *err)
{
    return err_set_code(err, ERR_CONFLICT, "run_moved_on", "the run is %s by now (attempt %d)",
                        run_status_name(state->status), state->attempt);
}

static int run_ended(const struct state *state, struct err *err)
{
    return err_set_code(err, ERR_CONFLICT, "run_ended", "the run has ended: it is %s",
                        run_status_name(state->status));
}

static int stale_attempt(const struct state *state, struct err *err)
{
    return err_set_code(err, ERR_CONFLICT, "stale_attempt", "the run's current attempt is %d",
                        state->attempt);
}

/* dispatchd believed the run to be in another state. */
static int refuse_move(struct db_conn *conn, struct id id, struct err *err)
{
    struct state state = {0};

    return state_load(conn, id, &state, err) < 0 ? -1 : moved_on(&state, err);
}

/* A pending run has no current attempt: the last one was given up. */
static bool is_current(const struct state *state, int attempt)
{
    return state->attempt == attempt && state->status != RUN_PENDING;
}

/* --- Launching ---------------------------------------------------------------------------- */

struct takes {
    struct run_take *all;
    size_t count;
};

/* The others are taken all the same. */
static int not_taken(struct db_conn *conn, struct run_take *take, struct err *err)
{
    (void)refuse_move(conn, take->id, &take->out_why);
    if (take->out_why.kind == ERR_CONFLICT || take->out_why.kind == ERR_NOT_FOUND)
        return 0;
    *err = take->out_why;
    return -1;
}

static int take_one(struct db_conn *conn, struct run_take *take, struct err *err)
{
    scoped(stmt) st =
        db_query(conn, err,
                 "UPDATE run SET status = 'launching', attempt = attempt + 1, launcher = ?3,"
                 " task_token_hash = ?4, deadline_ms = ?5, not_before_ms = NULL,"
                 " job_ref = NULL, runner_id = NULL"
                 " WHERE key = ?1 AND tail = ?2 AND status = 'pending' RETURNING attempt",
                 B(take->id.key), B(take->id.tail), B(take->launcher),
                 run_row_hash(take->token_hash), B_INT0(take->deadline_ms));
    int row = st ? stmt_step(st, err) : -1;

    if (row == 1)
        take->out_attempt = (int)stmt_int(st, 0);
    return row == 0 ? not_taken(conn, take, err) : row < 0 ? -1 : 0;
}

static int launch_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct takes *takes = ctx;

    for (size_t i = 0; i < takes->count; i++)
        if (take_one(conn, &takes->all[i], err) < 0)
            return -1;
    return 0;
}

int run_store_launch_all(struct db *db, struct run_take *takes, size_t n_takes, struct err *err)
{
    struct takes all = {.all = takes, .count = n_takes};

    if (check_move(RUN_PENDING, RUN_LAUNCHING, err) < 0)
        return -1;
    return db_write(db, launch_write, &all, err);
}

int run_store_launch(struct db *db, struct id id, const char *launcher,
                     const uint8_t token_hash[SHA256_SIZE], int64_t deadline_ms,
                     int *out_attempt, struct err *err)
{
    struct run_take take = {
        .id = id, .launcher = launcher, .token_hash = token_hash, .deadline_ms = deadline_ms};

    if (run_store_launch_all(db, &take, 1, err) < 0)
        return -1;
    if (!take.out_attempt) {
        *err = take.out_why;
        return -1;
    }
    *out_attempt = take.out_attempt;
    return 0;
}

/* A job may end before its name is noted; the name is still wanted for cleaning up. */
static int set_job_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct move *move = ctx;
    struct state state = {0};
    int64_t changed =
        db_exec(conn, err,
                "UPDATE run SET job_ref = ?4 WHERE key = ?1 AND tail = ?2"
                " AND attempt = ?3 AND status <> 'pending'",
                B(move->id.key), B(move->id.tail), B(move->attempt), B(move->text));

    if (changed != 0)
        return changed < 0 ? -1 : 0;
    return state_load(conn, move->id, &state, err) < 0 ? -1 : stale_attempt(&state, err);
}

int run_store_set_job(struct db *db, struct id id, int attempt, const char *job_ref,
                      struct err *err)
{
    struct move move = {.id = id, .attempt = attempt, .text = job_ref};

    return db_write(db, set_job_write, &move, err);
}

/* The old attempt's token goes, so that its runner, if it lives after all, is nobody. */
static int requeue_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct move *move = ctx;
    int64_t changed = db_exec(conn, err,
                              "UPDATE run SET status = 'pending', not_before_ms = ?4,"
                              " deadline_ms = ?5, error = ?6, task_token_hash = NULL,"
                              " launch_failures = iif(?8 IS NULL, launch_failures + ?7, 0),"
                              " launcher = ifnull(?8, launcher)"
                              " WHERE key = ?1 AND tail = ?2 AND attempt = ?3"
                              " AND status = 'launching' AND stop_requested IS NULL",
                              B(move->id.key), B(move->id.tail), B(move->attempt),
                              B_INT0(move->not_before_ms), B_INT0(move->deadline_ms),
                              B(move->text), B(move->flag), B(move->launcher));

    if (changed > 0)
        return journal_add_move(conn, move->id, RUN_PENDING, clock_steady_ms(), move->text,
                                err);
    return changed < 0 ? -1 : refuse_move(conn, move->id, err);
}

int run_store_requeue(struct db *db, struct id id, int attempt, int64_t not_before_ms,
                      int64_t deadline_ms, const char *why, bool counts, struct err *err)
{
    struct move move = {.id = id,
                        .attempt = attempt,
                        .not_before_ms = not_before_ms,
                        .deadline_ms = deadline_ms,
                        .text = why,
                        .flag = counts};

    if (check_move(RUN_LAUNCHING, RUN_PENDING, err) < 0)
        return -1;
    return db_write(db, requeue_write, &move, err);
}

int run_store_requeue_for(struct db *db, struct id id, int attempt, const char *launcher,
                          int64_t not_before_ms, int64_t deadline_ms, const char *why,
                          struct err *err)
{
    struct move move = {.id = id,
                        .attempt = attempt,
                        .launcher = launcher,
                        .not_before_ms = not_before_ms,
                        .deadline_ms = deadline_ms,
                        .text = why};

    return db_write(db, requeue_write, &move, err);
}

/* --- Running ------------------------------------------------------------------------------ */

static int note_claim(struct db_conn *conn, const struct move *move, struct err *err)
{
    char detail[32];

    (void)snprintf(detail, sizeof(detail), "attempt %d", move->attempt);
    return audit_append_run(conn, move->source, "run.claim", move->id, detail, err);
}

/* 1: it is now. Of a run that was adopted (run_adopt.c) nobody knows whose it is. */
static int claim_adopted(struct db_conn *conn, const struct move *move, struct err *err)
{
    int64_t changed = db_exec(conn, err,
                              "UPDATE run SET runner_id = ?2 WHERE key = ?1"
                              " AND status = 'running' AND runner_id IS NULL",
                              B(move->id.key), B(move->text));

    if (changed <= 0)
        return (int)changed;
    return note_claim(conn, move, err) < 0 ? -1 : 1;
}

/* 1: the run is this runner's already. */
static int is_claimed_by(struct db_conn *conn, const struct move *move, struct err *err)
{
    scoped(stmt) st = db_query(conn, err, "SELECT 1 FROM run WHERE key = ?1 AND runner_id = ?2",
                               B(move->id.key), B(move->text));

    return st ? stmt_step(st, err) : -1;
}

static int refuse_claim(struct db_conn *conn, const struct move *move, struct err *err)
{
    struct state state = {0};
    int mine;

    if (state_load(conn, move->id, &state, err) < 0)
        return -1;
    if (run_status_is_terminal(state.status))
        return run_ended(&state, err);
    if (!is_current(&state, move->attempt))
        return stale_attempt(&state, err);
    mine = is_claimed_by(conn, move, err);
    if (mine == 0)
        mine = claim_adopted(conn, move, err);
    if (mine != 0)
        return mine < 0 ? -1 : 0;
    return err_set_code(err, ERR_CONFLICT, "claimed", "another runner has the run");
}

static int claim_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct move *move = ctx;
    int64_t changed = db_exec(conn, err,
                              "UPDATE run SET status = 'running', runner_id = ?4,"
                              " started_ms = ?5, heartbeat_ms = ?5, deadline_ms = ?6,"
                              " error = NULL"
                              " WHERE key = ?1 AND tail = ?2 AND attempt = ?3"
                              " AND status = 'launching'",
                              B(move->id.key), B(move->id.tail), B(move->attempt),
                              B(move->text), B(move->now_ms), B_INT0(move->deadline_ms));

    if (changed <= 0)
        return changed < 0 ? -1 : refuse_claim(conn, move, err);
    if (note_claim(conn, move, err) < 0)
        return -1;
    return journal_add_move(conn, move->id, RUN_RUNNING, move->now_ms, NULL, err);
}

int run_store_claim(struct db *db, struct id id, int attempt, const char *runner_id,
                    int64_t now_ms, int64_t deadline_ms, const struct audit_source *source,
                    struct err *err)
{
    struct move move = {.id = id,
                        .attempt = attempt,
                        .text = runner_id,
                        .now_ms = now_ms,
                        .deadline_ms = deadline_ms,
                        .source = source};

    if (check_move(RUN_LAUNCHING, RUN_RUNNING, err) < 0)
        return -1;
    return db_write(db, claim_write, &move, err);
}

static int heartbeat_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct move *move = ctx;
    struct state state = {0};
    scoped(stmt) st =
        db_query(conn, err,
                 "UPDATE run SET heartbeat_ms = ?4 WHERE key = ?1 AND tail = ?2"
                 " AND attempt = ?3 AND status = 'running' RETURNING stop_requested",
                 B(move->id.key), B(move->id.tail), B(move->attempt), B(move->now_ms));
    int row = st ? stmt_step(st, err) : -1;

    if (row == 1)
        move->out_flag = stmt_int(st, 0) != 0;
    if (row != 0)
        return row < 0 ? -1 : 0;
    if (state_load(conn, move->id, &state, err) < 0)
        return -1;
    if (run_status_is_terminal(state.status)) {
        move->out_flag = true;
        return 0;
    }
    if (!is_current(&state, move->attempt))
        return stale_attempt(&state, err);
    return moved_on(&state, err);
}

int run_store_heartbeat(struct db *db, struct id id, int attempt, int64_t now_ms,
                        bool *out_stop, struct err *err)
{
    struct move move = {.id = id, .attempt = attempt, .now_ms = now_ms};

    if (db_write(db, heartbeat_write, &move, err) < 0)
        return -1;
    *out_stop = move.out_flag;
    return 0;
}

/* --- Ending ------------------------------------------------------------------------------- */

static int note_end(struct db_conn *conn, const struct move *move, struct err *err)
{
    const struct run_end *end = move->end;
    const char *code = failure_code_name(end->error_code);
    char detail[64];

    (void)snprintf(detail, sizeof(detail), "%s%s%s", run_status_name(end->status),
                   code ? " " : "", code ? code : "");
    return audit_append_run(conn, move->source, "run.end", move->id, detail, err);
}

static int end_row(struct db_conn *conn, const struct move *move, enum run_status from,
                   struct err *err)
{
    const struct run_end *end = move->end;
    int64_t changed = db_exec(
        conn, err,
        "UPDATE run SET status = ?4, ended_ms = ?5, error_code = ?6, error = ?7,"
        " pr_url = ?8, branch_name = ?9, summary = ?10, usage = ?11, draft = ?12,"
        " partial = ?13, report_hash = ?14, deadline_ms = NULL, not_before_ms = NULL,"
        " stop_requested = NULL"
        " WHERE key = ?1 AND tail = ?2 AND status = ?3",
        B(move->id.key), B(move->id.tail), B(run_status_name(from)),
        B(run_status_name(end->status)), B(move->now_ms), B(failure_code_name(end->error_code)),
        B(end->error), B(end->pr_url), B(end->branch_name), B(end->summary), B(end->usage),
        B_INT0(end->draft), B_INT0(end->partial), run_row_hash(end->report_hash));

    if (changed == 0)
        return refuse_move(conn, move->id, err);
    if (changed < 0 || run_details_end(conn, move->id, end->result, err) < 0
        || note_end(conn, move, err) < 0
        || delivery_store_run_ended(conn, move->id, end->status, move->now_ms, err) < 0)
        return -1;
    return journal_add_move(conn, move->id, end->status, move->now_ms, NULL, err);
}

static int stop_write(struct db_conn *conn, void *ctx, struct err *err)
{
    static const struct run_end stopped = {.status = RUN_STOPPED};
    struct move *move = ctx;
    struct state state = {0};

    if (state_load(conn, move->id, &state, err) < 0)
        return -1;
    if (run_status_is_terminal(state.status))
        return run_ended(&state, err);
    if (audit_append_run(conn, move->source, "run.stop", move->id, NULL, err) < 0)
        return -1;
    if (state.status == RUN_PENDING) {
        move->end = &stopped;
        move->out_flag = true;
        return end_row(conn, move, RUN_PENDING, err);
    }
    return db_exec(conn, err,
                   "UPDATE run SET stop_requested = 1,"
                   " deadline_ms = min(ifnull(deadline_ms, ?3), ?3)"
                   " WHERE key = ?1 AND tail = ?2 AND status IN ('launching', 'running')",
                   B(move->id.key), B(move->id.tail), B(move->now_ms + RUN_STOP_GRACE_MS))
                   < 0
               ? -1
               : 0;
}

int run_store_request_stop(struct db *db, struct id id, int64_t now_ms,
                           const struct audit_source *source, bool *out_ended, struct err *err)
{
    struct move move = {.id = id, .now_ms = now_ms, .source = source};

    if (check_move(RUN_PENDING, RUN_STOPPED, err) < 0
        || db_write(db, stop_write, &move, err) < 0)
        return -1;
    *out_ended = move.out_flag;
    return 0;
}

/* Has this very report ended the run before? */
static bool is_repeat(const struct state *state, const struct move *move)
{
    return move->attempt > 0 && state->has_report
           && bytes_equal(state->report_hash, move->end->report_hash, SHA256_SIZE);
}

/* Between dispatchd's look and its verdict another attempt may have begun. */
static bool is_as_seen(const struct state *state, const struct run *seen)
{
    return !seen || (seen->status == state->status && seen->attempt == state->attempt);
}

static int end_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct move *move = ctx;
    struct state state = {0};

    if (state_load(conn, move->id, &state, err) < 0)
        return -1;
    move->out_from = state.status;
    if (move->attempt > 0 && !is_current(&state, move->attempt))
        return stale_attempt(&state, err);
    if (is_repeat(&state, move))
        return 0;
    if (run_status_is_terminal(state.status))
        return run_ended(&state, err);
    if (!is_as_seen(&state, move->end->seen) || !run_may_move(state.status, move->end->status))
        return moved_on(&state, err);
    return end_row(conn, move, state.status, err);
}

int run_store_end(struct db *db, struct id id, int attempt, const struct run_end *end,
                  int64_t now_ms, enum run_status *out_from, struct err *err)
{
    struct move move = {
        .id = id, .attempt = attempt, .end = end, .now_ms = now_ms, .source = end->source};

    if (check_move(RUN_RUNNING, end->status, err) < 0
        || db_write(db, end_write, &move, err) < 0)
        return -1;
    *out_from = move.out_from;
    return 0;
}
