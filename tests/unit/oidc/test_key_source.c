/* SPDX-License-Identifier: Apache-2.0 */
#include "oidc/key_source.h"

#include <string.h>

#include "base/alloc.h"
#include "oidc_issuer.h"
#include "test.h"

static struct net *open_net(void)
{
    struct net_options options = {.user_agent = "test/1"};
    struct err err = {0};
    struct net *net;

    json_setup();
    net = net_new(&options, &err);
    assert_made(net, err);
    return net;
}

static void test_keys_are_found_and_fetched(void **state)
{
    scoped(net) net = open_net();
    scoped(oidc_issuer) issuer = oidc_issuer_new();
    scoped_str name = xasprintf("%s", oidc_issuer_url(issuer));
    struct err err = {0};
    int64_t age_s = 0;

    (void)state;
    scoped(jwk_set) keys = key_source_fetch(net, name, &age_s, &err);
    assert_made(keys, err);
    assert_non_null(jwk_set_find(keys, "first", JWK_RS256));
    assert_int_equal(age_s, -1);
    oidc_issuer_answer(issuer, 200, "public, max-age=1234, must-revalidate");
    scoped(jwk_set) again = key_source_fetch(net, name, &age_s, &err);
    assert_made(again, err);
    assert_int_equal(age_s, 1234);
}

static void assert_no_keys(struct net *net, struct oidc_issuer *issuer, const char *complaint)
{
    struct err err = {0};
    int64_t age_s;

    assert_null(key_source_fetch(net, oidc_issuer_url(issuer), &age_s, &err));
    assert_int_equal(err.kind, ERR_UPSTREAM);
    if (!strstr(err.text, complaint))
        fail_msg("%s", err.text);
}

static void test_an_issuer_that_is_another_has_no_keys(void **state)
{
    scoped(net) net = open_net();
    scoped(oidc_issuer) issuer = oidc_issuer_new();
    scoped_str other_path = xasprintf("%s/", oidc_issuer_url(issuer));

    (void)state;
    oidc_issuer_say(issuer, "https://another.example.com", NULL);
    assert_no_keys(net, issuer, "another issuer");
    oidc_issuer_say(issuer, other_path, NULL);
    assert_no_keys(net, issuer, "another issuer");
    assert_int_equal(oidc_issuer_fetches(issuer), 0);
}

/* Whoever answers for the issuer can't send us where else we can reach in the clear. */
static void test_keys_elsewhere_in_the_clear_are_not_fetched(void **state)
{
    scoped(net) net = open_net();
    scoped(oidc_issuer) issuer = oidc_issuer_new();
    scoped(oidc_issuer) other = oidc_issuer_new();
    scoped_str elsewhere = xasprintf("%s/keys", oidc_issuer_url(other));

    (void)state;
    oidc_issuer_say(issuer, NULL, elsewhere);
    assert_no_keys(net, issuer, "jwks_uri");
    oidc_issuer_say(issuer, NULL, "http://169.254.169.254/latest");
    assert_no_keys(net, issuer, "jwks_uri");
    assert_int_equal(oidc_issuer_fetches(other), 0);
}

static void test_an_answer_that_is_no_success_is_an_error(void **state)
{
    static const int statuses[] = {301, 404, 500};
    scoped(net) net = open_net();
    scoped(oidc_issuer) issuer = oidc_issuer_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
        oidc_issuer_answer(issuer, statuses[i], NULL);
        assert_no_keys(net, issuer, "answered");
    }
}

static void test_where_keys_may_be(void **state)
{
    static const char issuer[] = "http://127.0.0.1:8080/tenant";
    static const struct {
        const char *jwks_uri;
        bool allowed;
    } cases[] = {
        {"http://127.0.0.1:8080/keys", true},
        {"http://127.0.0.1:8080", true},
        {"https://keys.example.com/x", true},
        {"http://127.0.0.1:80801/keys", false},
        {"http://127.0.0.1:808/keys", false},
        {"http://127.0.0.1/keys", false},
        {"http://127.0.0.1:8080.evil.net/keys", false},
        {"http://127.0.0.1:8080@evil.net/keys", false},
        {"https://127.0.0.1:8080@evil.net/keys", false},
        {"http://localhost:8080/keys", false},
        {"ftp://127.0.0.1:8080/keys", false},
        {"file:///etc/passwd", false},
        {"/keys", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (key_source_allowed(issuer, cases[i].jwks_uri) != cases[i].allowed)
            fail_msg("%s", cases[i].jwks_uri);
    assert_false(key_source_allowed("https://issuer.example.com", "http://issuer.example.com"));
}

static void test_how_long_keys_are_good(void **state)
{
    static const struct {
        const char *text;
        int64_t age_s;
    } cases[] = {
        {"max-age=60", 60},
        {"public,  MAX-AGE=60 , immutable", 60},
        {"no-store", 0},
        {"max-age=60, no-cache", 0},
        {"private", -1},
        {"", -1},
        {"max-age=", -1},
        {"max-age=x", -1},
        {"max-age=-5", -1},
        {"s-maxage=60", -1},
        {"max-age=99999999999999999999", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (key_source_max_age_s(cases[i].text) != cases[i].age_s)
            fail_msg("%s", cases[i].text);
}

TEST_MAIN(cmocka_unit_test(test_keys_are_found_and_fetched),
          cmocka_unit_test(test_an_issuer_that_is_another_has_no_keys),
          cmocka_unit_test(test_keys_elsewhere_in_the_clear_are_not_fetched),
          cmocka_unit_test(test_an_answer_that_is_no_success_is_an_error),
          cmocka_unit_test(test_where_keys_may_be),
          cmocka_unit_test(test_how_long_keys_are_good))
