/* SPDX-License-Identifier: Apache-2.0 */
#include "home/settings.h"

#include <fcntl.h>
#include <string.h>

#include "test.h"

#include "base/alloc.h"

#define RUN_ID "0123456789abcdefghij"
#define TOKEN "vgvtask_settings_test"

static void set_all(void)
{
    (void)setenv("DISPATCH_URL", "http://home.example:5000/", 1);
    (void)setenv("DISPATCH_RUN_ID", RUN_ID, 1);
    (void)setenv("DISPATCH_ATTEMPT", "2", 1);
    (void)setenv("DISPATCH_TASK_TOKEN", TOKEN, 1);
    (void)unsetenv("DISPATCH_TASK_TOKEN_FILE");
    (void)unsetenv("DISPATCH_WORK_DIR");
    (void)unsetenv("DISPATCH_CA_FILE");
    (void)setenv("TMPDIR", "/var/tmp", 1);
}

static void test_settings_come_from_the_environment(void **state)
{
    scoped_settings settings = {0};
    struct err err = {0};

    (void)state;
    set_all();
    assert_ok(settings_load(&settings, &err), err);
    assert_string_equal(settings.home_url, "http://home.example:5000");
    assert_string_equal(settings.run_id, RUN_ID);
    assert_int_equal(settings.attempt, 2);
    assert_string_equal(secret_reveal(settings.task_token), TOKEN);
    assert_string_equal(settings.work_dir, "/var/tmp");
    assert_null(settings.ca_file);
}

static void test_token_leaves_the_environment_and_its_bytes(void **state)
{
    scoped_settings settings = {0};
    struct err err = {0};
    const char *bytes;

    (void)state;
    set_all();
    bytes = getenv("DISPATCH_TASK_TOKEN");
    assert_ok(settings_load(&settings, &err), err);
    assert_null(getenv("DISPATCH_TASK_TOKEN"));
    for (size_t i = 0; i < strlen(TOKEN); i++)
        assert_int_equal(bytes[i], 0);
}

static void test_token_leaves_the_environment_when_the_rest_is_wrong(void **state)
{
    scoped_settings settings = {0};
    struct err err = {0};

    (void)state;
    set_all();
    (void)unsetenv("DISPATCH_URL");
    assert_int_equal(settings_load(&settings, &err), -1);
    assert_null(getenv("DISPATCH_TASK_TOKEN"));
}

static void test_model_keys_leave_the_environment_whatever_follows(void **state)
{
    scoped_settings settings = {0};
    scoped_settings wrong = {0};
    struct err err = {0};

    (void)state;
    set_all();
    (void)setenv("OPENAI_API_KEY", "sk-settings-test", 1);
    (void)setenv("DISPATCH_MODEL_PRICES", "/etc/prices.yaml", 1);
    assert_ok(settings_load(&settings, &err), err);
    assert_string_equal(secret_reveal(model_keys_key(&settings.model_keys, "OPENAI_API_KEY")),
                        "sk-settings-test");
    assert_string_equal(settings.model_prices, "/etc/prices.yaml");
    assert_null(getenv("OPENAI_API_KEY"));
    (void)setenv("OPENAI_API_KEY", "two words", 1);
    set_all();
    assert_int_equal(settings_load(&wrong, &err), -1);
    assert_null(getenv("OPENAI_API_KEY"));
    assert_null(getenv("DISPATCH_TASK_TOKEN"));
    (void)unsetenv("DISPATCH_MODEL_PRICES");
}

static void test_token_is_read_from_a_pipe_which_is_closed(void **state)
{
    scoped_settings settings = {0};
    scoped_str path = NULL;
    struct err err = {0};
    int fds[2];

    (void)state;
    set_all();
    (void)unsetenv("DISPATCH_TASK_TOKEN");
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(write(fds[1], TOKEN "\n", strlen(TOKEN) + 1), strlen(TOKEN) + 1);
    (void)close(fds[1]);
    path = xasprintf("/proc/self/fd/%d", fds[0]);
    (void)setenv("DISPATCH_TASK_TOKEN_FILE", path, 1);
    assert_ok(settings_load(&settings, &err), err);
    assert_string_equal(secret_reveal(settings.task_token), TOKEN);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1);
}

static void test_token_is_read_from_a_file(void **state)
{
    scoped_settings settings = {0};
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/token", dir);
    struct err err = {0};

    (void)state;
    set_all();
    (void)unsetenv("DISPATCH_TASK_TOKEN");
    test_file_write(dir, "token", TOKEN);
    (void)setenv("DISPATCH_TASK_TOKEN_FILE", path, 1);
    assert_ok(settings_load(&settings, &err), err);
    assert_string_equal(secret_reveal(settings.task_token), TOKEN);
    test_dir_remove(dir);
}

static void test_a_token_for_once_is_taken_away(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/token", dir);

    (void)state;
    test_file_write(dir, "token", TOKEN);
    for (int start = 0; start < 2; start++) {
        scoped_settings settings = {0};
        struct err err = {0};

        set_all();
        (void)unsetenv("DISPATCH_TASK_TOKEN");
        (void)setenv("DISPATCH_TASK_TOKEN_FILE", path, 1);
        (void)setenv("DISPATCH_TASK_TOKEN_ONCE", "1", 1);
        assert_int_equal(settings_load(&settings, &err), start == 0 ? 0 : -1);
        assert_int_equal(access(path, F_OK), -1);
    }
    (void)unsetenv("DISPATCH_TASK_TOKEN_ONCE");
    test_dir_remove(dir);
}

static void test_wrong_settings_are_named_and_no_value_of_a_secret_shown(void **state)
{
    static const struct {
        const char *name;
        const char *value; /* NULL: not set */
        const char *complaint;
    } cases[] = {
        {"DISPATCH_URL", NULL, "DISPATCH_URL is missing"},
        {"DISPATCH_URL", "ftp://x", "DISPATCH_URL isn't an http:// or https:// URL"},
        {"DISPATCH_RUN_ID", "x", "DISPATCH_RUN_ID isn't a run's id"},
        {"DISPATCH_ATTEMPT", "0", "DISPATCH_ATTEMPT isn't a number from 1"},
        {"DISPATCH_ATTEMPT", "1x", "DISPATCH_ATTEMPT isn't a number from 1"},
        {"DISPATCH_TASK_TOKEN", NULL,
         "DISPATCH_TASK_TOKEN or DISPATCH_TASK_TOKEN_FILE is missing"},
        {"DISPATCH_TASK_TOKEN", "two words",
         "the task token isn't 1024 or fewer visible characters"},
        {"DISPATCH_TASK_TOKEN", "", "the task token isn't 1024 or fewer visible characters"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_settings settings = {0};
        struct err err = {0};

        set_all();
        if (cases[i].value)
            (void)setenv(cases[i].name, cases[i].value, 1);
        else
            (void)unsetenv(cases[i].name);
        assert_int_equal(settings_load(&settings, &err), -1);
        assert_string_equal(err.text, cases[i].complaint);
    }
}

TEST_MAIN(cmocka_unit_test(test_settings_come_from_the_environment),
          cmocka_unit_test(test_token_leaves_the_environment_and_its_bytes),
          cmocka_unit_test(test_token_leaves_the_environment_when_the_rest_is_wrong),
          cmocka_unit_test(test_model_keys_leave_the_environment_whatever_follows),
          cmocka_unit_test(test_token_is_read_from_a_pipe_which_is_closed),
          cmocka_unit_test(test_token_is_read_from_a_file),
          cmocka_unit_test(test_a_token_for_once_is_taken_away),
          cmocka_unit_test(test_wrong_settings_are_named_and_no_value_of_a_secret_shown))
