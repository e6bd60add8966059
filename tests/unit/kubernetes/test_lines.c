/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/lines.h"

#include <string.h>

#include "test.h"

/* "a|b|" for two lines; what is wrong as "!". */
static void read_all(struct lines *lines, size_t most, struct buf *out)
{
    struct err err = {0};
    const char *line;
    size_t size;
    int result;

    while ((result = lines_next(lines, most, &line, &size, &err)) == 1) {
        buf_append(out, line, size);
        buf_append_str(out, "|");
    }
    if (result < 0) {
        assert_int_equal(err.kind, ERR_TOO_LARGE);
        buf_append_str(out, "!");
    }
}

static void test_lines_are_the_same_however_they_come(void **state)
{
    static const char text[] = "one\n\ntwo\r\nthree is longer\nrest";

    (void)state;
    for (size_t piece = 1; piece <= sizeof(text); piece++) {
        scoped_lines lines = {0};
        scoped_buf out = {0};

        for (size_t at = 0; at < sizeof(text) - 1; at += piece) {
            size_t left = sizeof(text) - 1 - at;

            lines_add(&lines, text + at, piece < left ? piece : left);
            read_all(&lines, 100, &out);
        }
        assert_string_equal(out.data, "one||two|three is longer|");
    }
}

static void test_a_line_that_is_too_long_is_noticed_before_its_end(void **state)
{
    scoped_lines lines = {0};
    scoped_buf out = {0};

    (void)state;
    lines_add(&lines, "12345\n12345", 11);
    read_all(&lines, 5, &out);
    assert_string_equal(out.data, "12345|");
    lines_add(&lines, "6", 1);
    read_all(&lines, 5, &out);
    assert_string_equal(out.data, "12345|!");
}

static void test_a_long_line_with_its_end_is_too_long_as_well(void **state)
{
    scoped_lines lines = {0};
    scoped_buf out = {0};

    (void)state;
    lines_add(&lines, "123456\n", 7);
    read_all(&lines, 5, &out);
    assert_string_equal(out.data, "!");
}

static void test_memory_does_not_grow_with_what_was_read(void **state)
{
    scoped_lines lines = {0};
    scoped_buf out = {0};

    (void)state;
    for (int i = 0; i < 100000; i++) {
        lines_add(&lines, "0123456789\n012", 14);
        lines_add(&lines, "3\n", 2);
        buf_clear(&out);
        read_all(&lines, 100, &out);
        assert_string_equal(out.data, "0123456789|0123|");
    }
    assert_in_range(lines.buf.room, 1, 4096);
}

TEST_MAIN(cmocka_unit_test(test_lines_are_the_same_however_they_come),
          cmocka_unit_test(test_a_line_that_is_too_long_is_noticed_before_its_end),
          cmocka_unit_test(test_a_long_line_with_its_end_is_too_long_as_well),
          cmocka_unit_test(test_memory_does_not_grow_with_what_was_read))
