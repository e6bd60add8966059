/* SPDX-License-Identifier: Apache-2.0 */
#include "task/description.h"

#include <string.h>

#include "test.h"

#define ZWSP "\xe2\x80\x8b"

static void test_answer_in_the_asked_form_is_taken(void **state)
{
    struct description got;

    (void)state;
    assert_true(description_read(
        "Sure!\nTITLE: **Add a flag** \r\n\r\nIt adds it.\n\nAnd so.\n", &got));
    assert_string_equal(got.title, "Add a flag");
    assert_string_equal(got.body, "It adds it.\n\nAnd so.");
    description_done(&got);
}

static void test_any_other_answer_is_no_description(void **state)
{
    static const char *const answers[] = {
        "",
        "Done.",
        "TITLE:",
        "TITLE: x",
        "TITLE: \n\nbody",
        "No TITLE: x\n\nbody",
        "TITLE: x\n \n",
    };
    static char huge[DESCRIPTION_BODY_MAX_BYTES + 64];
    struct description got;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        assert_false(description_read(answers[i], &got));
        assert_null(got.title);
    }
    memset(huge, 'x', sizeof(huge) - 1);
    memcpy(huge, "TITLE: t\n\n", 10);
    assert_false(description_read(huge, &got));
}

static void test_words_ping_nobody_and_close_nothing(void **state)
{
    static const struct {
        const char *text;
        const char *defused;
    } cases[] = {
        {"hi @bob", "hi @" ZWSP "bob"},
        {"see #12 and o/r#3", "see #" ZWSP "12 and o/r#" ZWSP "3"},
        {"GH-7", "GH-" ZWSP "7"},
        {"Fixes https://h/o/r/issues/1", "F" ZWSP "ixes https://h/o/r/issues/1"},
        {"closes: #1", "c" ZWSP "loses: #" ZWSP "1"},
        {"# Heading\nprefixes stay, fix-ups too", "# Heading\nprefixes stay, fix-ups too"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str got = description_defuse(cases[i].text);

        assert_string_equal(got, cases[i].defused);
    }
}

static void test_question_carries_task_and_change(void **state)
{
    scoped_buf diff = {0};

    (void)state;
    buf_append_str(&diff, "+line");
    scoped_str whole = description_question("do it", "1 file", &diff, diff.size);
    scoped_str part = description_question("do it", "1 file", &diff, diff.size + 1);
    assert_non_null(strstr(whole, "<task>\ndo it\n</task>"));
    assert_non_null(strstr(whole, "<change summary=\"1 file\">\n+line\n"));
    assert_non_null(strstr(part, "cut=\"true\""));
}

TEST_MAIN(cmocka_unit_test(test_answer_in_the_asked_form_is_taken),
          cmocka_unit_test(test_any_other_answer_is_no_description),
          cmocka_unit_test(test_words_ping_nobody_and_close_nothing),
          cmocka_unit_test(test_question_carries_task_and_change))
