/* SPDX-License-Identifier: Apache-2.0 */
#include "model/run.h"

#include <string.h>

#include "test.h"

/* The whole table, row by row: from this state to pending, launching, running, completed,
 * failed, stopped. */
static const char *const moves[RUN_STATUS_COUNT] = {
    [RUN_PENDING] = ".L..FS",   [RUN_LAUNCHING] = "P.R.FS", [RUN_RUNNING] = "...CFS",
    [RUN_COMPLETED] = "......", [RUN_FAILED] = "......",    [RUN_STOPPED] = "......",
};

static void test_every_pair_of_states_moves_as_the_table_says(void **state)
{
    (void)state;
    for (unsigned from = 0; from < RUN_STATUS_COUNT; from++)
        for (unsigned to = 0; to < RUN_STATUS_COUNT; to++)
            if (run_may_move((enum run_status)from, (enum run_status)to)
                != (moves[from][to] != '.'))
                fail_msg("%s -> %s", run_status_name((enum run_status)from),
                         run_status_name((enum run_status)to));
}

static void test_nothing_leaves_a_terminal_state(void **state)
{
    (void)state;
    for (unsigned from = 0; from < RUN_STATUS_COUNT; from++) {
        bool terminal = from >= RUN_COMPLETED;

        assert_int_equal(run_status_is_terminal((enum run_status)from), terminal);
        for (unsigned to = 0; terminal && to < RUN_STATUS_COUNT; to++)
            assert_false(run_may_move((enum run_status)from, (enum run_status)to));
    }
}

static void test_states_outside_the_table_never_move(void **state)
{
    (void)state;
    assert_false(run_may_move(RUN_STATUS_COUNT, RUN_PENDING));
    assert_false(run_may_move(RUN_PENDING, RUN_STATUS_COUNT));
    assert_false(run_may_move((enum run_status)77, (enum run_status)77));
    assert_false(run_status_is_terminal(RUN_STATUS_COUNT));
    assert_string_equal(run_status_name((enum run_status)77), "unknown");
}

static void test_status_names_are_as_stored_and_come_back(void **state)
{
    static const char *const names[] = {"pending",   "launching", "running",
                                        "completed", "failed",    "stopped"};
    enum run_status status;

    (void)state;
    for (unsigned i = 0; i < RUN_STATUS_COUNT; i++) {
        assert_string_equal(run_status_name((enum run_status)i), names[i]);
        assert_true(run_status_parse(names[i], &status));
        assert_int_equal(status, i);
    }
    assert_false(run_status_parse("queued", &status));
    assert_false(run_status_parse("", &status));
    assert_false(run_status_parse(NULL, &status));
}

static void test_launching_is_pending_to_the_public(void **state)
{
    (void)state;
    assert_string_equal(run_status_public_name(RUN_LAUNCHING), "pending");
    assert_string_equal(run_status_public_name(RUN_PENDING), "pending");
    assert_string_equal(run_status_public_name(RUN_RUNNING), "running");
    assert_string_equal(run_status_public_name(RUN_STOPPED), "stopped");
}

static void test_failure_codes_are_the_closed_list(void **state)
{
    static const char *const names[] = {
        "launch_failed", "image_pull",    "clone_failed",    "auth_expired", "agent_failed",
        "agent_timeout", "out_of_memory", "evicted",         "deadline",     "push_rejected",
        "pr_failed",     "tests_failed",  "budget_exceeded", "lost",         "internal"};
    enum failure_code code;

    (void)state;
    assert_null(failure_code_name(FAILURE_NONE));
    assert_null(failure_code_name((enum failure_code)99));
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        assert_string_equal(failure_code_name((enum failure_code)(i + 1)), names[i]);
        assert_true(failure_code_parse(names[i], &code));
        assert_int_equal(code, i + 1);
    }
    assert_false(failure_code_parse("oops", &code));
    assert_false(failure_code_parse(NULL, &code));
}

TEST_MAIN(cmocka_unit_test(test_every_pair_of_states_moves_as_the_table_says),
          cmocka_unit_test(test_nothing_leaves_a_terminal_state),
          cmocka_unit_test(test_states_outside_the_table_never_move),
          cmocka_unit_test(test_status_names_are_as_stored_and_come_back),
          cmocka_unit_test(test_launching_is_pending_to_the_public),
          cmocka_unit_test(test_failure_codes_are_the_closed_list))
