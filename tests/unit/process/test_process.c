/* SPDX-License-Identifier: Apache-2.0 */
#include "process/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SH(script) ARGV("/bin/sh", "-c", script)

static int exit_code_of(pid_t pid)
{
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Starts it with its output in a pipe and gives back what it wrote. */
static char *output_of(struct process_spec spec, int *out_code)
{
    struct err err = {0};
    scoped_buf said = {0};
    int ends[2];
    char chunk[4096];
    ssize_t got;
    pid_t pid = 0;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    spec.stdout_fd = ends[1];
    assert_ok(process_start(&spec, &pid, &err), err);
    close(ends[1]);
    while ((got = read(ends[0], chunk, sizeof(chunk))) > 0)
        buf_append(&said, chunk, (size_t)got);
    close(ends[0]);
    *out_code = exit_code_of(pid);
    return buf_take(&said);
}

static void test_start_runs_exactly_this_argv_and_environment(void **state)
{
    struct process_spec spec = PROCESS_SPEC_DEFAULTS;
    int code = -1;

    (void)state;
    (void)setenv("LEAKED", "yes", 1);
    spec.argv = ARGV("/bin/sh", "-c", "printf '%s|' \"$@\" $LEAKED $GIVEN; exit 7", "sh", "a b",
                     "$HOME;", "");
    spec.env = ARGV("GIVEN=that");
    scoped_str said = output_of(spec, &code);

    assert_string_equal(said, "a b|$HOME;||that|");
    assert_int_equal(code, 7);
}

static void test_start_without_environment_gives_none(void **state)
{
    struct process_spec spec = PROCESS_SPEC_DEFAULTS;
    int code = -1;

    (void)state;
    spec.argv = ARGV("/usr/bin/env");
    scoped_str said = output_of(spec, &code);

    assert_string_equal(said, "");
    assert_int_equal(code, 0);
}

static void test_start_looks_a_bare_name_up_in_the_childs_path(void **state)
{
    struct process_spec spec = PROCESS_SPEC_DEFAULTS;
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("PATH=/nowhere::%s", dir);
    scoped_str program = xasprintf("%s/greet", dir);
    int code = -1;

    (void)state;
    test_file_write(dir, "greet", "#!/bin/sh\necho hello\n");
    assert_int_equal(chmod(program, 0755), 0);
    spec.argv = ARGV("greet");
    spec.env = ARGV(path);
    scoped_str said = output_of(spec, &code);

    assert_string_equal(said, "hello\n");
    test_dir_remove(dir);
}

static void test_start_never_looks_a_bare_name_up_in_the_working_directory(void **state)
{
    static const char *const paths[] = {"PATH=", "PATH=:", "PATH=.", "PATH=:.:/nowhere"};
    scoped_str dir = test_dir_new();
    scoped_str program = xasprintf("%s/greet", dir);

    (void)state;
    test_file_write(dir, "greet", "#!/bin/sh\necho hello\n");
    assert_int_equal(chmod(program, 0755), 0);
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct process_spec spec = PROCESS_SPEC_DEFAULTS;
        struct err err = {0};
        pid_t pid = 0;

        spec.argv = ARGV("greet");
        spec.env = ARGV(paths[i]);
        spec.cwd = dir;
        assert_int_equal(process_start(&spec, &pid, &err), -1);
        assert_int_equal(err.kind, ERR_NOT_FOUND);
    }
    test_dir_remove(dir);
}

static void test_start_says_why_a_program_cannot_run(void **state)
{
    static const struct {
        const char *program;
        const char *cwd;
        enum err_kind kind;
        const char *text;
    } cases[] = {
        {"/no/such/program", NULL, ERR_NOT_FOUND,
         "starting /no/such/program: No such file or directory"},
        {"no-such-program", NULL, ERR_NOT_FOUND,
         "starting no-such-program: No such file or directory"},
        {"/etc/passwd", NULL, ERR_DENIED, "starting /etc/passwd: Permission denied"},
        {"/bin/true", "/no/such/folder", ERR_NOT_FOUND,
         "starting /bin/true in /no/such/folder: No such file or directory"},
        {"", NULL, ERR_INVALID, "there is no program to start"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct process_spec spec = PROCESS_SPEC_DEFAULTS;
        struct err err = {0};
        pid_t pid = -5;

        spec.argv = ARGV(cases[i].program);
        spec.cwd = cases[i].cwd;
        assert_int_equal(process_start(&spec, &pid, &err), -1);
        assert_string_equal(err.text, cases[i].text);
        assert_int_equal(err.kind, cases[i].kind);
        assert_int_equal(pid, -5);
        /* Nothing is left to wait for. */
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    }
}

static void test_start_passes_kept_descriptors_and_no_other(void **state)
{
    struct process_spec spec = PROCESS_SPEC_DEFAULTS;
    int kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 50);
    int other = fcntl(STDERR_FILENO, F_DUPFD, 60);
    int code = -1;

    (void)state;
    spec.argv =
        SH("i=0; while [ $i -lt 100 ]; do [ -e /proc/$$/fd/$i ] && echo $i; i=$((i+1)); done");
    spec.keep_fds = &kept;
    spec.n_keep_fds = 1;
    scoped_str said = output_of(spec, &code);

    assert_string_equal(said, "0\n1\n2\n50\n");
    assert_int_not_equal(fcntl(kept, F_GETFD) & FD_CLOEXEC, 0); /* ours is as it was */
    close(kept);
    close(other);
}

static void test_start_refuses_to_keep_what_is_not_open(void **state)
{
    static const int wrong[] = {777, STDOUT_FILENO};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct process_spec spec = PROCESS_SPEC_DEFAULTS;
        struct err err = {0};
        pid_t pid = 0;

        spec.argv = ARGV("/bin/true");
        spec.keep_fds = &wrong[i];
        spec.n_keep_fds = 1;
        assert_int_equal(process_start(&spec, &pid, &err), -1);
    }
}

static void test_start_can_swap_the_standard_streams(void **state)
{
    struct process_spec spec = PROCESS_SPEC_DEFAULTS;
    struct err err = {0};
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/out", dir);
    int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    scoped_buf said = {0};
    pid_t pid = 0;

    (void)state;
    /* Our 1 is its 2, and its 1 is a file of ours that is neither. */
    assert_int_equal(dup2(file, STDOUT_FILENO), STDOUT_FILENO);
    spec.argv = SH("echo to-errors >&2");
    spec.stdin_fd = STDERR_FILENO;
    spec.stdout_fd = STDIN_FILENO;
    spec.stderr_fd = STDOUT_FILENO;
    int result = process_start(&spec, &pid, &err);

    assert_int_equal(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
    assert_ok(result, err);
    assert_int_equal(exit_code_of(pid), 0);
    assert_ok(buf_read_file(&said, path, 100, &err), err);
    assert_string_equal(said.data, "to-errors\n");
    close(saved);
    close(file);
    test_dir_remove(dir);
}

/* Signals 32 and 33 belong to glibc, whose posix_spawn leaves them ignored in whoever started
 * us and whose sigaction lets nobody change that. */
#define OF_LIBC 0x180000000ULL

static void test_start_gives_signals_back_their_defaults(void **state)
{
    struct process_spec spec = PROCESS_SPEC_DEFAULTS;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction before;
    sigset_t block;
    unsigned long long blocked;
    unsigned long long ignored;
    int code = -1;

    (void)state;
    sigemptyset(&block);
    sigaddset(&block, SIGTERM);
    assert_int_equal(sigaction(SIGPIPE, &ignore, &before), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &block, NULL), 0);
    spec.argv = ARGV("/bin/grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status");
    scoped_str said = output_of(spec, &code);

    assert_int_equal(sscanf(said, "SigBlk: %llx SigIgn: %llx", &blocked, &ignored), 2);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & ~OF_LIBC, 0);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &block, NULL), 0);
    assert_int_equal(sigaction(SIGPIPE, &before, NULL), 0);
}

static void test_start_leads_a_group_or_a_session_of_its_own(void **state)
{
    (void)state;
    for (int session = 0; session < 2; session++) {
        struct process_spec spec = PROCESS_SPEC_DEFAULTS;
        struct err err = {0};
        pid_t pid = 0;

        spec.argv = ARGV("/bin/sleep", "60");
        spec.new_session = session;
        assert_ok(process_start(&spec, &pid, &err), err);
        assert_int_equal(getpgid(pid), pid);
        assert_int_equal(getsid(pid), session ? pid : getsid(0));
        assert_int_equal(kill(-pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
}

static int exit_with(void *ctx)
{
    const int *code = ctx;

    return *code;
}

static void test_before_exec_can_end_the_child(void **state)
{
    struct process_spec spec = PROCESS_SPEC_DEFAULTS;
    struct err err = {0};
    int code = 41;
    pid_t pid = 0;

    (void)state;
    spec.argv = ARGV("/bin/true");
    spec.before_exec = exit_with;
    spec.before_exec_ctx = &code;
    assert_ok(process_start(&spec, &pid, &err), err);
    assert_int_equal(exit_code_of(pid), 41);
    code = 0;
    assert_ok(process_start(&spec, &pid, &err), err);
    assert_int_equal(exit_code_of(pid), 0);
}

static int count_fds(void)
{
    int open_ones = 0;

    for (int fd = 0; fd < 1024; fd++)
        open_ones += fcntl(fd, F_GETFD) >= 0;
    return open_ones;
}

static void test_start_leaves_no_descriptor_behind(void **state)
{
    struct process_spec good = PROCESS_SPEC_DEFAULTS;
    struct process_spec bad = PROCESS_SPEC_DEFAULTS;
    int before = count_fds();

    (void)state;
    good.argv = ARGV("/bin/true");
    bad.argv = ARGV("/no/such/program");
    for (int i = 0; i < 20; i++) {
        struct err err = {0};
        pid_t pid = 0;

        assert_ok(process_start(&good, &pid, &err), err);
        assert_int_equal(exit_code_of(pid), 0);
        assert_int_equal(process_start(&bad, &pid, &err), -1);
    }
    assert_int_equal(count_fds(), before);
}

/* Counts in *ctx what went wrong. */
static void *start_many(void *ctx)
{
    int *wrong = ctx;

    for (int i = 0; i < 25; i++) {
        struct process_spec spec = PROCESS_SPEC_DEFAULTS;
        struct err err = {0};
        pid_t pid = 0;
        int status = 0;

        spec.argv = i % 2 ? ARGV("/bin/true") : ARGV("/no/such/program");
        if (process_start(&spec, &pid, &err) == 0
            && (waitpid(pid, &status, 0) != pid || status != 0))
            ++*wrong;
        free(xasprintf("malloc's lock is taken now and then: %d", i));
    }
    return NULL;
}

static void test_start_works_from_many_threads_at_once(void **state)
{
    pthread_t threads[8];
    int wrong[ARRAY_SIZE(threads)] = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, start_many, &wrong[i]), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(wrong[i], 0);
    }
}

TEST_MAIN(cmocka_unit_test(test_start_runs_exactly_this_argv_and_environment),
          cmocka_unit_test(test_start_without_environment_gives_none),
          cmocka_unit_test(test_start_looks_a_bare_name_up_in_the_childs_path),
          cmocka_unit_test(test_start_never_looks_a_bare_name_up_in_the_working_directory),
          cmocka_unit_test(test_start_says_why_a_program_cannot_run),
          cmocka_unit_test(test_start_passes_kept_descriptors_and_no_other),
          cmocka_unit_test(test_start_refuses_to_keep_what_is_not_open),
          cmocka_unit_test(test_start_can_swap_the_standard_streams),
          cmocka_unit_test(test_start_gives_signals_back_their_defaults),
          cmocka_unit_test(test_start_leads_a_group_or_a_session_of_its_own),
          cmocka_unit_test(test_before_exec_can_end_the_child),
          cmocka_unit_test(test_start_leaves_no_descriptor_behind),
          cmocka_unit_test(test_start_works_from_many_threads_at_once))
