/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/tool_request.h"

#include <string.h>

#include "test.h"

static void test_arguments_become_a_query_or_a_body(void **state)
{
    static const struct {
        const char *method;
        const char *url;
        const char *arguments;
        const char *made;
        const char *body;
    } cases[] = {
        {"GET", "http://x/a", "{}", "http://x/a", NULL},
        {"GET", "http://x", "{\"q\": \"a&b=c d\\u00e4/\"}", "http://x?q=a%26b%3Dc%20d%C3%A4%2F",
         NULL},
        {"DELETE", "http://x/a?k=1", "{\"n\": 1.5, \"b\": true, \"z\": null}",
         "http://x/a?k=1&n=1.5&b=true", NULL},
        {"GET", "http://x/a?", "{\"n\": 1}", "http://x/a?n=1", NULL},
        {"GET", "http://x/a?k=1&", "{\"n\": 1}", "http://x/a?k=1&n=1", NULL},
        {"GET", "http://x/a#part", "{\"n\": 1}", "http://x/a?n=1", NULL},
        {"GET", "http://x/", "{\"l\": [1, \"b\"], \"e\": [], \"d\": [{\"a\": 1}]}",
         "http://x/?l=1&l=b&d=%5B%7B%22a%22%3A1%7D%5D", NULL},
        {"GET", "http://x/", "{\"a b\": \"\\r\\nHost: y\"}",
         "http://x/?a%20b=%0D%0AHost%3A%20y", NULL},
        {"POST", "http://x/?k=1", "{\"q\": [1, null]}", "http://x/?k=1", "{\"q\":[1,null]}"},
        {"PUT", "http://x/", "{}", "http://x/", "{}"},
        {"PATCH", "http://x/", "{}", "http://x/", "{}"},
    };

    (void)state;
    json_setup();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        scoped_json arguments =
            json_parse(cases[i].arguments, strlen(cases[i].arguments), &err);
        scoped_tool_request made = {0};

        assert_made(arguments, err);
        tool_request_make(&made, cases[i].method, cases[i].url, arguments);
        assert_string_equal(made.url, cases[i].made);
        if (cases[i].body)
            assert_string_equal(made.body, cases[i].body);
        else
            assert_null(made.body);
    }
}

TEST_MAIN(cmocka_unit_test(test_arguments_become_a_query_or_a_body))
