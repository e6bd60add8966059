/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>
#include <time.h>

#include "base/scoped.h"

#define DAY_MS 86400000LL

static void test_wall_time_is_now(void **state)
{
    int64_t before_s = time(NULL);
    int64_t now_ms = clock_wall_ms();

    (void)state;
    assert_true(now_ms >= before_s * 1000);
    assert_true(now_ms <= (time(NULL) + 1) * 1000);
}

static void test_a_test_sets_wall_time_by_hand(void **state)
{
    (void)state;
    clock_set_for_test(1234567);
    assert_int_equal(clock_wall_ms(), 1234567);
    clock_set_for_test(0);
    assert_int_equal(clock_wall_ms(), 0);
    clock_set_for_test(-1);
    assert_true(clock_wall_ms() > 1700000000000);
}

static void test_monotonic_time_never_steps_back(void **state)
{
    int64_t last = clock_monotonic_ms();

    (void)state;
    clock_set_for_test(5);
    for (int i = 0; i < 10000; i++) {
        int64_t now = clock_monotonic_ms();

        assert_true(now >= last);
        last = now;
    }
    clock_set_for_test(-1);
    wait_until(clock_monotonic_ms() > last, 60000);
}

static void test_text_is_rfc3339_with_milliseconds(void **state)
{
    static const struct {
        int64_t wall_ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {999, "1970-01-01T00:00:00.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {1767323045678, "2026-01-02T03:04:05.678Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {-1, "1970-01-01T00:00:00.000Z"},
        {INT64_MIN, "1970-01-01T00:00:00.000Z"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[CLOCK_TEXT_SIZE];

        clock_text(cases[i].wall_ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_text_keeps_its_room_for_any_number(void **state)
{
    static const int64_t odd[] = {253402300800000, INT64_MAX / 2, INT64_MAX};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        char text[CLOCK_TEXT_SIZE + 1];

        text[CLOCK_TEXT_SIZE] = '!';
        clock_text(odd[i], text);
        assert_int_equal(strlen(text), CLOCK_TEXT_SIZE - 1);
        assert_int_equal(text[CLOCK_TEXT_SIZE], '!');
    }
}

static void test_text_becomes_time_again(void **state)
{
    static const struct {
        const char *text;
        int64_t wall_ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-01-02T03:04:05Z", 1767323045000},
        {"2026-01-02T03:04:05z", 1767323045000},
        {"2026-01-02T03:04:05.678Z", 1767323045678},
        {"2026-01-02T03:04:05.6Z", 1767323045600},
        {"2026-01-02T03:04:05.678901234567890123456789Z", 1767323045678},
        {"2026-01-02T04:04:05+01:00", 1767323045000},
        {"2026-01-01T21:34:05.001-05:30", 1767323045001},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"1969-12-31T23:59:59Z", -1000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t wall_ms = 1;

        assert_true(clock_parse(cases[i].text, &wall_ms));
        assert_true(wall_ms == cases[i].wall_ms);
    }
}

static void test_what_is_no_time_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "now",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05Zx",
        "2026-01-02T03:04:05 Z",
        "2026-01-02T03:04:05+1:00",
        "2026-01-02T03:04:05+01:000",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+01:60",
        "2026-01-02T03:04:05+ 1:00",
        "2026-01-02T03:04:05+-1:00",
        " 026-01-02T03:04:05Z",
        "2026-1-02T003:04:05Z",
        "2026- 1-02T03:04:05Z",
        "2026-13-02T03:04:05Z",
        "2026-02-29T03:04:05Z",
        "2026-04-31T03:04:05Z",
        "2026-01-00T03:04:05Z",
        "2026-01-02T24:04:05Z",
        "2026-01-02T03:60:05Z",
    };
    int64_t wall_ms = 7;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        if (clock_parse(wrong[i], &wall_ms))
            fail_msg("taken: %s", wrong[i]);
    assert_false(clock_parse(NULL, &wall_ms));
    assert_int_equal(wall_ms, 7);
}

static void test_steady_time_is_wall_time_without_its_jumps(void **state)
{
    int64_t wall_ms = clock_wall_ms();
    int64_t steady_ms = clock_steady_ms();

    (void)state;
    assert_true(steady_ms - wall_ms < 1000 && wall_ms - steady_ms < 1000);
    for (int sign = -1; sign <= 1; sign += 2) {
        clock_jump_for_test(sign * DAY_MS);
        assert_true(sign * (clock_wall_ms() - wall_ms) > DAY_MS / 2);
        assert_true(clock_steady_ms() >= steady_ms);
        assert_true(clock_steady_ms() - steady_ms < DAY_MS / 2);
    }
    clock_jump_for_test(0);
}

static void test_the_later_and_the_earlier_of_both(void **state)
{
    (void)state;
    clock_set_for_test(1000);
    assert_int_equal(clock_steady_ms(), 1000);
    clock_jump_for_test(5);
    assert_int_equal(clock_latest_ms(), 1005);
    assert_int_equal(clock_earliest_ms(), 1000);
    clock_jump_for_test(-5);
    assert_int_equal(clock_latest_ms(), 1000);
    assert_int_equal(clock_earliest_ms(), 995);
    clock_jump_for_test(0);
    clock_set_for_test(-1);
}

TEST_MAIN(cmocka_unit_test(test_wall_time_is_now),
          cmocka_unit_test(test_steady_time_is_wall_time_without_its_jumps),
          cmocka_unit_test(test_the_later_and_the_earlier_of_both),
          cmocka_unit_test(test_a_test_sets_wall_time_by_hand),
          cmocka_unit_test(test_monotonic_time_never_steps_back),
          cmocka_unit_test(test_text_is_rfc3339_with_milliseconds),
          cmocka_unit_test(test_text_keeps_its_room_for_any_number),
          cmocka_unit_test(test_text_becomes_time_again),
          cmocka_unit_test(test_what_is_no_time_is_refused))
