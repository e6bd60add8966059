/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/subagent.h"

#include <string.h>

#include "test.h"

#include "base/buf.h"

static const struct tool_name tools[] = {
    {"read", "Read", true}, {"list", NULL, true},      {"grep", "Grep", true},
    {"glob", "Grep", true}, {"write", "Write", false}, {"bash", "Bash", false},
};
static const struct tool_names names = {tools, ARRAY_SIZE(tools), "mcp__d__"};

static void test_tools_are_the_agents_own_names_of_what_was_asked_for(void **state)
{
    static const struct {
        const char *tools;
        bool only_reading;
        const char *expected; /* NULL: everything */
    } cases[] = {
        {"{}", false, NULL},
        {"null", false, NULL},
        {"{\"read\":true}", false, "Read "},
        {"{\"Read\":true,\"read\":true}", false, "Read "},
        {"{\"read\":true,\"write\":false}", false, "Read "},
        {"{\"g*\":true}", false, "Grep "},
        {"{\"*\":true}", false, "Read Grep Write Bash mcp__d__stock mcp__d__sell "},
        {"{\"*\":true,\"bash\":false,\"sell\":false}", false, "Read Grep Write mcp__d__stock "},
        {"{\"write\":false}", false, "Read Grep Bash mcp__d__stock mcp__d__sell "},
        {"{\"list\":true}", false, ""},
        {"{\"stock\":true}", false, "mcp__d__stock "},
        {"{\"mcp__d__s*\":true}", false, "mcp__d__stock mcp__d__sell "},
        {"{\"Odd\":true}", false, "Odd "},
        {"{\"Odd*\":true}", false, ""},
        {"{}", true, "Read Grep mcp__d__stock mcp__d__sell "},
        {"{\"write\":true,\"read\":true,\"Odd\":true}", true, "Read "},
        {"{\"write\":true}", true, ""},
    };
    scoped_json external = cJSON_Parse("[{\"name\":\"stock\"},{\"name\":\"sell\"},{}]");
    struct assignment assignment = {.tools = external};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_json wanted = cJSON_Parse(cases[i].tools);
        struct subagent subagent = {.tools = wanted};
        scoped_text_list list = {0};
        scoped_buf text = {0};
        bool some =
            subagent_tools(&subagent, &assignment, &names, cases[i].only_reading, &list);

        for (size_t at = 0; at < list.n; at++)
            buf_printf(&text, "%s ", list.all[at]);
        assert_int_equal(some, cases[i].expected != NULL);
        assert_string_equal(text.data ? text.data : "",
                            cases[i].expected ? cases[i].expected : "");
    }
}

static void test_subagent_is_read_or_refused(void **state)
{
    static const char *const wrong[] = {
        "3",
        "{\"name\":\"a\",\"description\":\"d\"}",
        "{\"name\":\"a/b\",\"description\":\"d\",\"prompt\":\"p\"}",
        "{\"name\":\"\",\"description\":\"d\",\"prompt\":\"p\"}",
        "{\"name\":\"a\",\"description\":\"d\",\"prompt\":\"p\",\"max_turns\":-1}",
    };
    scoped_json right =
        cJSON_Parse("{\"name\":\"a-B_1\",\"description\":\"d\",\"prompt\":\"p\","
                    "\"mode\":\"subagent\",\"max_turns\":3}");
    struct subagent subagent;
    struct err err = {0};

    (void)state;
    assert_ok(subagent_read(right, &subagent, &err), err);
    assert_string_equal(subagent.name, "a-B_1");
    assert_int_equal(subagent.max_turns, 3);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        scoped_json document = cJSON_Parse(wrong[i]);

        assert_int_equal(subagent_read(document, &subagent, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
    }
}

TEST_MAIN(cmocka_unit_test(test_tools_are_the_agents_own_names_of_what_was_asked_for),
          cmocka_unit_test(test_subagent_is_read_or_refused))
