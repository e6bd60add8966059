/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/table.h"

#include <locale.h>
#include <string.h>

#include "test.h"

static const char *const headings[] = {"ID", "STATUS", "NAME", NULL};

static char *printed(const struct table *table)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    table_print(table, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_columns_are_aligned(void **state)
{
    scoped(table) table = table_new(headings, false);
    scoped_str text = NULL;

    (void)state;
    table_add(table, (const char *const[]){"1", "completed", "short"});
    table_add(table, (const char *const[]){"1234567", NULL, ""});
    text = printed(table);
    assert_string_equal(text, "ID        STATUS      NAME\n"
                              "1         completed   short\n"
                              "1234567   -           -\n");
}

static void test_wide_characters_take_their_room(void **state)
{
    scoped(table) table = table_new(headings, false);
    scoped_str text = NULL;

    (void)state;
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        skip();
    assert_int_equal(table_text_width("a\xc3\xa4"), 2);
    assert_int_equal(table_text_width("\xe6\xbc\xa2\xe5\xad\x97"), 4);
    assert_int_equal(table_text_width("e\xcc\x81"), 1);
    table_add(table, (const char *const[]){"\xe6\xbc\xa2\xe5\xad\x97", "x", "y"});
    text = printed(table);
    assert_string_equal(text, "ID     STATUS   NAME\n"
                              "\xe6\xbc\xa2\xe5\xad\x97   x        y\n");
}

static void test_cells_are_cleaned(void **state)
{
    scoped(table) table = table_new(headings, false);
    scoped_str text = NULL;

    (void)state;
    table_add(table, (const char *const[]){"\033[2J", "two\nlines", "z"});
    text = printed(table);
    assert_null(strchr(text, '\033'));
    assert_non_null(strstr(text, "two lines"));
}

static void test_colors_stand_around_a_status_only(void **state)
{
    scoped(table) table = table_new(headings, true);
    scoped_str text = NULL;

    (void)state;
    table_add(table, (const char *const[]){"1", "failed", "x"});
    text = printed(table);
    assert_string_equal(text, "ID   STATUS   NAME\n"
                              "1    \033[31mfailed\033[0m   x\n");
}

TEST_MAIN(cmocka_unit_test(test_columns_are_aligned),
          cmocka_unit_test(test_wide_characters_take_their_room),
          cmocka_unit_test(test_cells_are_cleaned),
          cmocka_unit_test(test_colors_stand_around_a_status_only))
