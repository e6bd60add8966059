/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run_store.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "store_test.h"

#define NOW NO_TIME_YET
#define N_RUNNERS 20

static const uint8_t some_hash[SHA256_SIZE] = {7, 7, 7};

static const struct run_end completed = {
    .status = RUN_COMPLETED,
    .pr_url = "https://github.com/o/r/pull/1",
    .branch_name = "u/dispatch/x",
    .summary = "done",
    .usage = "{\"turns\":3}",
    .draft = true,
    .partial = true,
    .report_hash = {1, 2, 3},
};

/* --- The table ---------------------------------------------------------------------------- */

/* Tries to bring a run from `from` to `to` by the call that makes such moves. */
static int try_move(struct db *db, struct id id, enum run_status to, struct err *err)
{
    struct run_end end = {.status = to};
    enum run_status from;
    int attempt;

    switch (to) {
    case RUN_PENDING:
        return run_store_requeue(db, id, 1, NOW, NOW, "no luck", true, err);
    case RUN_LAUNCHING:
        return run_store_launch(db, id, "fake", some_hash, NOW, &attempt, err);
    case RUN_RUNNING:
        return run_store_claim(db, id, 1, "another", NOW, NOW, NULL, err);
    default:
        return run_store_end(db, id, 0, &end, NOW, &from, err);
    }
}

static void test_every_pair_of_states_moves_as_the_table_says(void **state)
{
    scoped(db) db = open_memory();

    (void)state;
    for (int from = 0; from < RUN_STATUS_COUNT; from++) {
        for (int to = 0; to < RUN_STATUS_COUNT; to++) {
            struct id id = add_run_in(db, (enum run_status)from);
            bool may = run_may_move((enum run_status)from, (enum run_status)to);
            struct err err = {0};
            int result = try_move(db, id, (enum run_status)to, &err);
            scoped(run) run = now_of(db, id);

            if ((result == 0) != may || (int)run->status != (may ? to : from))
                fail_msg("%d -> %d: %d, now %d: %s", from, to, result, (int)run->status,
                         err.text);
            if (!may)
                assert_int_equal(err.kind, ERR_CONFLICT);
        }
    }
}

static void test_an_end_that_is_none_is_refused_before_any_sql(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct run_end end = {.status = RUN_PENDING};
    struct db_stats before;
    struct db_stats after;
    enum run_status from;
    struct err err;

    (void)state;
    db_stats(db, &before);
    assert_refused(run_store_end(db, id, 0, &end, NOW, &from, &err), err, ERR_INTERNAL, NULL);
    end.status = RUN_RUNNING;
    assert_refused(run_store_end(db, id, 1, &end, NOW, &from, &err), err, ERR_INTERNAL, NULL);
    db_stats(db, &after);
    assert_int_equal(before.writes, after.writes);
}

/* --- Launching ---------------------------------------------------------------------------- */

static void test_a_launch_counts_the_attempt_and_sets_what_it_was_given(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run(db);
    struct err err = {0};
    int attempt = 0;
    scoped(run) run = NULL;

    (void)state;
    assert_ok(run_store_launch(db, id, "process", some_hash, NOW + 5, &attempt, &err), err);
    run = now_of(db, id);
    assert_int_equal(attempt, 1);
    assert_int_equal(run->attempt, 1);
    assert_int_equal(run->status, RUN_LAUNCHING);
    assert_string_equal(run->launcher, "process");
    assert_memory_equal(run->task_token_hash, some_hash, SHA256_SIZE);
    assert_int_equal(run->deadline_ms, NOW + 5);
}

static void test_a_run_is_launched_once(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run(db);
    struct err err = {0};
    int attempt = 0;

    (void)state;
    (void)launch(db, id);
    assert_refused(run_store_launch(db, id, "fake", some_hash, NOW, &attempt, &err), err,
                   ERR_CONFLICT, "run_moved_on");
    assert_int_equal(attempt, 0);
}

static void test_of_several_taken_at_once_one_that_moved_on_is_left_out(void **state)
{
    scoped(db) db = open_memory();
    struct id ids[] = {add_run(db), add_run(db), add_run(db), {.key = 77, .tail = 7}};
    struct run_take takes[ARRAY_SIZE(ids)];
    struct err err = {0};

    (void)state;
    (void)launch(db, ids[1]);
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        takes[i] = (struct run_take){.id = ids[i],
                                     .launcher = "process",
                                     .token_hash = some_hash,
                                     .deadline_ms = NOW + (int64_t)i};
    assert_ok(run_store_launch_all(db, takes, ARRAY_SIZE(takes), &err), err);
    for (size_t i = 0; i < 3; i += 2) {
        scoped(run) run = now_of(db, ids[i]);

        assert_int_equal(takes[i].out_attempt, 1);
        assert_int_equal(run->status, RUN_LAUNCHING);
        assert_string_equal(run->launcher, "process");
        assert_int_equal(run->deadline_ms, NOW + (int64_t)i);
    }
    assert_int_equal(takes[1].out_attempt, 0);
    assert_int_equal(takes[1].out_why.kind, ERR_CONFLICT);
    assert_string_equal(takes[1].out_why.code, "run_moved_on");
    assert_int_equal(takes[3].out_attempt, 0);
    assert_int_equal(takes[3].out_why.kind, ERR_NOT_FOUND);
    scoped(run) other = now_of(db, ids[1]);

    assert_int_equal(other->attempt, 1);
    assert_string_not_equal(other->launcher, "process");
}

static void test_a_requeued_run_waits_and_becomes_a_new_attempt(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run(db);
    static const uint8_t zeroes[SHA256_SIZE];
    struct err err = {0};
    int attempt;
    scoped(run) waiting = NULL;
    scoped(run) again = NULL;

    (void)state;
    (void)launch(db, id);
    assert_ok(run_store_set_job(db, id, 1, "job-1", &err), err);
    assert_ok(run_store_requeue(db, id, 1, NOW + 10, NOW + 99, "no image", true, &err), err);
    waiting = now_of(db, id);
    assert_int_equal(waiting->status, RUN_PENDING);
    assert_int_equal(waiting->attempt, 1);
    assert_int_equal(waiting->launch_failures, 1);
    assert_int_equal(waiting->not_before_ms, NOW + 10);
    assert_int_equal(waiting->deadline_ms, NOW + 99);
    assert_string_equal(waiting->error, "no image");
    assert_memory_equal(waiting->task_token_hash, zeroes, SHA256_SIZE);

    assert_ok(run_store_launch(db, id, "fake", some_hash, NOW, &attempt, &err), err);
    again = now_of(db, id);
    assert_int_equal(attempt, 2);
    assert_int_equal(again->not_before_ms, 0);
    assert_null(again->job_ref);
}

static void test_a_requeue_that_does_not_count_is_no_failure(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run(db);
    struct err err = {0};
    scoped(run) run = NULL;

    (void)state;
    (void)launch(db, id);
    assert_ok(run_store_requeue(db, id, 1, NOW, NOW, "restart", false, &err), err);
    run = now_of(db, id);
    assert_int_equal(run->launch_failures, 0);
}

static void test_a_requeue_is_for_the_current_attempt(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run(db);
    struct err err = {0};

    (void)state;
    (void)launch(db, id);
    assert_ok(run_store_requeue(db, id, 1, NOW, NOW, "w", true, &err), err);
    (void)launch(db, id);
    assert_refused(run_store_requeue(db, id, 1, NOW, NOW, "w", true, &err), err, ERR_CONFLICT,
                   "run_moved_on");
}

static void test_a_run_that_shall_stop_does_not_go_back_to_the_queue(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_LAUNCHING);
    struct err err = {0};
    bool ended;

    (void)state;
    assert_ok(run_store_request_stop(db, id, NOW, NULL, &ended, &err), err);
    assert_refused(run_store_requeue(db, id, 1, NOW, NOW, "w", true, &err), err, ERR_CONFLICT,
                   "run_moved_on");
}

static void test_a_job_is_noted_for_its_attempt_even_when_it_was_quick(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_COMPLETED);
    struct err err = {0};
    scoped(run) run = NULL;

    (void)state;
    assert_ok(run_store_set_job(db, id, 1, "job-1", &err), err);
    run = now_of(db, id);
    assert_string_equal(run->job_ref, "job-1");
    assert_refused(run_store_set_job(db, id, 2, "job-2", &err), err, ERR_CONFLICT,
                   "stale_attempt");
}

static void test_a_job_of_an_attempt_that_was_given_up_is_refused(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_LAUNCHING);
    struct err err = {0};

    (void)state;
    assert_ok(run_store_requeue(db, id, 1, NOW, NOW, "w", true, &err), err);
    assert_refused(run_store_set_job(db, id, 1, "job-1", &err), err, ERR_CONFLICT,
                   "stale_attempt");
}

/* --- Claiming ----------------------------------------------------------------------------- */

static void test_a_claim_starts_the_run(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_LAUNCHING);
    struct err err = {0};
    scoped(run) run = NULL;

    (void)state;
    assert_ok(run_store_claim(db, id, 1, "r1", NOW, NOW + 60, NULL, &err), err);
    run = now_of(db, id);
    assert_int_equal(run->status, RUN_RUNNING);
    assert_string_equal(run->runner_id, "r1");
    assert_int_equal(run->started_ms, NOW);
    assert_int_equal(run->heartbeat_ms, NOW);
    assert_int_equal(run->deadline_ms, NOW + 60);
    assert_null(run->error);
}

static void test_the_same_runner_may_claim_again_and_changes_nothing(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_LAUNCHING);
    struct err err = {0};
    scoped(run) run = NULL;

    (void)state;
    assert_ok(run_store_claim(db, id, 1, "r1", NOW, NOW + 60, NULL, &err), err);
    assert_ok(run_store_claim(db, id, 1, "r1", NOW + 50, NOW + 110, NULL, &err), err);
    run = now_of(db, id);
    assert_int_equal(run->started_ms, NOW);
    assert_int_equal(run->deadline_ms, NOW + 60);
}

static void test_a_claim_is_refused_with_the_reason(void **state)
{
    scoped(db) db = open_memory();
    struct id pending = add_run(db);
    struct id launching = add_run_in(db, RUN_LAUNCHING);
    struct id running = add_run_in(db, RUN_RUNNING);
    struct id ended = add_run_in(db, RUN_FAILED);
    struct err err;

    (void)state;
    assert_refused(run_store_claim(db, running, 1, "r2", NOW, NOW, NULL, &err), err,
                   ERR_CONFLICT, "claimed");
    assert_refused(run_store_claim(db, running, 2, "r1", NOW, NOW, NULL, &err), err,
                   ERR_CONFLICT, "stale_attempt");
    assert_refused(run_store_claim(db, launching, 0, "r1", NOW, NOW, NULL, &err), err,
                   ERR_CONFLICT, "stale_attempt");
    assert_refused(run_store_claim(db, pending, 0, "r1", NOW, NOW, NULL, &err), err,
                   ERR_CONFLICT, "stale_attempt");
    assert_refused(run_store_claim(db, ended, 1, "r1", NOW, NOW, NULL, &err), err, ERR_CONFLICT,
                   "run_ended");
}

struct runner {
    struct db *db;
    struct id id;
    char name[16];
    int result;
    struct err err;
};

static void *claim_once(void *arg)
{
    struct runner *runner = arg;

    runner->result =
        run_store_claim(runner->db, runner->id, 1, runner->name, NOW, NOW, NULL, &runner->err);
    return NULL;
}

static void test_of_many_runners_one_gets_the_run(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_LAUNCHING);
    struct runner runners[N_RUNNERS];
    pthread_t threads[N_RUNNERS];
    int n_winners = 0;

    (void)state;
    for (int i = 0; i < N_RUNNERS; i++) {
        runners[i] = (struct runner){.db = db, .id = id};
        (void)snprintf(runners[i].name, sizeof(runners[i].name), "r%d", i);
        assert_int_equal(pthread_create(&threads[i], NULL, claim_once, &runners[i]), 0);
    }
    for (int i = 0; i < N_RUNNERS; i++) {
        (void)pthread_join(threads[i], NULL);
        n_winners += runners[i].result == 0;
        if (runners[i].result < 0)
            assert_string_equal(runners[i].err.code, "claimed");
    }
    assert_int_equal(n_winners, 1);
}

/* --- Heartbeats and stops ----------------------------------------------------------------- */

static void test_a_heartbeat_is_noted(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct err err = {0};
    bool stop = true;
    scoped(run) run = NULL;

    (void)state;
    assert_ok(run_store_heartbeat(db, id, 1, NOW + 5, &stop, &err), err);
    assert_false(stop);
    run = now_of(db, id);
    assert_int_equal(run->heartbeat_ms, NOW + 5);
}

static void test_a_heartbeat_says_whether_to_stop(void **state)
{
    scoped(db) db = open_memory();
    struct id asked = add_run_in(db, RUN_RUNNING);
    struct id ended = add_run_in(db, RUN_STOPPED);
    struct err err = {0};
    bool flag;

    (void)state;
    assert_ok(run_store_request_stop(db, asked, NOW, NULL, &flag, &err), err);
    assert_false(flag);
    assert_ok(run_store_heartbeat(db, asked, 1, NOW, &flag, &err), err);
    assert_true(flag);
    flag = false;
    assert_ok(run_store_heartbeat(db, ended, 1, NOW, &flag, &err), err);
    assert_true(flag);
}

static void test_a_heartbeat_of_an_old_attempt_is_refused(void **state)
{
    scoped(db) db = open_memory();
    struct id running = add_run_in(db, RUN_RUNNING);
    struct id requeued = add_run_in(db, RUN_LAUNCHING);
    struct err err = {0};
    bool stop;

    (void)state;
    assert_refused(run_store_heartbeat(db, running, 0, NOW, &stop, &err), err, ERR_CONFLICT,
                   "stale_attempt");
    assert_ok(run_store_requeue(db, requeued, 1, NOW, NOW, "w", true, &err), err);
    assert_refused(run_store_heartbeat(db, requeued, 1, NOW, &stop, &err), err, ERR_CONFLICT,
                   "stale_attempt");
}

static void test_stopping_a_pending_run_ends_it(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run(db);
    struct err err = {0};
    bool ended = false;
    scoped(run) run = NULL;

    (void)state;
    assert_ok(run_store_request_stop(db, id, NOW, NULL, &ended, &err), err);
    assert_true(ended);
    run = now_of(db, id);
    assert_int_equal(run->status, RUN_STOPPED);
    assert_int_equal(run->ended_ms, NOW);
    assert_int_equal(run->deadline_ms, 0);
    assert_refused(run_store_request_stop(db, id, NOW, NULL, &ended, &err), err, ERR_CONFLICT,
                   "run_ended");
}

static void test_stopping_an_active_run_marks_it_and_moves_its_deadline_up(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_LAUNCHING);
    struct err err = {0};
    bool ended = true;
    scoped(run) run = NULL;

    (void)state;
    assert_ok(run_store_claim(db, id, 1, "r1", NOW, NOW + 3600000, NULL, &err), err);
    assert_ok(run_store_request_stop(db, id, NOW, NULL, &ended, &err), err);
    assert_ok(run_store_request_stop(db, id, NOW + 1000, NULL, &ended, &err), err);
    assert_false(ended);
    run = now_of(db, id);
    assert_int_equal(run->status, RUN_RUNNING);
    assert_true(run->stop_requested);
    assert_int_equal(run->deadline_ms, NOW + RUN_STOP_GRACE_MS);
}

/* --- Ending ------------------------------------------------------------------------------- */

static void test_an_end_keeps_what_was_reported(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct err err = {0};
    enum run_status from = RUN_PENDING;
    scoped(run) run = NULL;

    (void)state;
    assert_ok(run_store_end(db, id, 1, &completed, NOW, &from, &err), err);
    assert_int_equal(from, RUN_RUNNING);
    run = now_of(db, id);
    assert_int_equal(run->status, RUN_COMPLETED);
    assert_int_equal(run->ended_ms, NOW);
    assert_string_equal(run->pr_url, completed.pr_url);
    assert_string_equal(run->branch_name, completed.branch_name);
    assert_string_equal(run->summary, completed.summary);
    assert_string_equal(run->usage, completed.usage);
    assert_true(run->draft && run->partial);
    assert_memory_equal(run->report_hash, completed.report_hash, SHA256_SIZE);
    assert_int_equal(run->deadline_ms, 0);
}

static void test_a_failure_keeps_its_code_and_sentence(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct run_end end = {
        .status = RUN_FAILED, .error_code = FAILURE_LOST, .error = "the runner is gone"};
    struct err err = {0};
    enum run_status from;
    scoped(run) run = NULL;

    (void)state;
    assert_ok(run_store_end(db, id, 0, &end, NOW, &from, &err), err);
    run = now_of(db, id);
    assert_int_equal(run->error_code, FAILURE_LOST);
    assert_string_equal(run->error, "the runner is gone");
}

static void test_the_first_report_wins_and_may_be_repeated(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct run_end other = {.status = RUN_FAILED, .report_hash = {9}};
    struct err err = {0};
    enum run_status from;
    scoped(run) run = NULL;

    (void)state;
    assert_ok(run_store_end(db, id, 1, &completed, NOW, &from, &err), err);
    assert_ok(run_store_end(db, id, 1, &completed, NOW + 9, &from, &err), err);
    assert_int_equal(from, RUN_COMPLETED);
    assert_refused(run_store_end(db, id, 1, &other, NOW + 9, &from, &err), err, ERR_CONFLICT,
                   "run_ended");
    assert_refused(run_store_end(db, id, 0, &completed, NOW + 9, &from, &err), err,
                   ERR_CONFLICT, "run_ended");
    run = now_of(db, id);
    assert_int_equal(run->status, RUN_COMPLETED);
    assert_int_equal(run->ended_ms, NOW);
}

static void test_a_report_after_our_own_end_is_refused(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct run_end lost = {.status = RUN_FAILED, .error_code = FAILURE_LOST};
    struct run_end no_hash = {.status = RUN_FAILED};
    struct err err = {0};
    enum run_status from;

    (void)state;
    assert_ok(run_store_end(db, id, 0, &lost, NOW, &from, &err), err);
    assert_refused(run_store_end(db, id, 1, &completed, NOW, &from, &err), err, ERR_CONFLICT,
                   "run_ended");
    assert_refused(run_store_end(db, id, 1, &no_hash, NOW, &from, &err), err, ERR_CONFLICT,
                   "run_ended");
}

static void test_an_old_attempt_can_not_end_the_run(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_LAUNCHING);
    struct run_end failed = {.status = RUN_FAILED, .report_hash = {9}};
    struct err err = {0};
    enum run_status from;
    scoped(run) run = NULL;

    (void)state;
    assert_ok(run_store_requeue(db, id, 1, NOW, NOW, "w", true, &err), err);
    assert_refused(run_store_end(db, id, 1, &failed, NOW, &from, &err), err, ERR_CONFLICT,
                   "stale_attempt");
    (void)launch(db, id);
    assert_refused(run_store_end(db, id, 1, &failed, NOW, &from, &err), err, ERR_CONFLICT,
                   "stale_attempt");
    run = now_of(db, id);
    assert_int_equal(run->status, RUN_LAUNCHING);
}

static void test_our_verdict_holds_only_for_the_run_as_it_was_seen(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_LAUNCHING);
    scoped(run) seen = now_of(db, id);
    scoped(run) again = NULL;
    struct run_end failed = {.status = RUN_FAILED, .seen = seen};
    struct err err = {0};
    enum run_status from;

    (void)state;
    assert_ok(run_store_requeue(db, id, 1, NOW, NOW, "w", true, &err), err);
    assert_refused(run_store_end(db, id, 0, &failed, NOW, &from, &err), err, ERR_CONFLICT,
                   "run_moved_on");
    (void)launch(db, id);
    assert_refused(run_store_end(db, id, 0, &failed, NOW, &from, &err), err, ERR_CONFLICT,
                   "run_moved_on");
    again = now_of(db, id);
    failed.seen = again;
    assert_ok(run_store_end(db, id, 0, &failed, NOW, &from, &err), err);
    assert_int_equal(from, RUN_LAUNCHING);
}

static void test_a_run_that_was_not_claimed_can_not_be_completed(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_LAUNCHING);
    enum run_status from;
    struct err err;

    (void)state;
    assert_refused(run_store_end(db, id, 1, &completed, NOW, &from, &err), err, ERR_CONFLICT,
                   "run_moved_on");
}

TEST_MAIN(cmocka_unit_test(test_every_pair_of_states_moves_as_the_table_says),
          cmocka_unit_test(test_an_end_that_is_none_is_refused_before_any_sql),
          cmocka_unit_test(test_a_launch_counts_the_attempt_and_sets_what_it_was_given),
          cmocka_unit_test(test_a_run_is_launched_once),
          cmocka_unit_test(test_of_several_taken_at_once_one_that_moved_on_is_left_out),
          cmocka_unit_test(test_a_requeued_run_waits_and_becomes_a_new_attempt),
          cmocka_unit_test(test_a_requeue_that_does_not_count_is_no_failure),
          cmocka_unit_test(test_a_requeue_is_for_the_current_attempt),
          cmocka_unit_test(test_a_run_that_shall_stop_does_not_go_back_to_the_queue),
          cmocka_unit_test(test_a_job_is_noted_for_its_attempt_even_when_it_was_quick),
          cmocka_unit_test(test_a_job_of_an_attempt_that_was_given_up_is_refused),
          cmocka_unit_test(test_a_claim_starts_the_run),
          cmocka_unit_test(test_the_same_runner_may_claim_again_and_changes_nothing),
          cmocka_unit_test(test_a_claim_is_refused_with_the_reason),
          cmocka_unit_test(test_of_many_runners_one_gets_the_run),
          cmocka_unit_test(test_a_heartbeat_is_noted),
          cmocka_unit_test(test_a_heartbeat_says_whether_to_stop),
          cmocka_unit_test(test_a_heartbeat_of_an_old_attempt_is_refused),
          cmocka_unit_test(test_stopping_a_pending_run_ends_it),
          cmocka_unit_test(test_stopping_an_active_run_marks_it_and_moves_its_deadline_up),
          cmocka_unit_test(test_an_end_keeps_what_was_reported),
          cmocka_unit_test(test_a_failure_keeps_its_code_and_sentence),
          cmocka_unit_test(test_the_first_report_wins_and_may_be_repeated),
          cmocka_unit_test(test_a_report_after_our_own_end_is_refused),
          cmocka_unit_test(test_an_old_attempt_can_not_end_the_run),
          cmocka_unit_test(test_our_verdict_holds_only_for_the_run_as_it_was_seen),
          cmocka_unit_test(test_a_run_that_was_not_claimed_can_not_be_completed))
