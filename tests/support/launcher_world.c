/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher_world.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "cloudrun_standin.h"
#include "crypto/random.h"
#include "engine_standin.h"
#include "kubernetes_standin.h"
#include "json/json.h"

#define SCRIPT_MAX 65536

const struct backend process = {
    .name = "process",
    SHELL_SCRIPTS,
};

const struct backend fake = {
    .name = "fake",
    .scripts = {[QUICK] = "run_ms=2",
                [FAILING] = "end=failed",
                [LONG] = "run_ms=1000000",
                [STUBBORN] = "run_ms=1000000 stubborn"},
    .failing_exit_code = 1,
};

/* --- Docker: a child of ours, or an engine behind it -------------------------------------- */

/* A real engine's containers can't see our files: what to do reaches the image that
 * tests/e2e/docker/run makes in a variable which runners are handed, and nobody here sets. */
#define SCRIPT_VARIABLE "XAI_BASE_URL"

static void prepare_engine(struct world *world)
{
    const char *const flags[] = {"--run-command",
                                 world->config.runner,
                                 "--image",
                                 "dispatch-test:1",
                                 "--pull",
                                 "registry:5000/to/pull:2",
                                 "--private",
                                 "registry:5000/to/keep:2",
                                 NULL};
    const char *ulimits = getenv("TEST_ENGINE_ULIMITS");
    struct config_docker *settings = &world->config.docker;

    world->engine = xcalloc(1, sizeof(*world->engine));
    engine_standin_start(world->engine, world->dir, flags);
    *settings = (struct config_docker){
        .host = xstrdup(world->engine->host),
        .image =
            xstrdup(engine_standin_real() ? "localhost/dispatch-test:1" : "dispatch-test:1"),
        .pull_policy = xstrdup("missing"),
        .namespace = xasprintf("test-%llx", (unsigned long long)random_u64()),
        .network = xstrdup("host"),
        .memory = xstrdup("64m"),
        .tmp_size = xstrdup("16m"),
        .ulimits = xstrdup(ulimits && *ulimits ? ulimits : NULL),
        .cpus = 1,
        .pids = 100,
        .stop_grace_s = 2,
    };
    world->config.public_url = xstrdup(HOME_URL);
}

static void forget_job(void *ctx, struct id run, int attempt, const char *ref)
{
    struct world *world = ctx;
    struct job_view view;
    struct err err = {0};

    (void)run;
    (void)attempt;
    (void)!launcher_stop(world->launcher, ref, &err);
    wait_until(launcher_poll(world->launcher, ref, &view, &err) == 0
                   && (view.phase == JOB_ENDED || view.phase == JOB_LOST),
               SOON_MS);
    (void)!launcher_forget(world->launcher, ref, &err);
}

/* Nothing stays on a real engine. */
static void empty_engine(struct world *world)
{
    struct err err = {0};

    if (!engine_standin_real())
        return;
    engine_standin_clear(world->engine);
    if (!world->launcher)
        open_launcher(world);
    wait_until(launcher_list(world->launcher, forget_job, world, &err) == 0, SOON_MS);
}

static void clean_engine(struct world *world)
{
    engine_standin_stop(world->engine);
    free(world->engine);
    free(world->config.docker.host);
    free(world->config.docker.image);
    free(world->config.docker.pull_policy);
    free(world->config.docker.namespace);
    free(world->config.docker.network);
    free(world->config.docker.memory);
    free(world->config.docker.tmp_size);
    free(world->config.docker.work_size);
    free(world->config.docker.env_file);
    free(world->config.docker.auth_file);
    free(world->config.docker.ulimits);
    free(world->config.public_url);
}

const struct backend docker = {
    .name = "docker",
    SHELL_SCRIPTS,
    .prepare = prepare_engine,
    .empty = empty_engine,
    .clean = clean_engine,
};

/* --- Cloud Run: the same ----------------------------------------------------------------- */

static void prepare_cloud(struct world *world)
{
    world->cloud = xcalloc(1, sizeof(*world->cloud));
    cloudrun_standin_start(world->cloud, world->dir, world->config.runner, NULL);
    cloudrun_standin_settings(world->cloud, &world->config);
    world->config.public_url = xstrdup(HOME_URL);
}

static void clean_cloud(struct world *world)
{
    standin_stop(world->cloud);
    free(world->cloud);
    cloudrun_standin_settings_done(&world->config);
    free(world->config.public_url);
}

const struct backend cloudrun = {
    .name = "cloudrun",
    SHELL_SCRIPTS,
    .prepare = prepare_cloud,
    .clean = clean_cloud,
};

/* --- The world ------------------------------------------------------------------------ */

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

void open_launcher(struct world *world)
{
    struct err err = {0};

    world->launcher =
        launcher_open(world->backend->name, &world->config, on_changed, world, &err);
    assert_made(world->launcher, err);
}

void reopen(struct world *world)
{
    launcher_free(TAKE(world->launcher));
    open_launcher(world);
}

struct world *world_prepare(const struct backend *backend)
{
    struct world *world = xcalloc(1, sizeof(*world));

    json_setup();
    world->backend = backend;
    world->dir = test_dir_new();
    world->token = secret_new(TOKEN);
    world->config.runner = xasprintf("%s/runner", world->dir);
    world->config.work_dir = xasprintf("%s/var/work", world->dir);
    test_file_write(world->dir, "runner", runner_script);
    assert_int_equal(chmod(world->config.runner, 0755), 0);
    if (backend->prepare)
        backend->prepare(world);
    return world;
}

struct world *world_new(const struct backend *backend)
{
    struct world *world = world_prepare(backend);

    open_launcher(world);
    return world;
}

static bool on_cluster(const struct world *world)
{
    return world->backend == &kubernetes && kubernetes_standin_real();
}

int world_crowd(const struct world *world)
{
    return (world->backend == &docker && engine_standin_real()) || on_cluster(world) ? 20 : 100;
}

struct world *world_of(void **state)
{
    return world_new(*state);
}

void world_free(struct world *world)
{
    if (world->backend->empty)
        world->backend->empty(world);
    launcher_free(world->launcher);
    if (world->backend->clean)
        world->backend->clean(world);
    test_dir_remove(world->dir);
    free(world->dir);
    free(world->config.runner);
    free(world->config.work_dir);
    secret_free(world->token);
    free(world);
}

/* --- Jobs ----------------------------------------------------------------------------- */

struct id new_run(void)
{
    return id_make(clock_wall_ms(), random_u64());
}

struct id run_doing(struct world *world, const char *script)
{
    struct id run = new_run();
    char text[ID_TEXT_SIZE];
    scoped_str name = NULL;

    id_text(run, text);
    name = xasprintf("do-%s", text);
    test_file_write(world->dir, name, script);
    if (world->backend == &docker && engine_standin_real())
        assert_int_equal(setenv(SCRIPT_VARIABLE, script, 1), 0);
    return run;
}

/* cluster_world.h says why it may be the script. */
static char *repo_of(struct world *world, struct id run)
{
    scoped_str path = NULL;
    scoped_buf script = {0};
    struct err err = {0};
    char text[ID_TEXT_SIZE];

    if (!on_cluster(world))
        return xstrdup("octo/hello");
    id_text(run, text);
    path = xasprintf("%s/do-%s", world->dir, text);
    assert_ok(buf_read_file(&script, path, SCRIPT_MAX, &err), err);
    return buf_take(&script);
}

static int start_within(struct world *world, struct id run, const char *script,
                        int64_t timeout_s, char **out_ref, struct err *err)
{
    scoped_str repo = repo_of(world, run);
    struct job_spec spec = {
        .run = run,
        .attempt = 1,
        .url = world->backend == &fake ? NULL : HOME_URL,
        .task_token = world->token,
        .repo = repo,
        .agent = "command",
        .timeout_s = timeout_s,
        .script = script,
    };

    return launcher_start(world->launcher, &spec, out_ref, err);
}

int try_start(struct world *world, struct id run, const char *script, char **out_ref,
              struct err *err)
{
    return start_within(world, run, script, 3600, out_ref, err);
}

char *start_with_deadline(struct world *world, struct id run, int64_t timeout_s)
{
    struct err err = {0};
    char *ref = NULL;

    assert_ok(start_within(world, run, NULL, timeout_s, &ref, &err), err);
    return ref;
}

char *start_again(struct world *world, struct id run, const char *script)
{
    struct err err = {0};
    char *ref = NULL;

    assert_ok(try_start(world, run, script, &ref, &err), err);
    return ref;
}

char *start_script(struct world *world, const char *script)
{
    return start_again(world, run_doing(world, script), script);
}

char *start(struct world *world, enum kind kind)
{
    return start_script(world, world->backend->scripts[kind]);
}

struct job_view view_of(struct world *world, const char *ref)
{
    struct job_view view = {0};
    struct err err = {0};

    assert_ok(launcher_poll(world->launcher, ref, &view, &err), err);
    return view;
}

enum job_phase phase_of(struct world *world, const char *ref)
{
    return view_of(world, ref).phase;
}

void stop(struct world *world, const char *ref)
{
    struct err err = {0};

    assert_ok(launcher_stop(world->launcher, ref, &err), err);
}

struct job_view await_end(struct world *world, const char *ref)
{
    struct job_view view = {0};

    wait_until((view = view_of(world, ref)).phase == JOB_ENDED, SOON_MS);
    return view;
}

int times_in(const char *text, const char *word)
{
    int times = 0;

    for (; text && (text = strstr(text, word)); text += strlen(word))
        times++;
    return times;
}

char *logs_of(struct world *world, const char *ref, size_t limit)
{
    scoped_buf logs = {0};
    struct err err = {0};

    assert_ok(launcher_logs(world->launcher, ref, limit, &logs, &err), err);
    return buf_take(&logs);
}

/* Every execution writes one line; both backends keep it. */
int executions(struct world *world, const char *ref)
{
    scoped_str logs = logs_of(world, ref, 65536);

    return times_in(logs, "started\n");
}

bool has_logged(struct world *world, const char *ref, const char *word)
{
    scoped_str logs = logs_of(world, ref, 65536);

    return times_in(logs, word) > 0;
}

void await_started(struct world *world, const char *ref)
{
    wait_until(executions(world, ref) > 0, SOON_MS);
    /* A backend that is polled knows later than its log does. */
    wait_until(phase_of(world, ref) != JOB_STARTING, SOON_MS);
    if (world->backend->says_ready)
        wait_until(has_logged(world, ref, "ready\n"), SOON_MS);
}
