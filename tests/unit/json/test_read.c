/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>

#include "base/alloc.h"
#include "json/json.h"

struct run_request {
    const char *repo;
    char *ref;
    int64_t timeout_s;
    int attempts;
    bool gpu;
    double share;
    const cJSON *tools;
    const char *kind;
};

static const struct jfield run_request_fields[] = {
    JFIELD(struct run_request, repo, J_REQUIRED),
    JFIELD(struct run_request, ref, J_OPTIONAL),
    JFIELD(struct run_request, timeout_s, J_OPTIONAL),
    JFIELD(struct run_request, attempts, J_OPTIONAL),
    JFIELD(struct run_request, gpu, J_OPTIONAL),
    JFIELD(struct run_request, share, J_OPTIONAL),
    JFIELD(struct run_request, tools, J_OPTIONAL),
    JFIELD_AS(struct run_request, kind, "type", J_OPTIONAL),
};

static cJSON *parsed(const char *text)
{
    struct err err = {0};
    cJSON *value = json_parse(text, strlen(text), &err);

    assert_made(value, err);
    return value;
}

static void test_read_fills_every_type(void **state)
{
    scoped_json body =
        parsed("{\"repo\":\"a/b\",\"ref\":\"main\",\"timeout_s\":9007199254740991,"
               "\"attempts\":-2147483648,\"gpu\":true,\"share\":0.25,\"tools\":[1],"
               "\"type\":\"x\"}");
    struct run_request got = {0};
    struct err err = {0};

    (void)state;
    assert_ok(json_read(body, run_request_fields, &got, &err), err);
    assert_string_equal(got.repo, "a/b");
    assert_ptr_equal(got.repo, json_get_str(body, "repo"));
    assert_string_equal(got.ref, "main");
    assert_ptr_not_equal(got.ref, json_get_str(body, "ref"));
    assert_true(got.timeout_s == 9007199254740991);
    assert_int_equal(got.attempts, -2147483647 - 1);
    assert_true(got.gpu);
    assert_true(got.share == 0.25);
    assert_ptr_equal(got.tools, json_get(body, "tools"));
    assert_string_equal(got.kind, "x");
    free(got.ref);
}

static void test_read_says_which_field_is_wrong(void **state)
{
    static const struct {
        const char *body;
        const char *complaint;
        const char *field;
    } cases[] = {
        {"{}", "repo: required", "repo"},
        {"{\"repo\": null}", "repo: required", "repo"},
        {"{\"repo\": 3}", "repo: expected a string", "repo"},
        {"{\"repo\": \"a/b\", \"ref\": []}", "ref: expected a string", "ref"},
        {"{\"repo\": \"a/b\", \"gpu\": 1}", "gpu: expected true or false", "gpu"},
        {"{\"repo\": \"a/b\", \"gpu\": \"true\"}", "gpu: expected true or false", "gpu"},
        {"[]", "expected an object", ""},
        {"\"text\"", "expected an object", ""},
        {"{\"repo\": \"a/b\", \"timeout_s\": 1.5}", "timeout_s: expected a whole number",
         "timeout_s"},
        {"{\"repo\": \"a/b\", \"timeout_s\": \"1\"}", "timeout_s: expected a whole number",
         "timeout_s"},
        {"{\"repo\": \"a/b\", \"timeout_s\": 9007199254740993}",
         "timeout_s: expected a whole number", "timeout_s"},
        {"{\"repo\": \"a/b\", \"attempts\": 2147483648}", "attempts: number out of range",
         "attempts"},
        {"{\"repo\": \"a/b\", \"attempts\": true}", "attempts: expected a whole number",
         "attempts"},
        {"{\"repo\": \"a/b\", \"share\": \"1\"}", "share: expected a number", "share"},
        {"{\"repo\": \"a/b\", \"x\": 1}", "x: unknown field", "x"},
        {"{\"repo\": \"a/b\", \"x\": null}", "x: unknown field", "x"},
        {"{\"repo\": \"a/b\", \"Gpu\": true}", "Gpu: unknown field", "Gpu"},
        {"{\"repo\": \"a/b\", \"kind\": \"x\"}", "kind: unknown field", "kind"},
        {"{\"repp\": \"a/b\"}", "repp: unknown field", "repp"},
        {"{\"repo\": \"a/b\", \"type\": 1}", "type: expected a string", "type"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        struct run_request got = {0};
        scoped_json body = parsed(cases[i].body);

        assert_int_equal(json_read(body, run_request_fields, &got, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_string_equal(err.text, cases[i].complaint);
        assert_string_equal(err.field, cases[i].field);
    }
}

static void test_nothing_at_all_is_not_an_object(void **state)
{
    struct run_request got = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(json_read(NULL, run_request_fields, &got, &err), -1);
    assert_string_equal(err.text, "expected an object");
}

static void test_absent_and_null_fields_keep_their_defaults(void **state)
{
    scoped_json body = parsed("{\"repo\":\"a/b\",\"gpu\":null,\"share\":null,\"type\":null}");
    struct run_request got = {
        .ref = xstrdup("trunk"), .timeout_s = 60, .gpu = true, .share = 2, .kind = "k"};
    struct err err = {0};

    (void)state;
    assert_ok(json_read(body, run_request_fields, &got, &err), err);
    assert_string_equal(got.ref, "trunk");
    assert_int_equal(got.timeout_s, 60);
    assert_true(got.gpu);
    assert_true(got.share == 2);
    assert_string_equal(got.kind, "k");
    free(got.ref);
}

static void test_a_copy_takes_the_place_of_the_default(void **state)
{
    scoped_json body = parsed("{\"repo\":\"a/b\",\"ref\":\"main\"}");
    struct run_request got = {.ref = xstrdup("trunk")};
    struct err err = {0};

    (void)state;
    assert_ok(json_read(body, run_request_fields, &got, &err), err);
    assert_string_equal(got.ref, "main");
    free(got.ref); /* a leak checker would tell of "trunk" */
}

static void test_a_refusal_leaves_the_struct_untouched(void **state)
{
    scoped_json body = parsed("{\"repo\":\"a/b\",\"ref\":\"main\",\"timeout_s\":5,\"gpu\":1}");
    struct run_request got = {.timeout_s = 60};
    struct err err = {0};

    (void)state;
    assert_int_equal(json_read(body, run_request_fields, &got, &err), -1);
    assert_null(got.repo);
    assert_null(got.ref);
    assert_int_equal(got.timeout_s, 60);
}

static void test_open_reading_lets_unknown_fields_pass(void **state)
{
    scoped_json good = parsed("{\"repo\":\"a/b\",\"x\":{\"y\":1}}");
    scoped_json bad = parsed("{\"x\":1,\"repo\":2}");
    struct run_request got = {0};
    struct err err = {0};

    (void)state;
    assert_ok(json_read_open(good, run_request_fields, &got, &err), err);
    assert_string_equal(got.repo, "a/b");
    assert_int_equal(json_read_open(bad, run_request_fields, &got, &err), -1);
    assert_string_equal(err.text, "repo: expected a string");
}

static void assert_complains_below(const char *path, const char *text, const char *complaint)
{
    scoped_json value = parsed(text);
    struct run_request got = {0};
    struct err err = {0};

    assert_int_equal(json_read_fields(value, run_request_fields, ARRAY_SIZE(run_request_fields),
                                      true, path, &got, &err),
                     -1);
    assert_string_equal(err.text, complaint);
    assert_memory_equal(err.field, complaint, strlen(err.field));
    assert_true(strlen(err.field) > 0);
}

static void test_a_path_stands_before_the_field(void **state)
{
    (void)state;
    assert_complains_below("jobs[2]", "{\"repo\":\"a\",\"timeout_s\":\"\"}",
                           "jobs[2].timeout_s: expected a whole number");
    assert_complains_below("[2]", "{\"name\":1}", "[2].name: unknown field");
    assert_complains_below("tools[0]", "3", "tools[0]: expected an object");
    assert_complains_below("", "{}", "repo: required");
}

static void test_a_hostile_key_is_shown_short_and_plain(void **state)
{
    (void)state;
    assert_complains_below(NULL, "{\"a\\nb\\u001b[31m\\u007f\":1}", "a?b?[31m?: unknown field");
    assert_complains_below(NULL, "{\"\xe2\x80\xae\xd0\xb8x\":1}", "??x: unknown field");
    assert_complains_below(NULL, "{\"%s%n\":1}", "%s%n: unknown field");
    assert_complains_below(NULL, "{\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee\":1}",
                           "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd...: unknown field");
    assert_complains_below(NULL, "{\"aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd\":1}",
                           "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd: unknown field");
    assert_complains_below(NULL, "{\"\":1}", "\"\": unknown field");
}

TEST_MAIN(cmocka_unit_test(test_read_fills_every_type),
          cmocka_unit_test(test_read_says_which_field_is_wrong),
          cmocka_unit_test(test_nothing_at_all_is_not_an_object),
          cmocka_unit_test(test_absent_and_null_fields_keep_their_defaults),
          cmocka_unit_test(test_a_copy_takes_the_place_of_the_default),
          cmocka_unit_test(test_a_refusal_leaves_the_struct_untouched),
          cmocka_unit_test(test_open_reading_lets_unknown_fields_pass),
          cmocka_unit_test(test_a_path_stands_before_the_field),
          cmocka_unit_test(test_a_hostile_key_is_shown_short_and_plain))
