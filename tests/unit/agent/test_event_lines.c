/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/event_lines.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

static struct buf lines;

static void note(void *ctx, char *line, size_t size)
{
    (void)ctx;
    assert_int_equal(line[size], '\0');
    buf_printf(&lines, "[%zu]", size);
    buf_append(&lines, line, size);
}

static struct event_lines fresh(void)
{
    buf_clear(&lines);
    return (struct event_lines){.on_line = note};
}

static void test_lines_are_whole_however_they_are_cut(void **state)
{
    static const char text[] = "one\r\ntwo\n\nthree";

    (void)state;
    for (size_t piece = 1; piece < sizeof(text); piece++) {
        struct event_lines reading = fresh();

        for (size_t at = 0; at < sizeof(text) - 1; at += piece)
            event_lines_feed(&reading, text + at,
                             piece < sizeof(text) - 1 - at ? piece : sizeof(text) - 1 - at);
        event_lines_end(&reading);
        assert_string_equal(lines.data, "[3]one[3]two[5]three");
        event_lines_done(&reading);
    }
}

static void test_line_that_is_too_long_is_dropped_and_the_next_one_is_read(void **state)
{
    static char block[65536];
    struct event_lines reading = fresh();

    (void)state;
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 4096; i++) /* 256 MiB */
        event_lines_feed(&reading, block, sizeof(block));
    assert_true(reading.line.room <= 2 * EVENT_LINE_MAX_BYTES);
    event_lines_feed(&reading, "\nnext\n", 6);
    event_lines_end(&reading);
    assert_string_equal(lines.data, "[4]next");
    assert_int_equal(reading.n_too_long, 1);
    event_lines_done(&reading);
}

static cJSON *parsed(const char *text, size_t size)
{
    scoped_str line = xcalloc(1, size + 1);

    memcpy(line, text, size);
    return event_line_parse(line, size);
}

static void test_text_that_json_cannot_have_costs_a_character_and_not_the_event(void **state)
{
    static const struct {
        const char *line;
        size_t size;
        const char *text;
    } cases[] = {
#define LINE(text) text, sizeof(text) - 1
        {LINE("{\"t\":\"plain\"}"), "plain"},
        {LINE("{\"t\":\"a\\u0000b\"}"), "a\xef\xbf\xbd"
                                        "b"},
        {LINE("{\"t\":\"a\\\\u0000b\"}"), "a\\u0000b"},
        {LINE("{\"t\":\"\\ud83d\\ude00\"}"), "\xf0\x9f\x98\x80"},
        {LINE("{\"t\":\"\\ud83dx\"}"), "\xef\xbf\xbdx"},
        {LINE("{\"t\":\"\\ude00\\ud83d\"}"), "\xef\xbf\xbd\xef\xbf\xbd"},
        {LINE("{\"t\":\"\\ud83d\\ud83d\\ude00\"}"), "\xef\xbf\xbd\xf0\x9f\x98\x80"},
        {LINE("{\"t\":\"a\xff"
              "b\xc3\"}"),
         "a?b?"},
        {LINE("{\"t\":\"a\0b\"}"), "a?b"},
#undef LINE
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_json event = parsed(cases[i].line, cases[i].size);

        assert_non_null(event);
        assert_string_equal(json_get_str(event, "t"), cases[i].text);
    }
}

static void test_what_is_no_object_is_no_event(void **state)
{
    static const char *const cases[] = {
        "", "plain text", "[1]", "3", "{\"a\":", "{a:1}", "{} {}", "{\"a\":\"\\", "{\"\\ud83d"};
    scoped_buf deep = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_null(parsed(cases[i], strlen(cases[i])));
    for (int i = 0; i < 100000; i++)
        buf_append_str(&deep, "{\"a\":");
    assert_null(event_line_parse(deep.data, deep.size));
}

static int finish(void **state)
{
    (void)state;
    buf_done(&lines);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_whole_however_they_are_cut),
        cmocka_unit_test(test_line_that_is_too_long_is_dropped_and_the_next_one_is_read),
        cmocka_unit_test(test_text_that_json_cannot_have_costs_a_character_and_not_the_event),
        cmocka_unit_test(test_what_is_no_object_is_no_event),
    };

    json_setup();
    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, finish);
}
