/* SPDX-License-Identifier: Apache-2.0 */
#include "service/launches.h"
#include "test.h"

#include <string.h>

#include "base/alloc.h"
#include "crypto/random.h"
#include "model/token.h"

#define NOW_MS 1000000

static struct launches *launches_new(void)
{
    struct launches *launches = xcalloc(1, sizeof(*launches));

    launches_init(launches, "fake");
    return launches;
}

static void launches_free(struct launches *launches)
{
    launches_done(launches);
    free(launches);
}
DEFINE_SCOPED(launches)

static struct launch *begin(struct launches *launches)
{
    struct run *run = xcalloc(1, sizeof(*run));
    struct launch *launch;

    run->id = id_make(clock_wall_ms(), random_u64());
    run->attempt = 1;
    launch = launches_begin(launches, run, task_token_make(run->id));
    launch->asked = 1;
    return launch;
}

static struct err away(int retry_after_s)
{
    struct err err = {0};

    (void)err_set(&err, ERR_UNAVAILABLE, "connection refused");
    err.retry_after_s = retry_after_s;
    return err;
}

static bool may_ask(struct launches *launches, int64_t now_ms)
{
    int64_t wait_ms;

    return launches_may_ask(launches, now_ms, &wait_ms);
}

static int64_t wait_of(struct launches *launches, int64_t now_ms)
{
    int64_t wait_ms;

    assert_false(launches_may_ask(launches, now_ms, &wait_ms));
    return wait_ms;
}

static struct launch *again(struct launches *launches, int64_t now_ms)
{
    int64_t wait_ms;
    bool full;

    return launches_again(launches, now_ms, true, &wait_ms, &full);
}

static void test_all_pause_when_one_finds_the_backend_away(void **state)
{
    scoped(launches) launches = launches_new();
    struct err err = away(0);
    char why[64];

    (void)state;
    assert_true(may_ask(launches, NOW_MS));
    assert_true(may_ask(launches, NOW_MS)); /* as many at once as there are threads */
    launches_missed(launches, begin(launches), &err, NOW_MS);
    assert_in_range(wait_of(launches, NOW_MS), LAUNCH_PAUSE_FIRST_MS / 2,
                    LAUNCH_PAUSE_FIRST_MS);
    assert_true(launches_paused(launches, why, sizeof(why)));
    assert_string_equal(why, "connection refused");
}

static void test_after_a_pause_one_asks_for_all(void **state)
{
    scoped(launches) launches = launches_new();
    struct err err = away(0);
    struct launch *first = begin(launches);
    int64_t later_ms = NOW_MS + LAUNCH_PAUSE_MAX_MS;

    (void)state;
    launches_missed(launches, first, &err, NOW_MS);
    assert_true(may_ask(launches, later_ms));
    assert_int_equal(wait_of(launches, later_ms), -1);
    assert_ptr_equal(again(launches, later_ms), first);
    assert_null(again(launches, later_ms)); /* it is in a hand */
    launches_settled(launches, first, true);
    assert_true(may_ask(launches, later_ms));
    assert_true(may_ask(launches, later_ms));
    assert_false(launches_paused(launches, NULL, 0));
}

static void test_one_that_had_nothing_to_ask_leaves_it_to_the_next(void **state)
{
    scoped(launches) launches = launches_new();
    struct err err = away(0);
    struct launch *launch = begin(launches);
    int64_t later_ms = NOW_MS + LAUNCH_PAUSE_MAX_MS;

    (void)state;
    launches_missed(launches, launch, &err, NOW_MS);
    assert_true(may_ask(launches, later_ms));
    launches_none(launches);
    assert_true(may_ask(launches, later_ms));
    assert_ptr_equal(again(launches, later_ms), launch);
    launches_settled(launches, launch, false); /* nobody was asked */
    assert_true(launches_paused(launches, NULL, 0));
    assert_true(may_ask(launches, later_ms));
}

static void test_pauses_grow_to_their_limit(void **state)
{
    scoped(launches) launches = launches_new();
    struct err err = away(0);
    struct launch *launch = begin(launches);
    int64_t now_ms = NOW_MS;
    int64_t whole_ms = LAUNCH_PAUSE_FIRST_MS;

    (void)state;
    for (int i = 0; i < 12; i++) {
        launches_missed(launches, launch, &err, now_ms);
        assert_in_range(wait_of(launches, now_ms), whole_ms / 2, whole_ms);
        now_ms += whole_ms;
        whole_ms = whole_ms * 2 > LAUNCH_PAUSE_MAX_MS ? LAUNCH_PAUSE_MAX_MS : whole_ms * 2;
        assert_true(may_ask(launches, now_ms));
        assert_ptr_equal(again(launches, now_ms), launch);
    }
}

static void test_the_backend_says_how_long_to_leave_it_alone(void **state)
{
    scoped(launches) launches = launches_new();
    struct err err = away(40);
    struct err absurd = away(1000000);
    struct launch *launch = begin(launches);

    (void)state;
    launches_missed(launches, launch, &err, NOW_MS);
    assert_int_equal(wait_of(launches, NOW_MS), 40000);
    assert_true(may_ask(launches, NOW_MS + 40000));
    assert_ptr_equal(again(launches, NOW_MS + 40000), launch);
    launches_missed(launches, launch, &absurd, NOW_MS + 40000);
    assert_int_equal(wait_of(launches, NOW_MS + 40000), LAUNCH_RETRY_AFTER_MAX_S * 1000);
}

/* Four threads find it away at once: that is one pause, not four. */
static void test_misses_of_one_moment_are_one(void **state)
{
    scoped(launches) launches = launches_new();
    struct err err = away(0);
    struct launch *all[4];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        all[i] = begin(launches);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        launches_missed(launches, all[i], &err, NOW_MS);
    assert_in_range(wait_of(launches, NOW_MS), 1, LAUNCH_PAUSE_FIRST_MS);
}

static void test_what_waits_comes_in_the_order_it_was_taken(void **state)
{
    scoped(launches) launches = launches_new();
    struct err err = away(0);
    struct launch *first = begin(launches);
    struct launch *second = begin(launches);

    (void)state;
    launches_missed(launches, second, &err, NOW_MS);
    launches_missed(launches, first, &err, NOW_MS);
    assert_ptr_equal(again(launches, NOW_MS), first);
    assert_ptr_equal(again(launches, NOW_MS), second);
}

/* One that never gets an answer doesn't keep the others from being asked for. */
static void test_an_unanswered_one_waits_by_itself(void **state)
{
    scoped(launches) launches = launches_new();
    struct err unanswered = {0};
    struct launch *stuck = begin(launches);
    struct launch *other = begin(launches);
    int64_t wait_ms;
    bool full;

    (void)state;
    (void)err_set(&unanswered, ERR_TIMEOUT, "no answer");
    stuck->asked = 20;
    launches_missed(launches, stuck, &unanswered, NOW_MS);
    launches_settled(launches, other, true);
    assert_true(may_ask(launches, NOW_MS));
    assert_null(launches_again(launches, NOW_MS, true, &wait_ms, &full));
    assert_in_range(wait_ms, LAUNCH_PAUSE_MAX_MS / 2, LAUNCH_PAUSE_MAX_MS);
    assert_false(full);
    assert_ptr_equal(again(launches, NOW_MS + wait_ms), stuck);
}

static void test_so_many_wait_and_no_more_are_taken(void **state)
{
    scoped(launches) launches = launches_new();
    struct err unanswered = {0};
    int64_t wait_ms;
    bool full = false;

    (void)state;
    (void)err_set(&unanswered, ERR_TIMEOUT, "no answer");
    for (int i = 0; i < LAUNCHES_WAITING_MAX; i++) {
        assert_null(launches_again(launches, NOW_MS, true, &wait_ms, &full));
        assert_false(full);
        launches_missed(launches, begin(launches), &unanswered, NOW_MS);
    }
    assert_null(launches_again(launches, NOW_MS, true, &wait_ms, &full));
    assert_true(full);
}

static void test_one_taken_ahead_waits_for_a_thread_and_keeps_no_worker(void **state)
{
    scoped(launches) launches = launches_new();
    struct launch *ahead = begin(launches);
    int64_t wait_ms;
    bool full;

    (void)state;
    ahead->asked = 0;
    launches_park(launches, ahead, NOW_MS);
    assert_int_equal(launches_in_hand(launches), 0);
    assert_int_equal(launches_parked(launches), 1);
    assert_true(launches_has(launches, ahead->run->id, 1));
    assert_null(launches_again(launches, NOW_MS, false, &wait_ms, &full));
    assert_ptr_equal(launches_again(launches, NOW_MS, true, &wait_ms, &full), ahead);
    assert_int_equal(launches_in_hand(launches), 1);
    assert_int_equal(launches_parked(launches), 0);
    assert_false(launches_paused(launches, NULL, 0));
}

static void test_a_launch_is_known_until_it_is_settled(void **state)
{
    scoped(launches) launches = launches_new();
    struct err err = away(0);
    struct launch *launch = begin(launches);
    struct id run = launch->run->id;

    (void)state;
    assert_true(launches_has(launches, run, 1));
    assert_false(launches_has(launches, run, 2));
    launches_missed(launches, launch, &err, NOW_MS);
    assert_true(launches_has(launches, run, 1));
    assert_ptr_equal(again(launches, NOW_MS), launch);
    launches_settled(launches, launch, true);
    assert_false(launches_has(launches, run, 1));
}

static void test_a_launch_of_the_last_process_is_due_at_once(void **state)
{
    scoped(launches) launches = launches_new();
    struct run *run = xcalloc(1, sizeof(*run));
    struct launch *launch;

    (void)state;
    run->id = id_make(clock_wall_ms(), random_u64());
    run->attempt = 3;
    launches_resume(launches, run, task_token_make(run->id));
    launch = again(launches, NOW_MS);
    assert_non_null(launch);
    assert_true(launch->may_exist);
    assert_true(launches_has(launches, run->id, 3));
}

TEST_MAIN(cmocka_unit_test(test_all_pause_when_one_finds_the_backend_away),
          cmocka_unit_test(test_after_a_pause_one_asks_for_all),
          cmocka_unit_test(test_one_that_had_nothing_to_ask_leaves_it_to_the_next),
          cmocka_unit_test(test_pauses_grow_to_their_limit),
          cmocka_unit_test(test_the_backend_says_how_long_to_leave_it_alone),
          cmocka_unit_test(test_misses_of_one_moment_are_one),
          cmocka_unit_test(test_what_waits_comes_in_the_order_it_was_taken),
          cmocka_unit_test(test_an_unanswered_one_waits_by_itself),
          cmocka_unit_test(test_so_many_wait_and_no_more_are_taken),
          cmocka_unit_test(test_one_taken_ahead_waits_for_a_thread_and_keeps_no_worker),
          cmocka_unit_test(test_a_launch_is_known_until_it_is_settled),
          cmocka_unit_test(test_a_launch_of_the_last_process_is_due_at_once))
