/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher_world.h"

#include <string.h>

#include "base/alloc.h"
#include "cloudrun_standin.h"
#include "launch/cloudrun_apply.h"
#include "launch/job_ref.h"

/* What the backend `cloudrun` promises besides the launchers' contract: over the stand-in for
 * Google's APIs, which misbehaves as it is told. */

/* --- The cloud -------------------------------------------------------------------------- */

static void script(struct world *world, const char *json)
{
    scoped_str body = xasprintf("{\"script\": %s}", json);

    cloudrun_standin_do(world->cloud, "POST", "/standin/scripts", body);
}

static void fault(struct world *world, const char *json)
{
    cloudrun_standin_do(world->cloud, "POST", "/standin/faults", json);
}

static void no_faults(struct world *world)
{
    cloudrun_standin_do(world->cloud, "DELETE", "/standin/faults", NULL);
}

static int count(struct world *world, const char *what)
{
    return cloudrun_standin_count(world->cloud, what);
}

static cJSON *requests(struct world *world, const char *method, const char *part)
{
    scoped_str path = xasprintf("/standin/requests?method=%s&path=%s", method, part);

    return cloudrun_standin_call(world->cloud, "GET", path, NULL);
}

static int times_asked(struct world *world, const char *method, const char *part)
{
    scoped_json all = requests(world, method, part);

    return cJSON_GetArraySize(all);
}

static cJSON *executions_there(struct world *world)
{
    return cloudrun_standin_call(world->cloud, "GET", "/standin/executions", NULL);
}

static void change_job(struct world *world, const char *task)
{
    scoped_str body = xasprintf("{\"template\": {\"template\": %s}}", task);

    cloudrun_standin_do(world->cloud, "PATCH", CLOUDRUN_JOB, body);
}

/* Tasks that only pretend, as they are told. */
static struct world *world_pretending(const struct backend *backend)
{
    struct world *world = world_prepare(backend);

    standin_stop(world->cloud);
    cloudrun_standin_settings_done(&world->config);
    cloudrun_standin_start(world->cloud, world->dir, NULL, NULL);
    cloudrun_standin_settings(world->cloud, &world->config);
    open_launcher(world);
    return world;
}

static char *start_for(struct world *world, int64_t timeout_s)
{
    struct job_spec spec = {.run = new_run(),
                            .attempt = 1,
                            .url = HOME_URL,
                            .task_token = world->token,
                            .repo = "octo/hello",
                            .timeout_s = timeout_s};
    struct err err = {0};
    char *ref = NULL;

    assert_ok(launcher_start(world->launcher, &spec, &ref, &err), err);
    return ref;
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

/* --- The Job ---------------------------------------------------------------------------- */

static void test_a_job_that_is_not_as_it_should_be_is_refused(void **state)
{
    static const struct {
        const char *task;
        const char *complaint;
    } cases[] = {
        {"{\"timeout\": \"7200s\", \"serviceAccount\": \"runner@acme.example\", "
         "\"containers\": [{\"image\": \"" CLOUDRUN_IMAGE "\"}]}",
         "template.template.maxRetries: the Job has 3"},
        {"{\"maxRetries\": 0, \"timeout\": \"7200s\", \"serviceAccount\": "
         "\"runner@acme.example\", \"containers\": [{\"image\": \"example.com/other\"}]}",
         "template.template.containers[].image: the Job has \"example.com/other\""},
        {"{\"maxRetries\": 0, \"timeout\": \"7200s\", \"containers\": [{\"image\": "
         "\"" CLOUDRUN_IMAGE "\"}]}",
         "template.template.serviceAccount: the Job has \"1234-compute"},
        {"{\"maxRetries\": 0, \"timeout\": \"600s\", \"serviceAccount\": "
         "\"runner@acme.example\", \"containers\": [{\"image\": \"" CLOUDRUN_IMAGE "\"}]}",
         "template.template.timeout: the Job has \"600s\", a run may take 3600 s"},
    };
    scoped(world) world = world_prepare(*state);

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};

        change_job(world, cases[i].task);
        assert_null(launcher_open("cloudrun", &world->config, NULL, NULL, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.text, cases[i].complaint))
            fail_msg("\"%s\" lacks \"%s\"", err.text, cases[i].complaint);
    }
    world->launcher = NULL;
}

static void test_a_job_that_is_missing_is_refused(void **state)
{
    scoped(world) world = world_prepare(*state);
    struct err err = {0};

    cloudrun_standin_do(world->cloud, "DELETE", CLOUDRUN_JOB, NULL);
    assert_null(launcher_open("cloudrun", &world->config, NULL, NULL, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "dispatchd cloudrun apply"));
}

static const char *apply(struct world *world)
{
    const char *did = NULL;
    struct err err = {0};

    assert_ok(cloudrun_apply(&world->config, &did, &err), err);
    return did;
}

static void test_apply_makes_the_job_and_then_keeps_it(void **state)
{
    scoped(world) world = world_prepare(*state);
    scoped_json job = NULL;
    scoped_str text = NULL;

    world->config.cloudrun.env_secrets = xstrdup("ANTHROPIC_API_KEY=anthropic, B=b:3");
    cloudrun_standin_do(world->cloud, "DELETE", CLOUDRUN_JOB, NULL);
    assert_string_equal(apply(world), "created");
    assert_string_equal(apply(world), "unchanged");
    job = cloudrun_standin_call(world->cloud, "GET", CLOUDRUN_JOB, NULL);
    text = json_text(json_get(job, "template"));
    assert_non_null(strstr(text, "\"maxRetries\":0"));
    assert_non_null(strstr(text, "{\"name\":\"B\",\"valueSource\":{\"secretKeyRef\":"
                                 "{\"secret\":\"b\",\"version\":\"3\"}}}"));
    open_launcher(world);
}

static void test_apply_changes_what_the_settings_say_and_nothing_else(void **state)
{
    scoped(world) world = world_prepare(*state);
    scoped_json job = NULL;
    const cJSON *task;
    const cJSON *container;

    change_job(world, "{\"maxRetries\": 2, \"encryptionKey\": \"kept\", \"containers\": "
                      "[{\"image\": \"example.com/other\", \"workingDir\": \"/kept\"}]}");
    world->config.cloudrun.memory = xstrdup("8Gi");
    assert_string_equal(apply(world), "updated");
    job = cloudrun_standin_call(world->cloud, "GET", CLOUDRUN_JOB, NULL);
    task = json_get(json_get(job, "template"), "template");
    container = cJSON_GetArrayItem(json_get(task, "containers"), 0);
    assert_int_equal(json_get_int(task, "maxRetries", -1), 0);
    assert_string_equal(json_get_str(task, "encryptionKey"), "kept");
    assert_string_equal(json_get_str(container, "image"), CLOUDRUN_IMAGE);
    assert_string_equal(json_get_str(container, "workingDir"), "/kept");
    assert_string_equal(
        json_get_str(json_get(json_get(container, "resources"), "limits"), "memory"), "8Gi");
}

/* --- Starting --------------------------------------------------------------------------- */

static void test_an_execution_gets_the_run_its_time_and_its_token(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref =
        start_script(world, "echo \"<$DISPATCH_ATTEMPT $DISPATCH_URL $DISPATCH_TASK_TOKEN>\"");
    scoped_json all = NULL;
    const cJSON *execution;

    (void)await_end(world, ref);
    assert_true(has_logged(world, ref, "<1 " HOME_URL " " TOKEN ">"));
    all = executions_there(world);
    execution = cJSON_GetArrayItem(all, 0);
    assert_int_equal(json_get_int(execution, "taskCount", 0), 1);
    assert_string_equal(json_get_str(json_get(execution, "template"), "timeout"), "3600s");
    assert_int_equal(count(world, "secrets_made"), 0);
}

static void test_a_start_whose_answer_is_lost_is_found_again(void **state)
{
#define OF_RUN(rest) "{\"method\": \"POST\", \"path\": \":run\", \"action\": " rest "}"
    static const char *const faults[] = {
        OF_RUN("\"status_after\""),
        OF_RUN("\"status_after\", \"status\": 503"),
        OF_RUN("\"reset_after\""),
        OF_RUN("\"cut_after\""),
    };
    scoped(world) world = world_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        scoped_str ref = NULL;

        fault(world, faults[i]);
        ref = start(world, QUICK);
        assert_int_equal(await_end(world, ref).exit_code, 0);
        assert_int_equal(executions(world, ref), 1);
    }
    assert_int_equal(count(world, "made"), ARRAY_SIZE(faults));
}

/* The list lags behind: as long as it might, nothing is asked for twice. */
static void test_an_unanswered_start_is_not_asked_again_at_once(void **state)
{
    scoped(world) world = world_of(state);
    const char *quick = world->backend->scripts[QUICK];
    struct id run = run_doing(world, quick);
    struct err err = {0};
    char *ref = NULL;

    fault(world, "{\"action\": \"hide_new\", \"ms\": 1500}");
    fault(world, "{\"action\": \"reset_after\", \"method\": \"POST\", \"path\": \":run\"}");
    assert_int_equal(try_start(world, run, quick, &ref, &err), -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
    wait_until(try_start(world, run, quick, &ref, &err) == 0, SOON_MS);
    assert_int_equal(count(world, "made"), 1);
    assert_int_equal(await_end(world, ref).exit_code, 0);
    free(ref);
}

/* As a proxy may say it when the work is done: the next start looks before it asks. */
static void test_a_quota_refusal_after_the_work_makes_no_second(void **state)
{
    scoped(world) world = world_of(state);
    const char *quick = world->backend->scripts[QUICK];
    struct id run = run_doing(world, quick);
    struct err err = {0};
    char *ref = NULL;

    fault(world, OF_RUN("\"status_after\", \"status\": 429, "
                        "\"reason\": \"RESOURCE_EXHAUSTED\""));
    assert_int_equal(try_start(world, run, quick, &ref, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    wait_until(try_start(world, run, quick, &ref, &err) == 0, SOON_MS);
    assert_int_equal(count(world, "made"), 1);
    assert_int_equal(await_end(world, ref).exit_code, 0);
    free(ref);
}

/* It was never made: a while later the next start makes it. */
static void test_a_start_that_was_lost_on_its_way_is_made_later(void **state)
{
    scoped(world) world = world_of(state);
    const char *quick = world->backend->scripts[QUICK];
    struct id run = run_doing(world, quick);
    struct err err = {0};
    char *ref = NULL;

    fault(world, "{\"action\": \"status\", \"status\": 500, \"method\": \"POST\", \"path\": "
                 "\":run\"}");
    assert_int_equal(try_start(world, run, quick, &ref, &err), -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
    wait_until(try_start(world, run, quick, &ref, &err) == 0, SOON_MS);
    assert_int_equal(count(world, "made"), 1);
    (void)await_end(world, ref);
    free(ref);
}

static void run_second(struct world *world, struct id run)
{
    char text[ID_TEXT_SIZE];
    scoped_str body = NULL;

    id_text(run, text);
    body = xasprintf("{\"overrides\": {\"containerOverrides\": [{\"env\": [{\"name\": "
                     "\"DISPATCH_RUN_ID\", \"value\": \"%s\"}, {\"name\": "
                     "\"DISPATCH_ATTEMPT\", \"value\": \"1\"}]}]}}",
                     text);
    cloudrun_standin_do(world->cloud, "POST", CLOUDRUN_JOB ":run", body);
}

static int with_reason(struct world *world, const char *reason)
{
    scoped_json all = executions_there(world);
    scoped_str text = json_text(all);
    scoped_str word = xasprintf("\"executionReason\":\"%s\"", reason);

    return times_in(text, word);
}

/* The first one runs on, the one that hadn't started is cancelled. */
static void test_a_second_execution_of_an_attempt_is_cancelled(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, world->backend->scripts[LONG]);
    scoped_str ref = start_again(world, run, world->backend->scripts[LONG]);

    await_started(world, ref);
    script(world, "{\"start_ms\": 100000}");
    run_second(world, run);
    wait_until(with_reason(world, "CANCELLED") == 1, SOON_MS);
    assert_int_equal(count(world, "made"), 2);
    assert_int_equal(phase_of(world, ref), JOB_RUNNING);
    stop(world, ref);
    (void)await_end(world, ref);
}

static void test_both_executions_of_an_attempt_are_stopped(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, world->backend->scripts[LONG]);
    scoped_str ref = start_again(world, run, world->backend->scripts[LONG]);
    struct err err = {0};
    int listed = 0;

    await_started(world, ref);
    run_second(world, run);
    assert_ok(launcher_list(world->launcher, count_job, &listed, &err), err);
    assert_int_equal(listed, 2);
    stop(world, ref);
    wait_until(with_reason(world, "CANCELLED") == 2, SOON_MS);
    (void)await_end(world, ref);
}

static void test_executions_of_others_are_left_alone(void **state)
{
    scoped(world) world = world_of(state);
    struct err err = {0};
    int listed = 0;

    cloudrun_standin_do(world->cloud, "POST", CLOUDRUN_JOB ":run", "{}");
    wait_until(count(world, "executions") == 1, SOON_MS);
    assert_ok(launcher_list(world->launcher, count_job, &listed, &err), err);
    assert_int_equal(listed, 0);
    reopen(world);
    assert_int_equal(times_asked(world, "POST", ":cancel"), 0);
    assert_int_equal(times_asked(world, "DELETE", "executions"), 0);
}

static void test_what_passes_is_no_failure_of_the_run(void **state)
{
    static const char *const faults[] = {
        /* Twice: one that says when to come back is asked again by itself. */
        "{\"action\": \"status\", \"status\": 429, \"times\": 9, \"method\": \"POST\", "
        "\"path\": \":run\", \"headers\": {\"Retry-After\": \"40\"}}",
        "{\"action\": \"status\", \"status\": 429, \"times\": 9, \"method\": \"POST\", "
        "\"path\": \":run\", \"details\": [{\"@type\": "
        "\"type.googleapis.com/google.rpc.RetryInfo\", \"retryDelay\": \"40.2s\"}]}",
        "{\"action\": \"status\", \"status\": 403, \"reason\": \"PERMISSION_DENIED\", "
        "\"method\": \"POST\", \"path\": \":run\"}",
        "{\"action\": \"status\", \"status\": 409, \"reason\": \"ABORTED\", \"method\": "
        "\"POST\", \"path\": \":run\"}",
        "{\"action\": \"status\", \"status\": 404, \"method\": \"POST\", \"path\": \":run\"}",
    };

    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        scoped(world) world = world_of(state);
        struct id run = run_doing(world, "exit 0");
        scoped_str ref = NULL;
        struct err err = {0};

        fault(world, faults[i]);
        assert_int_equal(try_start(world, run, NULL, &ref, &err), -1);
        assert_int_equal(err.kind, ERR_UNAVAILABLE);
        assert_true(err.retry_after_s > 0);
        assert_int_equal(count(world, "made"), 0);
    }
}

static void test_a_refused_override_fails_the_launch(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, "exit 0");
    scoped_str ref = NULL;
    struct err err = {0};

    fault(world, "{\"action\": \"status\", \"status\": 400, \"method\": \"POST\", \"path\": "
                 "\":run\", \"message\": \"no such thing\"}");
    assert_int_equal(try_start(world, run, NULL, &ref, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "no such thing"));
}

/* As on Google's own machines: nothing was set. */
static struct world *world_on_google(const struct backend *backend)
{
    struct world *world = world_prepare(backend);
    scoped_str host = xasprintf("127.0.0.1:%d", world->cloud->port);

    assert_int_equal(setenv("GCE_METADATA_HOST", host, 1), 0);
    secret_free(world->config.cloudrun.access_token);
    world->config.cloudrun.access_token = NULL;
    open_launcher(world);
    assert_int_equal(unsetenv("GCE_METADATA_HOST"), 0);
    return world;
}

static void test_access_tokens_come_from_the_metadata_server(void **state)
{
    scoped(world) world = world_on_google(*state);
    scoped_str ref = start(world, QUICK);

    assert_int_equal(await_end(world, ref).exit_code, 0);
    assert_int_equal(count(world, "tokens"), 1);
}

/* Not more often than every few seconds, though. */
static void test_a_revoked_access_token_is_renewed(void **state)
{
    scoped(world) world = world_on_google(*state);
    struct id run = run_doing(world, "exit 0");
    struct err err = {0};
    char *ref = NULL;

    cloudrun_standin_do(world->cloud, "POST", "/standin/revoke", "{}");
    wait_until(try_start(world, run, NULL, &ref, &err) == 0, SOON_MS);
    assert_int_equal(await_end(world, ref).exit_code, 0);
    assert_int_equal(count(world, "tokens"), 2);
    assert_int_equal(count(world, "made"), 1);
    free(ref);
}

/* --- How they end ------------------------------------------------------------------------- */

static void test_ends_have_their_failure_codes(void **state)
{
    static const struct {
        const char *script;
        enum failure_code reason;
        int exit_code;
        const char *detail;
    } cases[] = {
        {"{\"end\": \"oom\"}", FAILURE_OUT_OF_MEMORY, -1, "memory limit"},
        {"{\"end\": \"kill\"}", FAILURE_OUT_OF_MEMORY, -1, "signal 9"},
        {"{\"exit\": 137}", FAILURE_OUT_OF_MEMORY, 137, "exited with an error"},
        {"{\"exit\": 1}", FAILURE_NONE, 1, "exited with an error"},
        {"{\"pending\": \"image\"}", FAILURE_IMAGE_PULL, -1, "not found"},
        {"{\"pending\": \"denied\"}", FAILURE_IMAGE_PULL, -1, "permission"},
        {"{\"pending\": \"secret\"}", FAILURE_LAUNCH_FAILED, -1, "Permission denied"},
        {"{\"pending\": \"internal\"}", FAILURE_LAUNCH_FAILED, -1, "Internal error"},
        {"{\"run_ms\": 60000}", FAILURE_DEADLINE, -1, "timeout was reached"},
    };
    scoped(world) world = world_pretending(*state);

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str ref = NULL;
        struct job_view view;

        script(world, cases[i].script);
        ref = start_for(world, i == ARRAY_SIZE(cases) - 1 ? 1 : 3600);
        view = await_end(world, ref);
        assert_int_equal(view.reason, cases[i].reason);
        assert_int_equal(view.exit_code, cases[i].exit_code);
        if (!strstr(view.detail, cases[i].detail))
            fail_msg("\"%s\" lacks \"%s\"", view.detail, cases[i].detail);
    }
}

static void test_one_that_waits_for_its_start_is_waiting(void **state)
{
    scoped(world) world = world_pretending(*state);
    scoped_str ref = NULL;
    struct job_view view;

    script(world, "{\"start_ms\": 100000}");
    ref = start_for(world, 3600);
    view = view_of(world, ref);
    assert_int_equal(view.phase, JOB_STARTING);
    assert_true(view.waiting);
    stop(world, ref);
    (void)await_end(world, ref);
}

/* Somebody deleted it in the console. */
static void test_an_execution_that_is_gone_is_lost(void **state)
{
    scoped(world) world = world_pretending(*state);
    scoped_str ref = NULL;
    int seen;

    script(world, "{\"run_ms\": 100000}");
    ref = start_for(world, 3600);
    wait_until(phase_of(world, ref) == JOB_RUNNING, SOON_MS);
    seen = atomic_load(&world->changes);
    fault(world, "{\"action\": \"raw\", \"status\": 200, \"body\": \"{}\", \"times\": 0, "
                 "\"method\": \"GET\", \"path\": \"/executions\"}");
    wait_until(times_asked(world, "GET", "/executions/") > 0, SOON_MS);
    assert_int_equal(phase_of(world, ref),
                     JOB_RUNNING); /* an answer without a name says nothing */
    no_faults(world);
    fault(world, "{\"action\": \"status\", \"status\": 404, \"times\": 0, \"method\": "
                 "\"GET\", \"path\": \"/executions/\"}");
    fault(world, "{\"action\": \"raw\", \"status\": 200, \"body\": \"{}\", \"times\": 0, "
                 "\"method\": \"GET\", \"path\": \"/executions\"}");
    wait_until(phase_of(world, ref) == JOB_LOST, SOON_MS);
    wait_until(atomic_load(&world->changes) > seen, SOON_MS);
}

/* --- Few calls ---------------------------------------------------------------------------- */

static void test_many_runs_are_polled_by_pages(void **state)
{
    enum { JOBS = 120 };
    scoped(world) world = world_pretending(*state);
    char *refs[JOBS];

    script(world, "{\"run_ms\": 1500}");
    for (int i = 0; i < JOBS; i++)
        refs[i] = start_for(world, 3600);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(await_end(world, refs[i]).exit_code, 0);
        free(refs[i]);
    }
    assert_int_equal(times_asked(world, "GET", "/executions/"), 0);
    assert_true(times_asked(world, "GET", "/executions") > 1);
}

static void test_nobody_is_asked_while_nothing_runs(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);
    int before;

    (void)await_end(world, ref);
    before = times_asked(world, "GET", "/executions");
    (void)usleep(20 * 20 * 1000);
    assert_true(times_asked(world, "GET", "/executions") <= before + 1);
}

static void test_cloud_run_may_be_away_for_a_while(void **state)
{
    scoped(world) world = world_prepare(*state);
    scoped_str ref = NULL;
    struct id run;
    struct err err = {0};
    char *made = NULL;

    fault(world, "{\"action\": \"status\", \"status\": 503, \"times\": 8, \"path\": \"/v2\"}");
    open_launcher(world);
    run = run_doing(world, "exit 0");
    if (try_start(world, run, NULL, &made, &err) < 0)
        assert_int_equal(err.kind, ERR_UNAVAILABLE);
    free(TAKE(made));
    wait_until(try_start(world, run, NULL, &made, &err) == 0, SOON_MS);
    ref = made;
    assert_int_equal(await_end(world, ref).exit_code, 0);
}

/* --- The token in a secret ---------------------------------------------------------------- */

static struct world *world_with_secrets(const struct backend *backend)
{
    struct world *world = world_prepare(backend);

    free(world->config.cloudrun.token_via);
    world->config.cloudrun.token_via = xstrdup("secret_manager");
    open_launcher(world);
    return world;
}

static void test_by_secret_manager_no_execution_shows_the_token(void **state)
{
    scoped(world) world = world_with_secrets(*state);
    scoped_str ref = start_script(
        world,
        "echo \"<${DISPATCH_TASK_TOKEN-none} $DISPATCH_TASK_TOKEN_SECRET>\"; sleep 1000");
    scoped_str secret =
        xasprintf("<none projects/acme/secrets/dispatch-%s/versions/latest>", ref);
    scoped_str path =
        xasprintf("/v1/projects/acme/secrets/dispatch-%s/versions/latest:access", ref);
    scoped_json all = NULL;
    scoped_json version = NULL;
    scoped_str text = NULL;

    wait_until(has_logged(world, ref, secret), SOON_MS);
    all = executions_there(world);
    text = json_text(all);
    assert_null(strstr(text, TOKEN));
    version = cloudrun_standin_call(world->cloud, "GET", path, NULL);
    assert_string_equal(json_get_str(json_get(version, "payload"), "data"),
                        "dmd2dGFza190aGlzLWlzLXRoZS10b2tlbg==");
    launcher_note(world->launcher, ref, "Claimed", "by the runner");
    wait_until(count(world, "secrets") == 0, SOON_MS);
    stop(world, ref);
    (void)await_end(world, ref);
}

static void test_a_secret_goes_with_its_execution(void **state)
{
    scoped(world) world = world_with_secrets(*state);
    scoped_str ref = start(world, QUICK);

    (void)await_end(world, ref);
    wait_until(count(world, "secrets") == 0, SOON_MS);
    assert_int_equal(count(world, "secrets_made"), 1);
}

static void test_a_secret_is_made_once_whatever_happens(void **state)
{
    static const char *const faults[] = {
        "{\"action\": \"reset_after\", \"method\": \"POST\", \"path\": \"/secrets\"}",
        "{\"action\": \"status_after\", \"method\": \"POST\", \"path\": \":addVersion\"}",
        "{\"action\": \"reset_after\", \"method\": \"POST\", \"path\": \":run\"}",
    };
    scoped(world) world = world_with_secrets(*state);
    const char *quick = world->backend->scripts[QUICK];

    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        struct id run = run_doing(world, quick);
        struct err err = {0};
        char *ref = NULL;

        fault(world, faults[i]);
        if (try_start(world, run, quick, &ref, &err) < 0)
            assert_int_equal(err.kind, ERR_UNAVAILABLE);
        free(TAKE(ref));
        wait_until(try_start(world, run, quick, &ref, &err) == 0, SOON_MS);
        assert_int_equal(await_end(world, ref).exit_code, 0);
        free(ref);
    }
    assert_int_equal(count(world, "made"), ARRAY_SIZE(faults));
    assert_int_equal(count(world, "secrets_made"), ARRAY_SIZE(faults));
    wait_until(count(world, "secrets") == 0, SOON_MS);
}

static void test_explaining_shows_no_token(void **state)
{
    struct job_spec spec = {.attempt = 1, .url = HOME_URL, .timeout_s = 3600};
    scoped(world) world = world_of(state);
    scoped_json shown = NULL;
    scoped_str text = NULL;
    struct err err = {0};

    spec.run = new_run();
    assert_ok(launcher_explain(world->launcher, &spec, &shown, &err), err);
    text = json_text(shown);
    assert_non_null(strstr(text, CLOUDRUN_JOB ":run"));
    assert_non_null(strstr(text, "{\"name\":\"DISPATCH_TASK_TOKEN\",\"value\":\"<secret>\"}"));
    assert_int_equal(count(world, "made"), 0);
}

#define CLOUD(test) OVER(cloudrun, test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLOUD(test_a_job_that_is_not_as_it_should_be_is_refused),
        CLOUD(test_a_job_that_is_missing_is_refused),
        CLOUD(test_apply_makes_the_job_and_then_keeps_it),
        CLOUD(test_apply_changes_what_the_settings_say_and_nothing_else),
        CLOUD(test_an_execution_gets_the_run_its_time_and_its_token),
        CLOUD(test_a_start_whose_answer_is_lost_is_found_again),
        CLOUD(test_an_unanswered_start_is_not_asked_again_at_once),
        CLOUD(test_a_quota_refusal_after_the_work_makes_no_second),
        CLOUD(test_a_start_that_was_lost_on_its_way_is_made_later),
        CLOUD(test_a_second_execution_of_an_attempt_is_cancelled),
        CLOUD(test_both_executions_of_an_attempt_are_stopped),
        CLOUD(test_executions_of_others_are_left_alone),
        CLOUD(test_what_passes_is_no_failure_of_the_run),
        CLOUD(test_a_refused_override_fails_the_launch),
        CLOUD(test_access_tokens_come_from_the_metadata_server),
        CLOUD(test_a_revoked_access_token_is_renewed),
        CLOUD(test_ends_have_their_failure_codes),
        CLOUD(test_one_that_waits_for_its_start_is_waiting),
        CLOUD(test_an_execution_that_is_gone_is_lost),
        CLOUD(test_many_runs_are_polled_by_pages),
        CLOUD(test_nobody_is_asked_while_nothing_runs),
        CLOUD(test_cloud_run_may_be_away_for_a_while),
        CLOUD(test_by_secret_manager_no_execution_shows_the_token),
        CLOUD(test_a_secret_goes_with_its_execution),
        CLOUD(test_a_secret_is_made_once_whatever_happens),
        CLOUD(test_explaining_shows_no_token),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
