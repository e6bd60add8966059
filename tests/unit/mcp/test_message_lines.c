/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/message_lines.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

struct heard {
    struct buf lines; /* each in brackets; "!" for one that is too long */
};

static void take(void *ctx, const char *line, size_t size)
{
    struct heard *heard = ctx;

    buf_printf(&heard->lines, "[%.*s]", size < 20 ? (int)size : 20, line);
}

static void take_too_long(void *ctx)
{
    buf_append_str(&((struct heard *)ctx)->lines, "!");
}

static void test_lines_are_the_same_however_they_come(void **state)
{
    static const char text[] = "one\n\ntwo\r\nthree";

    (void)state;
    for (size_t piece = 1; piece <= sizeof(text); piece++) {
        struct heard heard = {0};
        const struct message_line_taker taker = {take, take_too_long, &heard};
        struct message_lines lines = {0};

        for (size_t at = 0; at < sizeof(text) - 1; at += piece) {
            size_t left = sizeof(text) - 1 - at;

            message_lines_feed(&lines, text + at, piece < left ? piece : left, &taker);
        }
        assert_string_equal(heard.lines.data, "[one][][two\r]");
        message_lines_done(&lines);
        buf_done(&heard.lines);
    }
}

static void test_a_line_beyond_the_limit_is_told_of_once(void **state)
{
    scoped_str longest = xcalloc(1, MESSAGE_LINE_MAX_BYTES + 2);
    struct heard heard = {0};
    const struct message_line_taker taker = {take, take_too_long, &heard};
    struct message_lines lines = {0};

    (void)state;
    memset(longest, 'x', MESSAGE_LINE_MAX_BYTES + 1);
    message_lines_feed(&lines, longest, MESSAGE_LINE_MAX_BYTES, &taker);
    message_lines_feed(&lines, "\n", 1, &taker);
    assert_string_equal(heard.lines.data, "[xxxxxxxxxxxxxxxxxxxx]");
    buf_clear(&heard.lines);
    message_lines_feed(&lines, longest, MESSAGE_LINE_MAX_BYTES, &taker);
    message_lines_feed(&lines, longest, MESSAGE_LINE_MAX_BYTES, &taker);
    message_lines_feed(&lines, longest, MESSAGE_LINE_MAX_BYTES, &taker);
    assert_int_equal(lines.line.size, 0);
    message_lines_feed(&lines, "y\nnext\n", 7, &taker);
    assert_string_equal(heard.lines.data, "![next]");
    message_lines_done(&lines);
    buf_done(&heard.lines);
}

TEST_MAIN(cmocka_unit_test(test_lines_are_the_same_however_they_come),
          cmocka_unit_test(test_a_line_beyond_the_limit_is_told_of_once))
