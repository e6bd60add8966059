/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mailbox.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

static void test_person_is_a_name_and_an_address(void **state)
{
    static const char *const cases[][3] = {
        {"Ada Lovelace <ada@example.org>", "Ada Lovelace", "ada@example.org"},
        {"\xc3\x89milie <12+emilie@users.noreply.github.com>", "\xc3\x89milie",
         "12+emilie@users.noreply.github.com"},
        {"helper[bot] <helper[bot]@users.noreply.github.com>", "helper[bot]",
         "helper[bot]@users.noreply.github.com"},
        {"x <a@b>", "x", "a@b"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_mailbox got = {0};

        assert_true(mailbox_parse(cases[i][0], &got));
        assert_string_equal(got.name, cases[i][1]);
        assert_string_equal(got.address, cases[i][2]);
    }
}

/* Each would be another line, another person, or nobody. */
static void test_anything_else_is_nobody(void **state)
{
    static const char *const cases[] = {
        "",
        "Ada",
        "<a@b>",
        " <a@b>",
        "ada@example.org",
        "Ada<a@b>",
        " Ada <a@b>",
        "Ada  <a@b>",
        "Ada <a@b> ",
        "Ada <a@b>\nCo-authored-by: Eve <e@x>",
        "Ada\nSigned-off-by: Eve <a@b>",
        "Ada\r <a@b>",
        "Ada\x01 <a@b>",
        "Ada\x7f <a@b>",
        "Ada\xc2\x85 <a@b>",
        "Ada\xe2\x80\xa8 <a@b>",
        "Ada \xe2\x80\xaemoc <a@b>",
        "Ada \xe2\x81\xa6x <a@b>",
        "Ada \xff <a@b>",
        "Ada > <a@b>",
        "Ada <Eve <a@b>",
        "Ada <a@b> <c@d>",
        "Ada <>",
        "Ada <a>",
        "Ada <@b>",
        "Ada <a@>",
        "Ada <a@b@c>",
        "Ada <a b@c>",
        "Ada <a@b c>",
        "Ada <a@b\n>",
        "Ada <a@.b>",
        "Ada <a@b.>",
        "Ada <a@b..c>",
        "Ada <\"a\"@b>",
        "Ada <\xc3\xa4@b>",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct mailbox got;

        if (mailbox_parse(cases[i], &got))
            fail_msg("taken for a person: %s", cases[i]);
        assert_null(got.name);
    }
    struct mailbox got;

    assert_false(mailbox_parse(NULL, &got));
}

static void test_lengths_have_an_end(void **state)
{
    char text[MAILBOX_ADDRESS_MAX_BYTES + 2];

    (void)state;
    memset(text, 'a', sizeof(text));
    text[MAILBOX_NAME_MAX_BYTES] = '\0';
    assert_true(mailbox_name_valid(text));
    text[MAILBOX_NAME_MAX_BYTES] = 'a';
    text[MAILBOX_NAME_MAX_BYTES + 1] = '\0';
    assert_false(mailbox_name_valid(text));

    memset(text, 'a', sizeof(text));
    text[MAILBOX_LOCAL_MAX_BYTES] = '@';
    text[MAILBOX_ADDRESS_MAX_BYTES] = '\0';
    assert_true(mailbox_address_valid(text));
    text[MAILBOX_ADDRESS_MAX_BYTES] = 'a';
    text[MAILBOX_ADDRESS_MAX_BYTES + 1] = '\0';
    assert_false(mailbox_address_valid(text));
    text[MAILBOX_LOCAL_MAX_BYTES] = 'a';
    text[MAILBOX_LOCAL_MAX_BYTES + 1] = '@';
    text[100] = '\0';
    assert_false(mailbox_address_valid(text));
}

TEST_MAIN(cmocka_unit_test(test_person_is_a_name_and_an_address),
          cmocka_unit_test(test_anything_else_is_nobody),
          cmocka_unit_test(test_lengths_have_an_end))
