/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_TEST_H
#define SUPPORT_TEST_H
/* cmocka's header needs these before it, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"

/*
 * What every test program starts from. TEST_MAIN runs the listed functions, or those that
 * the cmocka filter in $T names: T='test_read_*' build/tests/json/test_json.
 */
#define TEST_MAIN(...)                                                                         \
    int main(void)                                                                             \
    {                                                                                          \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                       \
                                                                                               \
        if (getenv("T"))                                                                       \
            cmocka_set_test_filter(getenv("T"));                                               \
        return cmocka_run_group_tests(tests, NULL, NULL);                                      \
    }

/* Waits until `condition` holds, looking every few milliseconds; fails after deadline_ms. */
#define wait_until(condition, deadline_ms)                                                     \
    do {                                                                                       \
        int64_t until_ = clock_monotonic_ms() + (deadline_ms);                                 \
                                                                                               \
        while (!(condition)) {                                                                 \
            if (clock_monotonic_ms() > until_)                                                 \
                fail_msg("not within %d ms: %s", (int)(deadline_ms), #condition);              \
            (void)usleep(2000);                                                                \
        }                                                                                      \
    } while (0)

/* The call returns 0 (or non-NULL); otherwise the error's sentence is the failure. */
#define assert_ok(call, err)                                                                   \
    do {                                                                                       \
        if ((call) != 0)                                                                       \
            fail_msg("%s: %s", #call, (err).text);                                             \
    } while (0)
#define assert_made(pointer, err)                                                              \
    do {                                                                                       \
        if (!(pointer))                                                                        \
            fail_msg("%s: %s", #pointer, (err).text);                                          \
    } while (0)

/* A new empty directory under $TMPDIR or /tmp; the caller frees the path. test_dir_remove
 * deletes it with all that is in it. */
char *test_dir_new(void);
void test_dir_remove(const char *path);

/* Writes a file (0644), failing the test when it can't. */
void test_file_write(const char *dir, const char *name, const char *text);

/* CPU time of this thread, in microseconds: what else the machine does isn't in it. For how
 * work grows, as a ratio; never as a limit of its own. */
int64_t test_cpu_us(void);
#endif
