/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "launch/job_ref.h"

static void test_a_name_reads_back(void **state)
{
    static const int attempts[] = {1, 2, 10, JOB_ATTEMPT_MAX};
    struct id run = id_make(clock_wall_ms(), 42);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
        struct job_ref ref = job_ref_make(run, attempts[i]);
        struct id got;
        int attempt;

        assert_true(job_ref_parse(ref.text, &got, &attempt));
        assert_true(id_equal(got, run));
        assert_int_equal(attempt, attempts[i]);
    }
}

static void test_anything_else_is_no_name(void **state)
{
    static const char *const texts[] = {
        "",
        "run-",
        "run-00000000000000000000",
        "run-00000000000000000000-",
        "run-00000000000000000000-0",
        "run-00000000000000000000-01",
        "run-00000000000000000000--1",
        "run-00000000000000000000-1x",
        "run-00000000000000000000-1/..",
        "run-00000000000000000000-1000000",
        "run-00000000000000000000-99999999999999999999999999",
        "run-0000000000000000000A-1",
        "run-../../../../../etc/-1",
        "Run-00000000000000000000-1",
        " run-00000000000000000000-1",
    };
    struct id run;
    int attempt;

    (void)state;
    assert_false(job_ref_parse(NULL, &run, &attempt));
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_false(job_ref_parse(texts[i], &run, &attempt));
}

TEST_MAIN(cmocka_unit_test(test_a_name_reads_back),
          cmocka_unit_test(test_anything_else_is_no_name))
