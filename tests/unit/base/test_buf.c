/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

static void test_appended_bytes_stay_in_order_and_end_in_nul(void **state)
{
    scoped_buf buf = {0};

    (void)state;
    buf_append_str(&buf, "one");
    buf_append(&buf, "\0two", 4);
    buf_printf(&buf, "%d", 3);
    assert_int_equal(buf.size, 8);
    assert_memory_equal(buf.data, "one\0two3", 9);
}

static void test_growth_keeps_every_byte(void **state)
{
    scoped_buf buf = {0};

    (void)state;
    for (int i = 0; i < 100000; i++) {
        char byte = (char)(i * 7);

        buf_append(&buf, &byte, 1);
    }
    assert_int_equal(buf.size, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf.data[i], (char)(i * 7));
    assert_int_equal(buf.data[100000], '\0');
    assert_true(buf.room < 300000);
}

static void test_appending_nothing_changes_nothing(void **state)
{
    scoped_buf buf = {0};

    (void)state;
    buf_append(&buf, NULL, 0);
    assert_int_equal(buf.size, 0);
    assert_string_equal(buf.data, "");
    buf_append_str(&buf, "x");
    buf_append_str(&buf, "");
    buf_printf(&buf, "%s", "");
    assert_string_equal(buf.data, "x");
}

static void test_a_long_printf_fits(void **state)
{
    scoped_str thousand = xcalloc(1, 1001);
    scoped_buf buf = {0};

    (void)state;
    memset(thousand, 'y', 1000);
    buf_append_str(&buf, "<");
    buf_printf(&buf, "%s>", thousand);
    assert_int_equal(buf.size, 1002);
    assert_int_equal(strlen(buf.data), 1002);
    assert_int_equal(buf.data[1001], '>');
}

static void test_append_within_stops_at_the_limit(void **state)
{
    scoped_buf buf = {0};

    (void)state;
    assert_true(buf_append_within(&buf, "abc", 3, 5));
    assert_false(buf_append_within(&buf, "def", 3, 5));
    assert_string_equal(buf.data, "abc");
    assert_true(buf_append_within(&buf, "de", 2, 5));
    assert_false(buf_append_within(&buf, "f", 1, 5));
    assert_false(buf_append_within(&buf, "f", SIZE_MAX, 5));
    assert_false(buf_append_within(&buf, "f", 1, 2));
    assert_string_equal(buf.data, "abcde");
}

static void test_bytes_leave_at_the_front(void **state)
{
    scoped_buf buf = {0};

    (void)state;
    buf_drop_front(&buf, 3);
    buf_append_str(&buf, "abcdef");
    buf_drop_front(&buf, 0);
    buf_drop_front(&buf, 2);
    assert_string_equal(buf.data, "cdef");
    assert_int_equal(buf.size, 4);
    buf_drop_front(&buf, 99);
    assert_string_equal(buf.data, "");
    assert_int_equal(buf.size, 0);
    buf_append_str(&buf, "again");
    assert_string_equal(buf.data, "again");
}

static void test_clear_keeps_the_room(void **state)
{
    scoped_buf buf = {0};
    size_t room;

    (void)state;
    buf_clear(&buf);
    buf_append_str(&buf, "abc");
    room = buf.room;
    buf_clear(&buf);
    assert_int_equal(buf.size, 0);
    assert_string_equal(buf.data, "");
    assert_int_equal(buf.room, room);
}

static void test_take_hands_the_text_over(void **state)
{
    struct buf buf;
    char *text;

    (void)state;
    buf_init(&buf);
    text = buf_take(&buf);
    assert_string_equal(text, "");
    free(text);
    buf_append_str(&buf, "mine");
    text = buf_take(&buf);
    assert_string_equal(text, "mine");
    assert_null(buf.data);
    assert_int_equal(buf.size, 0);
    assert_int_equal(buf.room, 0);
    free(text);
    buf_done(&buf);
}

static void test_files_are_read_up_to_the_limit(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/file", dir);
    scoped_str large = xcalloc(1, 50001);
    scoped_buf buf = {0};
    struct err err = {0};

    (void)state;
    memset(large, 'z', 50000);
    test_file_write(dir, "file", large);
    assert_ok(buf_read_file(&buf, path, 50000, &err), err);
    assert_int_equal(buf.size, 50000);
    assert_string_equal(buf.data, large);
    buf_clear(&buf);
    assert_int_equal(buf_read_file(&buf, path, 49999, &err), -1);
    assert_int_equal(err.kind, ERR_TOO_LARGE);
    assert_non_null(strstr(err.text, "/file: larger than 49999 bytes"));

    test_file_write(dir, "file", "");
    buf_clear(&buf);
    assert_ok(buf_read_file(&buf, path, 0, &err), err);
    assert_int_equal(buf.size, 0);
    test_dir_remove(dir);
}

static void test_files_that_can_not_be_read_say_why(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/none", dir);
    scoped_buf buf = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(buf_read_file(&buf, path, 10, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "/none: No such file"));
    assert_int_equal(buf_read_file(&buf, dir, 10, &err), -1);
    assert_int_equal(err.kind, ERR_INTERNAL);
    assert_non_null(strstr(err.text, "Is a directory"));
    test_dir_remove(dir);
}

TEST_MAIN(cmocka_unit_test(test_appended_bytes_stay_in_order_and_end_in_nul),
          cmocka_unit_test(test_growth_keeps_every_byte),
          cmocka_unit_test(test_appending_nothing_changes_nothing),
          cmocka_unit_test(test_a_long_printf_fits),
          cmocka_unit_test(test_append_within_stops_at_the_limit),
          cmocka_unit_test(test_bytes_leave_at_the_front),
          cmocka_unit_test(test_clear_keeps_the_room),
          cmocka_unit_test(test_take_hands_the_text_over),
          cmocka_unit_test(test_files_are_read_up_to_the_limit),
          cmocka_unit_test(test_files_that_can_not_be_read_say_why))
