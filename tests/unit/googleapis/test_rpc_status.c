/* SPDX-License-Identifier: Apache-2.0 */
#include "googleapis/rpc_status.h"

#include <string.h>

#include "test.h"

static int judge(int status, const char *headers, const char *body, struct err *err)
{
    scoped_net_answer answer = {.status = status};

    *err = (struct err){0};
    buf_append_str(&answer.body, body);
    buf_append_str(&answer.headers, headers);
    return rpc_status_from_answer(&answer, "GET /x", err);
}

static void test_a_refusal_has_the_kind_that_callers_act_on(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum err_kind kind;
        const char *code;
    } cases[] = {
        {400, "{\"error\":{\"code\":400,\"status\":\"INVALID_ARGUMENT\"}}", ERR_INVALID,
         "INVALID_ARGUMENT"},
        {400, "{\"error\":{\"code\":400,\"status\":\"FAILED_PRECONDITION\"}}", ERR_CONFLICT,
         "FAILED_PRECONDITION"},
        {401, "", ERR_UNAUTHENTICATED, "UNAUTHENTICATED"},
        {403, "{\"error\":{\"status\":\"PERMISSION_DENIED\"}}", ERR_DENIED,
         "PERMISSION_DENIED"},
        {403,
         "{\"error\":{\"status\":\"PERMISSION_DENIED\",\"details\":[{\"reason\":"
         "\"RATE_LIMIT_EXCEEDED\"}]}}",
         ERR_UNAVAILABLE, "PERMISSION_DENIED"},
        {404, "{\"error\":{\"status\":\"NOT_FOUND\"}}", ERR_NOT_FOUND, "NOT_FOUND"},
        {409, "{\"error\":{\"status\":\"ALREADY_EXISTS\"}}", ERR_CONFLICT, "ALREADY_EXISTS"},
        {409, "", ERR_CONFLICT, "ABORTED"},
        {429, "{\"error\":{\"status\":\"RESOURCE_EXHAUSTED\"}}", ERR_UNAVAILABLE,
         "RESOURCE_EXHAUSTED"},
        {500, "{\"error\":{\"status\":\"INTERNAL\"}}", ERR_TIMEOUT, "INTERNAL"},
        {502, "<html>", ERR_TIMEOUT, "INTERNAL"},
        {503, "{\"error\":{\"status\":\"UNAVAILABLE\"}}", ERR_TIMEOUT, "UNAVAILABLE"},
        {503, "{\"error\":{\"status\":\"NOT_FOUND\"}}", ERR_TIMEOUT, "UNAVAILABLE"},
        {418, "{\"error\":\"x\"}", ERR_INVALID, "INVALID_ARGUMENT"},
        {404, "{\"error\":{\"status\":\"NONSENSE\"}}", ERR_NOT_FOUND, "NOT_FOUND"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err;

        assert_int_equal(judge(cases[i].status, "", cases[i].body, &err), -1);
        assert_int_equal(err.kind, cases[i].kind);
        assert_string_equal(err.code, cases[i].code);
    }
}

static void test_the_sentence_is_googles(void **state)
{
    struct err err;

    (void)state;
    (void)judge(404, "", "{\"error\":{\"status\":\"NOT_FOUND\",\"message\":\"no such job\"}}",
                &err);
    assert_string_equal(err.text, "GET /x: 404 NOT_FOUND: no such job");
}

static void test_when_to_come_back_is_read_wherever_it_stands(void **state)
{
    static const struct {
        const char *headers;
        const char *delay;
        int expected_s;
    } cases[] = {
        {"retry-after: 7\n", "40s", 7},
        {"", "40s", 40},
        {"", "3.2s", 4},
        {"", "-3s", 0},
        {"", "1e99s", 0},
        {"", "nans", 0},
        {"", "7", 0},
        {"", "", 0},
        {"", "s", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char body[256];
        struct err err;

        (void)snprintf(
            body, sizeof(body),
            "{\"error\":{\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[7,{\"@type\":"
            "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"%s\"}]}}",
            cases[i].delay);
        (void)judge(429, cases[i].headers, body, &err);
        assert_int_equal(err.retry_after_s, cases[i].expected_s);
    }
}

static void test_unavailable_with_a_time_to_come_back_did_nothing(void **state)
{
    struct err err;

    (void)state;
    (void)judge(503, "retry-after: 2\n", "", &err);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

static void test_an_operation_ends_with_a_number(void **state)
{
    static const struct {
        const char *status;
        enum err_kind kind;
    } cases[] = {
        {"{\"code\":8,\"message\":\"quota\"}", ERR_UNAVAILABLE},
        {"{\"code\":3}", ERR_INVALID},
        {"{\"code\":0}", ERR_TIMEOUT},
        {"{\"code\":99}", ERR_TIMEOUT},
        {"{\"code\":-1}", ERR_TIMEOUT},
        {"{\"code\":\"8\"}", ERR_TIMEOUT},
        {"{}", ERR_TIMEOUT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        scoped_json status = json_parse(cases[i].status, strlen(cases[i].status), &err);

        assert_int_equal(rpc_status_from_error(status, "run", &err), -1);
        assert_int_equal(err.kind, cases[i].kind);
    }
}

static int setup(void **state)
{
    (void)state;
    json_setup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_refusal_has_the_kind_that_callers_act_on),
        cmocka_unit_test(test_the_sentence_is_googles),
        cmocka_unit_test(test_when_to_come_back_is_read_wherever_it_stands),
        cmocka_unit_test(test_unavailable_with_a_time_to_come_back_did_nothing),
        cmocka_unit_test(test_an_operation_ends_with_a_number),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, setup, NULL);
}
