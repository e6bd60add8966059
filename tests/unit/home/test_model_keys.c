/* SPDX-License-Identifier: Apache-2.0 */
#include "home/model_keys.h"

#include <string.h>

#include "test.h"

static void test_keys_and_urls_are_taken_by_name(void **state)
{
    struct model_keys keys;
    struct err err = {0};

    (void)state;
    (void)setenv("ANTHROPIC_API_KEY", " sk-ant-1\n", 1);
    (void)setenv("XAI_API_KEY", "", 1);
    (void)setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1", 1);
    assert_ok(model_keys_take(&keys, &err), err);
    assert_string_equal(secret_reveal(model_keys_key(&keys, "ANTHROPIC_API_KEY")), "sk-ant-1");
    assert_null(model_keys_key(&keys, "XAI_API_KEY"));
    assert_null(model_keys_key(&keys, "OPENAI_API_KEY"));
    assert_null(model_keys_key(&keys, "NOBODY_API_KEY"));
    assert_string_equal(model_keys_url(&keys, "OPENAI_BASE_URL"), "http://127.0.0.1:1/v1");
    assert_null(model_keys_url(&keys, "ANTHROPIC_BASE_URL"));
    assert_null(getenv("ANTHROPIC_API_KEY"));
    assert_null(getenv("OPENAI_BASE_URL"));
    model_keys_done(&keys);
}

static void test_their_bytes_leave_the_environment_each_time_they_stand_there(void **state)
{
    char first[] = "GEMINI_API_KEY=canary-one";
    char second[] = "GEMINI_API_KEY=canary-two";
    char other[] = "OTHER=stays";
    char *own[] = {first, other, second, NULL};
    char **before = environ;
    struct model_keys keys;
    struct err err = {0};
    int result;

    (void)state;
    environ = own;
    result = model_keys_take(&keys, &err);
    environ = before;
    assert_ok(result, err);
    assert_string_equal(secret_reveal(model_keys_key(&keys, "GEMINI_API_KEY")), "canary-one");
    assert_null(memmem(first, sizeof(first), "canary", 6));
    assert_null(memmem(second, sizeof(second), "canary", 6));
    assert_string_equal(other, "OTHER=stays");
    model_keys_done(&keys);
}

static void test_a_key_that_cant_be_sent_is_named_and_all_leave(void **state)
{
    struct model_keys keys;
    struct err err = {0};

    (void)state;
    (void)setenv("ANTHROPIC_API_KEY", "two words", 1);
    (void)setenv("OPENAI_API_KEY", "good", 1);
    assert_int_equal(model_keys_take(&keys, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "ANTHROPIC_API_KEY"));
    assert_null(strstr(err.text, "words"));
    assert_null(getenv("ANTHROPIC_API_KEY"));
    assert_null(getenv("OPENAI_API_KEY"));
    model_keys_done(&keys);
}

TEST_MAIN(cmocka_unit_test(test_keys_and_urls_are_taken_by_name),
          cmocka_unit_test(test_their_bytes_leave_the_environment_each_time_they_stand_there),
          cmocka_unit_test(test_a_key_that_cant_be_sent_is_named_and_all_leave))
