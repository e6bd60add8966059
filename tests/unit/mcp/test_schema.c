/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/schema.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "mcp/schema_pattern.h"

static cJSON *parse(const char *text)
{
    struct err err = {0};
    cJSON *value = json_parse(text, strlen(text), &err);

    assert_made(value, err);
    return value;
}

static int check(const char *schema_text, const char *value_text, struct err *err)
{
    scoped_json schema = parse(schema_text);
    scoped_json value = parse(value_text);

    return schema_check(schema, value, err);
}

#define assert_fits(schema, value)                                                             \
    do {                                                                                       \
        struct err err_ = {0};                                                                 \
                                                                                               \
        assert_ok(check((schema), (value), &err_), err_);                                      \
    } while (0)
#define assert_refused(schema, value, sentence)                                                \
    do {                                                                                       \
        struct err err_ = {0};                                                                 \
                                                                                               \
        assert_int_equal(check((schema), (value), &err_), -1);                                 \
        assert_int_equal(err_.kind, ERR_INVALID);                                              \
        assert_string_equal(err_.text, (sentence));                                            \
    } while (0)

static void test_types_are_told_apart(void **state)
{
    static const char *const types[] = {"object",  "array",   "string", "number",
                                        "integer", "boolean", "null"};
    static const char *const values[] = {"{}", "[]", "\"a\"", "1.5", "2", "true", "null"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
            scoped_str schema = xasprintf("{\"type\": \"%s\"}", types[i]);
            scoped_str listed = xasprintf("{\"type\": [\"none\", \"%s\"]}", types[i]);
            bool same = i == k || (i == 3 && k == 4); /* an integer is a number */
            struct err err = {0};

            assert_int_equal(check(schema, values[k], &err), same ? 0 : -1);
            assert_int_equal(check(listed, values[k], &err), same ? 0 : -1);
        }
    }
    assert_fits("{\"type\": \"integer\"}", "2.0");
    assert_fits("{\"type\": \"string\", \"nullable\": true}", "null");
    assert_refused("{\"type\": \"integer\"}", "2.5", "arguments: expected an integer");
    assert_refused("{\"type\": [\"string\", \"null\"]}", "1",
                   "arguments: expected a value of another type");
}

static void test_a_complaint_names_the_place(void **state)
{
    static const char schema[] =
        "{\"type\": \"object\", \"required\": [\"query\"], \"additionalProperties\": false,"
        " \"properties\": {\"query\": {\"type\": \"string\"}, \"filters\": {\"type\": "
        "\"array\","
        " \"items\": {\"type\": \"object\", \"required\": [\"name\"], \"properties\":"
        " {\"name\": {\"type\": \"string\", \"maxLength\": 3}}}}}}";

    (void)state;
    assert_fits(schema, "{\"query\": \"a\", \"filters\": [{\"name\": \"abc\", \"x\": 1}]}");
    assert_refused(schema, "[]", "arguments: expected an object");
    assert_refused(schema, "{}", "query: required");
    assert_refused(schema, "{\"query\": 1}", "query: expected a string");
    assert_refused(schema, "{\"query\": \"a\", \"limit\": 1}", "limit: isn't known");
    assert_refused(schema, "{\"query\": \"a\", \"filters\": [{\"name\": \"a\"}, {}]}",
                   "filters[1].name: required");
    assert_refused(schema, "{\"query\": \"a\", \"filters\": [{\"name\": \"abcd\"}]}",
                   "filters[0].name: expected at most 3 characters");
}

static void test_values_and_limits_hold(void **state)
{
    static const struct {
        const char *schema;
        const char *fits;
        const char *refused;
    } cases[] = {
        {"{\"enum\": [\"a\", 1, null, [2]]}", "[2]", "\"b\""},
        {"{\"const\": {\"a\": 1}}", "{\"a\": 1}", "{\"a\": 2}"},
        {"{\"minimum\": 1}", "1", "0.9"},
        {"{\"maximum\": 1}", "1", "1.1"},
        {"{\"exclusiveMinimum\": 1}", "1.1", "1"},
        {"{\"exclusiveMaximum\": 1}", "0.9", "1"},
        {"{\"minimum\": 1, \"exclusiveMinimum\": true}", "2", "1"},
        {"{\"maximum\": 1, \"exclusiveMaximum\": true}", "0", "1"},
        {"{\"minLength\": 2}", "\"\xc3\xa4\xc3\xa4\"", "\"\xc3\xa4\""},
        {"{\"maxLength\": 1}", "\"\xc3\xa4\"", "\"ab\""},
        {"{\"minItems\": 1}", "[1]", "[]"},
        {"{\"maxItems\": 1}", "[1]", "[1, 2]"},
        {"{\"minProperties\": 1}", "{\"a\": 1}", "{}"},
        {"{\"maxProperties\": 1}", "{\"a\": 1}", "{\"a\": 1, \"b\": 2}"},
        {"{\"additionalProperties\": {\"type\": \"string\"}}", "{\"a\": \"b\"}", "{\"a\": 1}"},
        {"{\"pattern\": \"^[a-z]+-\\\\d+$\"}", "\"ab-12\"", "\"ab-\""},
        {"{\"allOf\": [{\"minimum\": 1}, {\"maximum\": 3}]}", "2", "4"},
        {"{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"null\"}]}", "null", "1"},
        {"{\"oneOf\": [{\"minimum\": 1}, {\"maximum\": 3}]}", "0", "2"},
        {"{\"oneOf\": [{\"type\": \"string\"}, {\"type\": \"array\"}]}", "[]", "2"},
        {"{\"not\": {\"type\": \"string\"}}", "1", "\"a\""},
        {"{\"items\": false}", "[]", "[1]"},
        {"{\"properties\": {\"a\": false}}", "{}", "{\"a\": 1}"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};

        assert_fits(cases[i].schema, cases[i].fits);
        if (check(cases[i].schema, cases[i].refused, &err) == 0)
            fail_msg("%s takes %s", cases[i].schema, cases[i].refused);
    }
}

static void test_what_is_not_judged_fits_and_decides_nothing(void **state)
{
    static const char *const cases[][2] = {
        {"{\"$ref\": \"#/$defs/a\", \"$defs\": {\"a\": {\"type\": \"string\"}}}", "1"},
        {"{\"format\": \"date\"}", "\"never\""},
        {"{\"oneOf\": [{\"$ref\": \"#/a\"}, {\"$ref\": \"#/b\"}]}", "1"},
        {"{\"oneOf\": [{\"type\": \"number\"}, {\"$ref\": \"#/b\"}]}", "1"},
        {"{\"not\": {\"$ref\": \"#/a\"}}", "1"},
        {"{\"not\": {\"pattern\": \"^(a)\\\\1$\"}}", "\"aa\""},
        {"{\"patternProperties\": {\"^x\": {}}, \"additionalProperties\": false}",
         "{\"xa\": 1}"},
        {"{\"items\": [{\"type\": \"string\"}]}", "[1]"},
        {"{\"prefixItems\": [{}], \"items\": false}", "[1]"},
        {"{\"pattern\": \"^(?=a)b$\"}", "\"c\""},
        {"{\"type\": 5, \"enum\": 1, \"required\": 3, \"properties\": [], \"anyOf\": {}}",
         "{}"},
        {"true", "1"},
        {"17", "1"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_fits(cases[i][0], cases[i][1]);
}

static void test_judging_has_an_end(void **state)
{
    scoped_buf schema = {0};
    scoped_buf value = {0};
    struct err err = {0};

    (void)state;
    buf_append_str(&schema, "{\"items\": {\"anyOf\": [");
    for (int i = 0; i < 1000; i++)
        buf_append_str(&schema, "{\"type\":\"null\"},");
    buf_append_str(&schema, "{}]}}");
    buf_append_str(&value, "[0");
    for (int i = 0; i < 60000; i++)
        buf_append_str(&value, ",0");
    buf_append_str(&value, "]");
    assert_int_equal(check(schema.data, value.data, &err), -1);
    assert_int_equal(err.kind, ERR_TOO_LARGE);
}

static void test_patterns_mean_what_both_languages_say(void **state)
{
    static const struct {
        const char *pattern;
        const char *text;
        enum schema_match expected;
    } cases[] = {
        {"b", "abc", SCHEMA_MATCHES},
        {"^b", "abc", SCHEMA_DIFFERS},
        {"^(a|b)+$", "abab", SCHEMA_MATCHES},
        {"^\\w+@\\w+\\.[a-z]+$", "me@home.org", SCHEMA_MATCHES},
        {"^\\S+$", "a b", SCHEMA_DIFFERS},
        {"^a\\-b\\/c$", "a-b/c", SCHEMA_MATCHES},
        {"^\\$\\{$", "${", SCHEMA_MATCHES},
        {"^[^0-9]$", "a", SCHEMA_MATCHES},
        {"^a{2}$", "aa", SCHEMA_NOT_JUDGED},
        {"^(a)\\1$", "aa", SCHEMA_NOT_JUDGED},
        {"\\bword\\b", "word", SCHEMA_NOT_JUDGED},
        {"(?:a)", "a", SCHEMA_NOT_JUDGED},
        {"a+?", "a", SCHEMA_NOT_JUDGED},
        {"[\\d]", "1", SCHEMA_NOT_JUDGED},
        {"[[:alpha:]]", "a", SCHEMA_NOT_JUDGED},
        {"[]a]", "a", SCHEMA_NOT_JUDGED},
        {"[a", "a", SCHEMA_NOT_JUDGED},
        {"(a", "a", SCHEMA_NOT_JUDGED},
        {"a\\", "a", SCHEMA_NOT_JUDGED},
        {"", "a", SCHEMA_NOT_JUDGED},
        {"^.$", "\xc3\xa4", SCHEMA_NOT_JUDGED},
        {"((((((((((((((((((a))))))))))))))))))", "a", SCHEMA_NOT_JUDGED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (schema_pattern_match(cases[i].pattern, cases[i].text) != cases[i].expected)
            fail_msg("%s with %s", cases[i].pattern, cases[i].text);
}

TEST_MAIN(cmocka_unit_test(test_types_are_told_apart),
          cmocka_unit_test(test_a_complaint_names_the_place),
          cmocka_unit_test(test_values_and_limits_hold),
          cmocka_unit_test(test_what_is_not_judged_fits_and_decides_nothing),
          cmocka_unit_test(test_judging_has_an_end),
          cmocka_unit_test(test_patterns_mean_what_both_languages_say))
