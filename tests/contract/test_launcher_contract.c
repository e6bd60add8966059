/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "crypto/random.h"
#include "launch/job_ref.h"
#include "launch/launcher.h"

/*
 * What every launcher promises, case by case, over every backend. A backend joins with one
 * struct backend: how a job of each kind is made there. The cases of the lower half are
 * promises of the process backend alone.
 */
#define SOON_MS 60000 /* a busy machine under a sanitizer is slow */
#define TOKEN "vgvtask_this-is-the-token"

enum kind { QUICK, FAILING, LONG, STUBBORN };

struct backend {
    const char *name;
    const char *scripts[STUBBORN + 1]; /* of the fake, or of the stand-in for the runner */
    int failing_exit_code;
    bool survives_reopening;
};

static const struct backend process = {
    .name = "process",
    .scripts = {[QUICK] = "exit 0",
                [FAILING] = "exit 3",
                [LONG] = "sleep 1000 & trap 'exit 4' TERM; echo ready; wait",
                [STUBBORN] = "trap '' TERM; echo ready; while :; do sleep 0.1; done"},
    .failing_exit_code = 3,
    .survives_reopening = true,
};

static const struct backend fake = {
    .name = "fake",
    .scripts = {[QUICK] = "run_ms=2",
                [FAILING] = "end=failed",
                [LONG] = "run_ms=1000000",
                [STUBBORN] = "run_ms=1000000 stubborn"},
    .failing_exit_code = 1,
};

/* --- One launcher in a directory of its own ------------------------------------------- */

struct world {
    const struct backend *backend;
    char *dir;
    struct config config;
    struct secret *token;
    struct launcher *launcher;
    atomic_int changes;
};

/* The stand-in for dispatch-runner: says that it began, then does what the file for its run
 * holds. */
static const char runner_script[] = "#!/bin/sh\n"
                                    "echo started\n"
                                    ". \"$(dirname \"$0\")/do-$DISPATCH_RUN_ID\"\n";

static void on_changed(void *ctx, struct id run, int attempt)
{
    struct world *world = ctx;

    (void)run;
    (void)attempt;
    atomic_fetch_add(&world->changes, 1);
}

static void open_launcher(struct world *world)
{
    struct err err = {0};

    world->launcher =
        launcher_open(world->backend->name, &world->config, on_changed, world, &err);
    assert_made(world->launcher, err);
}

static void reopen(struct world *world)
{
    launcher_free(TAKE(world->launcher));
    open_launcher(world);
}

static struct world *world_new(const struct backend *backend)
{
    struct world *world = xcalloc(1, sizeof(*world));

    world->backend = backend;
    world->dir = test_dir_new();
    world->token = secret_new(TOKEN);
    world->config.runner = xasprintf("%s/runner", world->dir);
    world->config.work_dir = xasprintf("%s/var/work", world->dir);
    test_file_write(world->dir, "runner", runner_script);
    assert_int_equal(chmod(world->config.runner, 0755), 0);
    open_launcher(world);
    return world;
}

static void world_free(struct world *world)
{
    launcher_free(world->launcher);
    test_dir_remove(world->dir);
    free(world->dir);
    free(world->config.runner);
    free(world->config.work_dir);
    secret_free(world->token);
    free(world);
}
DEFINE_SCOPED(world)

/* cmocka carries the backend to the case. */
static struct world *world_of(void **state)
{
    return world_new(*state);
}

/* --- Jobs ----------------------------------------------------------------------------- */

static struct id new_run(void)
{
    return id_make(clock_wall_ms(), random_u64());
}

static struct id run_doing(struct world *world, const char *script)
{
    struct id run = new_run();
    char text[ID_TEXT_SIZE];
    scoped_str name = NULL;

    id_text(run, text);
    name = xasprintf("do-%s", text);
    test_file_write(world->dir, name, script);
    return run;
}

static int try_start(struct world *world, struct id run, const char *script, char **out_ref,
                     struct err *err)
{
    struct job_spec spec = {
        .run = run,
        .attempt = 1,
        .url = strcmp(world->backend->name, "fake") == 0 ? NULL : "http://127.0.0.1:9",
        .task_token = world->token,
        .repo = "octo/hello",
        .agent = "command",
        .timeout_s = 3600,
        .script = script,
    };

    return launcher_start(world->launcher, &spec, out_ref, err);
}

static char *start_again(struct world *world, struct id run, const char *script)
{
    struct err err = {0};
    char *ref = NULL;

    assert_ok(try_start(world, run, script, &ref, &err), err);
    return ref;
}

static char *start_script(struct world *world, const char *script)
{
    return start_again(world, run_doing(world, script), script);
}

static char *start(struct world *world, enum kind kind)
{
    return start_script(world, world->backend->scripts[kind]);
}

static struct job_view view_of(struct world *world, const char *ref)
{
    struct job_view view = {0};
    struct err err = {0};

    assert_ok(launcher_poll(world->launcher, ref, &view, &err), err);
    return view;
}

static enum job_phase phase_of(struct world *world, const char *ref)
{
    return view_of(world, ref).phase;
}

static void stop(struct world *world, const char *ref)
{
    struct err err = {0};

    assert_ok(launcher_stop(world->launcher, ref, &err), err);
}

static struct job_view await_end(struct world *world, const char *ref)
{
    wait_until(phase_of(world, ref) == JOB_ENDED, SOON_MS);
    return view_of(world, ref);
}

static int times_in(const char *text, const char *word)
{
    int times = 0;

    for (; text && (text = strstr(text, word)); text += strlen(word))
        times++;
    return times;
}

static char *logs_of(struct world *world, const char *ref, size_t limit)
{
    scoped_buf logs = {0};
    struct err err = {0};

    assert_ok(launcher_logs(world->launcher, ref, limit, &logs, &err), err);
    return buf_take(&logs);
}

/* Every execution writes one line; both backends keep it. */
static int executions(struct world *world, const char *ref)
{
    scoped_str logs = logs_of(world, ref, 65536);

    return times_in(logs, "started\n");
}

static bool has_logged(struct world *world, const char *ref, const char *word)
{
    scoped_str logs = logs_of(world, ref, 65536);

    return times_in(logs, word) > 0;
}

static void await_started(struct world *world, const char *ref)
{
    wait_until(executions(world, ref) > 0, SOON_MS);
    if (world->backend == &process)
        wait_until(has_logged(world, ref, "ready\n"), SOON_MS);
}

/* --- Every backend: start and end ------------------------------------------------------- */

static void test_a_job_runs_and_ends(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);
    struct job_view view = await_end(world, ref);

    assert_int_equal(view.exit_code, 0);
    assert_int_equal(view.reason, FAILURE_NONE);
    assert_int_equal(executions(world, ref), 1);
}

static void test_a_failing_job_ends_with_its_exit_code(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, FAILING);

    assert_int_equal(await_end(world, ref).exit_code, world->backend->failing_exit_code);
}

static void test_a_job_is_named_after_its_run_and_attempt(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, world->backend->scripts[QUICK]);
    scoped_str ref = start_again(world, run, world->backend->scripts[QUICK]);

    assert_string_equal(ref, job_ref_make(run, 1).text);
    (void)await_end(world, ref);
}

static void test_a_running_job_is_running(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);

    await_started(world, ref);
    assert_int_equal(phase_of(world, ref), JOB_RUNNING);
    stop(world, ref);
    (void)await_end(world, ref);
}

static void test_starting_twice_gives_one_job(void **state)
{
    scoped(world) world = world_of(state);
    const char *script = world->backend->scripts[LONG];
    struct id run = run_doing(world, script);
    scoped_str first = start_again(world, run, script);
    scoped_str second = start_again(world, run, script);

    assert_string_equal(first, second);
    await_started(world, first);
    stop(world, first);
    (void)await_end(world, first);
    assert_int_equal(executions(world, first), 1);
}

static void test_starting_an_ended_job_does_not_run_it_again(void **state)
{
    scoped(world) world = world_of(state);
    const char *script = world->backend->scripts[QUICK];
    struct id run = run_doing(world, script);
    scoped_str first = start_again(world, run, script);
    scoped_str second = NULL;

    (void)await_end(world, first);
    second = start_again(world, run, script);
    assert_string_equal(first, second);
    assert_int_equal(phase_of(world, second), JOB_ENDED);
    assert_int_equal(executions(world, second), 1);
}

struct racer {
    pthread_t thread;
    pthread_barrier_t *line;
    struct world *world;
    struct id run;
    const char *script;
    char *ref;
    int result;
};

static void *race(void *ctx)
{
    struct racer *racer = ctx;
    struct err err = {0};

    (void)pthread_barrier_wait(racer->line);
    racer->result = try_start(racer->world, racer->run, racer->script, &racer->ref, &err);
    return NULL;
}

static void race_once(struct world *world)
{
    enum { RACERS = 8 };
    const char *script = world->backend->scripts[QUICK];
    struct racer racers[RACERS];
    pthread_barrier_t line;
    struct id run = run_doing(world, script);

    assert_int_equal(pthread_barrier_init(&line, NULL, RACERS), 0);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){
            .line = &line, .world = world, .run = run, .script = script, .result = -1};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
    (void)await_end(world, job_ref_make(run, 1).text);
    assert_int_equal(executions(world, job_ref_make(run, 1).text), 1);
    for (int i = 0; i < RACERS; i++) {
        assert_int_equal(racers[i].result, 0);
        assert_string_equal(racers[i].ref, job_ref_make(run, 1).text);
        free(racers[i].ref);
    }
    (void)pthread_barrier_destroy(&line);
}

static void test_eight_starts_at_once_run_it_once(void **state)
{
    scoped(world) world = world_of(state);

    for (int round = 0; round < 5; round++)
        race_once(world);
}

static void test_a_hundred_jobs_at_once_all_end(void **state)
{
    enum { JOBS = 100 };
    scoped(world) world = world_of(state);
    char *refs[JOBS];

    for (int i = 0; i < JOBS; i++)
        refs[i] = start(world, QUICK);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(await_end(world, refs[i]).exit_code, 0);
        assert_int_equal(executions(world, refs[i]), 1);
        free(refs[i]);
    }
    wait_until(atomic_load(&world->changes) >= JOBS, SOON_MS);
}

static void test_the_end_is_told(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);

    wait_until(atomic_load(&world->changes) > 0, SOON_MS);
    assert_int_equal(phase_of(world, ref), JOB_ENDED);
}

/* --- Every backend: stop, forget, unknown names ----------------------------------------- */

static void test_an_unknown_job_is_lost(void **state)
{
    static const char *const names[] = {"run-0000000000000000000z-1",
                                        "",
                                        "run-",
                                        "..",
                                        "run-../../../etc/passwd-1",
                                        "x",
                                        "run-0000000000000000000z-01",
                                        "run-0000000000000000000z--1"};
    scoped(world) world = world_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(phase_of(world, names[i]), JOB_LOST);
}

static void test_stopping_ends_a_running_job(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);

    await_started(world, ref);
    stop(world, ref);
    (void)await_end(world, ref);
    wait_until(atomic_load(&world->changes) > 0, SOON_MS);
}

static void test_a_job_that_ignores_term_is_killed(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, STUBBORN);

    await_started(world, ref);
    stop(world, ref);
    stop(world, ref);
    assert_int_equal(await_end(world, ref).exit_code, -1);
}

static void test_stopping_an_ended_job_succeeds(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);

    (void)await_end(world, ref);
    stop(world, ref);
    stop(world, ref);
    assert_int_equal(view_of(world, ref).exit_code, 0);
}

static void test_stopping_an_unknown_job_succeeds(void **state)
{
    scoped(world) world = world_of(state);

    stop(world, job_ref_make(new_run(), 1).text);
}

static void test_a_forgotten_job_is_lost(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);
    struct err err = {0};

    (void)await_end(world, ref);
    assert_ok(launcher_forget(world->launcher, ref, &err), err);
    assert_int_equal(phase_of(world, ref), JOB_LOST);
    assert_ok(launcher_forget(world->launcher, ref, &err), err);
}

static void test_forgetting_an_unknown_job_succeeds(void **state)
{
    scoped(world) world = world_of(state);
    struct err err = {0};

    assert_ok(launcher_forget(world->launcher, job_ref_make(new_run(), 1).text, &err), err);
}

static void test_a_running_job_is_not_forgotten(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);
    struct err err = {0};

    await_started(world, ref);
    assert_int_equal(launcher_forget(world->launcher, ref, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_int_equal(phase_of(world, ref), JOB_RUNNING);
    stop(world, ref);
    (void)await_end(world, ref);
}

static void test_logs_are_the_tail_of_what_was_written(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);
    scoped_str all = NULL;
    scoped_str tail = NULL;

    (void)await_end(world, ref);
    all = logs_of(world, ref, 65536);
    tail = logs_of(world, ref, 3);
    assert_int_equal(times_in(all, "started\n"), 1);
    assert_int_equal(strlen(tail), 3);
    assert_string_equal(tail, all + strlen(all) - 3);
}

static void test_logs_of_an_unknown_job_are_not_found(void **state)
{
    scoped(world) world = world_of(state);
    scoped_buf logs = {0};
    struct err err = {0};

    assert_int_equal(
        launcher_logs(world->launcher, job_ref_make(new_run(), 1).text, 100, &logs, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void test_after_reopening_a_job_is_known_or_lost(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);

    await_started(world, ref);
    reopen(world);
    if (!world->backend->survives_reopening) {
        assert_int_equal(phase_of(world, ref), JOB_LOST);
        return;
    }
    assert_int_equal(phase_of(world, ref), JOB_RUNNING);
    stop(world, ref);
    (void)await_end(world, ref);
    wait_until(atomic_load(&world->changes) > 0, SOON_MS);
    assert_int_equal(executions(world, ref), 1);
}

/* --- The process backend ---------------------------------------------------------------- */

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
    assert_string_equal(mode, "700");
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
        .timeout_s = 1,
    };
    scoped_str ref = NULL;

    assert_ok(launcher_start(world->launcher, &spec, &ref, &err), err);
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

/* --- The process backend: dispatchd dies ------------------------------------------------ */

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

/* --- The process backend: opening ------------------------------------------------------- */

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

#define OVER(backend, test)                                                                    \
    {                                                                                          \
#test " (" #backend ")", test, NULL, NULL, (void *)(uintptr_t) & (backend)             \
    }
#define OVER_ALL(test) OVER(process, test), OVER(fake, test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER_ALL(test_a_job_runs_and_ends),
        OVER_ALL(test_a_failing_job_ends_with_its_exit_code),
        OVER_ALL(test_a_job_is_named_after_its_run_and_attempt),
        OVER_ALL(test_a_running_job_is_running),
        OVER_ALL(test_starting_twice_gives_one_job),
        OVER_ALL(test_starting_an_ended_job_does_not_run_it_again),
        OVER_ALL(test_eight_starts_at_once_run_it_once),
        OVER_ALL(test_a_hundred_jobs_at_once_all_end),
        OVER_ALL(test_the_end_is_told),
        OVER_ALL(test_an_unknown_job_is_lost),
        OVER_ALL(test_stopping_ends_a_running_job),
        OVER_ALL(test_a_job_that_ignores_term_is_killed),
        OVER_ALL(test_stopping_an_ended_job_succeeds),
        OVER_ALL(test_stopping_an_unknown_job_succeeds),
        OVER_ALL(test_a_forgotten_job_is_lost),
        OVER_ALL(test_forgetting_an_unknown_job_succeeds),
        OVER_ALL(test_a_running_job_is_not_forgotten),
        OVER_ALL(test_logs_are_the_tail_of_what_was_written),
        OVER_ALL(test_logs_of_an_unknown_job_are_not_found),
        OVER_ALL(test_after_reopening_a_job_is_known_or_lost),
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
