/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/status.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

static int from(int status, const char *headers, const char *body, struct err *err)
{
    scoped_net_answer answer = {.status = status};

    if (headers)
        buf_append_str(&answer.headers, headers);
    if (body)
        buf_append_str(&answer.body, body);
    *err = (struct err){0};
    return status_from_answer(&answer, "GET /x", err);
}

static void test_each_status_is_what_a_caller_can_do_about_it(void **state)
{
    static const struct {
        int status;
        const char *headers;
        enum err_kind kind;
        int retry_after_s;
    } cases[] = {
        {400, NULL, ERR_INVALID, 0},
        {401, NULL, ERR_UNAUTHENTICATED, 0},
        {403, NULL, ERR_DENIED, 0},
        {404, NULL, ERR_NOT_FOUND, 0},
        {405, NULL, ERR_INVALID, 0},
        {408, NULL, ERR_TIMEOUT, 0},
        {409, NULL, ERR_CONFLICT, 0},
        {410, NULL, ERR_CONFLICT, 0},
        {413, NULL, ERR_TOO_LARGE, 0},
        {415, NULL, ERR_UNSUPPORTED, 0},
        {422, NULL, ERR_INVALID, 0},
        {429, NULL, ERR_UNAVAILABLE, 0},
        {429, "retry-after: 7\n", ERR_UNAVAILABLE, 7},
        {500, NULL, ERR_TIMEOUT, 0},
        {500, "retry-after: 7\n", ERR_TIMEOUT, 7},
        {502, NULL, ERR_TIMEOUT, 0},
        {503, NULL, ERR_TIMEOUT, 0},
        {503, "retry-after: 1\n", ERR_UNAVAILABLE, 1},
        {504, NULL, ERR_TIMEOUT, 0},
        {302, NULL, ERR_TIMEOUT, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err;

        assert_int_equal(from(cases[i].status, cases[i].headers, NULL, &err), -1);
        assert_int_equal(err.kind, cases[i].kind);
        assert_int_equal(err.retry_after_s, cases[i].retry_after_s);
    }
}

static void test_the_reason_is_the_code_and_the_message_the_sentence(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(from(409, NULL,
                          "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\","
                          "\"message\":\"jobs \\\"x\\\"\\nalready exists\"}",
                          &err),
                     -1);
    assert_string_equal(err.code, "AlreadyExists");
    assert_string_equal(err.text, "GET /x: 409 AlreadyExists: jobs \"x\" already exists");
}

static void test_a_reason_we_do_not_know_is_shown_and_no_code(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(from(403, NULL, "{\"kind\":\"Status\",\"reason\":\"Moon\"}", &err), -1);
    assert_null(err.code);
    assert_string_equal(err.text, "GET /x: 403 Moon");
}

static void test_410_is_expired_whatever_the_reason(void **state)
{
    static const char *const bodies[] = {
        NULL,
        "{\"kind\":\"Status\",\"reason\":\"Gone\"}",
        "{\"kind\":\"Status\",\"reason\":\"Expired\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        struct err err;

        assert_int_equal(from(410, NULL, bodies[i], &err), -1);
        assert_string_equal(err.code, "Expired");
    }
}

static void test_the_details_say_when_to_come_back_where_the_header_does_not(void **state)
{
    static const char body[] =
        "{\"kind\":\"Status\",\"reason\":\"TooManyRequests\",\"details\":"
        "{\"retryAfterSeconds\":9}}";
    struct err err;

    (void)state;
    assert_int_equal(from(429, NULL, body, &err), -1);
    assert_int_equal(err.retry_after_s, 9);
    assert_int_equal(from(429, "retry-after: 2\n", body, &err), -1);
    assert_int_equal(err.retry_after_s, 2);
}

static void test_a_proxys_page_is_shown_in_part(void **state)
{
    char page[2000];
    struct err err;

    (void)state;
    memset(page, 'x', sizeof(page) - 1);
    page[sizeof(page) - 1] = '\0';
    assert_int_equal(from(502, NULL, page, &err), -1);
    assert_in_range(strlen(err.text), 100, 200);
    assert_int_equal(from(502, NULL, "{\"kind\":\"Pod\",\"reason\":\"NotFound\"}", &err), -1);
    assert_null(err.code);
}

static void test_a_status_as_an_object_has_its_own_code(void **state)
{
    struct err err = {0};
    scoped_json expired =
        jobj({"kind", jstr("Status")}, {"code", jint(410)}, {"message", jstr("too old")});
    scoped_json bare = jobj({"kind", jstr("Status")});
    scoped_json odd = jobj({"code", jint(200)});

    (void)state;
    assert_int_equal(status_from_object(expired, "watch", &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_string_equal(err.code, "Expired");
    assert_string_equal(err.text, "watch: 410: too old");
    assert_int_equal(status_from_object(bare, "watch", &err), -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_int_equal(status_from_object(odd, "watch", &err), -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
}

TEST_MAIN(cmocka_unit_test(test_each_status_is_what_a_caller_can_do_about_it),
          cmocka_unit_test(test_the_reason_is_the_code_and_the_message_the_sentence),
          cmocka_unit_test(test_a_reason_we_do_not_know_is_shown_and_no_code),
          cmocka_unit_test(test_410_is_expired_whatever_the_reason),
          cmocka_unit_test(test_the_details_say_when_to_come_back_where_the_header_does_not),
          cmocka_unit_test(test_a_proxys_page_is_shown_in_part),
          cmocka_unit_test(test_a_status_as_an_object_has_its_own_code))
