/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>

#include "base/alloc.h"
#include "launch/outcome.h"

static bool read_text(const char *text, struct job_view *out)
{
    *out = (struct job_view){.phase = JOB_ENDED, .exit_code = 99};
    return outcome_read(text, strlen(text), out);
}

static void test_each_status_has_its_exit_code(void **state)
{
    struct job_view view;

    (void)state;
    assert_true(read_text("{\"status\":\"completed\",\"summary\":\"done\"}\n", &view));
    assert_int_equal(view.exit_code, 0);
    assert_string_equal(view.detail, "done");
    assert_true(read_text("{\"status\":\"failed\",\"error\":\"why\",\"summary\":\"no\","
                          "\"error_code\":\"push_rejected\"}",
                          &view));
    assert_int_equal(view.exit_code, 1);
    assert_int_equal(view.reason, FAILURE_PUSH_REJECTED);
    assert_string_equal(view.detail, "why");
    assert_true(read_text("{\"status\":\"stopped\"}", &view));
    assert_int_equal(view.exit_code, 4);
    assert_string_equal(view.detail, "");
}

static void test_what_is_no_outcome_changes_nothing(void **state)
{
    static const char *const texts[] = {"",
                                        "{}",
                                        "[]",
                                        "\"completed\"",
                                        "{\"status\":1}",
                                        "{\"status\":\"won\"}",
                                        "{\"status\":\"completed\"",
                                        "{\"status\":\"failed\",\"status\":\"completed\"}"};
    struct job_view view;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        assert_false(read_text(texts[i], &view));
        assert_int_equal(view.exit_code, 99);
    }
}

static void test_an_unknown_code_is_no_reason(void **state)
{
    struct job_view view;

    (void)state;
    assert_true(read_text("{\"status\":\"failed\",\"error_code\":\"aliens\"}", &view));
    assert_int_equal(view.reason, FAILURE_NONE);
    assert_true(read_text("{\"status\":\"completed\",\"error_code\":\"lost\"}", &view));
    assert_int_equal(view.reason, FAILURE_NONE);
}

static void test_a_huge_outcome_is_none(void **state)
{
    size_t size = OUTCOME_MAX_BYTES + 1;
    scoped_str text = xcalloc(size + 1, 1);
    struct job_view view = {.exit_code = 99};

    (void)state;
    memset(text, ' ', size);
    memcpy(text, "{\"status\":\"completed\"}", 22);
    assert_false(outcome_read(text, size, &view));
    assert_true(outcome_read(text, size - 1, &view));
}

static void test_a_detail_is_cut_between_characters_and_on_one_line(void **state)
{
    struct job_view view = {0};
    char text[400];

    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text + sizeof(view.detail) - 2, "\xc3\xa4", 2); /* would be cut in two */
    text[sizeof(text) - 1] = '\0';
    outcome_set_detail(&view, text);
    assert_int_equal(strlen(view.detail), sizeof(view.detail) - 2);
    outcome_set_detail(&view, "one\ntwo\x1b[31m");
    assert_string_equal(view.detail, "one two [31m");
}

TEST_MAIN(cmocka_unit_test(test_each_status_has_its_exit_code),
          cmocka_unit_test(test_what_is_no_outcome_changes_nothing),
          cmocka_unit_test(test_an_unknown_code_is_no_reason),
          cmocka_unit_test(test_a_huge_outcome_is_none),
          cmocka_unit_test(test_a_detail_is_cut_between_characters_and_on_one_line))
