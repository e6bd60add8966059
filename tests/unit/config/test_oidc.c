/* SPDX-License-Identifier: Apache-2.0 */
#include "config/oidc.h"

#include <string.h>

#include "base/alloc.h"
#include "test.h"

static void put(struct config_list *list, const char *text)
{
    if (!text)
        return;
    list->texts = xcalloc(1, sizeof(char *));
    list->texts[0] = xstrdup(text);
    list->count = 1;
}

struct given {
    const char *issuer;
    const char *audience;
    const char *repository;
    const char *public_url;
    int port;
};

static int settle(const struct given *given, char **out_audience, struct err *err)
{
    scoped_config config = {
        .listen_address = xstrdup("127.0.0.1"),
        .listen_port = given->port,
        .oidc_audience = xstrdup(given->audience),
        .public_url = xstrdup(given->public_url),
    };
    int result;

    put(&config.oidc_issuers, given->issuer);
    put(&config.oidc_repositories, given->repository);
    result = config_settle_oidc(&config, err);
    if (out_audience)
        *out_audience = xstrdup(config.oidc_audience);
    return result;
}

static void test_issuers_are_https_or_on_loopback(void **state)
{
    static const struct {
        const char *issuer;
        bool good;
    } cases[] = {
        {"https://issuer.example.com", true},
        {"https://issuer.example.com/tenant/", true},
        {"http://127.0.0.1:8080", true},
        {"http://[::1]:8080/x", true},
        {"http://localhost", true},
        {"http://issuer.example.com", false},
        {"http://127.0.0.1.example.com", false},
        {"http://127.0.0.1@example.com", false},
        {"http://localhostile", false},
        {"https://", false},
        {"https:///x", false},
        {"ftp://issuer.example.com", false},
        {"issuer.example.com", false},
        {"https://issuer.example.com?x", false},
        {"https://issuer.example.com#x", false},
        {"https://me@issuer.example.com", false},
        {"https://issuer.example.com/a b", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        struct given given = {.issuer = cases[i].issuer, .audience = "a"};

        if ((settle(&given, NULL, &err) == 0) != cases[i].good)
            fail_msg("%s: %s", cases[i].issuer, err.text);
    }
}

static void test_the_audience_is_the_public_url_unless_said(void **state)
{
    static const char issuer[] = "https://issuer.example.com";
    static const struct {
        struct given given;
        const char *audience; /* NULL: refused */
    } cases[] = {
        {{issuer, "ours", NULL, "https://x", 5000}, "ours"},
        {{issuer, NULL, NULL, "https://x", 5000}, "https://x"},
        {{issuer, NULL, NULL, NULL, 5000}, "http://127.0.0.1:5000"},
        {{issuer, NULL, NULL, NULL, 0}, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        scoped_str audience = NULL;
        int result = settle(&cases[i].given, &audience, &err);

        assert_int_equal(result, cases[i].audience ? 0 : -1);
        if (cases[i].audience)
            assert_string_equal(audience, cases[i].audience);
    }
}

/* Any repository on GitHub gets tokens of GitHub's own issuer, for any audience. */
static void test_githubs_own_issuer_needs_repositories(void **state)
{
    struct given given = {.issuer = "https://token.actions.githubusercontent.com",
                          .audience = "a"};
    struct err err = {0};

    (void)state;
    assert_int_equal(settle(&given, NULL, &err), -1);
    assert_non_null(strstr(err.text, "oidc.repositories"));
    given.repository = "octo/*";
    assert_ok(settle(&given, NULL, &err), err);
}

static void test_repositories_are_names_or_all_of_an_owner(void **state)
{
    static const struct {
        const char *pattern;
        bool good;
    } cases[] = {
        {"octo/hello", true}, {"octo/*", true},   {"*", false},      {"*/*", false},
        {"octo", false},      {"octo/", false},   {"/hello", false}, {"octo/h*", false},
        {"octo/**", false},   {"*/hello", false}, {"/*", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        struct given given = {.repository = cases[i].pattern};

        if ((settle(&given, NULL, &err) == 0) != cases[i].good)
            fail_msg("%s", cases[i].pattern);
    }
}

TEST_MAIN(cmocka_unit_test(test_issuers_are_https_or_on_loopback),
          cmocka_unit_test(test_the_audience_is_the_public_url_unless_said),
          cmocka_unit_test(test_githubs_own_issuer_needs_repositories),
          cmocka_unit_test(test_repositories_are_names_or_all_of_an_owner))
