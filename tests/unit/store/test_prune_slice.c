/* SPDX-License-Identifier: Apache-2.0 */
#include "store/prune_slice.h"

#include "test.h"

#define DEADLINE_MS 10000

static void test_a_slice_is_over_after_its_time_and_noted(void **state)
{
    struct prune_slice slice = prune_slice_begin();

    (void)state;
    wait_until(prune_slice_is_over(&slice), DEADLINE_MS);
    prune_slice_end(&slice);
    assert_true(prune_slice_longest_us() >= PRUNE_SLICE_US);
}

static void test_the_longest_is_not_lowered_by_a_shorter_one(void **state)
{
    struct prune_slice slice = prune_slice_begin();
    struct prune_slice shorter;
    int64_t longest;

    (void)state;
    wait_until(prune_slice_is_over(&slice), DEADLINE_MS);
    prune_slice_end(&slice);
    longest = prune_slice_longest_us();
    shorter = prune_slice_begin();
    prune_slice_end(&shorter);
    assert_true(prune_slice_longest_us() >= longest);
}

TEST_MAIN(cmocka_unit_test(test_a_slice_is_over_after_its_time_and_noted),
          cmocka_unit_test(test_the_longest_is_not_lowered_by_a_shorter_one))
