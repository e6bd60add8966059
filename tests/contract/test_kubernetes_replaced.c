/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher_world.h"

#include <string.h>

#include "base/alloc.h"
#include "cluster_world.h"
#include "kubernetes_standin.h"

/* A Job that somebody deleted and made again under its name, while our watches were cut off:
 * whatever we ask for, by what we knew, doesn't happen to the one that is there now. */
#define JOBS "/apis/batch/v1/namespaces/%s/jobs"
#define FAULTS "/standin/faults"

/* Suspended, so that nothing happens to it by itself. */
static const char another[] =
    "{\"apiVersion\": \"batch/v1\", \"kind\": \"Job\", \"metadata\": {\"name\": \"%s\", "
    "\"labels\": {\"app\": \"other\"}}, \"spec\": {\"suspend\": true, \"template\": {\"spec\": "
    "{\"restartPolicy\": \"Never\", \"containers\": [{\"name\": \"c\", \"image\": \"i\"}]}}}}";

static cJSON *only_job(struct world *world)
{
    scoped_json all = cluster_objects(world, "jobs");

    assert_int_equal(cJSON_GetArraySize(all), 1);
    return cJSON_DetachItemFromArray(all, 0);
}

/* The cluster has said all that it has to say about it. */
static bool is_settled(struct world *world)
{
    scoped_json job = only_job(world);

    return cJSON_GetArraySize(json_get(json_get(job, "status"), "conditions")) > 0;
}

/* Returns the one that is there now. */
static cJSON *replace_unseen(struct world *world, const char *ref)
{
    scoped_str jobs = xasprintf(JOBS, world->standin->namespace);
    scoped_str gone = xasprintf("%s/%s?propagationPolicy=Background", jobs, ref);
    scoped_str body = xasprintf(another, ref);

    kubernetes_standin_post(
        world->standin, FAULTS,
        "{\"action\": \"status\", \"status\": 500, \"watch\": true, \"times\": 0}");
    kubernetes_standin_post(world->standin, FAULTS, "{\"action\": \"cut_watches\"}");
    cJSON_Delete(kubernetes_standin_call(world->standin, "DELETE", gone, NULL));
    wait_until(cluster_count(world, "jobs") == 0, SOON_MS);
    cJSON_Delete(kubernetes_standin_call(world->standin, "POST", jobs, body));
    wait_until(is_settled(world), SOON_MS);
    return only_job(world);
}

static void test_a_job_that_was_replaced_is_not_stopped(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);
    scoped_json before = NULL;
    scoped_json after = NULL;

    await_started(world, ref);
    before = replace_unseen(world, ref);
    assert_int_equal(phase_of(world, ref), JOB_RUNNING); /* as far as we know */
    stop(world, ref);
    after = only_job(world);
    assert_true(cJSON_Compare(before, after, true));
    cJSON_Delete(kubernetes_standin_call(world->standin, "DELETE", FAULTS, NULL));
}

/* Before it was admitted by its queue it would be deleted. */
static void test_a_job_that_was_replaced_is_not_deleted(void **state)
{
    scoped(world) world = world_prepare(&kubernetes);
    char queue[] = "runs-queue";
    scoped_str ref = NULL;
    scoped_json before = NULL;
    scoped_json after = NULL;

    (void)state;
    world->config.kubernetes.queue_name = queue;
    open_launcher(world);
    world->config.kubernetes.queue_name = NULL;
    ref = start(world, QUICK);
    before = replace_unseen(world, ref);
    assert_int_equal(phase_of(world, ref), JOB_STARTING);
    stop(world, ref);
    assert_int_equal(cluster_count(world, "jobs"), 1);
    after = only_job(world);
    assert_true(cJSON_Compare(before, after, true));
    cJSON_Delete(kubernetes_standin_call(world->standin, "DELETE", FAULTS, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER(kubernetes, test_a_job_that_was_replaced_is_not_stopped),
        OVER(kubernetes, test_a_job_that_was_replaced_is_not_deleted),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
