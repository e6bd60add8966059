/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/exits.h"

#include <string.h>

#include "dispatchctl/port_forward.h"
#include "test.h"

static void test_how_a_run_ended(void **state)
{
    static const struct {
        const char *run;
        enum exit_code code;
    } cases[] = {
        {"{\"status\":\"completed\"}", EXIT_DONE},
        {"{\"status\":\"completed\",\"result\":{\"pr_url\":\"x\"}}", EXIT_DONE},
        {"{\"status\":\"completed\",\"result\":{\"draft\":true}}", EXIT_PARTIAL},
        {"{\"status\":\"completed\",\"result\":{\"partial\":true}}", EXIT_PARTIAL},
        {"{\"status\":\"failed\",\"error_code\":\"tests_failed\",\"result\":{\"draft\":true}}",
         EXIT_FAILED},
        {"{\"status\":\"failed\",\"error_code\":\"agent_failed\"}", EXIT_FAILED},
        {"{\"status\":\"failed\",\"error_code\":\"deadline\"}", EXIT_TIMED_OUT},
        {"{\"status\":\"failed\",\"error_code\":\"agent_timeout\"}", EXIT_TIMED_OUT},
        {"{\"status\":\"stopped\"}", EXIT_STOPPED},
        {"{}", EXIT_FAILED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        scoped_json run = json_parse(cases[i].run, strlen(cases[i].run), &err);

        assert_made(run, err);
        assert_int_equal(exits_for_run(run), cases[i].code);
    }
}

static void test_what_went_wrong(void **state)
{
    static const struct {
        enum err_kind kind;
        enum exit_code code;
    } cases[] = {
        {ERR_INVALID, EXIT_USAGE},      {ERR_UNAUTHENTICATED, EXIT_REFUSED},
        {ERR_DENIED, EXIT_REFUSED},     {ERR_NOT_FOUND, EXIT_FAILED},
        {ERR_CONFLICT, EXIT_FAILED},    {ERR_LIMITED, EXIT_SERVER},
        {ERR_TIMEOUT, EXIT_SERVER},     {ERR_UPSTREAM, EXIT_SERVER},
        {ERR_UNAVAILABLE, EXIT_SERVER},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct err err = {.kind = cases[i].kind};

        assert_int_equal(exits_for_error(&err), cases[i].code);
    }
}

static void test_the_port_that_kubectl_names(void **state)
{
    (void)state;
    assert_int_equal(port_forward_parse("Forwarding from 127.0.0.1:40001 -> 5000\n"), 40001);
    assert_int_equal(port_forward_parse("Forwarding from [::1]:40001 -> 5000\n"), 0);
    assert_int_equal(port_forward_parse("Forwarding from 127.0.0.1:70000 -> 5000\n"), 0);
    assert_int_equal(port_forward_parse("Forwarding from 127.0.0.1:12x -> 5000\n"), 0);
    assert_int_equal(port_forward_parse("error: no\n"), 0);
}

TEST_MAIN(cmocka_unit_test(test_how_a_run_ended), cmocka_unit_test(test_what_went_wrong),
          cmocka_unit_test(test_the_port_that_kubectl_names))
