/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher_world.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine_standin.h"
#include "launch/job_ref.h"

/* What the backend `docker` promises besides the launchers' contract: over the stand-in for an
 * engine, which misbehaves as it is told, and with TEST_ENGINE over a real one behind it. */
#define LISTED "/v1.41/containers/json?all=1"
#define NO_REGISTRY "127.0.0.1:9/nosuch:1"

/* --- The engine -------------------------------------------------------------------------- */

static void fault(struct world *world, const char *json)
{
    engine_standin_fault(world->engine, json);
}

static cJSON *inspect(struct world *world, const char *ref)
{
    scoped_str path = xasprintf("/v1.41/containers/%s/json", ref);

    return engine_standin_call(world->engine, "GET", path, NULL);
}

static void post(struct world *world, const char *ref, const char *what)
{
    scoped_str path = xasprintf("/v1.41/containers/%s/%s", ref, what);

    cJSON_Delete(engine_standin_call(world->engine, "POST", path, NULL));
}

static bool is_there(struct world *world, const char *ref)
{
    scoped_json all = engine_standin_call(world->engine, "GET", LISTED, NULL);
    scoped_str text = json_text(all);

    return strstr(text, ref) != NULL;
}

static void set_text(char **setting, const char *text)
{
    free(*setting);
    *setting = xstrdup(text);
}

/* Asks until it is known what became of it. */
static char *start_until_known(struct world *world, struct id run)
{
    struct err err = {0};
    char *ref = NULL;

    wait_until(try_start(world, run, NULL, &ref, &err) == 0, SOON_MS);
    return ref;
}

static char *refused_start(struct world *world, struct id run, struct err *err)
{
    char *ref = NULL;

    *err = (struct err){0};
    assert_int_equal(try_start(world, run, NULL, &ref, err), -1);
    assert_null(ref);
    return err->text;
}

static void count_job(void *ctx, struct id run, int attempt, const char *ref)
{
    struct id parsed;
    int number;

    assert_true(job_ref_parse(ref, &parsed, &number));
    assert_true(id_equal(parsed, run));
    assert_int_equal(number, attempt);
    ++*(int *)ctx;
}

static int listed(struct world *world)
{
    struct err err = {0};
    int jobs = 0;

    assert_ok(launcher_list(world->launcher, count_job, &jobs, &err), err);
    return jobs;
}

/* --- What is made ------------------------------------------------------------------------ */

static void test_the_container_is_fenced_in(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);
    scoped_json container = inspect(world, ref);
    const cJSON *host = json_get(container, "HostConfig");
    scoped_str drops = json_text(json_get(host, "CapDrop"));
    scoped_str options = json_text(json_get(host, "SecurityOpt"));

    assert_int_equal(json_get_int(host, "Memory", 0), 64 << 20);
    assert_int_equal(json_get_int(host, "MemorySwap", 0), 64 << 20);
    assert_int_equal(json_get_int(host, "NanoCpus", 0), 1000000000);
    assert_int_equal(json_get_int(host, "PidsLimit", 0), 100);
    assert_true(json_get_bool(host, "ReadonlyRootfs", false));
    assert_false(json_get_bool(host, "Privileged", false));
    assert_non_null(strstr(options, "no-new-privileges"));
    /* Podman lists what it took away instead. */
    assert_true(strstr(drops, "ALL") || strstr(drops, "SETUID"));
    assert_string_equal(json_get_str(json_get(host, "RestartPolicy"), "Name"), "no");
    (void)await_end(world, ref);
}

static void test_labels_tell_whose_it_is(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);
    scoped_json container = inspect(world, ref);
    const cJSON *labels = json_get(json_get(container, "Config"), "Labels");
    const char *run = json_get_str(labels, "dispatch.dev/run-id");

    assert_non_null(run);
    assert_non_null(strstr(ref, run));
    assert_string_equal(json_get_str(labels, "app.kubernetes.io/managed-by"), "dispatchd");
    assert_string_equal(json_get_str(labels, "app.kubernetes.io/name"), "dispatch-runner");
    assert_string_equal(json_get_str(labels, "dispatch.dev/attempt"), "1");
    assert_string_equal(json_get_str(labels, "dispatch.dev/repo"), "octo-hello");
    assert_string_equal(json_get_str(labels, "dispatch.dev/agent"), "command");
    (void)await_end(world, ref);
}

static void test_the_token_is_a_file_and_nowhere_to_be_inspected(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start_script(world, "read -r token < $DISPATCH_TASK_TOKEN_FILE || :\n"
                                         "echo \"<$token> $DISPATCH_TASK_TOKEN_ONCE\"\n"
                                         "rm $DISPATCH_TASK_TOKEN_FILE && echo gone");
    scoped_json container = inspect(world, ref);
    scoped_str text = json_text(container);

    assert_null(strstr(text, TOKEN));
    assert_int_equal(await_end(world, ref).exit_code, 0);
    assert_true(has_logged(world, ref, "<" TOKEN "> 1"));
    assert_true(has_logged(world, ref, "gone\n"));
}

static void test_the_environment_is_built_from_nothing(void **state)
{
    scoped(world) world = world_prepare(*state);
    scoped_str path = xasprintf("%s/env", world->dir);
    scoped_json container = NULL;
    scoped_str text = NULL;
    scoped_str ref = NULL;

    test_file_write(world->dir, "env",
                    "# what the image needs\nEXTRA=of the file\nDISPATCH_ATTEMPT=99\n");
    set_text(&world->config.docker.env_file, path);
    assert_int_equal(setenv("GITHUB_TOKEN", "a secret of dispatchd", 1), 0);
    assert_int_equal(setenv("MISTRAL_API_KEY", "key of the model", 1), 0);
    open_launcher(world);
    ref = start(world, QUICK);
    unsetenv("GITHUB_TOKEN");
    unsetenv("MISTRAL_API_KEY");
    (void)await_end(world, ref);
    container = inspect(world, ref);
    text = json_text(json_get(json_get(container, "Config"), "Env"));
    assert_non_null(strstr(text, "\"EXTRA=of the file\""));
    assert_non_null(strstr(text, "\"MISTRAL_API_KEY=key of the model\""));
    assert_non_null(strstr(text, "\"DISPATCH_URL=" HOME_URL "\""));
    assert_non_null(strstr(text, "\"DISPATCH_ATTEMPT=1\""));
    assert_null(strstr(text, "DISPATCH_ATTEMPT=99"));
    assert_null(strstr(text, "a secret of dispatchd"));
}

static void test_explaining_shows_the_container_and_no_secret(void **state)
{
    scoped(world) world = world_of(state);
    const struct job_spec spec = {
        .run = new_run(), .attempt = 1, .url = HOME_URL, .repo = "octo/hello"};
    scoped_json object = NULL;
    scoped_str text = NULL;
    struct err err = {0};

    assert_int_equal(setenv("MISTRAL_API_KEY", "key of the model", 1), 0);
    assert_ok(launcher_explain(world->launcher, &spec, &object, &err), err);
    unsetenv("MISTRAL_API_KEY");
    text = json_text(object);
    assert_non_null(strstr(text, "\"MISTRAL_API_KEY=" EXPLAIN_SECRET "\""));
    assert_null(strstr(text, "key of the model"));
    assert_non_null(strstr(text, "\"DISPATCH_URL=" HOME_URL "\""));
    assert_string_equal(json_get_str(object, "Name"), job_ref_make(spec.run, 1).text);
    assert_int_equal(listed(world), 0);
}

static void test_forgetting_leaves_nothing(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);
    struct err err = {0};

    (void)await_end(world, ref);
    assert_true(is_there(world, ref));
    assert_ok(launcher_forget(world->launcher, ref, &err), err);
    assert_false(is_there(world, ref));
}

/* Two dispatchds may share an engine. */
static void test_containers_of_another_namespace_are_not_ours(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);
    scoped_str mine = xstrdup(world->config.docker.namespace);
    struct err err = {0};

    await_started(world, ref);
    assert_int_equal(listed(world), 1);
    set_text(&world->config.docker.namespace, "somebody-elses");
    reopen(world);
    assert_int_equal(listed(world), 0);
    assert_int_equal(phase_of(world, ref), JOB_LOST);
    stop(world, ref);
    assert_ok(launcher_forget(world->launcher, ref, &err), err);
    set_text(&world->config.docker.namespace, mine);
    reopen(world);
    assert_int_equal(phase_of(world, ref), JOB_RUNNING);
    stop(world, ref);
    (void)await_end(world, ref);
}

/* --- Starting against trouble ------------------------------------------------------------ */

static void test_a_start_whose_answer_is_lost_is_found_again(void **state)
{
    static const char *const faults[] = {
        "{\"action\": \"reset_after\", \"method\": \"POST\", \"path\": \"/create\"}",
        "{\"action\": \"reset_after\", \"method\": \"PUT\", \"path\": \"/archive\"}",
        "{\"action\": \"reset_after\", \"method\": \"POST\", \"path\": \"/start\"}",
        "{\"action\": \"reset_before\", \"method\": \"POST\", \"path\": \"/create\"}",
        "{\"action\": \"reset_before\", \"method\": \"PUT\", \"path\": \"/archive\"}",
        "{\"action\": \"reset_before\", \"method\": \"POST\", \"path\": \"/start\"}",
    };
    scoped(world) world = world_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        struct id run = run_doing(world, "exit 0");
        scoped_str ref = NULL;

        fault(world, faults[i]);
        ref = start_until_known(world, run);
        assert_int_equal(await_end(world, ref).exit_code, 0);
        assert_int_equal(executions(world, ref), 1);
    }
}

/* dispatchd was killed between the two: the next one asks for the same attempt again. */
static void test_the_next_start_goes_on_where_one_broke_off(void **state)
{
    static const char *const faults[] = {
        "{\"action\": \"reset_before\", \"path\": \"/archive\", \"times\": 1000}",
        "{\"action\": \"reset_before\", \"path\": \"/start\", \"times\": 1000}",
    };
    scoped(world) world = world_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        struct id run = run_doing(world, "test -s $DISPATCH_TASK_TOKEN_FILE");
        scoped_str ref = NULL;
        struct err err;

        fault(world, faults[i]);
        (void)refused_start(world, run, &err);
        assert_int_equal(err.kind, ERR_TIMEOUT);
        engine_standin_clear(world->engine);
        reopen(world);
        assert_int_equal(phase_of(world, job_ref_make(run, 1).text), JOB_STARTING);
        ref = start_until_known(world, run);
        assert_int_equal(await_end(world, ref).exit_code, 0);
        assert_int_equal(executions(world, ref), 1);
    }
}

static void test_what_was_never_started_is_taken_away_by_a_stop(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, "exit 0");
    struct job_ref name = job_ref_make(run, 1);
    struct err err;

    fault(world, "{\"action\": \"reset_before\", \"path\": \"/start\", \"times\": 1000}");
    (void)refused_start(world, run, &err);
    engine_standin_clear(world->engine);
    assert_true(is_there(world, name.text));
    wait_until(launcher_stop(world->launcher, name.text, &err) == 0, SOON_MS);
    assert_false(is_there(world, name.text));
    assert_int_equal(phase_of(world, name.text), JOB_LOST);
}

static void test_a_refused_start_is_a_failure_that_leaves_nothing(void **state)
{
    static const char *const faults[] = {
        "{\"action\": \"status\", \"status\": 500, \"path\": \"/start\", \"message\": "
        "\"exec: no such thing\"}",
        "{\"action\": \"status\", \"status\": 400, \"path\": \"/archive\", \"message\": "
        "\"exec: no such thing\"}",
        "{\"action\": \"status\", \"status\": 400, \"path\": \"/create\", \"message\": "
        "\"exec: no such thing\"}",
        "{\"action\": \"status\", \"status\": 500, \"path\": \"/create\", \"message\": "
        "\"exec: no such thing\"}",
    };
    scoped(world) world = world_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        struct id run = run_doing(world, "exit 0");
        struct err err;

        fault(world, faults[i]);
        assert_non_null(strstr(refused_start(world, run, &err), "no such thing"));
        assert_int_not_equal(err.kind, ERR_TIMEOUT);
        assert_int_not_equal(err.kind, ERR_UNAVAILABLE);
        assert_false(is_there(world, job_ref_make(run, 1).text));
    }
}

static void test_a_busy_engine_is_no_failure_of_the_run(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, "exit 0");
    struct err err;

    fault(world, "{\"action\": \"status\", \"status\": 503, \"path\": \"/create\"}");
    (void)refused_start(world, run, &err);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_true(err.retry_after_s > 0);
}

static const char stranger[] = "{\"Image\": \"%s\", \"Labels\": {\"app\": \"other\"}}";

static void test_a_container_of_others_is_left_alone(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, "exit 0");
    struct job_ref name = job_ref_make(run, 1);
    scoped_str path = xasprintf("/v1.41/containers/create?name=%s", name.text);
    scoped_str body = xasprintf(stranger, world->config.docker.image);
    scoped_str gone = xasprintf("/v1.41/containers/%s", name.text);
    scoped_json before = NULL;
    scoped_json after = NULL;
    scoped_buf logs = {0};
    struct err err;

    cJSON_Delete(engine_standin_call(world->engine, "POST", path, body));
    before = inspect(world, name.text);
    (void)refused_start(world, run, &err);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_int_equal(phase_of(world, name.text), JOB_LOST);
    assert_int_equal(listed(world), 0);
    stop(world, name.text);
    assert_ok(launcher_forget(world->launcher, name.text, &err), err);
    assert_int_equal(launcher_logs(world->launcher, name.text, 100, &logs, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    after = inspect(world, name.text);
    assert_true(cJSON_Compare(before, after, true));
    cJSON_Delete(engine_standin_call(world->engine, "DELETE", gone, NULL));
}

/* --- Images ------------------------------------------------------------------------------ */

static void test_an_image_that_may_not_be_pulled_is_image_pull(void **state)
{
    scoped(world) world = world_prepare(*state);
    struct err err;

    set_text(&world->config.docker.image, NO_REGISTRY);
    set_text(&world->config.docker.pull_policy, "never");
    open_launcher(world);
    (void)refused_start(world, run_doing(world, "exit 0"), &err);
    assert_string_equal(err.code, "image_pull");
    assert_int_equal(engine_standin_asked(world->engine, "/images/create"), 0);
}

static bool is_refused_for_its_image(struct world *world, struct id run)
{
    struct err err;

    (void)refused_start(world, run, &err);
    if (err.kind == ERR_UNAVAILABLE) { /* it is still being pulled */
        assert_true(err.retry_after_s > 0);
        return false;
    }
    return err.code && strcmp(err.code, "image_pull") == 0;
}

static void test_an_image_that_is_not_to_be_had_is_image_pull(void **state)
{
    static const char *const policies[] = {"missing", "always"};

    for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
        scoped(world) world = world_prepare(*state);
        struct id run = run_doing(world, "exit 0");

        set_text(&world->config.docker.image, NO_REGISTRY);
        set_text(&world->config.docker.pull_policy, policies[i]);
        open_launcher(world);
        wait_until(is_refused_for_its_image(world, run), SOON_MS);
        assert_int_equal(engine_standin_asked(world->engine, "/images/create"), 1);
    }
}

static void test_a_missing_image_is_pulled_once(void **state)
{
    scoped(world) world = world_prepare(*state);

    set_text(&world->config.docker.image,
             engine_standin_real() ? getenv("TEST_ENGINE_PULL") : "registry:5000/to/pull:2");
    open_launcher(world);
    for (int i = 0; i < 3; i++) {
        scoped_str ref = start_until_known(world, run_doing(world, "exit 0"));

        assert_int_equal(await_end(world, ref).exit_code, 0);
    }
    assert_int_equal(engine_standin_asked(world->engine, "/images/create"), 1);
}

static void let_in(struct world *world, const char *image)
{
    scoped_str registry = xstrndup(image, strcspn(image, "/"));
    /* someone:pass:word */
    scoped_str file = xasprintf("{\"auths\": {\"%s\": {\"auth\": "
                                "\"c29tZW9uZTpwYXNzOndvcmQ=\"}}}",
                                registry);

    test_file_write(world->dir, "auth.json", file);
}

static struct world *world_with_registry(void **state)
{
    struct world *world = world_prepare(*state);
    scoped_str path = xasprintf("%s/auth.json", world->dir);

    set_text(&world->config.docker.image,
             engine_standin_real() ? getenv("TEST_ENGINE_PRIVATE") : "registry:5000/to/keep:2");
    set_text(&world->config.docker.auth_file, path);
    test_file_write(world->dir, "auth.json", "{\"auths\": {}}");
    open_launcher(world);
    return world;
}

static void test_without_credentials_a_registry_refuses(void **state)
{
    scoped(world) world = world_with_registry(state);

    wait_until(is_refused_for_its_image(world, run_doing(world, "exit 0")), SOON_MS);
}

/* Of what the file has when it is needed, which isn't when we started. */
static void test_a_registry_gets_the_credentials_of_the_file(void **state)
{
    scoped(world) world = world_with_registry(state);
    scoped_str ref = NULL;

    let_in(world, world->config.docker.image);
    ref = start_until_known(world, run_doing(world, "exit 0"));
    assert_int_equal(await_end(world, ref).exit_code, 0);
}

static void test_a_broken_credentials_file_is_refused_at_the_start(void **state)
{
    scoped(world) world = world_prepare(*state);
    scoped_str path = xasprintf("%s/auth.json", world->dir);
    struct err err = {0};

    test_file_write(world->dir, "auth.json", "pass:word");
    set_text(&world->config.docker.auth_file, path);
    world->launcher = launcher_open("docker", &world->config, NULL, NULL, &err);
    assert_null(world->launcher);
    assert_non_null(strstr(err.text, "auth.json: expected a JSON object"));
    assert_null(strstr(err.text, "pass:word"));
    set_text(&world->config.docker.auth_file, NULL); /* to tidy up with */
}

/* --- Ends -------------------------------------------------------------------------------- */

static void test_too_much_memory_is_out_of_memory(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = NULL;
    scoped_str told = NULL;
    struct job_view view;

    if (engine_standin_real()) {
        ref = start_script(world, "a=0123456789abcdef; while :; do a=$a$a; done");
    } else {
        ref = start_script(world, "kill -9 $$");
        (void)await_end(world, ref);
        told = xasprintf("{\"action\": \"oom\", \"name\": \"%s\"}", ref);
        fault(world, told);
    }
    view = await_end(world, ref);
    assert_int_equal(view.reason, FAILURE_OUT_OF_MEMORY);
    assert_int_equal(view.exit_code, -1);
}

static void test_a_killed_container_is_not_out_of_memory(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);

    await_started(world, ref);
    post(world, ref, "kill?signal=SIGKILL");
    assert_int_equal(await_end(world, ref).reason, FAILURE_NONE);
}

static void test_past_its_time_a_job_is_ended(void **state)
{
    static const enum kind kinds[] = {LONG, STUBBORN};
    scoped(world) world = world_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct id run = run_doing(world, world->backend->scripts[kinds[i]]);
        scoped_str ref = start_with_deadline(world, run, 2);

        assert_int_equal(await_end(world, ref).reason, FAILURE_DEADLINE);
    }
}

/* Nobody looked after it while dispatchd was away. */
static void test_what_is_past_its_time_ends_after_a_restart(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, world->backend->scripts[LONG]);
    scoped_str ref = start_with_deadline(world, run, 2);

    launcher_free(TAKE(world->launcher));
    open_launcher(world);
    assert_int_equal(await_end(world, ref).reason, FAILURE_DEADLINE);
}

static void test_a_job_in_time_is_not_late(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, "exit 3");
    scoped_str ref = start_with_deadline(world, run, 600);
    struct job_view view = await_end(world, ref);

    assert_int_equal(view.exit_code, 3);
    assert_int_equal(view.reason, FAILURE_NONE);
}

static void test_the_runners_last_words_are_heard(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start_script(
        world, "echo '{\"status\": \"failed\", \"error\": \"no such branch\", \"error_code\": "
               "\"clone_failed\"}' > $DISPATCH_TERMINATION_LOG; exit 1");
    struct job_view view = await_end(world, ref);

    assert_int_equal(view.exit_code, 1);
    assert_int_equal(view.reason, FAILURE_CLONE_FAILED);
    assert_string_equal(view.detail, "no such branch");
}

/* An agent may have put anything there. */
static void test_what_stands_in_for_last_words_is_not_taken_for_them(void **state)
{
    static const char *const scripts[] = {
        "rm -f $DISPATCH_TERMINATION_LOG; ln -s /etc/passwd $DISPATCH_TERMINATION_LOG; exit 3",
        "mkdir $DISPATCH_TERMINATION_LOG; exit 3",
        "head -c 300000 /dev/zero > $DISPATCH_TERMINATION_LOG; exit 3",
        "echo '{\"status\": 1' > $DISPATCH_TERMINATION_LOG; exit 3",
    };
    scoped(world) world = world_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
        scoped_str ref = start_script(world, scripts[i]);
        struct job_view view = await_end(world, ref);

        assert_int_equal(view.exit_code, 3);
        assert_int_equal(view.reason, FAILURE_NONE);
    }
}

static void test_a_paused_container_is_stopped_all_the_same(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);

    await_started(world, ref);
    post(world, ref, "pause");
    assert_int_equal(phase_of(world, ref), JOB_RUNNING);
    stop(world, ref);
    assert_int_equal(await_end(world, ref).exit_code, 4);
}

static void test_processes_are_limited(void **state)
{
    scoped(world) world = NULL;
    scoped_str ref = NULL;

    if (!engine_standin_real())
        skip(); /* only an engine can */
    world = world_of(state);
    ref = start_script(world, "i=0; while [ $i -lt 150 ]; do sleep 20 & i=$((i + 1)); done");
    assert_int_not_equal(await_end(world, ref).exit_code, 0);
}

/* --- An engine that comes and goes
 * ------------------------------------------------------------ */

static void test_while_the_engine_is_away_nothing_is_lost(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);
    struct id run = run_doing(world, "exit 0");
    scoped_str other = NULL;
    struct job_view view;
    struct err err = {0};

    await_started(world, ref);
    fault(world, "{\"action\": \"down\", \"ms\": 8000}");
    assert_int_equal(launcher_poll(world->launcher, ref, &view, &err), -1);
    (void)refused_start(world, run, &err);
    assert_true(err.kind == ERR_UNAVAILABLE || err.kind == ERR_TIMEOUT);
    wait_until(launcher_poll(world->launcher, ref, &view, &err) == 0, SOON_MS);
    assert_int_equal(view.phase, JOB_RUNNING);
    wait_until(launcher_stop(world->launcher, ref, &err) == 0, SOON_MS);
    (void)await_end(world, ref);
    other = start_until_known(world, run);
    assert_int_equal(await_end(world, other).exit_code, 0);
    assert_int_equal(executions(world, other), 1);
}

static void test_without_an_engine_a_start_waits(void **state)
{
    scoped(world) world = world_prepare(*state);
    struct err err;

    set_text(&world->config.docker.host, "unix:///nonexistent/engine.sock");
    open_launcher(world);
    (void)refused_start(world, run_doing(world, "exit 0"), &err);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    launcher_free(TAKE(world->launcher));
    set_text(&world->config.docker.host, world->engine->host);
}

/* One thread looks at all jobs, one after the other. */
static void test_an_engine_that_is_away_is_not_asked_about_each_job(void **state)
{
    enum { JOBS_ASKED_ABOUT = 200 };
    scoped(world) world = world_of(state);

    fault(world,
          "{\"action\": \"reset_before\", \"method\": \"GET\", \"path\": \"containers/run-\", "
          "\"times\": 100000}");
    for (int i = 0; i < JOBS_ASKED_ABOUT; i++) {
        struct job_view view;
        struct err err = {0};

        assert_int_equal(
            launcher_poll(world->launcher, job_ref_make(new_run(), 1).text, &view, &err), -1);
    }
    engine_standin_clear(world->engine);
    assert_true(engine_standin_asked(world->engine, "containers/run-") < JOBS_ASKED_ABOUT / 4);
}

/* Told by the list that follows, without a question of ours. */
static void test_events_that_break_off_lose_nothing(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start_script(world, "sleep 1");
    int seen;

    fault(world, "{\"action\": \"cut_events\"}");
    wait_until(phase_of(world, ref) == JOB_ENDED, SOON_MS);
    seen = atomic_load(&world->changes);
    wait_until(atomic_load(&world->changes) > 0 && atomic_load(&world->changes) >= seen,
               SOON_MS);
}

static void test_what_does_not_speak_the_api_is_refused(void **state)
{
    scoped(world) world = world_prepare(*state);
    struct err err = {0};

    fault(world, "{\"action\": \"status\", \"status\": 404, \"path\": \"/version\"}");
    world->launcher = launcher_open("docker", &world->config, NULL, NULL, &err);
    assert_null(world->launcher);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER(docker, test_the_container_is_fenced_in),
        OVER(docker, test_labels_tell_whose_it_is),
        OVER(docker, test_the_token_is_a_file_and_nowhere_to_be_inspected),
        OVER(docker, test_the_environment_is_built_from_nothing),
        OVER(docker, test_explaining_shows_the_container_and_no_secret),
        OVER(docker, test_forgetting_leaves_nothing),
        OVER(docker, test_containers_of_another_namespace_are_not_ours),
        OVER(docker, test_a_start_whose_answer_is_lost_is_found_again),
        OVER(docker, test_the_next_start_goes_on_where_one_broke_off),
        OVER(docker, test_what_was_never_started_is_taken_away_by_a_stop),
        OVER(docker, test_a_refused_start_is_a_failure_that_leaves_nothing),
        OVER(docker, test_a_busy_engine_is_no_failure_of_the_run),
        OVER(docker, test_a_container_of_others_is_left_alone),
        OVER(docker, test_an_image_that_may_not_be_pulled_is_image_pull),
        OVER(docker, test_an_image_that_is_not_to_be_had_is_image_pull),
        OVER(docker, test_a_missing_image_is_pulled_once),
        OVER(docker, test_without_credentials_a_registry_refuses),
        OVER(docker, test_a_registry_gets_the_credentials_of_the_file),
        OVER(docker, test_a_broken_credentials_file_is_refused_at_the_start),
        OVER(docker, test_too_much_memory_is_out_of_memory),
        OVER(docker, test_a_killed_container_is_not_out_of_memory),
        OVER(docker, test_past_its_time_a_job_is_ended),
        OVER(docker, test_what_is_past_its_time_ends_after_a_restart),
        OVER(docker, test_a_job_in_time_is_not_late),
        OVER(docker, test_the_runners_last_words_are_heard),
        OVER(docker, test_what_stands_in_for_last_words_is_not_taken_for_them),
        OVER(docker, test_a_paused_container_is_stopped_all_the_same),
        OVER(docker, test_processes_are_limited),
        OVER(docker, test_while_the_engine_is_away_nothing_is_lost),
        OVER(docker, test_without_an_engine_a_start_waits),
        OVER(docker, test_an_engine_that_is_away_is_not_asked_about_each_job),
        OVER(docker, test_events_that_break_off_lose_nothing),
        OVER(docker, test_what_does_not_speak_the_api_is_refused),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
