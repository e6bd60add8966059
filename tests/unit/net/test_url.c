/* SPDX-License-Identifier: Apache-2.0 */
#include "net/url.h"

#include <string.h>

#include "test.h"

#include "net/net.h"

static void test_a_url_is_shown_without_what_may_be_secret(void **state)
{
    static const struct {
        const char *url;
        const char *shown;
    } cases[] = {
        {"http://host", "http://host/"},
        {"https://host:8443/a/b", "https://host:8443/a/b"},
        {"https://user:password@host/a?token=1#frag", "https://host/a"},
        {"http://[::1]:80/x", "http://[::1]:80/x"},
        {"HTTPS://host/%0d%0a", "https://host/%0d%0a"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        scoped_str shown = NULL;

        assert_ok(url_check(cases[i].url, &shown, &err), err);
        assert_string_equal(shown, cases[i].shown);
    }
}

static void test_a_bad_url_is_refused_and_not_repeated(void **state)
{
    static char long_url[9000];
    const char *const urls[] = {
        NULL,
        "",
        "host/secret",
        "http://",
        "http:///host",
        "ftp://host",
        "file:///etc/secrets",
        "http://ho st/secret",
        "http://h/\x7f",
        long_url,
    };

    (void)state;
    memset(long_url, 'a', sizeof(long_url) - 1);
    memcpy(long_url, "http://", 7);
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        struct err err = {0};
        scoped_str shown = NULL;

        assert_int_equal(url_check(urls[i], &shown, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_null(strstr(err.text, "secret"));
    }
}

static void test_escape_keeps_only_what_is_unreserved(void **state)
{
    static const struct {
        const char *text;
        const char *escaped;
    } cases[] = {
        {"", ""},
        {"azAZ09-._~", "azAZ09-._~"},
        {"a/b c?d&e=f#g%h+i", "a%2Fb%20c%3Fd%26e%3Df%23g%25h%2Bi"},
        {"\xc3\xa4\r\n", "%C3%A4%0D%0A"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str escaped = net_escape(cases[i].text);

        assert_string_equal(escaped, cases[i].escaped);
    }
}

static void test_methods_are_capital_letters(void **state)
{
    (void)state;
    assert_true(method_valid("PATCH"));
    assert_false(method_valid("PATCH "));
    assert_false(method_valid("ABCDEFGHIJKLMNOPQ"));
}

TEST_MAIN(cmocka_unit_test(test_a_url_is_shown_without_what_may_be_secret),
          cmocka_unit_test(test_a_bad_url_is_refused_and_not_repeated),
          cmocka_unit_test(test_escape_keeps_only_what_is_unreserved),
          cmocka_unit_test(test_methods_are_capital_letters))
