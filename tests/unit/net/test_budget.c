/* SPDX-License-Identifier: Apache-2.0 */
#include "net/budget.h"

#include "test.h"

static int64_t take(struct budget *budget, int64_t now_ms)
{
    int64_t wait_ms = -1;

    assert_true(budget_take(budget, now_ms, 1000000, &wait_ms));
    return wait_ms;
}

static void test_a_burst_goes_at_once_and_then_one_at_a_time(void **state)
{
    struct budget budget;

    (void)state;
    budget_init(&budget, 10, 3, 5000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(take(&budget, 5000), 0);
    for (int i = 1; i <= 5; i++)
        assert_int_equal(take(&budget, 5000), i * 100);
    /* Half a second later all of those have gone. */
    assert_int_equal(take(&budget, 5500), 100);
}

static void test_it_never_allows_more_than_its_rate_and_burst(void **state)
{
    struct budget budget;
    int gone = 0;

    (void)state;
    budget_init(&budget, 50, 100, 0);
    for (int64_t now_ms = 0; now_ms <= 10000; now_ms++) {
        int64_t wait_ms;

        while (budget_take(&budget, now_ms, 0, &wait_ms))
            gone++;
        assert_true(gone <= 100 + now_ms * 50 / 1000);
    }
    assert_in_range(gone, 590, 600);
}

static void test_what_would_wait_too_long_takes_nothing(void **state)
{
    struct budget budget;
    int64_t wait_ms = 0;

    (void)state;
    budget_init(&budget, 1, 1, 0);
    assert_int_equal(take(&budget, 0), 0);
    for (int i = 0; i < 3; i++) {
        assert_false(budget_take(&budget, 0, 999, &wait_ms));
        assert_int_equal(wait_ms, 1000);
    }
    assert_int_equal(take(&budget, 0), 1000);
}

static void test_what_is_returned_can_be_taken_again(void **state)
{
    struct budget budget;

    (void)state;
    budget_init(&budget, 1, 2, 0);
    assert_int_equal(take(&budget, 0), 0);
    budget_return(&budget);
    budget_return(&budget); /* not above the burst */
    assert_int_equal(take(&budget, 0), 0);
    assert_int_equal(take(&budget, 0), 0);
    assert_int_equal(take(&budget, 0), 1000);
}

static void test_while_it_is_held_nobody_goes_and_then_no_burst(void **state)
{
    struct budget budget;

    (void)state;
    budget_init(&budget, 10, 100, 0);
    budget_hold(&budget, 0, 2000);
    budget_hold(&budget, 0, 500); /* a shorter one changes nothing */
    assert_int_equal(take(&budget, 1000), 1000);
    assert_int_equal(take(&budget, 1000), 1100);
    assert_int_equal(take(&budget, 1000), 1200);
    assert_int_equal(take(&budget, 3000), 0);
}

static void test_a_clock_that_steps_back_gives_nothing(void **state)
{
    struct budget budget;

    (void)state;
    budget_init(&budget, 10, 1, 5000);
    assert_int_equal(take(&budget, 5000), 0);
    assert_int_equal(take(&budget, 4000), 1100);
}

TEST_MAIN(cmocka_unit_test(test_a_burst_goes_at_once_and_then_one_at_a_time),
          cmocka_unit_test(test_it_never_allows_more_than_its_rate_and_burst),
          cmocka_unit_test(test_what_would_wait_too_long_takes_nothing),
          cmocka_unit_test(test_what_is_returned_can_be_taken_again),
          cmocka_unit_test(test_while_it_is_held_nobody_goes_and_then_no_burst),
          cmocka_unit_test(test_a_clock_that_steps_back_gives_nothing))
