/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/yaml_text.h"

#include <string.h>

#include "test.h"
#include "yaml/yaml.h"

static void test_it_reads_as_the_same_document(void **state)
{
    static const char *const documents[] = {
        "{\"id\":\"0mhyv1x3k9q2zj7w4b8t\",\"list\":[{\"a\":1,\"b\":[]},[1,[2,3]],{}],\"n\":"
        "null}",
        "{\"quoted\":[\"yes\",\"No\",\"null\",\"~\",\"1\",\"1e3\",\"0x1\",\"- a\",\"a: "
        "b\",\"#\"]}",
        "{\"lines\":\"one\\ntwo\\n\",\"blank\":\" x \",\"empty\":\"\",\"tab\":\"a\\tb\"}",
        "{\"odd key: #\":{\"true\":true,\"x\":false},\"ends \":\"ends \"}",
        "{\"unicode\":\"\\u00e4 \\u0085 \\u2028 \\ud83d\\ude00\",\"esc\":\"\\u001b[2J\"}",
        "{\"numbers\":[0,-1,1.5,9007199254740991]}",
        "{}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
        struct err err = {0};
        scoped_json document = json_parse(documents[i], strlen(documents[i]), &err);
        scoped_str text = NULL;

        assert_made(document, err);
        text = yaml_text(document);
        scoped(yaml) again = yaml_parse("text", text, strlen(text), &err);
        if (!again)
            fail_msg("%s: %s", err.text, text);
        if (!cJSON_Compare(document, yaml_root(again), true))
            fail_msg("another document:\n%s", text);
    }
}

static void test_it_looks_like_yaml(void **state)
{
    scoped_json document =
        jobj({"name", jstr("prod")}, {"list", jarr(jobj({"a", jint(1)}, {"b", jstr("x y")}))});
    scoped_str text = yaml_text(document);

    (void)state;
    assert_string_equal(text, "name: prod\n"
                              "list:\n"
                              "  - a: 1\n"
                              "    b: x y\n");
}

TEST_MAIN(cmocka_unit_test(test_it_reads_as_the_same_document),
          cmocka_unit_test(test_it_looks_like_yaml))
