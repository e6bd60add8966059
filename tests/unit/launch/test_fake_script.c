/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>

#include "base/alloc.h"
#include "launch/fake_script.h"

static void test_a_prompt_without_our_words_completes(void **state)
{
    static const char *const prompts[] = {
        NULL, "", "   \n", "Fix the crash in main.c, please: run_ms = fast end=soon",
        "completed failed stopped claim_ms=abc run_ms=-1 run_ms= start=soon start= end="};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(prompts); i++) {
        struct fake_script script;

        fake_script_read(prompts[i], &script);
        assert_int_equal(script.start, FAKE_START_OK);
        assert_int_equal(script.claim_ms, 1);
        assert_int_equal(script.run_ms, 5);
        assert_null(script.pr_url);
        if (i != 3) /* "crash" is a word of ours */
            assert_int_equal(script.end, FAKE_COMPLETED);
        fake_script_done(&script);
    }
}

static void test_each_word_is_heard(void **state)
{
    struct fake_script script;

    (void)state;
    fake_script_read("claim_ms=7\trun_ms=20\nend=failed start=timeout_committed "
                     "start_errors=2 start_away=3 start_timeouts=4 waiting_ms=9 stubborn "
                     "pr=https://x/1",
                     &script);
    assert_int_equal(script.claim_ms, 7);
    assert_int_equal(script.run_ms, 20);
    assert_int_equal(script.end, FAKE_FAILED);
    assert_int_equal(script.start, FAKE_START_TIMEOUT_COMMITTED);
    assert_int_equal(script.start_errors, 2);
    assert_int_equal(script.start_away, 3);
    assert_int_equal(script.start_timeouts, 4);
    assert_int_equal(script.waiting_ms, 9);
    assert_true(script.stubborn);
    assert_string_equal(script.pr_url, "https://x/1");
    fake_script_done(&script);
}

static void test_ends_may_stand_alone(void **state)
{
    static const enum fake_end ends[] = {FAKE_CRASH,  FAKE_OOM,    FAKE_EVICTED,
                                         FAKE_SILENT, FAKE_FROZEN, FAKE_VANISH};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        struct fake_script script;

        fake_script_read(fake_end_name(ends[i]), &script);
        assert_int_equal(script.end, ends[i]);
    }
}

static void test_the_later_word_counts_and_limits_hold(void **state)
{
    struct fake_script script;
    scoped_str long_url = xcalloc(FAKE_PR_URL_MAX + 16, 1);

    (void)state;
    memset(long_url, 'x', FAKE_PR_URL_MAX + 15);
    memcpy(long_url, "pr=", 3);
    fake_script_read("run_ms=1 run_ms=2 run_ms=99999999999999999999 pr=a pr=b", &script);
    assert_int_equal(script.run_ms, 2);
    assert_string_equal(script.pr_url, "b");
    fake_script_done(&script);
    fake_script_read(long_url, &script);
    assert_null(script.pr_url);
    fake_script_done(&script);
}

TEST_MAIN(cmocka_unit_test(test_a_prompt_without_our_words_completes),
          cmocka_unit_test(test_each_word_is_heard),
          cmocka_unit_test(test_ends_may_stand_alone),
          cmocka_unit_test(test_the_later_word_counts_and_limits_hold))
