/* SPDX-License-Identifier: Apache-2.0 */
#include "oidc/claims.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "test.h"

#define NOW_S 1800000000
#define ISSUER "https://issuer.example.com"
#define AUDIENCE "https://dispatch.example.com"

static int check(const char *text)
{
    static const struct claims_rule rule = {
        .issuer = ISSUER, .audience = AUDIENCE, .now_s = NOW_S};
    struct err err = {0};
    scoped_json claims = NULL;
    int result;

    json_setup();
    claims = json_parse(text, strlen(text), &err);
    assert_made(claims, err);
    result = claims_check(claims, &rule, &err);
    if (result < 0)
        assert_int_equal(err.kind, ERR_INVALID);
    return result;
}

#define FROM "{\"iss\":\"" ISSUER "\","
#define FOR "\"aud\":\"" AUDIENCE "\","

static void test_a_token_for_us_of_now_passes(void **state)
{
    static const char *const good[] = {
        FROM FOR "\"exp\":1800000300}",
        FROM FOR "\"exp\":1800000300,\"nbf\":1799999990,\"iat\":1800000000}",
        FROM FOR "\"exp\":1800000300.5,\"iat\":1799999999.25}",
        /* clocks may differ by a minute */
        FROM FOR "\"exp\":1799999941}",
        FROM FOR "\"exp\":1800000300,\"nbf\":1800000060,\"iat\":1800000060}",
        FROM "\"aud\":[\"https://other.example.com\",\"" AUDIENCE "\"],\"exp\":1800000300}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        if (check(good[i]) < 0)
            fail_msg("refused: %s", good[i]);
}

static void test_any_other_token_is_refused(void **state)
{
    static const char *const bad[] = {
        "{}",
        /* another issuer, or something like ours */
        "{" FOR "\"exp\":1800000300}",
        "{\"iss\":\"https://issuer.example.com/\"," FOR "\"exp\":1800000300}",
        "{\"iss\":\"https://ISSUER.example.com\"," FOR "\"exp\":1800000300}",
        "{\"iss\":\"https://issuer.example.com.evil.net\"," FOR "\"exp\":1800000300}",
        "{\"iss\":\" https://issuer.example.com\"," FOR "\"exp\":1800000300}",
        "{\"iss\":[\"https://issuer.example.com\"]," FOR "\"exp\":1800000300}",
        "{\"iss\":null," FOR "\"exp\":1800000300}",
        "{\"ISS\":\"https://issuer.example.com\"," FOR "\"exp\":1800000300}",
        /* for somebody else */
        FROM "\"exp\":1800000300}",
        FROM "\"aud\":\"https://other.example.com\",\"exp\":1800000300}",
        FROM "\"aud\":\"https://dispatch.example.com/\",\"exp\":1800000300}",
        FROM "\"aud\":\"https://dispatch.example.com https://x\",\"exp\":1800000300}",
        FROM "\"aud\":[],\"exp\":1800000300}",
        FROM "\"aud\":[\"https://other.example.com\"],\"exp\":1800000300}",
        FROM "\"aud\":[[\"https://dispatch.example.com\"]],\"exp\":1800000300}",
        FROM "\"aud\":{\"a\":\"https://dispatch.example.com\"},\"exp\":1800000300}",
        FROM "\"aud\":null,\"exp\":1800000300}",
        FROM "\"aud\":7,\"exp\":1800000300}",
        FROM "\"azp\":\"https://dispatch.example.com\",\"exp\":1800000300}",
        /* without an end, or past it */
        FROM FOR "\"iat\":1800000000}",
        FROM FOR "\"exp\":null}",
        FROM FOR "\"exp\":\"1800000300\"}",
        FROM FOR "\"exp\":true}",
        FROM FOR "\"exp\":[1800000300]}",
        FROM FOR "\"exp\":1799999940}",
        FROM FOR "\"exp\":0}",
        FROM FOR "\"exp\":-1800000300}",
        FROM FOR "\"exp\":1e300}",
        FROM FOR "\"exp\":9007199254740993}",
        /* of the future */
        FROM FOR "\"exp\":1800000300,\"nbf\":1800000061}",
        FROM FOR "\"exp\":1800000300,\"nbf\":\"1799999990\"}",
        FROM FOR "\"exp\":1800000300,\"nbf\":-1}",
        FROM FOR "\"exp\":1800000300,\"iat\":1800000061}",
        FROM FOR "\"exp\":1800000300,\"iat\":\"now\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (check(bad[i]) == 0)
            fail_msg("passed: %s", bad[i]);
}

static void test_an_audience_among_too_many_is_not_looked_for(void **state)
{
    scoped_buf text = {0};

    (void)state;
    buf_append_str(&text, FROM "\"exp\":1800000300,\"aud\":[\"" AUDIENCE "\"");
    for (int i = 0; i < CLAIMS_AUDIENCES_MAX; i++)
        buf_append_str(&text, ",\"x\"");
    buf_append_str(&text, "]}");
    assert_int_equal(check(text.data), -1);
}

static void test_a_repository_is_owner_and_name(void **state)
{
    static const struct {
        const char *text;
        const char *repository; /* NULL: refused */
    } cases[] = {
        {"{\"repository\":\"octo/hello\"}", "octo/hello"},
        {"{}", NULL},
        {"{\"repository\":7}", NULL},
        {"{\"repository\":\"\"}", NULL},
        {"{\"repository\":\"hello\"}", NULL},
        {"{\"repository\":\"octo/hello/x\"}", NULL},
        {"{\"repository\":\"octo/../x\"}", NULL},
        {"{\"repository\":\"octo/hello\\n\"}", NULL},
        {"{\"repository\":[\"octo/hello\"]}", NULL},
    };

    (void)state;
    json_setup();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        scoped_json claims = json_parse(cases[i].text, strlen(cases[i].text), &err);
        const char *found = claims_repository(claims, &err);

        if (cases[i].repository)
            assert_string_equal(found, cases[i].repository);
        else
            assert_null(found);
    }
}

/* It becomes a line of a commit: nothing that could make it another line. */
static void test_who_asked_is_a_login_or_nobody(void **state)
{
    static const struct {
        const char *text;
        const char *requester;
    } cases[] = {
        {"{\"actor\":\"octocat\"}", "octocat <octocat@users.noreply.github.com>"},
        {"{\"actor\":\"bot[bot]\"}", "bot[bot] <bot[bot]@users.noreply.github.com>"},
        {"{}", NULL},
        {"{\"actor\":\"\"}", NULL},
        {"{\"actor\":7}", NULL},
        {"{\"actor\":\"a b\"}", NULL},
        {"{\"actor\":\"a\\nSigned-off-by: x\"}", NULL},
        {"{\"actor\":\"a<b>\"}", NULL},
        {"{\"actor\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}",
         NULL},
    };

    (void)state;
    json_setup();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        scoped_json claims = json_parse(cases[i].text, strlen(cases[i].text), &err);
        scoped_str requester = claims_requester(claims);

        if (cases[i].requester)
            assert_string_equal(requester, cases[i].requester);
        else
            assert_null(requester);
    }
}

TEST_MAIN(cmocka_unit_test(test_a_token_for_us_of_now_passes),
          cmocka_unit_test(test_any_other_token_is_refused),
          cmocka_unit_test(test_an_audience_among_too_many_is_not_looked_for),
          cmocka_unit_test(test_a_repository_is_owner_and_name),
          cmocka_unit_test(test_who_asked_is_a_login_or_nobody))
