/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher_world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "crypto/random.h"
#include "launch/job_ref.h"

/* What the process backend promises besides the launchers' contract. */

/* --- A job ---------------------------------------------------------------------------- */

static char *job_file(const struct world *world, const char *ref, const char *name)
{
    return xasprintf("%s/%s/%s", world->config.work_dir, ref, name);
}

static bool job_has(const struct world *world, const char *ref, const char *name)
{
    scoped_str path = job_file(world, ref, name);

    return access(path, F_OK) == 0;
}

static char *read_job_file(const struct world *world, const char *ref, const char *name)
{
    scoped_str path = job_file(world, ref, name);
    scoped_buf text = {0};
    struct err err = {0};

    assert_ok(buf_read_file(&text, path, 65536, &err), err);
    return buf_take(&text);
}

static pid_t runner_pid(const struct world *world, const char *ref)
{
    scoped_str lock = read_job_file(world, ref, "job.lock");

    return (pid_t)strtol(lock, NULL, 10);
}

static void test_the_environment_is_built_from_nothing(void **state)
{
    static const char *const expected[] = {"PATH=",
                                           "HOME=",
                                           "TMPDIR=",
                                           "LANG=",
                                           "DISPATCH_URL=",
                                           "DISPATCH_RUN_ID=",
                                           "DISPATCH_ATTEMPT=",
                                           "DISPATCH_TASK_TOKEN_FILE=",
                                           "DISPATCH_WORK_DIR=",
                                           "DISPATCH_TERMINATION_LOG=",
                                           "ANTHROPIC_API_KEY=",
                                           "https_proxy="};
    scoped(world) world = world_of(state);
    scoped_str ref = NULL;
    scoped_str env = NULL;

    assert_int_equal(setenv("GITHUB_TOKEN", "a secret of dispatchd", 1), 0);
    assert_int_equal(setenv("CODEBOT_API_KEYS", "a secret of dispatchd", 1), 0);
    assert_int_equal(setenv("ANTHROPIC_API_KEY", "key of the model", 1), 0);
    assert_int_equal(setenv("https_proxy", "http://proxy.example", 1), 0);
    ref = start_script(world, "tr '\\0' '\\n' < /proc/$$/environ > $HOME/env");
    (void)await_end(world, ref);
    unsetenv("GITHUB_TOKEN");
    unsetenv("CODEBOT_API_KEYS");
    unsetenv("ANTHROPIC_API_KEY");
    unsetenv("https_proxy");

    env = read_job_file(world, ref, "env");
    assert_null(strstr(env, TOKEN));
    assert_null(strstr(env, "a secret of dispatchd"));
    assert_int_equal(times_in(env, "\n"), ARRAY_SIZE(expected));
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        assert_non_null(strstr(env, expected[i]));
}

static void test_the_token_is_read_once_from_its_descriptor(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start_script(world, "cat $DISPATCH_TASK_TOKEN_FILE > $HOME/first\n"
                                         "cat $DISPATCH_TASK_TOKEN_FILE > $HOME/second\n"
                                         "tr '\\0' '\\n' < /proc/$$/cmdline > $HOME/argv");
    scoped_str first = NULL;
    scoped_str second = NULL;
    scoped_str argv = NULL;

    (void)await_end(world, ref);
    first = read_job_file(world, ref, "first");
    second = read_job_file(world, ref, "second");
    argv = read_job_file(world, ref, "argv");
    assert_string_equal(first, TOKEN);
    assert_string_equal(second, "");
    assert_null(strstr(argv, TOKEN));
}

/* What a child of the runner sees is what the runner has over an exec. */
static void test_no_other_descriptor_reaches_the_runner(void **state)
{
    scoped(world) world = world_of(state);
    int leak = open("/dev/null", O_RDONLY);
    scoped_str ref = start_script(world, "ls -l /proc/self/fd > $HOME/fds");
    scoped_str fds = NULL;

    (void)await_end(world, ref);
    (void)close(leak);
    fds = read_job_file(world, ref, "fds");
    assert_int_equal(times_in(fds, " 0 -> /dev/null\n"), 1);
    assert_int_equal(times_in(fds, " 1 -> "), 1);
    assert_int_equal(times_in(fds, " 2 -> "), 1);
    assert_int_equal(times_in(fds, "/runner.log\n"), 1);
    assert_int_equal(times_in(fds, "/job.lock\n"), 1);
    assert_int_equal(times_in(fds, " -> pipe:"), 1);
    assert_int_equal(times_in(fds, "/fd\n"), 1); /* ls' own */
    assert_int_equal(times_in(fds, " -> "), 6);
}

static void test_the_job_has_directories_of_its_own(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref =
        start_script(world, "pwd > $HOME/seen; test -d $DISPATCH_WORK_DIR &&"
                            " test -d $TMPDIR && stat -c %a . >> $HOME/seen\n"
                            "cut -d' ' -f6 /proc/$$/stat >> $HOME/seen; echo $$ >> $HOME/seen");
    scoped_str seen = NULL;
    char dir[512];
    char mode[16];
    int session;
    int pid;

    (void)await_end(world, ref);
    seen = read_job_file(world, ref, "seen");
    assert_int_equal(sscanf(seen, "%511s %15s %d %d", dir, mode, &session, &pid), 4);
    assert_non_null(strstr(dir, ref));
    assert_string_equal(mode, "711"); /* an agent of another user passes through */
    assert_int_equal(session, pid);
}

static void test_the_outcome_says_how_it_ended(void **state)
{
    static const struct {
        const char *script;
        int exit_code;
        enum failure_code reason;
        const char *detail;
    } cases[] = {
        {"echo '{\"status\":\"failed\",\"error\":\"no such branch\",\"error_code\":"
         "\"clone_failed\"}' > $DISPATCH_TERMINATION_LOG; exit 9",
         1, FAILURE_CLONE_FAILED, "no such branch"},
        {"echo '{\"status\":\"completed\",\"summary\":\"two files\"}' > $HOME/outcome.json", 0,
         FAILURE_NONE, "two files"},
        {"echo '{\"status\":\"stopped\"}' > $HOME/outcome.json", 4, FAILURE_NONE, ""},
        {"echo '{\"status\":\"excellent\"}' > $HOME/outcome.json; exit 9", 9, FAILURE_NONE, ""},
        {"echo garbage > $HOME/outcome.json; exit 9", 9, FAILURE_NONE, ""},
        {"mkfifo $HOME/outcome.json; exit 9", 9, FAILURE_NONE, ""},
        {"ln -s /dev/zero $HOME/outcome.json; exit 9", 9, FAILURE_NONE, ""},
        {"mkdir $HOME/outcome.json; exit 9", 9, FAILURE_NONE, ""},
        {"head -c 9000000 /dev/zero > $HOME/outcome.json; exit 9", 9, FAILURE_NONE, ""},
        {"kill -9 $$", -1, FAILURE_NONE, "the runner was ended by signal 9"},
    };
    scoped(world) world = world_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str ref = start_script(world, cases[i].script);
        struct job_view view = await_end(world, ref);

        assert_int_equal(view.exit_code, cases[i].exit_code);
        assert_int_equal(view.reason, cases[i].reason);
        assert_string_equal(view.detail, cases[i].detail);
    }
}

static void test_a_killed_runner_takes_its_session_along(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref =
        start_script(world, "sleep 1000 & echo $! > $HOME/child; echo ready; wait");
    scoped_str child = NULL;

    await_started(world, ref);
    child = read_job_file(world, ref, "child");
    assert_int_equal(kill(runner_pid(world, ref), SIGKILL), 0);
    assert_int_equal(await_end(world, ref).exit_code, -1);
    wait_until(kill((pid_t)strtol(child, NULL, 10), 0) < 0 && errno == ESRCH, SOON_MS);
}

/* The child inherits the lock from a shell; a runner's own children don't. */
static void test_a_lock_held_by_a_stray_does_not_keep_the_job_alive(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start_script(world, "setsid sleep 1000 & echo $! > $HOME/stray; exit 0");
    scoped_str stray = NULL;

    assert_int_equal(await_end(world, ref).exit_code, 0);
    reopen(world);
    assert_int_equal(phase_of(world, ref), JOB_ENDED);
    stray = read_job_file(world, ref, "stray");
    (void)kill((pid_t)strtol(stray, NULL, 10), SIGKILL);
}

static void test_the_workspace_goes_at_the_end(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start_script(
        world, "mkdir -p $DISPATCH_WORK_DIR/a/b && echo x > $DISPATCH_WORK_DIR/a/b/c");

    (void)await_end(world, ref);
    wait_until(!job_has(world, ref, "work") && !job_has(world, ref, "tmp"), SOON_MS);
    assert_true(job_has(world, ref, "runner.log"));
}

static void test_an_end_that_nobody_saw_is_found_after_reopening(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);
    pid_t pid;

    await_started(world, ref);
    pid = runner_pid(world, ref);
    launcher_free(TAKE(world->launcher));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    open_launcher(world);
    (void)await_end(world, ref);
    wait_until(!job_has(world, ref, "work"), SOON_MS);
}

static void test_a_forgotten_job_leaves_nothing(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start_script(world, "mkdir -p $HOME/x/y && ln -s / $HOME/x/root");
    scoped_str list = xasprintf("test -z \"$(ls -A %s)\"", world->config.work_dir);
    struct err err = {0};

    (void)await_end(world, ref);
    assert_ok(launcher_forget(world->launcher, ref, &err), err);
    wait_until(system(list) == 0, SOON_MS);
}

static void name_job(void *ctx, struct id run, int attempt, const char *ref)
{
    struct job_ref name = job_ref_make(run, attempt);

    assert_string_equal(name.text, ref);
    buf_printf(ctx, "%s ", ref);
}

static void test_jobs_are_listed_until_they_are_forgotten(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str other = xasprintf("%s/run-of-somebody-else", world->config.work_dir);
    scoped_str at_work = start(world, LONG);
    scoped_str ended = start(world, QUICK);
    scoped_buf before = {0};
    scoped_buf after = {0};
    struct err err = {0};

    assert_int_equal(mkdir(other, 0700), 0);
    (void)await_end(world, ended);
    assert_ok(launcher_list(world->launcher, name_job, &before, &err), err);
    assert_non_null(strstr(before.data, at_work));
    assert_non_null(strstr(before.data, ended));
    assert_null(strstr(before.data, "somebody"));
    assert_ok(launcher_forget(world->launcher, ended, &err), err);
    assert_ok(launcher_list(world->launcher, name_job, &after, &err), err);
    assert_null(strstr(after.data, ended));
    stop(world, at_work);
    (void)await_end(world, at_work);
}

static void test_a_job_stopped_before_it_began_never_begins(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, "exit 0");
    struct job_ref ref = job_ref_make(run, 1);
    scoped_str dir = job_file(world, ref.text, "");
    scoped_str again = NULL;

    assert_int_equal(mkdir(dir, 0700), 0); /* a start that was cut off */
    assert_int_equal(phase_of(world, ref.text), JOB_LOST);
    stop(world, ref.text);
    again = start_again(world, run, NULL);
    assert_int_equal(phase_of(world, again), JOB_ENDED);
    assert_false(job_has(world, ref.text, "runner.log"));
}

static void test_a_job_ends_when_its_time_is_up(void **state)
{
    scoped(world) world = world_of(state);
    struct err err = {0};
    struct job_spec spec = {
        .run = run_doing(world, world->backend->scripts[LONG]),
        .attempt = 1,
        .url = "http://127.0.0.1:9",
        .task_token = world->token,
        .timeout_s = 5,
    };
    scoped_str ref = NULL;

    assert_ok(launcher_start(world->launcher, &spec, &ref, &err), err);
    await_started(world, ref);
    reopen(world); /* the time is part of the job, not of whoever started it */
    assert_int_equal(phase_of(world, ref), JOB_RUNNING);
    assert_int_equal(await_end(world, ref).exit_code, 4);
}

/* The line names a process that lives and began before; but it leads no session. */
static void test_a_tampered_lock_names_no_other_process(void **state)
{
    scoped(world) world = world_of(state);
    pid_t bystander = fork();
    pid_t runner;
    scoped_str script = NULL;
    scoped_str ref = NULL;

    if (bystander == 0) {
        (void)execlp("sleep", "sleep", "1000", NULL);
        _exit(1);
    }
    script = xasprintf("cp $HOME/job.lock $HOME/mine\n"
                       "echo %d 99999999999 $(cat /proc/sys/kernel/random/boot_id) 0 "
                       "> $HOME/job.lock; echo ready; sleep 1000",
                       (int)bystander);
    ref = start_script(world, script);
    await_started(world, ref);
    scoped_str mine = read_job_file(world, ref, "mine");
    runner = (pid_t)strtol(mine, NULL, 10);
    reopen(world);
    (void)view_of(world, ref);
    stop(world, ref);
    assert_int_equal(waitpid(bystander, NULL, WNOHANG), 0);
    assert_int_equal(kill(bystander, SIGKILL), 0);
    assert_int_equal(waitpid(bystander, NULL, 0), bystander);
    assert_int_equal(kill(-runner, SIGKILL), 0);
    assert_int_equal(waitpid(runner, NULL, 0), runner);
}

static void test_a_lock_that_says_nothing_useful_is_still_a_lock(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref =
        start_script(world, "cp $HOME/job.lock $HOME/mine\n"
                            "echo nonsense > $HOME/job.lock; echo ready; sleep 1000");
    struct err err = {0};

    await_started(world, ref);
    scoped_str mine = read_job_file(world, ref, "mine");
    pid_t runner = (pid_t)strtol(mine, NULL, 10);
    reopen(world);
    assert_int_equal(phase_of(world, ref), JOB_RUNNING);
    assert_int_equal(launcher_stop(world->launcher, ref, &err), -1);
    assert_int_equal(kill(-runner, SIGKILL), 0);
    assert_int_equal(waitpid(runner, NULL, 0), runner);
    (void)await_end(world, ref);
}

/* --- dispatchd dies ------------------------------------------------ */

/* Another dispatchd: opens the launcher, starts the job, and is killed after `after_us`. */
static void start_in_a_process_that_dies(struct world *world, struct id run,
                                         useconds_t after_us)
{
    pid_t other = fork();

    assert_true(other >= 0);
    if (other == 0) {
        struct err err = {0};
        char *ref = NULL;

        world->launcher = launcher_open("process", &world->config, NULL, NULL, &err);
        if (world->launcher)
            (void)try_start(world, run, NULL, &ref, &err);
        (void)pause();
        _exit(0);
    }
    (void)usleep(after_us);
    (void)kill(other, SIGKILL);
    (void)waitpid(other, NULL, 0);
}

static void test_killed_at_any_moment_of_a_start_it_runs_once(void **state)
{
    enum { ROUNDS = 40 };
    scoped(world) world = world_of(state);

    for (int round = 0; round < ROUNDS; round++) {
        struct id run = run_doing(world, "sleep 0.01");
        scoped_str ref = NULL;

        launcher_free(TAKE(world->launcher)); /* a fork should have no threads */
        start_in_a_process_that_dies(world, run, (useconds_t)(random_u64() % 12000));
        open_launcher(world);
        ref = start_again(world, run, NULL);
        (void)await_end(world, ref);
        wait_until(executions(world, ref) == 1, SOON_MS);
    }
}

static void test_a_runner_outlives_a_killed_dispatchd(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, world->backend->scripts[LONG]);
    struct job_ref ref = job_ref_make(run, 1);

    launcher_free(TAKE(world->launcher));
    start_in_a_process_that_dies(world, run, 500000);
    open_launcher(world);
    free(start_again(world, run, NULL)); /* in case half a second was too short */
    await_started(world, ref.text);
    assert_int_equal(phase_of(world, ref.text), JOB_RUNNING);
    stop(world, ref.text);
    (void)await_end(world, ref.text);
    wait_until(atomic_load(&world->changes) > 0, SOON_MS);
    assert_int_equal(executions(world, ref.text), 1);
}

static void test_two_dispatchds_starting_at_once_run_it_once(void **state)
{
    enum { PROCESSES = 4, ROUNDS = 5 };
    scoped(world) world = world_of(state);

    for (int round = 0; round < ROUNDS; round++) {
        struct id run = run_doing(world, "exit 0");
        pid_t others[PROCESSES];
        int go[2];

        launcher_free(TAKE(world->launcher));
        assert_int_equal(pipe(go), 0);
        for (int i = 0; i < PROCESSES; i++) {
            others[i] = fork();
            if (others[i] == 0) {
                struct err err = {0};
                char *ref = NULL;
                char byte;
                int result;

                (void)close(go[1]);
                world->launcher = launcher_open("process", &world->config, NULL, NULL, &err);
                (void)!read(go[0], &byte, 1); /* until the other end closes */
                result = world->launcher ? try_start(world, run, NULL, &ref, &err) : -1;
                _exit(result == 0 ? 0 : 1);
            }
        }
        (void)close(go[0]);
        (void)close(go[1]);
        for (int i = 0; i < PROCESSES; i++) {
            int status;

            assert_int_equal(waitpid(others[i], &status, 0), others[i]);
            assert_int_equal(status, 0);
        }
        open_launcher(world);
        (void)await_end(world, job_ref_make(run, 1).text);
        assert_int_equal(executions(world, job_ref_make(run, 1).text), 1);
    }
}

/* --- Opening ------------------------------------------------------- */

static void refuses(struct world *world, const char *field)
{
    struct err err = {0};
    struct launcher *opened = launcher_open("process", &world->config, NULL, NULL, &err);

    if (opened)
        fail_msg("opened in spite of its %s", field);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, field));
}

static void test_a_runner_that_cannot_be_executed_is_refused(void **state)
{
    static const char *const runners[] = {"/nowhere/dispatch-runner", "relative/runner", "/tmp",
                                          "/etc/passwd"};
    scoped(world) world = world_of(state);
    char *good = world->config.runner;

    for (size_t i = 0; i < ARRAY_SIZE(runners); i++) {
        scoped_str bad = xstrdup(runners[i]);

        world->config.runner = bad;
        refuses(world, "runner");
    }
    world->config.runner = NULL;
    refuses(world, "runner");
    world->config.runner = good;
}

static void test_a_work_directory_that_cannot_be_made_is_refused(void **state)
{
    scoped(world) world = world_of(state);
    char *good = world->config.work_dir;
    scoped_str under_a_file = xasprintf("%s/runner/work", world->dir);
    scoped_str read_only = xstrdup("/proc/self/work");

    world->config.work_dir = under_a_file;
    refuses(world, "work_dir");
    world->config.work_dir = read_only;
    refuses(world, "work_dir");
    world->config.work_dir = good;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER(process, test_the_environment_is_built_from_nothing),
        OVER(process, test_the_token_is_read_once_from_its_descriptor),
        OVER(process, test_no_other_descriptor_reaches_the_runner),
        OVER(process, test_the_job_has_directories_of_its_own),
        OVER(process, test_the_outcome_says_how_it_ended),
        OVER(process, test_a_killed_runner_takes_its_session_along),
        OVER(process, test_a_lock_held_by_a_stray_does_not_keep_the_job_alive),
        OVER(process, test_the_workspace_goes_at_the_end),
        OVER(process, test_an_end_that_nobody_saw_is_found_after_reopening),
        OVER(process, test_a_forgotten_job_leaves_nothing),
        OVER(process, test_jobs_are_listed_until_they_are_forgotten),
        OVER(process, test_a_job_stopped_before_it_began_never_begins),
        OVER(process, test_a_job_ends_when_its_time_is_up),
        OVER(process, test_a_tampered_lock_names_no_other_process),
        OVER(process, test_a_lock_that_says_nothing_useful_is_still_a_lock),
        OVER(process, test_killed_at_any_moment_of_a_start_it_runs_once),
        OVER(process, test_a_runner_outlives_a_killed_dispatchd),
        OVER(process, test_two_dispatchds_starting_at_once_run_it_once),
        OVER(process, test_a_runner_that_cannot_be_executed_is_refused),
        OVER(process, test_a_work_directory_that_cannot_be_made_is_refused),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
