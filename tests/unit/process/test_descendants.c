/* SPDX-License-Identifier: Apache-2.0 */
#include "process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "test.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SH(script) ARGV("/bin/sh", "-c", script)

/*
 * process_end_descendants ends all there is below its process, so each case runs in a child
 * of the test program, which is the runner of the case and says how it went by its exit.
 * What must be dead afterwards counts itself in memory that all of them share. Should a case
 * fail, what it let loose ends by itself after a while.
 */
#define LOOSE_AT_MOST_MS 120000
#define GRACE_NOT_NEEDED_MS 60000
#define BOMB_PROCESSES 50

struct shared {
    _Atomic int alive_beats; /* everyone who is alive keeps adding */
    _Atomic int started;
    _Atomic int room_taken;
    int64_t until_ms;
};

static struct shared *shared;

static int make_shared(void **state)
{
    (void)state;
    shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED ? -1 : 0;
}

static bool not_forgotten(void)
{
    if (clock_monotonic_ms() > shared->until_ms)
        _exit(0);
    return true;
}

static void beat_for_ever(void)
{
    while (not_forgotten()) {
        shared->alive_beats++;
        (void)usleep(1000);
    }
}

/* Runs `scene` below a subreaper of its own, ends its descendants after `started` have begun,
 * and gives back how long that took. Nobody may be alive afterwards. */
static int64_t end_scene(void (*scene)(void), int started, int grace_ms)
{
    struct err err = {0};
    int took[2];
    int64_t took_ms = -1;
    int status = -1;
    pid_t runner;

    *shared = (struct shared){.until_ms = clock_monotonic_ms() + LOOSE_AT_MOST_MS};
    assert_int_equal(pipe2(took, O_CLOEXEC), 0);
    runner = fork();
    if (runner == 0) {
        int64_t began_ms;

        if (process_become_subreaper(&err) < 0)
            _exit(10);
        if (fork() == 0) {
            (void)setpgid(0, 0);
            scene();
            _exit(0);
        }
        for (int i = 0; i < 30000 && shared->started < started; i++)
            (void)usleep(2000);
        if (shared->started < started)
            _exit(11);
        began_ms = clock_monotonic_ms();
        if (process_end_descendants(grace_ms, &err) < 0)
            _exit(12);
        if (waitpid(-1, NULL, __WALL) != -1 || errno != ECHILD)
            _exit(13);
        began_ms = clock_monotonic_ms() - began_ms;
        _exit(write(took[1], &began_ms, sizeof(began_ms)) == sizeof(began_ms) ? 0 : 14);
    }
    close(took[1]);
    assert_int_equal(waitpid(runner, &status, 0), runner);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(read(took[0], &took_ms, sizeof(took_ms)), sizeof(took_ms));
    close(took[0]);

    int beats = shared->alive_beats;

    (void)usleep(50000);
    assert_int_equal(shared->alive_beats, beats);
    return took_ms;
}

/* --- Scenes --------------------------------------------------------------------------- */

static void plain_tree(void)
{
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            shared->started++;
            beat_for_ever();
        }
    shared->started++;
    beat_for_ever();
}

static void daemon_scene(void)
{
    if (fork() > 0)
        _exit(0);
    (void)setsid();
    if (fork() > 0)
        _exit(0);
    (void)signal(SIGHUP, SIG_IGN);
    shared->started++;
    beat_for_ever();
}

static void deaf_scene(void)
{
    (void)signal(SIGTERM, SIG_IGN);
    shared->started++;
    beat_for_ever();
}

static void frozen_scene(void)
{
    shared->started++;
    (void)raise(SIGSTOP);
    beat_for_ever();
}

static void beat_a_while(void)
{
    for (int i = 0; i < 20; i++) {
        shared->alive_beats++;
        (void)usleep(1000);
    }
    _exit(0);
}

/* Keeps 50 children, each in a group of its own, and starts another for each that ends. */
static void respawner(void)
{
    (void)signal(SIGTERM, SIG_IGN);
    for (int alive = 0; not_forgotten(); alive--) {
        for (; alive < 50; alive++)
            if (fork() == 0) {
                (void)setsid();
                shared->started++;
                beat_a_while();
            }
        (void)wait(NULL);
    }
}

/* Two who watch each other through a pipe and start the other again when it dies. */
static void watch_each_other(void)
{
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGCHLD, SIG_IGN);
    while (not_forgotten()) {
        int ends[2];
        char byte;

        if (pipe(ends) < 0)
            _exit(1);
        shared->started++;
        if (fork() > 0) {
            (void)close(ends[1]);
            while (read(ends[0], &byte, 1) < 0)
                ;
            (void)close(ends[0]); /* the other is dead: go round, as another process */
            if (fork() > 0)
                _exit(0);
            (void)setsid();
            continue;
        }
        (void)setsid();
        (void)close(ends[0]);
        beat_for_ever();
    }
}

/* A chain: each starts the next and ends at once, so that nobody lives for long. */
static void chain(bool own_session)
{
    (void)signal(SIGTERM, SIG_IGN);
    shared->started++;
    while (not_forgotten()) {
        pid_t next = fork();

        if (next > 0)
            _exit(0);
        if (next == 0) {
            shared->alive_beats++;
            if (own_session)
                (void)setsid();
        }
    }
}

/* Everyone starts others, each in a session of its own, or ends when there are enough: counted
 * before the fork, so that it stays a number that the machine bears. */
static void bomb(void)
{
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGCHLD, SIG_IGN);
    while (not_forgotten()) {
        if (atomic_fetch_add(&shared->room_taken, 1) >= BOMB_PROCESSES) {
            shared->room_taken -= 2; /* what was just taken, and our own */
            _exit(0);
        }
        if (fork() == 0) {
            (void)setsid();
            shared->started++;
        }
        shared->alive_beats++;
    }
}

static void chain_in_one_group(void)
{
    chain(false);
}

static void chain_of_sessions(void)
{
    chain(true);
}

/* --- Cases ---------------------------------------------------------------------------- */

static void test_a_tree_ends_within_its_grace(void **state)
{
    (void)state;
    assert_in_range(end_scene(plain_tree, 4, GRACE_NOT_NEEDED_MS), 0, 50000);
}

static void test_a_daemon_ends(void **state)
{
    (void)state;
    assert_in_range(end_scene(daemon_scene, 1, GRACE_NOT_NEEDED_MS), 0, 50000);
}

static void test_one_that_ignores_term_is_killed_after_the_grace(void **state)
{
    (void)state;
    assert_in_range(end_scene(deaf_scene, 1, 300), 300, 50000);
}

static void test_no_grace_kills_at_once(void **state)
{
    (void)state;
    assert_in_range(end_scene(deaf_scene, 1, 0), 0, 50000);
}

static void test_a_frozen_process_hears_term(void **state)
{
    (void)state;
    assert_in_range(end_scene(frozen_scene, 1, GRACE_NOT_NEEDED_MS), 0, 50000);
}

static void test_a_respawning_bomb_ends(void **state)
{
    (void)state;
    assert_in_range(end_scene(respawner, 100, 50), 0, 50000);
}

static void test_an_exploding_bomb_ends(void **state)
{
    (void)state;
    assert_in_range(end_scene(bomb, 3 * BOMB_PROCESSES, 0), 0, 50000);
}

static void test_watchers_that_revive_each_other_end(void **state)
{
    (void)state;
    assert_in_range(end_scene(watch_each_other, 1, 50), 0, 50000);
}

static void test_a_chain_of_short_lives_ends(void **state)
{
    (void)state;
    assert_in_range(end_scene(chain_in_one_group, 1, 0), 0, 50000);
}

static void test_a_chain_of_sessions_ends(void **state)
{
    (void)state;
    assert_in_range(end_scene(chain_of_sessions, 1, 0), 0, 50000);
}

static void test_nobody_to_end_is_fine(void **state)
{
    struct err err = {0};

    (void)state;
    assert_ok(process_end_descendants(1000, &err), err);
}

/* Someone else's process in a group that one of ours has joined must live. */
static void test_a_strangers_group_is_left_alone(void **state)
{
    struct process_spec spec = PROCESS_SPEC_DEFAULTS;
    struct err err = {0};
    int status = -1;
    pid_t stranger = 0;
    pid_t runner;

    (void)state;
    *shared = (struct shared){.until_ms = clock_monotonic_ms() + LOOSE_AT_MOST_MS};
    spec.argv = ARGV("/bin/sleep", "60");
    assert_ok(process_start(&spec, &stranger, &err), err);
    runner = fork();
    if (runner == 0) {
        pid_t joiner = fork();

        if (joiner == 0) {
            (void)setpgid(0, stranger);
            shared->started++;
            beat_for_ever();
        }
        (void)setpgid(joiner, stranger);
        if (getpgid(joiner) != stranger || process_end_descendants(0, &err) < 0)
            _exit(1);
        _exit(0);
    }
    assert_int_equal(waitpid(runner, &status, 0), runner);
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(stranger, &status, WNOHANG), 0); /* still running */
    assert_int_equal(kill(stranger, SIGKILL), 0);
    assert_int_equal(waitpid(stranger, &status, 0), stranger);
}

static void test_run_can_end_what_its_child_left_behind(void **state)
{
    int status = -1;
    pid_t runner = fork();

    (void)state;
    if (runner == 0) {
        struct process_run run = {.spec = PROCESS_SPEC_DEFAULTS};
        struct process_end end = {0};
        struct err err = {0};

        run.spec.argv = SH("setsid sh -c 'sleep 60 & sleep 60' & exit 6");
        run.spec.env = ARGV("PATH=/usr/bin:/bin");
        run.end_descendants = true;
        run.term_grace_ms = 5000;
        if (process_become_subreaper(&err) < 0 || process_run(&run, &end, &err) < 0)
            _exit(1);
        if (end.exit_code != 6)
            _exit(2);
        _exit(waitpid(-1, NULL, __WALL) == -1 && errno == ECHILD ? 0 : 3);
    }
    assert_int_equal(waitpid(runner, &status, 0), runner);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int run_all(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tree_ends_within_its_grace),
        cmocka_unit_test(test_a_daemon_ends),
        cmocka_unit_test(test_one_that_ignores_term_is_killed_after_the_grace),
        cmocka_unit_test(test_no_grace_kills_at_once),
        cmocka_unit_test(test_a_frozen_process_hears_term),
        cmocka_unit_test(test_a_respawning_bomb_ends),
        cmocka_unit_test(test_an_exploding_bomb_ends),
        cmocka_unit_test(test_watchers_that_revive_each_other_end),
        cmocka_unit_test(test_a_chain_of_short_lives_ends),
        cmocka_unit_test(test_a_chain_of_sessions_ends),
        cmocka_unit_test(test_nobody_to_end_is_fine),
        cmocka_unit_test(test_a_strangers_group_is_left_alone),
        cmocka_unit_test(test_run_can_end_what_its_child_left_behind),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, make_shared, NULL);
}

static void test_descendants_are_not_tested_here(void **state)
{
    (void)state;
    skip();
}

/* Where these tests could reach processes of others, they say so instead. */
static int run_none(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_descendants_are_not_tested_here)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What is tested here kills. In a pid namespace of its own a mistake can't reach anyone else,
 * and whatever a failed case leaves behind ends with it. */
static bool isolate(void)
{
    int status = -1;
    pid_t first;

    if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
        return false;
    first = fork();
    if (first != 0) {
        (void)waitpid(first, &status, 0);
        /* The leak checker of exit wants a thread, and we can start no more of them. */
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
        || mount("proc", "/proc", "proc", 0, NULL) < 0) {
        /* In a chroot, say: / is no mount point there, and its /proc is somebody else's. */
        (void)fprintf(stderr, "no /proc of its own: %s\n", strerror(errno));
        _exit(run_none());
    }
    return true;
}

/* The namespace's init only waits: the tests want to be an ordinary process. */
static int run_all_below_init(void)
{
    int status = -1;
    pid_t tests = fork();

    if (tests == 0)
        exit(run_all());
    while (waitpid(tests, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(void)
{
    if (isolate())
        _exit(run_all_below_init()); /* the leak checker can't work in an init */
    if (geteuid() == 0) {
        (void)fprintf(stderr, "skipped: root without a pid namespace would endanger others\n");
        return run_none();
    }
    return run_all();
}
