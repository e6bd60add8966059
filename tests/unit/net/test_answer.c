/* SPDX-License-Identifier: Apache-2.0 */
#include "net/answer.h"

#include <string.h>
#include <time.h>

#include "test.h"

#include "base/alloc.h"

static bool add(struct net_answer *answer, const char *line)
{
    size_t total = 0;

    return answer_add_header(answer, line, strlen(line), &total);
}

static void test_headers_are_found_by_their_lower_case_name(void **state)
{
    scoped_net_answer answer = {0};

    (void)state;
    assert_true(add(&answer, "HTTP/1.1 200 OK\r\n"));
    assert_true(add(&answer, "Content-TYPE:text/plain\r\n"));
    assert_true(add(&answer, "X-Type: \t two words \r\n"));
    assert_true(add(&answer, "x-type: second\r\n"));
    assert_true(add(&answer, "Empty:\r\n"));
    assert_true(add(&answer, "Folded: one\r\n"));
    assert_true(add(&answer, "   two\r\n"));
    assert_true(add(&answer, "no colon\r\n"));
    assert_true(add(&answer, "\r\n"));
    scoped_str type = net_answer_header(&answer, "content-type");
    scoped_str first = net_answer_header(&answer, "x-type");
    scoped_str empty = net_answer_header(&answer, "empty");
    scoped_str folded = net_answer_header(&answer, "folded");

    assert_int_equal(answer.status, 200);
    assert_string_equal(type, "text/plain");
    assert_string_equal(first, "two words");
    assert_string_equal(empty, "");
    assert_string_equal(folded, "one two");
    assert_null(net_answer_header(&answer, "type"));
    assert_null(net_answer_header(&answer, "x"));
    assert_null(net_answer_header(&answer, "no colon"));
}

static void test_a_status_line_starts_anew(void **state)
{
    scoped_net_answer answer = {0};

    (void)state;
    assert_true(add(&answer, "HTTP/1.1 103 Early\r\n"));
    assert_true(add(&answer, "X-Early: 1\r\n"));
    assert_true(add(&answer, "HTTP/2 204 \r\n"));
    assert_int_equal(answer.status, 204);
    assert_null(net_answer_header(&answer, "x-early"));
}

static void test_an_odd_status_line_is_no_status(void **state)
{
    static const char *const lines[] = {"HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 x", "HTTP/"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        scoped_net_answer answer = {.status = 200};

        assert_true(add(&answer, lines[i]));
        assert_int_equal(answer.status, 0);
    }
}

static void test_headers_together_have_a_limit(void **state)
{
    static char line[1024 + 1];
    scoped_net_answer answer = {0};
    size_t total = 0;
    size_t lines = 0;

    (void)state;
    memset(line, 'a', 1024);
    memcpy(line, "X: ", 3);
    while (lines < 1000 && answer_add_header(&answer, line, 1024, &total))
        lines++;
    assert_int_equal(lines, ANSWER_HEADERS_MAX_BYTES / 1024);
    /* Another status line doesn't make room. */
    assert_false(answer_add_header(&answer, "HTTP/1.1 200 OK", 15, &total));
}

static void test_retry_after_is_seconds_or_a_date(void **state)
{
    static const struct {
        const char *value;
        int seconds;
    } cases[] = {
        {NULL, 0},
        {"", 0},
        {"0", 0},
        {"7", 7},
        {"-7", 0},
        {"soon", 0},
        {"7 minutes", 0},
        {"99999999999999999999999", 86400},
        {"100000", 86400},
        {"Fri, 02 Jan 2026 03:04:35 GMT", 30},
        {"Fri, 02 Jan 2026 03:04:05 GMT", 0},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Fri, 02 Jan 2096 03:04:05 GMT", 86400},
    };

    (void)state;
    clock_set_for_test(1767323045000); /* 2026-01-02T03:04:05Z */
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_net_answer answer = {0};
        scoped_str line =
            xasprintf("Retry-After: %s\r\n", cases[i].value ? cases[i].value : "");

        if (cases[i].value)
            assert_true(add(&answer, line));
        assert_int_equal(net_answer_retry_after_s(&answer), cases[i].seconds);
    }
    clock_set_for_test(-1);
}

static void test_a_body_is_json_or_the_upstreams_fault(void **state)
{
    scoped_net_answer good = {0};
    scoped_net_answer bad = {0};
    scoped_net_answer empty = {0};
    struct err err = {0};

    (void)state;
    buf_append_str(&good.body, "{\"a\": 1}");
    buf_append_str(&bad.body, "<html>");
    scoped_json value = net_answer_json(&good, &err);

    assert_made(value, err);
    assert_int_equal(json_get_int(value, "a", 0), 1);
    assert_null(net_answer_json(&bad, &err));
    assert_int_equal(err.kind, ERR_UPSTREAM);
    assert_null(net_answer_json(&empty, &err));
    assert_int_equal(err.kind, ERR_UPSTREAM);
}

static void test_done_leaves_nothing(void **state)
{
    struct net_answer answer = {.status = 200, .tries = 2};

    (void)state;
    buf_append_str(&answer.body, "x");
    net_answer_done(&answer);
    assert_null(answer.body.data);
    assert_int_equal(answer.status, 0);
    net_answer_done(&answer);
}

TEST_MAIN(cmocka_unit_test(test_headers_are_found_by_their_lower_case_name),
          cmocka_unit_test(test_a_status_line_starts_anew),
          cmocka_unit_test(test_an_odd_status_line_is_no_status),
          cmocka_unit_test(test_headers_together_have_a_limit),
          cmocka_unit_test(test_retry_after_is_seconds_or_a_date),
          cmocka_unit_test(test_a_body_is_json_or_the_upstreams_fault),
          cmocka_unit_test(test_done_leaves_nothing))
