/* SPDX-License-Identifier: Apache-2.0 */
#include "confine/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "test.h"

#include "base/scoped.h"
#include "confine/syscall_filter.h"

#define PASSED 0

/* What `tries` returns in a child of ours under that policy. */
static int in_child(enum seccomp_policy policy, int (*tries)(void))
{
    int status;
    pid_t pid = fork();

    assert_int_not_equal(pid, -1);
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_enter(policy) < 0)
            _exit(100);
        _exit(tries());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The number of the first call that doesn't answer so. */
static int first_answering_otherwise(const long *numbers, size_t count, int answer)
{
    for (size_t i = 0; i < count; i++)
        if (syscall((long)numbers[i], -1L, 0L, 0L, 0L, 0L, 0L) >= 0 || errno != answer)
            return (int)i + 1;
    return PASSED;
}

static int tries_what_nobody_needs(void)
{
    static const long numbers[] = {
        SYS_ptrace,
        SYS_process_vm_readv,
        SYS_process_vm_writev,
        SYS_pidfd_getfd,
        SYS_mount,
        SYS_umount2,
        SYS_pivot_root,
        SYS_chroot,
        SYS_setns,
        SYS_bpf,
        SYS_perf_event_open,
        SYS_keyctl,
        SYS_add_key,
        SYS_userfaultfd,
        SYS_kexec_load,
        SYS_init_module,
        SYS_reboot,
        SYS_swapon,
        SYS_open_by_handle_at,
        SYS_clock_settime,
    };

    return first_answering_otherwise(numbers, ARRAY_SIZE(numbers), EPERM);
}

static int tries_to_become_more(void)
{
    static const long numbers[] = {
        SYS_execve, SYS_execveat, SYS_setuid,  SYS_setgid,  SYS_setresuid, SYS_setgroups,
        SYS_capset, SYS_kill,     SYS_unshare, SYS_mknodat, SYS_linkat,    SYS_symlinkat,
    };

    return first_answering_otherwise(numbers, ARRAY_SIZE(numbers), EPERM);
}

static int tries_rings_and_unknown_calls(void)
{
    static const long numbers[] = {SYS_io_uring_setup, SYS_clone3};

    return first_answering_otherwise(numbers, ARRAY_SIZE(numbers), ENOSYS);
}

static int tries_calls_from_the_future(void)
{
    static const long numbers[] = {480, 9999};

    return first_answering_otherwise(numbers, ARRAY_SIZE(numbers), ENOSYS);
}

static int tries_to_fork(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid == 0)
        _exit(1);
    return pid < 0 && errno == EPERM ? PASSED : 1;
}

static int tries_unusual_sockets(void)
{
    if (socket(AF_ALG, SOCK_SEQPACKET, 0) >= 0 || errno != EAFNOSUPPORT)
        return 1;
    return socket(AF_INET, SOCK_STREAM, 0) < 0 || socket(AF_UNIX, SOCK_STREAM, 0) < 0
           || socket(AF_NETLINK, SOCK_RAW, 0) < 0;
}

static int tries_to_make_code(void)
{
    void *both = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (both != MAP_FAILED || data == MAP_FAILED)
        return 1;
    return mprotect(data, 4096, PROT_READ | PROT_EXEC) < 0 && errno == EPERM ? PASSED : 2;
}

static void *nothing(void *ctx)
{
    return ctx;
}

static int starts_a_thread(void)
{
    pthread_t thread;

    return pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0
               ? PASSED
               : 1;
}

static int starts_a_program(void)
{
    pid_t pid = fork();
    int status = 1;

    if (pid == 0) {
        (void)execl("/bin/true", "true", NULL);
        _exit(9);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : 1;
}

static void test_nobody_looks_into_processes_or_at_the_kernel(void **state)
{
    (void)state;
    if (!seccomp_available())
        skip();
    assert_int_equal(in_child(SECCOMP_PROGRAMS, tries_what_nobody_needs), PASSED);
    if (!SECCOMP_SANITIZED)
        assert_int_equal(in_child(SECCOMP_SERVER, tries_what_nobody_needs), PASSED);
}

static void test_server_becomes_no_program_and_nobody_else(void **state)
{
    (void)state;
    if (!seccomp_available())
        skip();
    if (!SECCOMP_SANITIZED) {
        assert_int_equal(in_child(SECCOMP_SERVER, tries_to_become_more), PASSED);
        assert_int_equal(in_child(SECCOMP_SERVER, tries_to_fork), PASSED);
        assert_int_equal(in_child(SECCOMP_SERVER, tries_to_make_code), PASSED);
    }
    assert_int_equal(in_child(SECCOMP_SERVER, starts_a_thread), PASSED);
}

static void test_programs_start_where_they_may(void **state)
{
    (void)state;
    if (!seccomp_available())
        skip();
    assert_int_equal(in_child(SECCOMP_PROGRAMS, starts_a_program), PASSED);
    assert_int_equal(in_child(SECCOMP_PROGRAMS, starts_a_thread), PASSED);
}

static void test_libraries_hear_that_a_call_is_not_there(void **state)
{
    (void)state;
    if (!seccomp_available())
        skip();
    assert_int_equal(in_child(SECCOMP_PROGRAMS, tries_rings_and_unknown_calls), PASSED);
    assert_int_equal(in_child(SECCOMP_SERVER, tries_rings_and_unknown_calls), PASSED);
    assert_int_equal(in_child(SECCOMP_SERVER, tries_calls_from_the_future), PASSED);
}

static void test_unusual_sockets_are_not_to_be_had(void **state)
{
    (void)state;
    if (!seccomp_available())
        skip();
    assert_int_equal(in_child(SECCOMP_PROGRAMS, tries_unusual_sockets), PASSED);
    assert_int_equal(in_child(SECCOMP_SERVER, tries_unusual_sockets), PASSED);
}

/* --- What a call costs -------------------------------------------------------------------- */

/* How many instructions it takes to a verdict on `number`. */
static int steps_to(const struct syscall_filter *filter, unsigned number)
{
    int steps = 0;

    for (size_t at = 4; at < filter->count; steps++) {
        const struct sock_filter *now = &filter->code[at];

        if (BPF_CLASS(now->code) == BPF_RET)
            return steps;
        if (now->code == (BPF_JMP | BPF_JA))
            at += now->k + 1;
        else if (now->code == (BPF_JMP | BPF_JGE | BPF_K))
            at += 1U + (number >= now->k ? now->jt : now->jf);
        else
            at++;
    }
    return -1;
}

static void test_a_call_costs_few_steps_however_long_the_table(void **state)
{
    struct syscall_row rows[SYSCALL_ROWS_MAX];
    struct syscall_filter filter;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        rows[i] = (struct syscall_row){2 * (SYSCALL_ROWS_MAX - i), VERDICT_REFUSE};
    if (syscall_filter_make(rows, ARRAY_SIZE(rows), VERDICT_ALLOW, 999, &filter) < 0)
        skip();
    for (unsigned number = 0; number < 1000; number++)
        assert_in_range(steps_to(&filter, number), 1, 24);
}

TEST_MAIN(cmocka_unit_test(test_nobody_looks_into_processes_or_at_the_kernel),
          cmocka_unit_test(test_server_becomes_no_program_and_nobody_else),
          cmocka_unit_test(test_programs_start_where_they_may),
          cmocka_unit_test(test_libraries_hear_that_a_call_is_not_there),
          cmocka_unit_test(test_unusual_sockets_are_not_to_be_had),
          cmocka_unit_test(test_a_call_costs_few_steps_however_long_the_table))
