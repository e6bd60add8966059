/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/tool.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

static cJSON *one_tool(bool has_headers)
{
    return jarr(
        jobj({"name", jstr("find")}, {"description", jstr("Finds")},
             {"parameters", jobj({"properties", json_object(NULL, 0)})},
             {"endpoint", jobj({"url", jstr("https://x.example/")}, {"method", jstr("GET")},
                               {"has_headers", jbool(has_headers)})},
             {"new_in_a_later_version", jint(1)}));
}

static int read_with(const char *name, const char *value, struct tool_list *out,
                     struct redaction *redaction, cJSON *tools, struct err *err)
{
    scoped_json headers = jobj({"find", jobj({name, jstr(value)})});

    return tool_list_read(out, tools, headers, redaction, err);
}

static void test_headers_become_lines_and_are_redacted(void **state)
{
    scoped(redaction) redaction = redaction_new();
    scoped_json tools = one_tool(true);
    scoped_str text = xstrdup("I know token-abc-123");
    struct tool_list list;
    struct err err = {0};

    (void)state;
    json_setup();
    assert_ok(read_with("Authorization", "Bearer token-abc-123", &list, redaction, tools, &err),
              err);
    assert_int_equal(list.n, 1);
    assert_int_equal(list.all[0].n_headers, 1);
    assert_string_equal(secret_reveal(list.all[0].headers[0]),
                        "Authorization: Bearer token-abc-123");
    assert_ptr_equal(tool_find(&list, "find"), &list.all[0]);
    assert_null(tool_find(&list, "fin"));
    redaction_apply(redaction, text);
    assert_string_equal(text, "I know ***");
    tool_list_done(&list);
}

static void test_no_header_reaches_the_request_line_or_says_how_it_is_sent(void **state)
{
    static const char *const bad[][2] = {
        {"Host", "elsewhere"},
        {"content-length", "0"},
        {"Transfer-Encoding", "chunked"},
        {"Connection", "upgrade"},
        {"Expect", "100-continue"},
        {"X-A", "b\r\nX-C: d"},
        {"X-A", "b\nX-C: d"},
        {"X-A: b\r\nX-C", "d"},
        {"X A", "b"},
        {"", "b"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        scoped(redaction) redaction = redaction_new();
        scoped_json tools = one_tool(true);
        struct tool_list list;
        struct err err = {0};

        if (read_with(bad[i][0], bad[i][1], &list, redaction, tools, &err) == 0)
            fail_msg("%s: %s", bad[i][0], bad[i][1]);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_string_equal(err.text, "tool find: a header can't be sent as it is");
    }
}

static void test_headers_that_are_missing_are_no_small_matter(void **state)
{
    scoped(redaction) redaction = redaction_new();
    scoped_json with = one_tool(true);
    scoped_json without = one_tool(false);
    struct tool_list list;
    struct err err = {0};

    (void)state;
    assert_ok(tool_list_read(&list, without, NULL, redaction, &err), err);
    tool_list_done(&list);
    assert_int_equal(tool_list_read(&list, with, NULL, redaction, &err), -1);
    assert_string_equal(err.text, "tool find: its headers are missing");
}

TEST_MAIN(cmocka_unit_test(test_headers_become_lines_and_are_redacted),
          cmocka_unit_test(test_no_header_reaches_the_request_line_or_says_how_it_is_sent),
          cmocka_unit_test(test_headers_that_are_missing_are_no_small_matter))
