/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>

#include "launch/launcher.h"

static void test_an_unknown_backend_is_refused_with_those_there_are(void **state)
{
    static const char *const names[] = {"", "docker swarm", "Process"};
    struct config config = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct err err = {0};

        assert_null(launcher_open(names[i], &config, NULL, NULL, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        assert_non_null(strstr(err.text, "process"));
    }
}

static void test_errors_carry_the_backend_and_keep_their_kind(void **state)
{
    struct config config = {0};
    struct err err = {0};
    struct job_spec spec = {.run = id_make(1, 1), .attempt = 1, .script = "start=error"};
    scoped(launcher) launcher = launcher_open("fake", &config, NULL, NULL, &err);
    char *ref = NULL;

    (void)state;
    assert_made(launcher, err);
    assert_string_equal(launcher_name(launcher), "fake");
    assert_int_equal(launcher_start(launcher, &spec, &ref, &err), -1);
    assert_int_equal(err.kind, ERR_UPSTREAM);
    assert_memory_equal(err.text, "fake: starting run ", 19);
}

static void test_attempts_count_from_one(void **state)
{
    struct config config = {0};
    struct err err = {0};
    struct job_spec spec = {.run = id_make(1, 1), .attempt = 0};
    scoped(launcher) launcher = launcher_open("fake", &config, NULL, NULL, &err);
    char *ref = NULL;

    (void)state;
    assert_made(launcher, err);
    assert_int_equal(launcher_start(launcher, &spec, &ref, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
}

TEST_MAIN(cmocka_unit_test(test_an_unknown_backend_is_refused_with_those_there_are),
          cmocka_unit_test(test_errors_carry_the_backend_and_keep_their_kind),
          cmocka_unit_test(test_attempts_count_from_one))
