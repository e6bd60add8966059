/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "confine/landlock.h"
#include "confine/seccomp.h"
#include "process/process.h"
#include "sandbox/identity.h"

static void collect(void *ctx, enum process_stream stream, const char *data, size_t size)
{
    (void)stream;
    buf_append(ctx, data, size);
}

/* An automatic one in which `dir` may be written. */
static struct sandbox sandbox_for(const char *dir, uid_t uid)
{
    const char *writable[] = {dir, NULL};
    struct sandbox_options options = {.writable = writable, .uid = uid};
    struct sandbox sandbox;
    struct err err = {0};

    assert_ok(sandbox_init(&sandbox, &options, &err), err);
    return sandbox;
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
    struct sandbox sandbox = sandbox_for("/tmp", SANDBOX_OWN_UID);

    (void)state;
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
    struct sandbox without_landlock = {.ruleset_fd = -1, .uid = SANDBOX_OWN_UID};

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
    struct sandbox sandbox = sandbox_for("/tmp", SANDBOX_OWN_UID);

    (void)state;
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
    struct sandbox sandbox = sandbox_for("/tmp", SANDBOX_OWN_UID);

    (void)state;
    if (sandbox.landlock_abi < LANDLOCK_ABI_WITH_SCOPES)
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
    struct sandbox sandbox = sandbox_for(dir, SANDBOX_OWN_UID);

    (void)state;
    scoped_str said = run_script(script, &sandbox, dir);
    sandbox_done(&sandbox);
    test_dir_remove(dir);
    assert_string_equal(said, "x\nd\ng\nfifo\n");
}

/* --- Files -------------------------------------------------------------------------------- */

/* A directory that no rule of the system's covers: below neither /tmp nor /dev/shm. */
static char *far_dir_new(void)
{
    scoped_str dir = xstrdup("/var/lib/dispatch-test-XXXXXX");

    return mkdtemp(dir) ? TAKE(dir) : NULL;
}

static void test_files_of_others_are_closed(void **state)
{
    static const char script[] =
        "cat $2/theirs 2>/dev/null && echo read\n"
        "(echo x >$2/theirs) 2>/dev/null && echo written\n"
        "(echo x >$2/new) 2>/dev/null && echo made\n"
        "rm -f $2/theirs 2>/dev/null && echo removed\n"
        "ls $2 2>/dev/null && echo listed\n"
        "ln -s $2/theirs link && cat link 2>/dev/null && echo linked\n"
        "(echo x >/usr/dispatch-test) 2>/dev/null && echo system\n"
        "echo mine >own && cat own\n"
        "cat /etc/hostname >/dev/null && ls /usr >/dev/null && echo usr\n";
    scoped_str mine = test_dir_new();
    scoped_str far = far_dir_new();
    struct sandbox sandbox = sandbox_for(mine, SANDBOX_OWN_UID);
    scoped_str cd = xasprintf("cd %s\n%s", mine, script);

    (void)state;
    if (!far || sandbox.ruleset_fd < 0)
        skip();
    test_file_write(far, "theirs", "secret");
    scoped_str said = run_script(cd, &sandbox, far);
    sandbox_done(&sandbox);
    test_dir_remove(far);
    test_dir_remove(mine);
    assert_string_equal(said, "mine\nusr\n");
}

static void test_off_leaves_files_open_and_capabilities_gone(void **state)
{
    static const char script[] = "cat $2/theirs; grep CapEff /proc/self/status | tr -d '\\t'";
    struct sandbox_options options = {.mode = SANDBOX_OFF, .uid = SANDBOX_OWN_UID};
    scoped_str far = far_dir_new();
    struct sandbox sandbox;
    struct err err = {0};

    (void)state;
    if (!far)
        skip();
    test_file_write(far, "theirs", "open ");
    assert_ok(sandbox_init(&sandbox, &options, &err), err);
    scoped_str said = run_script(script, &sandbox, far);
    sandbox_done(&sandbox);
    test_dir_remove(far);
    assert_string_equal(said, "open CapEff:0000000000000000\n");
}

/* --- System calls ------------------------------------------------------------------------- */

/* Run by the child instead of a program: exits with the number of the first call that got
 * through, 0 when none did. */
static int tries_calls(void *ctx)
{
    int entered = sandbox_enter(ctx);
    char stack[64];

    if (entered)
        return entered;
    if (syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0) == 0 || errno != EPERM)
        return 1;
    if (syscall(SYS_keyctl, 0, -3, 1) >= 0 || errno != EPERM)
        return 2;
    if (unshare(CLONE_NEWUSER) == 0 || errno != EPERM)
        return 3;
    if (syscall(SYS_bpf, 0, stack, sizeof(stack)) >= 0 || errno != EPERM)
        return 4;
    if (syscall(SYS_userfaultfd, 0) >= 0 || errno != EPERM)
        return 5;
    if (syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL) == 0 || errno != EPERM)
        return 6;
    if (syscall(SYS_io_uring_setup, 1, stack) >= 0 || errno != ENOSYS)
        return 7;
    if (socket(AF_ALG, SOCK_SEQPACKET, 0) >= 0 || errno != EAFNOSUPPORT)
        return 8;
    if (syscall(SYS_clone3, NULL, 0) >= 0 || errno != ENOSYS)
        return 9;
    if (syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0) >= 0 || errno != EPERM)
        return 10;
    return socket(AF_INET, SOCK_STREAM, 0) < 0 || socket(AF_NETLINK, SOCK_RAW, 0) < 0 ? 11 : 99;
}

static void test_calls_an_agent_has_no_business_with_are_refused(void **state)
{
    struct sandbox sandbox = sandbox_for("/tmp", SANDBOX_OWN_UID);
    const char *argv[] = {"/bin/true", NULL};
    struct process_end end = {0};
    struct process_run run = {.spec = PROCESS_SPEC_DEFAULTS, .wall_clock_ms = 30000};
    struct err err = {0};

    (void)state;
    if (!sandbox.seccomp)
        skip();
    run.spec.argv = argv;
    run.spec.before_exec = tries_calls;
    run.spec.before_exec_ctx = &sandbox;
    assert_ok(process_run(&run, &end, &err), err);
    sandbox_done(&sandbox);
    assert_int_equal(end.exit_code, 99);
}

static void test_processes_and_threads_still_start(void **state)
{
    static const char script[] = "(echo a | cat) && sh -c 'echo b' && echo c | xargs -P2 echo";
    struct sandbox sandbox = sandbox_for("/tmp", SANDBOX_OWN_UID);

    (void)state;
    scoped_str said = run_script(script, &sandbox, "/tmp");
    sandbox_done(&sandbox);
    assert_string_equal(said, "a\nb\nc\n");
}

/* --- Identity ------------------------------------------------------------------------------
 */

static void test_agent_is_somebody_else_where_it_may(void **state)
{
    static const char script[] =
        "exec 2>/dev/null; id -u; id -G; cat $2/given; (echo x >$2/made) && echo made\n"
        "kill -0 $1 2>/dev/null && echo signal\n";
    uid_t uid = identity_for_agent();
    scoped_str dir = test_dir_new();
    struct sandbox sandbox;
    struct err err = {0};

    (void)state;
    /* Where lines are counted (tests/coverage), somebody else can't write them down and says
     * so. */
    if (!identity_may_become(uid) || getenv("GCOV_ERROR_FILE"))
        skip();
    test_file_write(dir, "given", "given\n");
    assert_ok(identity_give(dir, uid, &err), err);
    sandbox = sandbox_for(dir, uid);
    scoped_str said = run_script(script, &sandbox, dir);
    scoped_str expected = identity_reaches(uid, dir)
                              ? xasprintf("%u\n%u\ngiven\nmade\n", uid, uid)
                              : xasprintf("%u\n%u\n", uid, uid);
    assert_int_equal(sandbox.processes_max, SANDBOX_PROCESSES_MAX);
    sandbox_done(&sandbox);
    test_dir_remove(dir);
    assert_string_equal(said, expected);
}

static void test_closed_folder_above_is_no_way(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str inside = xasprintf("%s/inside", dir);

    (void)state;
    assert_int_equal(mkdir(inside, 0777), 0);
    assert_int_equal(chmod(dir, 0700), 0);
    assert_false(identity_reaches(IDENTITY_FIRST_UID, inside));
    assert_true(identity_reaches(geteuid(), "/usr/bin"));
    assert_true(identity_reaches(IDENTITY_FIRST_UID, "/usr/bin/env"));
    assert_true(identity_reaches(IDENTITY_FIRST_UID, "/nowhere/at/all"));
    test_dir_remove(dir);
}

static void test_folders_of_everybody_are_not_hidden(void **state)
{
    static const char *const open[] = {"/tmp",     "/usr/lib",     "/etc",
                                       "/dev/shm", "/proc/1/root", "/nowhere/at/all"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(open); i++)
        assert_false(sandbox_hides(open[i]));
    assert_int_equal(sandbox_hides("/var/lib"), landlock_abi() >= LANDLOCK_ABI_MIN);
}

static void test_strict_is_refused_where_the_kernel_lacks_it(void **state)
{
    struct sandbox_options options = {.mode = SANDBOX_STRICT, .uid = SANDBOX_OWN_UID};
    struct sandbox sandbox;
    struct err err = {0};
    bool complete = landlock_abi() >= LANDLOCK_ABI_MIN && seccomp_available();

    (void)state;
    assert_int_equal(sandbox_init(&sandbox, &options, &err), complete ? 0 : -1);
    if (!complete)
        assert_int_equal(err.kind, ERR_UNAVAILABLE);
    sandbox_done(&sandbox);
}

TEST_MAIN(cmocka_unit_test(test_agent_cannot_look_into_the_runner_even_as_root),
          cmocka_unit_test(test_capabilities_alone_keep_the_runner_closed),
          cmocka_unit_test(test_agent_holds_no_capability_and_gets_none),
          cmocka_unit_test(test_signals_stay_inside),
          cmocka_unit_test(test_work_goes_on_but_devices_cannot_be_made),
          cmocka_unit_test(test_files_of_others_are_closed),
          cmocka_unit_test(test_off_leaves_files_open_and_capabilities_gone),
          cmocka_unit_test(test_calls_an_agent_has_no_business_with_are_refused),
          cmocka_unit_test(test_processes_and_threads_still_start),
          cmocka_unit_test(test_agent_is_somebody_else_where_it_may),
          cmocka_unit_test(test_closed_folder_above_is_no_way),
          cmocka_unit_test(test_folders_of_everybody_are_not_hidden),
          cmocka_unit_test(test_strict_is_refused_where_the_kernel_lacks_it))
