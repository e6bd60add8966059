/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run_store.h"

#include "store_test.h"

#define LATER (NO_TIME_YET + 5000)

static enum run_status started(struct db *db, struct id id, int attempt, int64_t deadline_ms)
{
    enum run_status status = RUN_STATUS_COUNT;
    struct err err = {0};

    assert_ok(run_store_job_started(db, id, attempt, "job-1", deadline_ms, &status, &err), err);
    return status;
}

static void test_a_started_job_is_noted_wherever_its_run_is(void **state)
{
    static const enum run_status at[] = {RUN_LAUNCHING, RUN_RUNNING, RUN_COMPLETED, RUN_FAILED,
                                         RUN_STOPPED};
    scoped(db) db = open_memory();

    (void)state;
    for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
        struct id id = add_run_in(db, at[i]);

        assert_int_equal(started(db, id, 1, LATER), at[i]);
        scoped(run) run = now_of(db, id);
        assert_string_equal(run->job_ref, "job-1");
        assert_int_equal(run->status, at[i]);
        assert_int_equal(run->deadline_ms, at[i] == RUN_LAUNCHING ? LATER
                                           : at[i] == RUN_RUNNING ? NO_TIME_YET
                                                                  : 0);
    }
}

static void test_without_a_deadline_it_stays(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_LAUNCHING);

    (void)state;
    assert_int_equal(started(db, id, 1, 0), RUN_LAUNCHING);
    scoped(run) run = now_of(db, id);
    assert_int_equal(run->deadline_ms, NO_TIME_YET);
}

static void test_a_job_of_another_attempt_is_not_noted(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_LAUNCHING);
    enum run_status status;
    struct err err = {0};

    (void)state;
    assert_refused(run_store_job_started(db, id, 2, "job-2", 0, &status, &err), err,
                   ERR_CONFLICT, "run_moved_on");
    assert_ok(run_store_requeue(db, id, 1, 0, NO_TIME_YET, "why", false, &err), err);
    assert_refused(run_store_job_started(db, id, 1, "job-1", 0, &status, &err), err,
                   ERR_CONFLICT, "run_moved_on");
}

static void test_only_a_launching_runs_deadline_is_pushed(void **state)
{
    static const enum run_status others[] = {RUN_PENDING, RUN_RUNNING, RUN_COMPLETED};
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_LAUNCHING);
    struct err err = {0};

    (void)state;
    assert_ok(run_store_push_deadline(db, id, 1, LATER, &err), err);
    scoped(run) run = now_of(db, id);
    assert_int_equal(run->deadline_ms, LATER);
    assert_refused(run_store_push_deadline(db, id, 2, LATER, &err), err, ERR_CONFLICT,
                   "run_moved_on");
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_refused(run_store_push_deadline(db, add_run_in(db, others[i]), 1, LATER, &err),
                       err, ERR_CONFLICT, "run_moved_on");
}

/* Its deadline is when the stop is carried out over its head. */
static void test_the_deadline_of_a_stop_stays(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_LAUNCHING);
    int64_t now_ms = clock_wall_ms();
    struct err err = {0};
    bool ended;

    (void)state;
    assert_ok(run_store_request_stop(db, id, now_ms, NULL, &ended, &err), err);
    assert_refused(run_store_push_deadline(db, id, 1, LATER, &err), err, ERR_CONFLICT,
                   "run_moved_on");
    assert_int_equal(started(db, id, 1, LATER), RUN_LAUNCHING);
    scoped(run) run = now_of(db, id);
    assert_int_equal(run->deadline_ms, now_ms + RUN_STOP_GRACE_MS);
}

TEST_MAIN(cmocka_unit_test(test_a_started_job_is_noted_wherever_its_run_is),
          cmocka_unit_test(test_without_a_deadline_it_stays),
          cmocka_unit_test(test_a_job_of_another_attempt_is_not_noted),
          cmocka_unit_test(test_only_a_launching_runs_deadline_is_pushed),
          cmocka_unit_test(test_the_deadline_of_a_stop_stays))
