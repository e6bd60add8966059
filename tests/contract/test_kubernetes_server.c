/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher_world.h"

#include <string.h>

#include "base/alloc.h"
#include "cluster_world.h"
#include "kubernetes_standin.h"
#include "launch/job_ref.h"
#include "launch/kubernetes_api.h"

/* The backend `kubernetes` and an API server that is away, slow, or says no: over the stand-in,
 * which misbehaves as it is told, and with TEST_CLUSTER over a real cluster behind it.
 */
#define JOBS "/apis/batch/v1/namespaces/%s/jobs"
#define FAULTS "/standin/faults"

static void fault(struct world *world, const char *json)
{
    kubernetes_standin_post(world->standin, FAULTS, json);
}

/* --- Starting ------------------------------------------------------------------------------
 */

static const char suspended[] =
    "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"a-job\"},"
    "\"spec\":{\"suspend\":true,\"template\":{\"spec\":{\"restartPolicy\":\"Never\","
    "\"containers\":[{\"name\":\"a\",\"image\":\"registry.invalid/a:b\"}]}}}}";

static void test_what_is_made_comes_back_as_its_metadata_alone(void **state)
{
    scoped(world) world = world_of(state);
    struct cluster_options options = {.kubeconfig = world->standin->kubeconfig};
    struct err err = {0};
    scoped(cluster) cluster = cluster_open(&options, &err);
    struct kubernetes_api api;
    scoped_json wanted = json_parse(suspended, strlen(suspended), &err);
    scoped_json made = NULL;

    assert_made(cluster, err);
    kubernetes_api_init(&api, cluster, world->standin->namespace);
    assert_ok(kubernetes_api_create_job(&api, wanted, &made, &err), err);
    assert_string_equal(json_get_str(made, "kind"), "PartialObjectMetadata");
    assert_non_null(json_get_str(json_get(made, "metadata"), "uid"));
    assert_non_null(json_get_str(json_get(made, "metadata"), "resourceVersion"));
    assert_null(json_get(json_get(made, "metadata"), "managedFields"));
    assert_null(json_get(made, "status"));
    assert_true(json_get_bool(json_get(made, "spec"), "suspend", false));
    assert_ok(kubernetes_api_delete_job(&api, "a-job",
                                        json_get_str(json_get(made, "metadata"), "uid"), &err),
              err);
    kubernetes_api_done(&api);
}

/* --- Starting against trouble ------------------------------------------------------------- */

static void test_a_start_whose_answer_is_lost_is_found_again(void **state)
{
    static const char *const faults[] = {
        "{\"action\": \"status_after\", \"method\": \"POST\", \"path\": \"jobs\"}",
        "{\"action\": \"reset_after\", \"method\": \"POST\", \"path\": \"jobs\"}",
        "{\"action\": \"cut_after\", \"method\": \"POST\", \"path\": \"jobs\"}",
        "{\"action\": \"reset_after\", \"method\": \"POST\", \"path\": \"secrets\"}",
        "{\"action\": \"status_after\", \"method\": \"POST\", \"path\": \"secrets\"}",
    };
    scoped(world) world = world_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        scoped_str ref = NULL;

        fault(world, faults[i]);
        ref = start(world, QUICK);
        assert_int_equal(await_end(world, ref).exit_code, 0);
        assert_int_equal(executions(world, ref), 1);
    }
    assert_int_equal(cluster_times_made(world, "jobs"), ARRAY_SIZE(faults));
}

static void test_a_busy_server_is_no_failure_of_the_run(void **state)
{
    static const char *const faults[] = {
        "{\"action\": \"status\", \"status\": 403, \"reason\": \"Forbidden\", \"message\": "
        "\"jobs is forbidden: exceeded quota: runs, used: 5\", \"method\": \"POST\", "
        "\"path\": \"jobs\"}",
        "{\"action\": \"status\", \"status\": 401, \"reason\": \"Unauthorized\", \"method\": "
        "\"POST\", \"path\": \"jobs\"}",
    };
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, "exit 0");

    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        scoped_str ref = NULL;
        struct err err = {0};

        fault(world, faults[i]);
        assert_int_equal(try_start(world, run, NULL, &ref, &err), -1);
        assert_int_equal(err.kind, ERR_UNAVAILABLE);
        assert_true(err.retry_after_s > 0);
        cJSON_Delete(kubernetes_standin_call(world->standin, "DELETE", FAULTS, NULL));
    }
    assert_int_equal(cluster_count(world, "jobs"), 0);
}

static void test_a_refused_job_is_a_failure(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, "exit 0");
    scoped_str ref = NULL;
    struct err err = {0};

    fault(world, "{\"action\": \"status\", \"status\": 422, \"reason\": \"Invalid\", "
                 "\"message\": \"spec.x: no\", \"method\": \"POST\", \"path\": \"jobs\"}");
    assert_int_equal(try_start(world, run, NULL, &ref, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "spec.x: no"));
}

/* The API server's answer while the node has not heard of the pod yet. */
static void test_a_pod_that_its_node_does_not_know_yet_has_no_log(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);
    scoped_str logs = NULL;

    await_started(world, ref);
    fault(world, "{\"action\": \"status\", \"status\": 404, \"reason\": \"NotFound\", "
                 "\"message\": \"the server could not find the requested resource\", "
                 "\"method\": \"GET\", \"path\": \"/log\"}");
    logs = logs_of(world, ref, 1000);
    assert_string_equal(logs ? logs : "", "");
    assert_true(executions(world, ref) == 1);
    stop(world, ref);
    (void)await_end(world, ref);
}

static void test_without_its_secret_a_job_goes_again(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, "exit 0");
    scoped_str ref = NULL;
    struct err err = {0};

    fault(world, "{\"action\": \"status\", \"status\": 403, \"reason\": \"Forbidden\", "
                 "\"message\": \"a policy\", \"method\": \"POST\", \"path\": \"secrets\"}");
    assert_int_equal(try_start(world, run, NULL, &ref, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
    wait_until(cluster_count(world, "jobs") == 0 && cluster_count(world, "pods") == 0, SOON_MS);
}

/* dispatchd was killed between the two: the next one asks for the same attempt again. */
static void test_the_next_start_makes_the_missing_secret(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, "exit 0");
    scoped_str ref = NULL;
    struct err err = {0};

    fault(world, "{\"action\": \"reset_before\", \"times\": 100, \"method\": \"POST\", "
                 "\"path\": \"secrets\"}");
    assert_int_equal(try_start(world, run, NULL, &ref, &err), -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_int_equal(cluster_count(world, "jobs"), 1);
    assert_int_equal(cluster_count(world, "secrets"), 0);
    cJSON_Delete(kubernetes_standin_call(world->standin, "DELETE", FAULTS, NULL));
    reopen(world);
    assert_int_equal(phase_of(world, job_ref_make(run, 1).text), JOB_STARTING);
    free(TAKE(ref));
    ref = start_again(world, run, NULL);
    assert_int_equal(await_end(world, ref).exit_code, 0);
    assert_int_equal(cluster_times_made(world, "jobs"), 1);
}

static void test_while_the_server_is_away_nothing_is_lost(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);
    struct id run = run_doing(world, "exit 0");
    scoped_str other = NULL;
    struct err err = {0};

    await_started(world, ref);
    kubernetes_standin_down(world->standin, 8000);
    /* A connection that is kept may be cut under it: then nobody knows whether it happened. */
    assert_int_equal(try_start(world, run, NULL, &other, &err), -1);
    assert_true(err.kind == ERR_UNAVAILABLE || err.kind == ERR_TIMEOUT);
    assert_int_equal(phase_of(world, ref), JOB_RUNNING);
    wait_until(launcher_stop(world->launcher, ref, &err) == 0, SOON_MS);
    (void)await_end(world, ref);
    free(TAKE(other));
    other = start_again(world, run, NULL);
    assert_int_equal(await_end(world, other).exit_code, 0);
}

/* One thread looks at all jobs, one after the other. */
static void test_a_server_that_is_away_is_not_asked_about_each_job(void **state)
{
    enum { JOBS_ASKED_ABOUT = 200 };
    scoped(world) world = world_of(state);
    scoped_json requests = NULL;

    fault(world, "{\"action\": \"status\", \"status\": 500, \"method\": \"GET\", "
                 "\"path\": \"jobs/\", \"times\": 100000}");
    for (int i = 0; i < JOBS_ASKED_ABOUT; i++) {
        struct job_view view;
        struct err err = {0};

        assert_int_equal(
            launcher_poll(world->launcher, job_ref_make(new_run(), 1).text, &view, &err), -1);
    }
    requests = kubernetes_standin_get(world->standin, "/standin/requests?path=jobs/");
    assert_true(cJSON_GetArraySize(requests) < JOBS_ASKED_ABOUT / 4);
}

/* --- Watches ---------------------------------------------------------------------------- */

/* Without a question of ours that would ask the server: what is told is what the watches saw.
 */
static void test_a_broken_watch_misses_nothing(void **state)
{
    static const char *const faults[] = {
        "{\"action\": \"cut_watches\"}",
        "{\"action\": \"expire_watches\"}",
        "{\"action\": \"compact\"}",
        "{\"action\": \"status\", \"status\": 410, \"watch\": true, \"times\": 2}",
        "{\"action\": \"status\", \"status\": 500, \"watch\": true, \"times\": 4}",
    };
    scoped(world) world = world_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        scoped_str ref = start(world, LONG);

        await_started(world, ref);
        fault(world, faults[i]);
        fault(world, "{\"action\": \"cut_watches\"}");
        stop(world, ref);
        (void)await_end(world, ref);
    }
}

static void test_a_job_that_vanished_unseen_is_lost(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);
    scoped_str path =
        xasprintf(JOBS "/%s?propagationPolicy=Background", world->standin->namespace, ref);

    await_started(world, ref);
    fault(world, "{\"action\": \"compact\"}");
    cJSON_Delete(kubernetes_standin_call(world->standin, "DELETE", path, NULL));
    wait_until(phase_of(world, ref) == JOB_LOST, SOON_MS);
}

static void test_events_that_come_late_and_twice_change_nothing(void **state)
{
    enum { MANY = 12 };
    scoped(world) world = world_of(state);
    char *refs[MANY];

    fault(world, "{\"action\": \"hold_events\", \"ms\": 200}");
    fault(world, "{\"action\": \"repeat_events\", \"chance\": 0.5}");
    for (int i = 0; i < MANY; i++)
        refs[i] = start(world, i % 2 ? FAILING : QUICK);
    for (int i = 0; i < MANY; i++) {
        struct job_view view = await_end(world, refs[i]);

        assert_int_equal(view.exit_code, i % 2 ? world->backend->failing_exit_code : 0);
        assert_int_equal(view.reason, FAILURE_NONE);
        free(refs[i]);
    }
    assert_int_equal(cluster_times_made(world, "jobs"), MANY);
}

/* --- Opening ------------------------------------------------------------------------------ */

static void refuses(struct world *world, const char *complaint)
{
    struct err err = {0};
    struct launcher *opened = launcher_open("kubernetes", &world->config, NULL, NULL, &err);

    if (opened)
        fail_msg("opened in spite of: %s", complaint);
    if (!strstr(err.text, complaint))
        fail_msg("complained otherwise: %s", err.text);
}

static void test_what_cannot_work_is_refused_at_the_start(void **state)
{
    scoped(world) world = world_prepare(&kubernetes);
    struct config_kubernetes *settings = &world->config.kubernetes;
    scoped_str template = xasprintf("%s/job.yaml", world->dir);
    char bad[] = "12 apples";
    char *image = settings->image;
    char *pod = TAKE(settings->job_template);

    (void)state;
    settings->image = NULL;
    refuses(world, "kubernetes.image: required");
    settings->image = image;
    free(settings->memory_limit);
    settings->memory_limit = bad;
    refuses(world, "kubernetes.memory_limit: expected a quantity");
    settings->memory_limit = NULL;
    test_file_write(world->dir, "job.yaml",
                    "apiVersion: batch/v1\nkind: Job\nspec:\n  backoffLimit: 3\n"
                    "  template:\n    spec:\n      containers: [{name: runner}]\n");
    settings->job_template = template;
    refuses(world, "job.yaml:4: spec.backoffLimit: must be 0");
    settings->job_template = pod;
    fault(world, "{\"action\": \"status\", \"status\": 403, \"reason\": \"Forbidden\", "
                 "\"message\": \"no rights\", \"path\": \"jobs\", \"times\": 50}");
    refuses(world, "no rights");
}

static void test_it_opens_while_the_server_is_away(void **state)
{
    scoped(world) world = world_prepare(&kubernetes);
    scoped_str ref = NULL;
    struct err err = {0};
    struct id run;

    (void)state;
    kubernetes_standin_down(world->standin, 3000);
    open_launcher(world);
    run = run_doing(world, "exit 0");
    wait_until(try_start(world, run, NULL, &ref, &err) == 0, SOON_MS);
    assert_int_equal(await_end(world, ref).exit_code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER(kubernetes, test_what_is_made_comes_back_as_its_metadata_alone),
        OVER(kubernetes, test_a_start_whose_answer_is_lost_is_found_again),
        OVER(kubernetes, test_a_busy_server_is_no_failure_of_the_run),
        OVER(kubernetes, test_a_refused_job_is_a_failure),
        OVER(kubernetes, test_a_pod_that_its_node_does_not_know_yet_has_no_log),
        OVER(kubernetes, test_without_its_secret_a_job_goes_again),
        OVER(kubernetes, test_the_next_start_makes_the_missing_secret),
        OVER(kubernetes, test_while_the_server_is_away_nothing_is_lost),
        OVER(kubernetes, test_a_server_that_is_away_is_not_asked_about_each_job),
        OVER(kubernetes, test_a_broken_watch_misses_nothing),
        OVER(kubernetes, test_a_job_that_vanished_unseen_is_lost),
        OVER(kubernetes, test_events_that_come_late_and_twice_change_nothing),
        OVER(kubernetes, test_what_cannot_work_is_refused_at_the_start),
        OVER(kubernetes, test_it_opens_while_the_server_is_away),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
