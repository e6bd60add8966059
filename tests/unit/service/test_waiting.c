/* SPDX-License-Identifier: Apache-2.0 */
#include "service/waiting.h"
#include "test.h"

#include "crypto/random.h"

#define MANY 1000

static struct id id_number(int64_t number)
{
    return (struct id){.key = number * 7919 % 100003, .tail = number};
}

static void test_what_was_noted_is_over_once(void **state)
{
    struct waiting waiting = {0};

    (void)state;
    for (int64_t i = 0; i < MANY; i++) {
        waiting_note(&waiting, id_number(i));
        waiting_note(&waiting, id_number(i / 2));
    }
    assert_int_equal(waiting.count, MANY);
    assert_false(waiting_over(&waiting, id_number(MANY)));
    for (int64_t i = MANY - 1; i >= 0; i--) {
        assert_true(waiting_over(&waiting, id_number(i)));
        assert_false(waiting_over(&waiting, id_number(i)));
    }
    assert_int_equal(waiting.count, 0);
    waiting_done(&waiting);
}

static void test_what_a_round_did_not_see_is_dropped(void **state)
{
    struct waiting waiting = {0};

    (void)state;
    for (int64_t i = 0; i < MANY; i++)
        waiting_note(&waiting, id_number(i));
    waiting_begin(&waiting);
    for (int64_t i = 0; i < MANY; i += 3)
        waiting_note(&waiting, id_number(i));
    waiting_end(&waiting);
    for (int64_t i = 0; i < MANY; i++)
        assert_int_equal(waiting_over(&waiting, id_number(i)), i % 3 == 0);
    waiting_done(&waiting);
}

TEST_MAIN(cmocka_unit_test(test_what_was_noted_is_over_once),
          cmocka_unit_test(test_what_a_round_did_not_see_is_dropped))
