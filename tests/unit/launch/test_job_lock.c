/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "launch/job_lock.h"
#include "launch/proc_stat.h"

struct place {
    char *path;
    int fd;
};

static int setup(void **state)
{
    struct place *place = xcalloc(1, sizeof(*place));

    place->path = test_dir_new();
    place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = place;
    return place->fd < 0;
}

static int teardown(void **state)
{
    struct place *place = *state;

    test_dir_remove(place->path);
    (void)close(place->fd);
    free(place->path);
    free(place);
    return 0;
}

static struct job_lock look(const struct place *place)
{
    struct job_lock lock;
    struct err err = {0};

    assert_ok(job_lock_look(place->fd, &lock, &err), err);
    return lock;
}

/* As a runner would: takes the lock, then lives on in another program. */
static pid_t claim_and_exec(const struct place *place, const char *seconds)
{
    struct job_lock_claim claim;
    pid_t child;

    job_lock_claim_init(&claim, place->path, 77);
    child = fork();
    if (child == 0) {
        int code = setsid() < 0 ? 9 : job_lock_claim_in_child(&claim);

        if (code)
            _exit(code);
        (void)execlp("sleep", "sleep", seconds, NULL);
        _exit(9);
    }
    job_lock_claim_done(&claim);
    return child;
}

static int status_of(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void test_without_a_file_it_never_ran(void **state)
{
    assert_int_equal(look(*state).phase, JOB_LOCK_NEVER);
}

static void test_an_empty_file_is_no_run_either(void **state)
{
    const struct place *place = *state;

    test_file_write(place->path, "job.lock", "");
    assert_int_equal(look(place).phase, JOB_LOCK_NEVER);
}

static void test_the_lock_is_held_over_exec_and_ends_with_the_process(void **state)
{
    const struct place *place = *state;
    pid_t child = claim_and_exec(place, "1000");

    wait_until(look(place).pid != 0, 60000);
    assert_int_equal(look(place).phase, JOB_LOCK_HELD);
    assert_int_equal(look(place).pid, child);
    assert_int_equal(look(place).timeout_s, 77);
    assert_int_equal(kill(child, SIGKILL), 0);
    (void)status_of(child);
    assert_int_equal(look(place).phase, JOB_LOCK_PAST);
}

static void test_a_second_child_leaves_while_the_first_runs_and_after(void **state)
{
    const struct place *place = *state;
    pid_t first = claim_and_exec(place, "1000");
    pid_t second;

    wait_until(look(place).pid != 0, 60000);
    second = claim_and_exec(place, "1000");
    assert_true(WIFEXITED(status_of(second)));
    assert_int_equal(look(place).pid, first);
    assert_int_equal(kill(first, SIGKILL), 0);
    (void)status_of(first);
    second = claim_and_exec(place, "1000");
    assert_true(WIFEXITED(status_of(second)));
    assert_int_equal(look(place).pid, first);
}

/* A look that took the lock, for however short, would make a child leave for nothing. */
static void test_looking_never_turns_a_child_away(void **state)
{
    enum { ROUNDS = 50 };
    const struct place *place = *state;

    for (int i = 0; i < ROUNDS; i++) {
        pid_t child;

        (void)unlinkat(place->fd, "job.lock", 0);
        test_file_write(place->path, "job.lock", "");
        child = claim_and_exec(place, "0.01");
        while (waitpid(child, NULL, WNOHANG) == 0)
            (void)look(place);
        assert_int_equal(look(place).pid, child);
    }
}

static void test_a_sealed_job_never_runs(void **state)
{
    const struct place *place = *state;
    struct err err = {0};
    bool sealed = false;
    int status;

    assert_ok(job_lock_seal(place->fd, &sealed, &err), err);
    assert_true(sealed);
    assert_int_equal(look(place).phase, JOB_LOCK_PAST);
    status = status_of(claim_and_exec(place, "1000"));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
    assert_ok(job_lock_seal(place->fd, &sealed, &err), err);
    assert_false(sealed);
}

static void test_the_end_is_noted_behind_the_line(void **state)
{
    const struct place *place = *state;

    (void)status_of(claim_and_exec(place, "0"));
    assert_int_equal(look(place).exit_code, -1);
    job_lock_note_end(place->fd, 3, 0);
    assert_int_equal(look(place).exit_code, 3);
    assert_int_equal(look(place).signal, 0);
    assert_true(look(place).pid > 0);
}

static void test_a_line_of_another_boot_names_no_process(void **state)
{
    static const char *const lines[] = {
        "1234 5 another-boot 0\n",        "sealed\n", "1234\n", "-1 5 x 0\n", "1 2 3 4\n", "\n",
        "99999999999999999999999 1 1 1\n"};
    const struct place *place = *state;

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        test_file_write(place->path, "job.lock", lines[i]);
        assert_int_equal(look(place).phase, JOB_LOCK_PAST);
        assert_int_equal(look(place).pid, 0);
    }
}

static void test_only_the_process_that_began_before_is_the_runner(void **state)
{
    const struct place *place = *state;
    pid_t child = claim_and_exec(place, "1000");
    struct job_lock lock;
    int pidfd;

    wait_until(look(place).pid != 0, 60000);
    lock = look(place);
    pidfd = job_lock_open_runner(&lock);
    assert_true(pidfd >= 0);
    (void)close(pidfd);
    lock.since_ms -= 60000; /* as if the pid were used again since */
    if (lock.since_ms < 0)
        lock.since_ms = 0;
    assert_int_equal(job_lock_open_runner(&lock), -1);
    assert_int_equal(kill(child, SIGKILL), 0);
    (void)status_of(child);
}

/* The limit stands in for a full disk. */
static void test_a_child_that_cannot_write_its_line_leaves_nothing(void **state)
{
    const struct place *place = *state;
    const struct rlimit none = {0};
    struct job_lock_claim claim;
    pid_t child;

    job_lock_claim_init(&claim, place->path, 77);
    child = fork();
    if (child == 0) {
        (void)signal(SIGXFSZ, SIG_IGN);
        _exit(setrlimit(RLIMIT_FSIZE, &none) < 0 ? 9 : job_lock_claim_in_child(&claim));
    }
    job_lock_claim_done(&claim);
    assert_int_equal(WEXITSTATUS(status_of(child)), JOB_LOCK_NO_DISK);
    assert_int_equal(look(place).phase, JOB_LOCK_NEVER);
}

static void test_proc_stat_knows_this_process(void **state)
{
    struct proc_stat stat;

    (void)state;
    assert_true(proc_stat_read(getpid(), &stat));
    assert_int_equal(stat.state, 'R');
    assert_int_equal(stat.session, getsid(0));
    assert_in_range(stat.started_ms, 1, job_lock_now_ms());
    assert_false(proc_stat_is_dead(&stat));
    assert_in_range(job_lock_now_ms() - stat.started_ms, 0, 600000);
}

#define IN_A_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

TEST_MAIN(IN_A_PLACE(test_without_a_file_it_never_ran),
          IN_A_PLACE(test_an_empty_file_is_no_run_either),
          IN_A_PLACE(test_the_lock_is_held_over_exec_and_ends_with_the_process),
          IN_A_PLACE(test_a_second_child_leaves_while_the_first_runs_and_after),
          IN_A_PLACE(test_looking_never_turns_a_child_away),
          IN_A_PLACE(test_a_sealed_job_never_runs),
          IN_A_PLACE(test_the_end_is_noted_behind_the_line),
          IN_A_PLACE(test_a_line_of_another_boot_names_no_process),
          IN_A_PLACE(test_only_the_process_that_began_before_is_the_runner),
          IN_A_PLACE(test_a_child_that_cannot_write_its_line_leaves_nothing),
          cmocka_unit_test(test_proc_stat_knows_this_process))
