/* SPDX-License-Identifier: Apache-2.0 */
#include "net/header.h"

#include <string.h>

#include "test.h"

static void test_line_is_one_header_or_none(void **state)
{
    static char long_header[20000];

    (void)state;
    memset(long_header, 'a', sizeof(long_header) - 1);
    memcpy(long_header, "X: ", 3);
    assert_true(header_valid("X: a\tb"));
    assert_true(header_valid("X-Y_z:"));
    assert_true(header_valid("X: \xc3\xa4"));
    assert_false(header_valid(""));
    assert_false(header_valid("X"));
    assert_false(header_valid(":x"));
    assert_false(header_valid("X y: z"));
    assert_false(header_valid("X: a\r"));
    assert_false(header_valid("X: a\n"));
    assert_false(header_valid("X: \x01"));
    assert_false(header_valid("X: \x7f"));
    assert_false(header_valid(long_header));
}

static void test_name_is_a_token(void **state)
{
    static const char *const bad[] = {"", " ", "X y", "X:", "X\r\nY", "X\xc3\xa4", "(x)"};

    (void)state;
    assert_true(header_name_valid("X-Api-Key"));
    assert_true(header_name_valid("!#$%&'*+-.^_`|~"));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(header_name_valid(bad[i]));
}

static void test_sender_decides_how_a_request_is_sent(void **state)
{
    (void)state;
    assert_true(header_is_the_senders("Host"));
    assert_true(header_is_the_senders("CONTENT-LENGTH"));
    assert_true(header_is_the_senders("transfer-encoding"));
    assert_true(header_is_the_senders("Proxy-Authorization"));
    assert_false(header_is_the_senders("Authorization"));
    assert_false(header_is_the_senders("X-Host"));
    assert_false(header_is_the_senders("Hos"));
}

TEST_MAIN(cmocka_unit_test(test_line_is_one_header_or_none),
          cmocka_unit_test(test_name_is_a_token),
          cmocka_unit_test(test_sender_decides_how_a_request_is_sent))
