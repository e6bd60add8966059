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
#define FAULTS "/standin/faults"

/* --- The cluster ------------------------------------------------------------------------ */

static void script(struct world *world, const char *json)
{
    scoped_str body = xasprintf("{\"job\": \"*\", \"script\": %s}", json);

    kubernetes_standin_post(world->standin, SCRIPTS, body);
}

static void fault(struct world *world, const char *json)
{
    kubernetes_standin_post(world->standin, FAULTS, json);
}

/* Objects of one kind in the cluster, Secrets too. */
static cJSON *objects(struct world *world, const char *kind)
{
    scoped_str path = xasprintf("/standin/objects?kind=%s", kind);

    return kubernetes_standin_get(world->standin, path);
}

static int count(struct world *world, const char *kind)
{
    scoped_json all = objects(world, kind);

    return cJSON_GetArraySize(all);
}

static cJSON *only_object(struct world *world, const char *kind)
{
    scoped_json all = objects(world, kind);

    assert_int_equal(cJSON_GetArraySize(all), 1);
    return cJSON_DetachItemFromArray(all, 0);
}

/* How often anything of this kind was made, ever. */
static int times_made(struct world *world, const char *kind)
{
    scoped_str path = xasprintf("/standin/made?kind=%s", kind);
    scoped_json made = kubernetes_standin_get(world->standin, path);
    const cJSON *item;
    int times = 0;

    cJSON_ArrayForEach(item, made)
    {
        times += (int)cJSON_GetNumberValue(cJSON_GetArrayItem(item, 2));
    }
    return times;
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
    wait_until(count(world, "jobs") == 0 && count(world, "pods") == 0
                   && count(world, "secrets") == 0,
               SOON_MS);
    assert_int_equal(phase_of(world, ref), JOB_LOST);
}

static void test_notes_are_events_on_the_job(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);
    scoped_json all = NULL;
    const cJSON *event;
    int seen = 0;

    launcher_note(world->launcher, ref, "Claimed", "by the runner");
    wait_until(times_made(world, "events") > 1, SOON_MS); /* one is the Job controller's */
    (void)await_end(world, ref);
    all = objects(world, "events");
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
    assert_int_equal(seen, 1);
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
    assert_int_equal(times_made(world, "jobs"), ARRAY_SIZE(faults));
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
    assert_int_equal(count(world, "secrets"), 0);
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
    assert_int_equal(count(world, "jobs"), 0);
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
    wait_until(count(world, "jobs") == 0 && count(world, "pods") == 0, SOON_MS);
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
    assert_int_equal(count(world, "jobs"), 1);
    assert_int_equal(count(world, "secrets"), 0);
    cJSON_Delete(kubernetes_standin_call(world->standin, "DELETE", FAULTS, NULL));
    reopen(world);
    assert_int_equal(phase_of(world, job_ref_make(run, 1).text), JOB_STARTING);
    free(TAKE(ref));
    ref = start_again(world, run, NULL);
    assert_int_equal(await_end(world, ref).exit_code, 0);
    assert_int_equal(times_made(world, "jobs"), 1);
}

static void test_while_the_server_is_away_nothing_is_lost(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);
    struct id run = run_doing(world, "exit 0");
    scoped_str other = NULL;
    struct err err = {0};

    await_started(world, ref);
    kubernetes_standin_down(world->standin, 2000);
    assert_int_equal(try_start(world, run, NULL, &other, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
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
    assert_int_equal(times_made(world, "jobs"), MANY);
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
        /* A real node takes a moment to find out. */
        scoped(world) world = hindered_world(hindrance, kubernetes_standin_real() ? 10 : 1);
        scoped_str ref = start(world, LONG);
        struct job_view view = await_end(world, ref);

        if (view.reason != hindrance->reason || !strstr(view.detail, hindrance->says))
            fail_msg("%s: %s (%s)", hindrance->script, failure_code_name(view.reason),
                     view.detail);
        wait_until(job_has_condition(world, "Failed"), SOON_MS);
        wait_until(count(world, "pods") == 0, SOON_MS);
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
    assert_int_equal(count(world, "pods"), 1);
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
    assert_int_equal(count(world, "pods"), 0);
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
    wait_until(count(world, "jobs") == 0 && count(world, "secrets") == 0, SOON_MS);
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
    wait_until(count(world, "jobs") == 0, SOON_MS);
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
        OVER(kubernetes, test_the_token_is_in_a_secret_of_the_job_and_nowhere_else),
        OVER(kubernetes, test_secrets_are_only_ever_made),
        OVER(kubernetes, test_forgetting_leaves_nothing_in_the_cluster),
        OVER(kubernetes, test_notes_are_events_on_the_job),
        OVER(kubernetes, test_the_list_has_our_jobs_and_no_others),
        OVER(kubernetes, test_a_start_whose_answer_is_lost_is_found_again),
        OVER(kubernetes, test_a_job_of_others_is_left_alone),
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
        OVER(kubernetes, test_each_end_has_its_code),
        OVER(kubernetes, test_a_pod_that_is_taken_away_is_evicted),
        OVER(kubernetes, test_the_deadline_ends_a_job),
        OVER(kubernetes, test_what_never_starts_fails_to_launch),
        OVER(kubernetes, test_waiting_for_others_is_said_to_be_waiting),
        OVER(kubernetes, test_a_stopped_job_keeps_its_pod_and_its_log),
        OVER(kubernetes, test_a_queued_job_waits_for_admission),
        OVER(kubernetes, test_a_queued_job_that_is_stopped_leaves_the_queue),
        OVER(kubernetes, test_a_job_that_loses_its_place_is_evicted),
        OVER(kubernetes, test_what_cannot_work_is_refused_at_the_start),
        OVER(kubernetes, test_it_opens_while_the_server_is_away),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
