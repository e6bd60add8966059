/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/sandbox.h"

#include <string.h>
#include <sys/prctl.h>

#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "process/process.h"

/* Signals are scoped from this Landlock ABI on. */
#define ABI_WITH_SCOPES 6

static void collect(void *ctx, enum process_stream stream, const char *data, size_t size)
{
    (void)stream;
    buf_append(ctx, data, size);
}

/* What `script` prints, run by sh with $1 our pid and $2 a directory to write to; the caller
 * frees it. */
static char *run_script(const char *script, struct sandbox *sandbox, const char *dir)
{
    scoped_str pid = xasprintf("%d", (int)getpid());
    const char *argv[] = {"/bin/sh", "-c", script, "sh", pid, dir, NULL};
    const char *env[] = {"PATH=/usr/bin:/bin", NULL};
    scoped_buf output = {0};
    struct process_end end = {0};
    struct process_run run = {
        .spec = PROCESS_SPEC_DEFAULTS,
        .wall_clock_ms = 30000,
        .on_output = collect,
        .ctx = &output,
    };
    struct err err = {0};

    run.spec.argv = argv;
    run.spec.env = env;
    if (sandbox) {
        run.spec.before_exec = sandbox_enter;
        run.spec.before_exec_ctx = sandbox;
    }
    assert_ok(process_run(&run, &end, &err), err);
    return buf_take(&output);
}

/* Each prints a word when it gets through to the parent. */
static const char intrusions[] =
    "head -c1 /proc/$1/environ >/dev/null 2>&1 && echo environ\n"
    "dd if=/proc/$1/mem bs=1 count=0 2>/dev/null >&2 && echo mem\n"
    "cat /proc/$1/maps 2>/dev/null | grep -q . && echo maps\n"
    "for fd in 0 1 2; do readlink /proc/$1/fd/$fd >/dev/null && echo fd; done\n"
    "ls /proc/$1/root/ >/dev/null 2>&1 && echo root\n"
    "ls /proc/$1/cwd/ >/dev/null 2>&1 && echo cwd\n";

static void test_agent_cannot_look_into_the_runner_even_as_root(void **state)
{
    struct sandbox sandbox;

    (void)state;
    sandbox_init(&sandbox);
    assert_int_equal(prctl(PR_SET_DUMPABLE, 0), 0);
    scoped_str inside = run_script(intrusions, &sandbox, "/tmp");
    scoped_str outside = run_script(intrusions, NULL, "/tmp");
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
    sandbox_done(&sandbox);
    assert_string_equal(inside, "");
    if (getuid() == 0) /* or the intrusions prove nothing */
        assert_non_null(strstr(outside, "environ\nmem\nmaps\nfd\n"));
}

static void test_capabilities_alone_keep_the_runner_closed(void **state)
{
    struct sandbox without_landlock = {.ruleset_fd = -1};

    (void)state;
    assert_int_equal(prctl(PR_SET_DUMPABLE, 0), 0);
    scoped_str inside = run_script(intrusions, &without_landlock, "/tmp");
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
    assert_string_equal(inside, "");
}

static void test_agent_holds_no_capability_and_gets_none(void **state)
{
    static const char script[] =
        "grep -E '^(Cap|NoNewPrivs)' /proc/self/status | tr -d '\\t'; ulimit -c";
    struct sandbox sandbox;

    (void)state;
    sandbox_init(&sandbox);
    scoped_str said = run_script(script, &sandbox, "/tmp");
    sandbox_done(&sandbox);
    assert_non_null(strstr(said, "CapPrm:0000000000000000\nCapEff:0000000000000000\n"));
    assert_non_null(strstr(said, "CapAmb:0000000000000000\nNoNewPrivs:1\n"));
    if (getuid() == 0) /* who has none to begin with can't empty the set, nor use it */
        assert_non_null(strstr(said, "CapBnd:0000000000000000\n"));
    assert_string_equal(strstr(said, "NoNewPrivs:1\n"), "NoNewPrivs:1\n0\n");
}

static void test_signals_stay_inside(void **state)
{
    static const char script[] = "kill -0 $1 2>/dev/null && echo out\n"
                                 "sleep 9 & kill $! && echo in\n";
    struct sandbox sandbox;

    (void)state;
    sandbox_init(&sandbox);
    if (sandbox.landlock_abi < ABI_WITH_SCOPES)
        skip();
    scoped_str said = run_script(script, &sandbox, "/tmp");
    sandbox_done(&sandbox);
    assert_string_equal(said, "in\n");
}

static void test_work_goes_on_but_devices_cannot_be_made(void **state)
{
    static const char script[] =
        "cd $2 && mkdir a b a/d && echo x >a/f && mv a/f b/g && mv a/d b/d && ln b/g a/h\n"
        "cat a/h && ls b && mkfifo p && echo fifo\n"
        "mknod n c 1 3 2>/dev/null && echo device\n";
    scoped_str dir = test_dir_new();
    struct sandbox sandbox;

    (void)state;
    sandbox_init(&sandbox);
    scoped_str said = run_script(script, &sandbox, dir);
    sandbox_done(&sandbox);
    test_dir_remove(dir);
    assert_string_equal(said, "x\nd\ng\nfifo\n");
}

TEST_MAIN(cmocka_unit_test(test_agent_cannot_look_into_the_runner_even_as_root),
          cmocka_unit_test(test_capabilities_alone_keep_the_runner_closed),
          cmocka_unit_test(test_agent_holds_no_capability_and_gets_none),
          cmocka_unit_test(test_signals_stay_inside),
          cmocka_unit_test(test_work_goes_on_but_devices_cannot_be_made))
