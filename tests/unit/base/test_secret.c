/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>

#include "base/secret.h"

static void test_a_secret_keeps_a_copy(void **state)
{
    char text[] = "hunter2";
    scoped(secret) secret = secret_new(text);

    (void)state;
    secret_wipe(text, sizeof(text));
    assert_string_equal(secret_reveal(secret), "hunter2");
    assert_memory_equal(text, "\0\0\0\0\0\0\0\0", sizeof(text));
}

static void test_there_is_no_empty_secret(void **state)
{
    (void)state;
    assert_null(secret_new(NULL));
    assert_null(secret_new(""));
    assert_string_equal(secret_reveal(NULL), "");
    secret_free(NULL);
}

TEST_MAIN(cmocka_unit_test(test_a_secret_keeps_a_copy),
          cmocka_unit_test(test_there_is_no_empty_secret))
