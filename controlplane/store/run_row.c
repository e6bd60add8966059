/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run_row.h"

#include <string.h>

#include "base/alloc.h"
#include "store/conn.h"

/* These two know the order of the columns; change one with the other. */
#define RUN_COLUMNS                                                                            \
    "r.key, r.tail, r.status, r.attempt, r.token_id, r.not_before_ms, r.deadline_ms, "         \
    "r.stop_requested, r.task_token_hash, r.repo, r.agent, r.launcher, r.job_ref, "            \
    "r.runner_id, r.started_ms, r.heartbeat_ms, r.ended_ms, r.report_hash, r.draft, "          \
    "r.partial, r.launch_failures, r.error_code, r.error, r.pr_url, r.branch_name, "           \
    "r.summary, r.usage, "                                                                     \
    "i.prompt, i.installation_id, i.model, i.provider, i.mode, i.base_branch, i.title, "       \
    "i.ticket_id, i.ticket_summary, i.test_command, i.retry_of, "                              \
    "r.owner, coalesce(r.priority, 500), i.requester, i.webhook_url, "                         \
    "i.launcher, i.key IS NOT NULL"

/* Each text of the row is as we write it. */
static bool texts_are_sound(const struct stmt *st, int n_columns)
{
    for (int i = 0; i < n_columns; i++)
        if (!stmt_is_sound(st, i))
            return false;
    return true;
}

/* NULL: we never wrote such a row. */
static struct run *run_from_row(const struct stmt *st)
{
    scoped(run) run = xcalloc(1, sizeof(*run));
    const char *failure;
    int at = 0;

    run->id.key = stmt_int(st, at++);
    run->id.tail = stmt_int(st, at++);
    if (!id_is_whole(run->id) || !run_status_parse(stmt_text(st, at++), &run->status))
        return NULL;
    run->attempt = (int)stmt_int(st, at++);
    run->token_id = stmt_int(st, at++);
    run->not_before_ms = stmt_int(st, at++);
    run->deadline_ms = stmt_int(st, at++);
    run->stop_requested = stmt_int(st, at++) != 0;
    (void)stmt_blob(st, at++, run->task_token_hash, sizeof(run->task_token_hash));
    run->repo = stmt_text_copy(st, at++);
    run->agent = stmt_text_copy(st, at++);
    run->launcher = stmt_text_copy(st, at++);
    run->job_ref = stmt_text_copy(st, at++);
    run->runner_id = stmt_text_copy(st, at++);
    run->started_ms = stmt_int(st, at++);
    run->heartbeat_ms = stmt_int(st, at++);
    run->ended_ms = stmt_int(st, at++);
    (void)stmt_blob(st, at++, run->report_hash, sizeof(run->report_hash));
    run->draft = stmt_int(st, at++) != 0;
    run->partial = stmt_int(st, at++) != 0;
    run->launch_failures = (int)stmt_int(st, at++);
    failure = stmt_text(st, at++);
    if (failure && !failure_code_parse(failure, &run->error_code))
        return NULL;
    run->error = stmt_text_copy(st, at++);
    run->pr_url = stmt_text_copy(st, at++);
    run->branch_name = stmt_text_copy(st, at++);
    run->summary = stmt_text_copy(st, at++);
    run->usage = stmt_text_copy(st, at++);
    run->prompt = stmt_text_copy(st, at++);
    run->installation_id = stmt_int(st, at++);
    run->model = stmt_text_copy(st, at++);
    run->provider = stmt_text_copy(st, at++);
    run->mode = stmt_text_copy(st, at++);
    run->base_branch = stmt_text_copy(st, at++);
    run->title = stmt_text_copy(st, at++);
    run->ticket_id = stmt_text_copy(st, at++);
    run->ticket_summary = stmt_text_copy(st, at++);
    run->test_command = stmt_text_copy(st, at++);
    run->retry_of = stmt_text_copy(st, at++);
    run->owner = stmt_int(st, at++);
    run->priority = (int)stmt_int(st, at++);
    run->requester = stmt_text_copy(st, at++);
    run->webhook_url = stmt_text_copy(st, at++);
    run->wanted_launcher = stmt_text_copy(st, at++);
    if (!texts_are_sound(st, at) || !stmt_int(st, at))
        return NULL;
    return TAKE(run);
}

int run_row_missing(struct id id, struct err *err)
{
    char text[ID_TEXT_SIZE];

    id_text(id, text);
    return err_set(err, ERR_NOT_FOUND, "there is no run %s", text);
}

struct run *run_row_load(struct db_conn *conn, int64_t key, struct err *err)
{
    scoped(stmt) st = db_query(conn, err,
                               "SELECT " RUN_COLUMNS
                               " FROM run AS r LEFT JOIN run_input AS i ON i.key = r.key"
                               " WHERE r.key = ?1",
                               B(key));
    int row = st ? stmt_step(st, err) : -1;

    if (row == 0)
        err_set(err, ERR_NOT_FOUND, "there is no such run");
    if (row != 1)
        return NULL;
    struct run *run = run_from_row(st);

    if (!run)
        (void)db_conn_damaged(conn, "a run's row is not as it was written", err);
    return run;
}

/* The usual one takes no room. */
static struct bind priority_of(const struct run *run)
{
    if (run->priority == RUN_PRIORITY_USUAL)
        return (struct bind){0};
    return bind_int(run->priority);
}

int run_row_insert(struct db_conn *conn, const struct run *run, struct err *err)
{
    if (db_exec(conn, err,
                "INSERT INTO run (key, tail, status, token_id, not_before_ms, deadline_ms,"
                " task_token_hash, repo, agent, launcher, owner, priority)"
                " VALUES (?1, ?2, 'pending', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                B(run->id.key), B(run->id.tail), B_INT0(run->token_id),
                B_INT0(run->not_before_ms), B_INT0(run->deadline_ms),
                run_row_hash(run->task_token_hash), B(run->repo), B(run->agent),
                B(run->launcher), B_INT0(run->owner), priority_of(run))
        < 0)
        return -1;
    if (db_exec(conn, err,
                "INSERT INTO run_input (key, prompt, installation_id, model, provider, mode,"
                " base_branch, title, ticket_id, ticket_summary, test_command, options,"
                " retry_of, requester, webhook_url, launcher) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
                "?7, ?8, ?9,"
                " ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
                B(run->id.key), B(run->prompt), B_INT0(run->installation_id), B(run->model),
                B(run->provider), B(run->mode), B(run->base_branch), B(run->title),
                B(run->ticket_id), B(run->ticket_summary), B(run->test_command),
                B(run->options), B(run->retry_of), B(run->requester), B(run->webhook_url),
                B(run->wanted_launcher))
        < 0)
        return -1;
    return 0;
}

int run_row_collect(struct db_conn *conn, struct stmt *keys, struct run_page *out,
                    struct err *err)
{
    size_t room = 0;
    int row;

    while ((row = stmt_step(keys, err)) == 1) {
        struct run *run = run_row_load(conn, stmt_int(keys, 0), err);

        if (!run)
            return -1;
        if (out->n_runs == room) {
            room = room ? room * 2 : 16;
            out->runs = xrealloc(out->runs, room * sizeof(struct run *));
        }
        out->runs[out->n_runs++] = run;
    }
    return row;
}

struct bind run_row_hash(const uint8_t hash[SHA256_SIZE])
{
    static const uint8_t zeroes[SHA256_SIZE];

    if (memcmp(hash, zeroes, SHA256_SIZE) == 0)
        return (struct bind){0};
    return B_BLOB(hash, SHA256_SIZE);
}
