/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TASK_TEST_COMMAND_H
#define TASK_TEST_COMMAND_H
#include "agent/walled.h"
#include "base/buf.h"
#include "text/redaction.h"

/*
 * The tests that were asked for, run after the agent: `sh -c` in the checkout, behind the same
 * wall as the agent, since what they run is the agent's work. Each line is a log event.
 */
#define TEST_TAIL_BYTES 4096

struct test_result {
    bool passed;
    char sentence[160]; /* "the tests failed with exit code 2" */
    struct buf tail;    /* the end of what they printed, redacted; whole lines */
};

#define scoped_test_result __attribute__((cleanup(test_result_done))) struct test_result
void test_result_done(struct test_result *result);

/* `walled` without argv, input and output. Errors are walled_run's, and ERR_UNAVAILABLE when
 * we were stopped. */
int test_command_run(const char *command, const struct walled *walled,
                     struct redaction *redaction, struct test_result *out,
                     struct err *err) CHECKED;
#endif
