/* SPDX-License-Identifier: Apache-2.0 */
/* Every move of a run while SQLite gives up at some point of it, each in turn: it is refused
 * with nothing done, neither the move nor what is written beside it, and can be made again. */
#include "store/run_store.h"

#include <string.h>

#include "base/alloc.h"
#include "giving_up.h"

#define NOW NO_TIME_YET

/* --- What there is ------------------------------------------------------------------------ */

static int count_read(struct db_conn *conn, void *ctx, struct err *err)
{
    char *out = ctx;
    scoped(stmt) st =
        db_query(conn, err,
                 "SELECT printf('%d runs, %d moves, %d entries, %d keys, %d results',"
                 " (SELECT count(*) FROM run), (SELECT count(*) FROM event),"
                 " (SELECT count(*) FROM audit), (SELECT count(*) FROM idempotency),"
                 " (SELECT count(*) FROM run_result))");

    if (!st || stmt_step(st, err) != 1)
        return -1;
    (void)snprintf(out, 200, "%s", stmt_text(st, 0));
    return 0;
}

/* The run's status, or "none", and how much there is of everything. */
static char *seen(struct db *db, struct id id)
{
    struct err err = {0};
    scoped(run) run = run_store_load(db, id, &err);
    char counts[200] = "";

    assert_ok(db_read(db, count_read, counts, &err), err);
    return xasprintf("%s, attempt %d, stop %d; %s", run ? run_status_name(run->status) : "none",
                     run ? run->attempt : 0, run && run->stop_requested, counts);
}

/* --- The moves ---------------------------------------------------------------------------- */

static int insert(struct db *db, struct id id, struct err *err)
{
    struct insert insert = {.run = {.id = id,
                                    .owner = 1,
                                    .repo = (char *)(uintptr_t) "octo/hello",
                                    .agent = (char *)(uintptr_t) "claude-code",
                                    .prompt = (char *)(uintptr_t) "Fix the typo"},
                            .idempotency = {.token_id = 1}};
    char key[ID_TEXT_SIZE];

    id_text(id, key);
    insert.idempotency.key = key;
    return db_write(db, insert_write, &insert, err);
}

static int start(struct db *db, struct id id, struct err *err)
{
    static const uint8_t hash[SHA256_SIZE] = {7};
    int attempt;

    return run_store_launch(db, id, "fake", hash, NOW, &attempt, err);
}

static int note_job(struct db *db, struct id id, struct err *err)
{
    return run_store_set_job(db, id, 1, "job-1", err);
}

static int put_back(struct db *db, struct id id, struct err *err)
{
    return run_store_requeue(db, id, 1, NOW, NOW, "no luck", true, err);
}

static int claim(struct db *db, struct id id, struct err *err)
{
    return run_store_claim(db, id, 1, "runner-a", NOW, NOW, NULL, err);
}

static int beat(struct db *db, struct id id, struct err *err)
{
    bool stop;

    return run_store_heartbeat(db, id, 1, NOW, &stop, err);
}

static int stop(struct db *db, struct id id, struct err *err)
{
    bool ended;

    return run_store_request_stop(db, id, NOW, NULL, &ended, err);
}

static int end(struct db *db, struct id id, struct err *err)
{
    static const struct run_end completed = {.status = RUN_COMPLETED,
                                             .pr_url = "https://github.com/o/r/pull/1",
                                             .summary = "done",
                                             .result = "the answer",
                                             .report_hash = {1}};
    enum run_status from;

    return run_store_end(db, id, 1, &completed, NOW, &from, err);
}

static const struct move {
    const char *name;
    enum run_status from;
    int (*make)(struct db *db, struct id id, struct err *err);
    enum run_status to;
} moves[] = {
    {"launch", RUN_PENDING, start, RUN_LAUNCHING},
    {"job", RUN_LAUNCHING, note_job, RUN_LAUNCHING},
    {"requeue", RUN_LAUNCHING, put_back, RUN_PENDING},
    {"claim", RUN_LAUNCHING, claim, RUN_RUNNING},
    {"heartbeat", RUN_RUNNING, beat, RUN_RUNNING},
    {"stop of one that waits", RUN_PENDING, stop, RUN_STOPPED},
    {"stop of one that runs", RUN_RUNNING, stop, RUN_RUNNING},
    {"end", RUN_RUNNING, end, RUN_COMPLETED},
    {"dispatch", RUN_PENDING, insert, RUN_PENDING},
};

static struct id prepare(struct db *db, const struct move *move)
{
    return move->make == insert ? id_make(clock_wall_ms(), random_u64())
                                : add_run_in(db, move->from);
}

/* False: it was through before it came to that. */
static bool interrupt(struct db *db, const struct move *move, int64_t nth, int *refused)
{
    struct id id = prepare(db, move);
    scoped_str before = seen(db, id);
    struct err err = {0};
    bool reached;
    int result;

    give_up_at(nth, false);
    result = move->make(db, id, &err);
    reached = give_up_no_more();
    if (result < 0) {
        (*refused)++;
        scoped_str after = seen(db, id);

        if (!atomic_load(&gave_up) || strcmp(before, after) != 0)
            fail_msg("%s, %lld: %s: %s, then %s", move->name, (long long)nth, err.text, before,
                     after);
        err = (struct err){0};
        assert_ok(move->make(db, id, &err), err);
    }
    scoped(run) run = now_of(db, id);
    if (run->status != move->to)
        fail_msg("%s, %lld: it is %s", move->name, (long long)nth,
                 run_status_name(run->status));
    return reached;
}

static void test_a_move_is_made_as_a_whole_or_not_at_all(void **state)
{
    scoped(db) db = open_memory();

    (void)state;
    give_up_watch(db);
    for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
        int64_t nth = 1;
        int refused = 0;

        while (interrupt(db, &moves[i], nth, &refused))
            nth += 1 + nth / 64;
        assert_true(refused > 5);
    }
}

TEST_MAIN(cmocka_unit_test(test_a_move_is_made_as_a_whole_or_not_at_all))
