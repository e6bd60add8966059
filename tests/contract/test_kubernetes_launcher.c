/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher_world.h"

#include <string.h>

#include "base/alloc.h"
#include "cluster_world.h"
#include "kubernetes_standin.h"
#include "launch/job_ref.h"

/* What the backend `kubernetes` promises besides the launchers' contract: over the stand-in for
 * an API server, which misbehaves as it is told, and with TEST_CLUSTER over a real one behind
 * it.
 */
#define JOBS "/apis/batch/v1/namespaces/%s/jobs"
#define SCRIPTS "/standin/scripts"

/* --- The cluster ------------------------------------------------------------------------ */

static void script(struct world *world, const char *json)
{
    scoped_str body = xasprintf("{\"job\": \"*\", \"script\": %s}", json);

    kubernetes_standin_post(world->standin, SCRIPTS, body);
}

static cJSON *only_object(struct world *world, const char *kind)
{
    scoped_json all = cluster_objects(world, kind);

    assert_int_equal(cJSON_GetArraySize(all), 1);
    return cJSON_DetachItemFromArray(all, 0);
}

static bool job_has_condition(struct world *world, const char *type)
{
    scoped_json job = only_object(world, "jobs");
    const cJSON *condition;

    cJSON_ArrayForEach(condition, json_get(json_get(job, "status"), "conditions"))
    {
        if (strcmp(json_get_str(condition, "type"), type) == 0)
            return true;
    }
    return false;
}

static void patch_job(struct world *world, const char *ref, const char *patch)
{
    scoped_str path = xasprintf(JOBS "/%s", world->standin->namespace, ref);

    cJSON_Delete(kubernetes_standin_call(world->standin, "PATCH", path, patch));
}

/* --- What is made ----------------------------------------------------------------------- */

static void test_the_token_is_in_a_secret_of_the_job_and_nowhere_else(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start_script(world, "echo \"<$DISPATCH_TASK_TOKEN>\"");
    scoped_json job = NULL;
    scoped_json pod = NULL;
    scoped_json secret = NULL;
    scoped_str job_text = NULL;
    scoped_str pod_text = NULL;
    const cJSON *owner;

    (void)await_end(world, ref);
    assert_true(has_logged(world, ref, "<" TOKEN ">"));
    job = only_object(world, "jobs");
    pod = only_object(world, "pods");
    secret = only_object(world, "secrets");
    job_text = json_text(job);
    pod_text = json_text(pod);
    assert_null(strstr(job_text, TOKEN));
    assert_null(strstr(pod_text, TOKEN));
    owner = cJSON_GetArrayItem(json_get(json_get(secret, "metadata"), "ownerReferences"), 0);
    assert_string_equal(json_get_str(owner, "uid"),
                        json_get_str(json_get(job, "metadata"), "uid"));
}

static void test_secrets_are_only_ever_made(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);
    scoped_json requests = NULL;
    const cJSON *request;
    struct err err = {0};

    (void)await_end(world, ref);
    assert_ok(launcher_forget(world->launcher, ref, &err), err);
    reopen(world);
    requests = kubernetes_standin_get(world->standin, "/standin/requests?path=secrets");
    assert_int_equal(cJSON_GetArraySize(requests), 1);
    cJSON_ArrayForEach(request, requests)
    {
        assert_string_equal(json_get_str(request, "method"), "POST");
    }
}

static void test_forgetting_leaves_nothing_in_the_cluster(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);
    struct err err = {0};

    (void)await_end(world, ref);
    assert_ok(launcher_forget(world->launcher, ref, &err), err);
    wait_until(cluster_count(world, "jobs") == 0 && cluster_count(world, "pods") == 0
                   && cluster_count(world, "secrets") == 0,
               SOON_MS);
    assert_int_equal(phase_of(world, ref), JOB_LOST);
}

/* Of the one the test makes: the Job controller makes events as well. */
static int notes_seen(struct world *world, const char *ref)
{
    scoped_json all = cluster_objects(world, "events");
    const cJSON *event;
    int seen = 0;

    cJSON_ArrayForEach(event, all)
    {
        const char *reason = json_get_str(event, "reason");
        const cJSON *about = json_get(event, "involvedObject");

        if (strcmp(reason, "Claimed") != 0)
            continue;
        seen++;
        assert_string_equal(json_get_str(about, "name"), ref);
        assert_string_equal(json_get_str(about, "kind"), "Job");
        assert_string_equal(json_get_str(event, "message"), "by the runner");
    }
    return seen;
}

static void test_notes_are_events_on_the_job(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);

    launcher_note(world->launcher, ref, "Claimed", "by the runner");
    wait_until(notes_seen(world, ref) == 1, SOON_MS);
    (void)await_end(world, ref);
    assert_int_equal(notes_seen(world, ref), 1);
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

static const char stranger[] =
    "{\"apiVersion\": \"batch/v1\", \"kind\": \"Job\", \"metadata\": {\"name\": \"%s\", "
    "\"labels\": {\"app\": \"other\"}}, \"spec\": {\"suspend\": true, \"template\": {\"spec\": "
    "{\"restartPolicy\": \"Never\", \"containers\": [{\"name\": \"c\", \"image\": \"i\"}]}}}}";

static void make_stranger(struct world *world, const char *name)
{
    scoped_str path = xasprintf(JOBS, world->standin->namespace);
    scoped_str body = xasprintf(stranger, name);

    cJSON_Delete(kubernetes_standin_call(world->standin, "POST", path, body));
}

static void test_the_list_has_our_jobs_and_no_others(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str quick = start(world, QUICK);
    scoped_str lasting = start(world, LONG);

    make_stranger(world, "a-job-of-others");
    (void)await_end(world, quick);
    assert_int_equal(listed(world), 2);
    reopen(world);
    assert_int_equal(listed(world), 2);
    stop(world, lasting);
    (void)await_end(world, lasting);
}

static void test_a_job_of_others_is_left_alone(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, "exit 0");
    struct job_ref name = job_ref_make(run, 1);
    scoped_json before = NULL;
    scoped_json after = NULL;
    scoped_str ref = NULL;
    struct err err = {0};

    make_stranger(world, name.text);
    /* By then the cluster has said all it has to say about it. */
    wait_until(job_has_condition(world, "Suspended"), SOON_MS);
    before = only_object(world, "jobs");
    assert_int_equal(try_start(world, run, NULL, &ref, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_int_equal(phase_of(world, name.text), JOB_LOST);
    stop(world, name.text);
    assert_ok(launcher_forget(world->launcher, name.text, &err), err);
    after = only_object(world, "jobs");
    assert_true(cJSON_Compare(before, after, true));
    assert_int_equal(cluster_count(world, "secrets"), 0);
}

/* --- What the cluster says ---------------------------------------------------------------- */

static void test_each_end_has_its_code(void **state)
{
    static const struct {
        const char *script;
        const char
            *really; /* what the pod does on a real cluster; NULL: it can't be had there */
        enum failure_code reason;
    } cases[] = {
        {"{\"run_ms\": 50, \"end\": \"oom\"}", "a=0123456789abcdef; while :; do a=$a$a; done",
         FAILURE_OUT_OF_MEMORY},
        {"{\"run_ms\": 50, \"end\": \"evict\"}", NULL, FAILURE_EVICTED},
        {"{\"run_ms\": 50, \"end\": \"drain\"}", NULL, FAILURE_EVICTED},
        {"{\"run_ms\": 50, \"end\": \"preempt\"}", NULL, FAILURE_EVICTED},
        {"{\"run_ms\": 50, \"end\": \"node_lost\"}", NULL, FAILURE_EVICTED},
        {"{\"run_ms\": 50, \"end\": \"delete\"}", NULL, FAILURE_EVICTED},
        {"{\"run_ms\": 50, \"end\": \"kill\"}", "exit 137", FAILURE_NONE},
    };
    scoped(world) world = world_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str ref = NULL;
        struct job_view view;

        if (kubernetes_standin_real() && !cases[i].really)
            continue;
        if (!kubernetes_standin_real())
            script(world, cases[i].script);
        ref = start_script(world, kubernetes_standin_real() ? cases[i].really
                                                            : world->backend->scripts[LONG]);
        view = await_end(world, ref);
        if (view.reason != cases[i].reason)
            fail_msg("%s: %s (%s)", cases[i].script, failure_code_name(view.reason),
                     view.detail);
        assert_string_not_equal(view.detail, "");
    }
}

static char *only_pod(struct world *world)
{
    scoped_json pod = only_object(world, "pods");

    return xstrdup(json_get_str(json_get(pod, "metadata"), "name"));
}

/* As a person does, or who empties a node. */
static void take_away(struct world *world, bool evicted)
{
    scoped_str pod = only_pod(world);
    scoped_str path = xasprintf("/api/v1/namespaces/%s/pods/%s%s", world->standin->namespace,
                                pod, evicted ? "/eviction" : "");
    scoped_str eviction = xasprintf("{\"apiVersion\": \"policy/v1\", \"kind\": \"Eviction\", "
                                    "\"metadata\": {\"name\": \"%s\"}}",
                                    pod);

    cJSON_Delete(kubernetes_standin_call(world->standin, evicted ? "POST" : "DELETE", path,
                                         evicted ? eviction : NULL));
}

static void test_a_pod_that_is_taken_away_is_evicted(void **state)
{
    /* The stand-in's evictions are scripted. */
    int ways = kubernetes_standin_real() ? 2 : 1;

    for (int i = 0; i < ways; i++) {
        scoped(world) world = world_of(state);
        scoped_str ref = start(world, LONG);

        await_started(world, ref);
        take_away(world, i == 1);
        assert_int_equal(await_end(world, ref).reason, FAILURE_EVICTED);
    }
}

static void test_the_deadline_ends_a_job(void **state)
{
    static const enum kind kinds[] = {LONG, STUBBORN};
    scoped(world) world = world_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct id run = run_doing(world, world->backend->scripts[kinds[i]]);
        scoped_str ref = start_with_deadline(world, run, 2);

        assert_int_equal(await_end(world, ref).reason, FAILURE_DEADLINE);
    }
}

/* What keeps a pod from starting: as the stand-in is told, and as settings do it to a real
 * cluster. */
static void set_text(char **setting, const char *text)
{
    free(*setting);
    *setting = xstrdup(text);
}

static void ask_too_much(struct world *world)
{
    set_text(&world->config.kubernetes.cpu_request, "10000");
}

static void mount_what_is_not_there(struct world *world)
{
    cluster_world_pod(world,
                      "  volumeMounts: [{name: no, mountPath: /no}]\n"
                      "      volumes: [{name: no, secret: {secretName: no-such-secret}}]");
    world->config.kubernetes.start_timeout_s = 3;
}

static void name_no_image(struct world *world)
{
    set_text(&world->config.kubernetes.image, "127.0.0.1:9/no-such-image:1");
}

static void name_an_impossible_image(struct world *world)
{
    set_text(&world->config.kubernetes.image, "Not/An:Image:Name");
}

static void want_settings_that_are_not_there(struct world *world)
{
    set_text(&world->config.kubernetes.env_secret, "settings");
}

static void ask_for_what_is_forbidden(struct world *world)
{
    cluster_world_pod(world, "hostNetwork: true");
}

struct hindrance {
    const char *script;
    void (*really)(struct world *world);
    enum failure_code reason;
    const char *says;
};

static struct world *hindered_world(const struct hindrance *hindrance, int patience_s)
{
    struct world *world = world_prepare(&kubernetes);

    world->config.kubernetes.schedule_timeout_s = patience_s;
    world->config.kubernetes.start_timeout_s = patience_s;
    if (kubernetes_standin_real())
        hindrance->really(world);
    open_launcher(world);
    if (!kubernetes_standin_real())
        script(world, hindrance->script);
    return world;
}

/* Each is given up, and then the cluster doesn't go on with it either. */
static void test_what_never_starts_fails_to_launch(void **state)
{
    static const struct hindrance hindrances[] = {
        {"{\"pending\": \"unschedulable\"}", ask_too_much, FAILURE_LAUNCH_FAILED,
         "Insufficient cpu"},
        {"{\"pending\": \"creating\"}", mount_what_is_not_there, FAILURE_LAUNCH_FAILED,
         "in time"},
        {"{\"pending\": \"image_pull\"}", name_no_image, FAILURE_IMAGE_PULL, "ImagePull"},
        {"{\"pending\": \"image_name\"}", name_an_impossible_image, FAILURE_IMAGE_PULL,
         "InvalidImageName"},
        {"{\"pending\": \"config_error\"}", want_settings_that_are_not_there,
         FAILURE_LAUNCH_FAILED, "settings"},
        {"{\"create_fails\": \"violates PodSecurity\"}", ask_for_what_is_forbidden,
         FAILURE_LAUNCH_FAILED, "PodSecurity"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(hindrances); i++) {
        const struct hindrance *hindrance = &hindrances[i];
        /* A real node takes a moment to find out, and so does a busy machine. */
        scoped(world) world = hindered_world(hindrance, kubernetes_standin_real() ? 10 : 5);
        scoped_str ref = start(world, LONG);
        struct job_view view = await_end(world, ref);

        if (view.reason != hindrance->reason || !strstr(view.detail, hindrance->says))
            fail_msg("%s: %s (%s)", hindrance->script, failure_code_name(view.reason),
                     view.detail);
        wait_until(job_has_condition(world, "Failed"), SOON_MS);
        wait_until(cluster_count(world, "pods") == 0, SOON_MS);
    }
}

static void test_waiting_for_others_is_said_to_be_waiting(void **state)
{
    static const struct hindrance hindrances[] = {
        {"{\"pending\": \"unschedulable\"}", ask_too_much, FAILURE_NONE,
         "waits for a node: 0/1 nodes are available"},
        {"{\"pending\": \"image_pull\"}", name_no_image, FAILURE_NONE, "waits for its image: "},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(hindrances); i++) {
        scoped(world) world = hindered_world(&hindrances[i], 600);
        scoped_str ref = start(world, LONG);
        struct job_view view;

        wait_until(strstr(view_of(world, ref).detail, hindrances[i].says), SOON_MS);
        view = view_of(world, ref);
        assert_int_equal(view.phase, JOB_STARTING);
        assert_true(view.waiting);
        stop(world, ref);
        (void)await_end(world, ref);
    }
}

/* --- Stopping ----------------------------------------------------------------------------- */

static void test_a_stopped_job_keeps_its_pod_and_its_log(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start_script(
        world, "trap 'echo \"{\\\"status\\\": \\\"stopped\\\"}\" > $DISPATCH_TERMINATION_LOG; "
               "echo goodbye; exit 4' TERM; echo ready; while :; do sleep 0.05; done");
    struct job_view view;

    await_started(world, ref);
    stop(world, ref);
    view = await_end(world, ref);
    assert_int_equal(view.exit_code, 4);
    assert_int_equal(view.reason, FAILURE_NONE);
    wait_until(job_has_condition(world, "Failed"), SOON_MS);
    assert_true(has_logged(world, ref, "goodbye\n"));
    assert_int_equal(cluster_count(world, "pods"), 1);
}

/* --- Queueing ----------------------------------------------------------------------------- */

static struct world *world_with_queue(void)
{
    struct world *world = world_prepare(&kubernetes);
    char queue[] = "runs-queue";

    world->config.kubernetes.queue_name = queue;
    open_launcher(world);
    world->config.kubernetes.queue_name = NULL;
    return world;
}

static void test_a_queued_job_waits_for_admission(void **state)
{
    scoped(world) world = world_with_queue();
    scoped_str ref = start(world, QUICK);
    struct job_view view = view_of(world, ref);

    (void)state;
    assert_int_equal(view.phase, JOB_STARTING);
    assert_true(view.waiting);
    assert_string_equal(view.detail, "waits for admission to queue: runs-queue");
    assert_int_equal(cluster_count(world, "pods"), 0);
    patch_job(world, ref, "{\"spec\": {\"suspend\": false}}");
    assert_int_equal(await_end(world, ref).exit_code, 0);
}

static void test_a_queued_job_that_is_stopped_leaves_the_queue(void **state)
{
    scoped(world) world = world_with_queue();
    scoped_str ref = start(world, QUICK);

    (void)state;
    stop(world, ref);
    assert_int_equal(phase_of(world, ref), JOB_LOST);
    wait_until(cluster_count(world, "jobs") == 0 && cluster_count(world, "secrets") == 0,
               SOON_MS);
}

/* The queue gave its place to another: the run's only runner is gone. */
static void test_a_job_that_loses_its_place_is_evicted(void **state)
{
    scoped(world) world = world_with_queue();
    scoped_str ref = start(world, LONG);

    (void)state;
    patch_job(world, ref, "{\"spec\": {\"suspend\": false}}");
    await_started(world, ref);
    patch_job(world, ref, "{\"spec\": {\"suspend\": true}}");
    assert_int_equal(await_end(world, ref).reason, FAILURE_EVICTED);
    wait_until(cluster_count(world, "jobs") == 0, SOON_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER(kubernetes, test_the_token_is_in_a_secret_of_the_job_and_nowhere_else),
        OVER(kubernetes, test_secrets_are_only_ever_made),
        OVER(kubernetes, test_forgetting_leaves_nothing_in_the_cluster),
        OVER(kubernetes, test_notes_are_events_on_the_job),
        OVER(kubernetes, test_the_list_has_our_jobs_and_no_others),
        OVER(kubernetes, test_a_job_of_others_is_left_alone),
        OVER(kubernetes, test_each_end_has_its_code),
        OVER(kubernetes, test_a_pod_that_is_taken_away_is_evicted),
        OVER(kubernetes, test_the_deadline_ends_a_job),
        OVER(kubernetes, test_what_never_starts_fails_to_launch),
        OVER(kubernetes, test_waiting_for_others_is_said_to_be_waiting),
        OVER(kubernetes, test_a_stopped_job_keeps_its_pod_and_its_log),
        OVER(kubernetes, test_a_queued_job_waits_for_admission),
        OVER(kubernetes, test_a_queued_job_that_is_stopped_leaves_the_queue),
        OVER(kubernetes, test_a_job_that_loses_its_place_is_evicted),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
