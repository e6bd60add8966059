/* SPDX-License-Identifier: Apache-2.0 */
#include "home/outcome.h"

#include <sys/stat.h>

#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"

#define RUN_ID "0123456789abcdefghij"

static void test_failure_is_reported_with_code_and_sentence(void **state)
{
    scoped(redaction) redaction = redaction_new();
    scoped(secret) token = secret_new("ghs_outcometoken");
    scoped_outcome outcome = {0};
    struct err err = {0};

    (void)state;
    redaction_add(redaction, token);
    err_set(&err, ERR_UPSTREAM, "it said ghs_outcometoken \"no\"");
    assert_int_equal(outcome_fail(&outcome, CODE_PUSH_REJECTED, &err), -1);
    scoped_str report = outcome_report(&outcome, RUN_ID, redaction);
    scoped_str line = outcome_line(&outcome, RUN_ID, redaction);
    assert_string_equal(report, "{\"task_id\":\"" RUN_ID "\",\"status\":\"failed\","
                                "\"error\":\"it said *** \\\"no\\\"\","
                                "\"error_code\":\"push_rejected\"}");
    assert_string_equal(line, "{\"run_id\":\"" RUN_ID "\",\"status\":\"failed\","
                              "\"error_code\":\"push_rejected\","
                              "\"error\":\"it said *** \\\"no\\\"\"}");
}

static void test_completion_carries_what_there_is(void **state)
{
    scoped(redaction) redaction = redaction_new();
    scoped_outcome outcome = {.draft = true, .partial = true};

    (void)state;
    outcome.pr_url = xstrdup("https://h/pull/1");
    outcome.branch = xstrdup("u/dispatch/x/y");
    outcome.summary = xstrdup("1 file changed");
    scoped_str report = outcome_report(&outcome, RUN_ID, redaction);
    scoped_str again = outcome_report(&outcome, RUN_ID, redaction);
    assert_string_equal(report, "{\"task_id\":\"" RUN_ID "\",\"status\":\"completed\","
                                "\"pr_url\":\"https://h/pull/1\","
                                "\"branch_name\":\"u/dispatch/x/y\",\"draft\":true,"
                                "\"partial\":true,\"summary\":\"1 file changed\"}");
    assert_string_equal(report, again);
}

static void test_termination_log_gets_the_line(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/log", dir);
    scoped_buf text = {0};
    struct err err = {0};

    (void)state;
    test_file_write(dir, "log", "something longer that was there before");
    outcome_write("{\"a\":1}", path);
    outcome_write("{\"a\":2}", "/nowhere/at/all");
    outcome_write("{\"a\":3}", NULL);
    assert_ok(buf_read_file(&text, path, 1000, &err), err);
    assert_string_equal(text.data, "{\"a\":1}\n");
    test_dir_remove(dir);
}

/* Of an agent that came there first. Opening a pipe would wait for its reader. */
static void test_termination_log_that_is_a_pipe_or_link_is_left_alone(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str fifo = xasprintf("%s/fifo", dir);
    scoped_str link = xasprintf("%s/link", dir);
    scoped_str victim = xasprintf("%s/victim", dir);
    scoped_buf text = {0};
    struct err err = {0};

    (void)state;
    test_file_write(dir, "victim", "untouched");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink(victim, link), 0);
    (void)alarm(20);
    outcome_write("{}", fifo);
    (void)alarm(0);
    outcome_write("{}", link);
    assert_ok(buf_read_file(&text, victim, 100, &err), err);
    assert_string_equal(text.data, "untouched");
    test_dir_remove(dir);
}

TEST_MAIN(cmocka_unit_test(test_failure_is_reported_with_code_and_sentence),
          cmocka_unit_test(test_completion_carries_what_there_is),
          cmocka_unit_test(test_termination_log_gets_the_line),
          cmocka_unit_test(test_termination_log_that_is_a_pipe_or_link_is_left_alone))
