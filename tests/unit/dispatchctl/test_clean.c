/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/clean.h"

#include <string.h>

#include "test.h"
#include "json/json.h"

#define GONE "\xef\xbf\xbd"

static void test_what_steers_a_terminal_is_replaced(void **state)
{
    static const struct {
        const char *text;
        const char *cleaned;
    } cases[] = {
        {"plain, \xc3\xa4 and \xe2\x82\xac", "plain, \xc3\xa4 and \xe2\x82\xac"},
        {"\033]0;title\007", GONE "]0;title" GONE},
        {"\033[2J", GONE "[2J"},
        {"\xc2\x9b"
         "2J",
         GONE "2J"}, /* CSI as one character */
        {"back\bspace\x7f", "back" GONE "space" GONE},
        {"\xe2\x80\xae"
         "evil",
         GONE "evil"}, /* right-to-left override */
        {"\xe2\x81\xa6x\xe2\x81\xa9", GONE "x" GONE},
        {"\xff\xc3(", GONE GONE "("},
        {"a\r\nb\tc", "a\nb\tc"},
        {"over\rwritten", "over" GONE "written"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str cleaned = clean_text(cases[i].text, strlen(cases[i].text));

        assert_string_equal(cleaned, cases[i].cleaned);
    }
}

static void test_a_nul_is_replaced_too(void **state)
{
    scoped_str cleaned = clean_text("a\0b", 3);

    (void)state;
    assert_string_equal(cleaned, "a" GONE "b");
}

static void test_a_line_is_one_line(void **state)
{
    scoped_str line = clean_line("  two\n\n lines\tand \033 more \n");
    scoped_str nothing = clean_line(NULL);

    (void)state;
    assert_string_equal(line, "two lines and " GONE " more");
    assert_string_equal(nothing, "");
}

static void test_cleaned_json_is_the_same_document(void **state)
{
    scoped_json document = jobj({"text", jstr("\033[2J \xc2\x9b \x7f \xc3\xa4")});
    scoped_str text = json_text(document);
    scoped_str cleaned = clean_json(text);
    struct err err = {0};
    scoped_json again = json_parse(cleaned, strlen(cleaned), &err);

    (void)state;
    assert_made(again, err);
    assert_true(cJSON_Compare(document, again, true));
    assert_non_null(strstr(cleaned, "\\u009b"));
    assert_non_null(strstr(cleaned, "\\u007f"));
    assert_null(strstr(cleaned, "\xc2\x9b"));
    assert_null(strchr(cleaned, '\033'));
}

TEST_MAIN(cmocka_unit_test(test_what_steers_a_terminal_is_replaced),
          cmocka_unit_test(test_a_nul_is_replaced_too),
          cmocka_unit_test(test_a_line_is_one_line),
          cmocka_unit_test(test_cleaned_json_is_the_same_document))
