/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <string.h>

static void test_set_records_and_leaves(void **state)
{
    struct err err = {.field = "old", .code = "old", .retry_after_s = 9};

    (void)state;
    assert_int_equal(err_set(&err, ERR_CONFLICT, "run %d is no longer %s", 7, "pending"), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_string_equal(err.text, "run 7 is no longer pending");
    assert_string_equal(err.field, "");
    assert_null(err.code);
    assert_int_equal(err.retry_after_s, 0);
}

static void test_set_code_carries_the_code(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(err_set_code(&err, ERR_LIMITED, "queue_full", "%d are waiting", 100), -1);
    assert_int_equal(err.kind, ERR_LIMITED);
    assert_string_equal(err.code, "queue_full");
    assert_string_equal(err.text, "100 are waiting");
}

static void test_set_field_names_the_field(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(err_set_field(&err, "tools[0].url", "%s", "required"), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.field, "tools[0].url");
    assert_string_equal(err.text, "tools[0].url: required");
}

static void test_an_error_may_quote_itself(void **state)
{
    struct err err = {0};

    (void)state;
    err_set_field(&err, "repo", "required");
    err_set_field(&err, err.field, "still %s", err.text);
    assert_string_equal(err.text, "repo: still repo: required");
    assert_string_equal(err.field, "repo");
    err_set(&err, ERR_INTERNAL, "the body: %s", err.text);
    assert_string_equal(err.text, "the body: repo: still repo: required");
    err_set_code(&err, ERR_INTERNAL, "x", "%s again", err.text);
    assert_string_equal(err.text, "the body: repo: still repo: required again");
    err_wrap(&err, "first %s", err.text);
    assert_string_equal(err.text, "first the body: repo: still repo: required again: "
                                  "the body: repo: still repo: required again");
}

static void test_wrap_puts_what_we_did_in_front(void **state)
{
    struct err err = {0};

    (void)state;
    err_set_code(&err, ERR_UPSTREAM, "gone", "403 forbidden");
    err.retry_after_s = 5;
    assert_int_equal(err_wrap(&err, "stopping %s", "run-12"), -1);
    assert_string_equal(err.text, "stopping run-12: 403 forbidden");
    assert_int_equal(err.kind, ERR_UPSTREAM);
    assert_string_equal(err.code, "gone");
    assert_int_equal(err.retry_after_s, 5);
}

static void test_sentences_are_cut_to_their_room(void **state)
{
    char longest[2 * ERR_TEXT_MAX];
    struct err err = {0};

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    err_set(&err, ERR_INTERNAL, "%s", longest);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    err_wrap(&err, "doing");
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    assert_memory_equal(err.text, "doing: xxx", 10);
    err_wrap(&err, "%s", longest);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    err_set_field(&err, longest, "%s", longest);
    assert_int_equal(strlen(err.field), sizeof(err.field) - 1);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

static void test_control_characters_become_spaces(void **state)
{
    struct err err = {0};

    (void)state;
    err_set(&err, ERR_INVALID, "a\nb\x1b[31mc\x7f");
    assert_string_equal(err.text, "a b [31mc ");
    err_wrap(&err, "x\ry");
    assert_string_equal(err.text, "x y: a b [31mc ");
    err_set_field(&err, "f\t", "%s", "\n");
    assert_string_equal(err.field, "f ");
    assert_string_equal(err.text, "f :  ");
}

static void test_errno_becomes_a_kind(void **state)
{
    static const struct {
        int number;
        enum err_kind kind;
    } cases[] = {
        {ENOENT, ERR_NOT_FOUND},   {EACCES, ERR_DENIED},      {EPERM, ERR_DENIED},
        {ENOSPC, ERR_UNAVAILABLE}, {EDQUOT, ERR_UNAVAILABLE}, {ETIMEDOUT, ERR_TIMEOUT},
        {EIO, ERR_INTERNAL},       {0, ERR_INTERNAL},         {99999, ERR_INTERNAL},
    };
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(err_set_errno(&err, cases[i].number, "a/%s", "file"), -1);
        assert_int_equal(err.kind, cases[i].kind);
    }
    err_set_errno(&err, ENOENT, "a/%s", "file");
    assert_string_equal(err.text, "a/file: No such file or directory");
}

static void test_every_kind_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int kind = ERR_NONE; kind <= ERR_INTERNAL; kind++) {
        assert_non_null(err_kind_name((enum err_kind)kind));
        for (int other = ERR_NONE; other < kind; other++)
            assert_string_not_equal(err_kind_name((enum err_kind)kind),
                                    err_kind_name((enum err_kind)other));
    }
    assert_string_equal(err_kind_name((enum err_kind)(ERR_INTERNAL + 1)), "internal");
    assert_string_equal(err_kind_name(ERR_NOT_FOUND), "not_found");
}

TEST_MAIN(cmocka_unit_test(test_set_records_and_leaves),
          cmocka_unit_test(test_set_code_carries_the_code),
          cmocka_unit_test(test_set_field_names_the_field),
          cmocka_unit_test(test_an_error_may_quote_itself),
          cmocka_unit_test(test_wrap_puts_what_we_did_in_front),
          cmocka_unit_test(test_sentences_are_cut_to_their_room),
          cmocka_unit_test(test_control_characters_become_spaces),
          cmocka_unit_test(test_errno_becomes_a_kind),
          cmocka_unit_test(test_every_kind_has_a_name_of_its_own))
