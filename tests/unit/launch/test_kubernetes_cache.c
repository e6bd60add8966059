/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/kubernetes_cache.h"

#include <string.h>

#include "base/alloc.h"
#include "launch/job_ref.h"
#include "test.h"

/* What two watches tell, in whatever order it comes, and our own calls in between. */
#define RUN "mwrifi5awxv4iksdbllp"

static int told;

static void on_changed(void *ctx, struct id run, int attempt)
{
    (void)ctx;
    (void)run;
    (void)attempt;
    told++;
}

struct bench {
    struct kubernetes_cache *cache;
    struct watch_options jobs;
    struct watch_options pods;
    struct id run;
};

static int set_up(void **state)
{
    struct bench *bench = xcalloc(1, sizeof(*bench));

    json_setup();
    told = 0;
    bench->cache = kubernetes_cache_new("runner", on_changed, NULL);
    kubernetes_cache_hear_jobs(bench->cache, &bench->jobs);
    kubernetes_cache_hear_pods(bench->cache, &bench->pods);
    assert_true(id_parse(RUN, &bench->run));
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    kubernetes_cache_free(bench->cache);
    free(bench);
    return 0;
}

static cJSON *metadata(const char *name, const char *uid, int version, const char *owner)
{
    cJSON *labels =
        jobj({"app.kubernetes.io/managed-by", jstr("dispatchd")},
             {"dispatch.dev/run-id", jstr(RUN)}, {"dispatch.dev/attempt", jstr("1")});
    scoped_str text = xasprintf("%d", version);
    cJSON *owners =
        owner ? jarr(jobj({"kind", jstr("Job")}, {"uid", jstr(owner)})) : cJSON_CreateArray();

    return jobj({"name", jstr(name)}, {"uid", jstr(uid)}, {"resourceVersion", jstr(text)},
                {"labels", labels}, {"ownerReferences", owners});
}

/* `condition` may be NULL. */
static cJSON *job(const char *uid, int version, const char *condition)
{
    cJSON *conditions = condition
                            ? jarr(jobj({"type", jstr(condition)}, {"status", jstr("True")}))
                            : cJSON_CreateArray();

    return jobj({"metadata", metadata("run-" RUN "-1", uid, version, NULL)},
                {"status", jobj({"conditions", conditions})});
}

static cJSON *pod(const char *uid, int version, const char *owner, cJSON *state)
{
    return jobj({"metadata", metadata(uid, uid, version, owner)},
                {"status", jobj({"phase", jstr("Running")},
                                {"containerStatuses",
                                 jarr(jobj({"name", jstr("runner")}, {"state", state}))})});
}

static cJSON *running(void)
{
    return jobj({"running", cJSON_CreateObject()});
}

static cJSON *ended(int code)
{
    return jobj({"terminated", jobj({"exitCode", jint(code)})});
}

/* Each takes the object. */
static void set(const struct watch_options *watch, cJSON *object)
{
    watch->on_set(watch->ctx, object);
    cJSON_Delete(object);
}

static void deleted(const struct watch_options *watch, cJSON *object)
{
    watch->on_deleted(watch->ctx, object);
    cJSON_Delete(object);
}

static void list(const struct watch_options *watch, cJSON *object)
{
    watch->on_listing(watch->ctx);
    if (object)
        set(watch, object);
    watch->on_listed(watch->ctx);
}

static struct kubernetes_state known(struct bench *bench)
{
    struct kubernetes_state state;

    (void)kubernetes_cache_get(bench->cache, bench->run, 1, &state);
    return state;
}

static bool knows(struct bench *bench)
{
    return known(bench).job.state != KUBERNETES_JOB_NONE;
}

static void test_a_job_and_its_pod_are_known_together(void **state)
{
    struct bench *bench = *state;

    set(&bench->pods, pod("p", 2, "j", running())); /* in any order */
    assert_false(knows(bench));
    set(&bench->jobs, job("j", 1, NULL));
    assert_true(knows(bench));
    assert_int_equal(known(bench).pod.state, KUBERNETES_POD_RUNNING);
    set(&bench->pods, pod("p", 3, "j", ended(0)));
    assert_int_equal(known(bench).pod.state, KUBERNETES_POD_ENDED);
    assert_int_equal(told, 1);
}

static void test_older_news_doesnt_count(void **state)
{
    struct bench *bench = *state;

    set(&bench->jobs, job("j", 10, "Failed"));
    set(&bench->jobs, job("j", 9, NULL));
    assert_int_equal(known(bench).job.state, KUBERNETES_JOB_FAILED);
    set(&bench->pods, pod("p", 12, "j", ended(3)));
    set(&bench->pods, pod("p", 11, "j", running()));
    assert_int_equal(known(bench).pod.exit_code, 3);
}

static void test_a_list_is_the_truth(void **state)
{
    struct bench *bench = *state;

    set(&bench->jobs, job("j", 10, NULL));
    set(&bench->pods, pod("p", 11, "j", running()));
    list(&bench->jobs, job("j", 5, "Complete")); /* restored from a backup */
    assert_int_equal(known(bench).job.state, KUBERNETES_JOB_COMPLETE);
    list(&bench->pods, NULL);
    assert_int_equal(known(bench).pod.state, KUBERNETES_POD_ENDED);
    assert_int_equal(known(bench).pod.reason, FAILURE_EVICTED);
    told = 0;
    list(&bench->jobs, NULL);
    assert_false(knows(bench));
    assert_int_equal(told, 1);
}

static void test_a_pod_made_anew_doesnt_inherit_an_end(void **state)
{
    struct bench *bench = *state;

    set(&bench->jobs, job("j", 1, NULL));
    set(&bench->pods, pod("p", 2, "j", ended(3)));
    deleted(&bench->jobs, job("j", 4, NULL));
    set(&bench->jobs, job("k", 5, NULL));
    assert_int_equal(known(bench).pod.state, KUBERNETES_POD_NONE);
    set(&bench->pods, pod("p", 6, "j", ended(3))); /* of the one before */
    assert_int_equal(known(bench).pod.state, KUBERNETES_POD_NONE);
    set(&bench->pods, pod("q", 7, "k", running()));
    assert_int_equal(known(bench).pod.state, KUBERNETES_POD_RUNNING);
}

static void test_a_deleted_pod_keeps_its_end(void **state)
{
    struct bench *bench = *state;

    set(&bench->jobs, job("j", 1, NULL));
    set(&bench->pods, pod("p", 2, "j", ended(3)));
    deleted(&bench->pods, pod("p", 3, "j", ended(3)));
    set(&bench->pods, pod("p", 2, "j", running())); /* late */
    assert_int_equal(known(bench).pod.state, KUBERNETES_POD_ENDED);
    assert_int_equal(known(bench).pod.exit_code, 3);
    assert_int_equal(known(bench).pod.reason, FAILURE_NONE);
}

static void test_a_dropped_job_doesnt_come_back(void **state)
{
    struct bench *bench = *state;

    set(&bench->jobs, job("j", 1, "Complete"));
    kubernetes_cache_drop_job(bench->cache, bench->run, 1, "j");
    assert_false(knows(bench));
    set(&bench->jobs, job("j", 2, "Complete")); /* was under way */
    assert_false(knows(bench));
    deleted(&bench->jobs, job("j", 3, "Complete"));
    set(&bench->jobs, job("k", 4, NULL));
    assert_true(knows(bench));
}

static void test_our_own_answers_count_until_the_watch_says_more(void **state)
{
    struct bench *bench = *state;
    scoped_json made = job("j", 5, NULL);
    scoped_json pods = jobj({"items", cJSON_CreateArray()});

    list(&bench->jobs, NULL);
    kubernetes_cache_put_job(bench->cache, made);
    assert_true(knows(bench));
    set(&bench->pods, pod("p", 6, "j", running()));
    kubernetes_cache_put_pods(bench->cache, bench->run, 1, pods);
    assert_int_equal(known(bench).pod.state, KUBERNETES_POD_ENDED);
}

static void test_a_refusal_is_forgotten_when_a_pod_comes(void **state)
{
    struct bench *bench = *state;

    set(&bench->jobs, job("j", 1, NULL));
    kubernetes_cache_put_refusal(bench->cache, bench->run, 1, "exceeded quota: q");
    assert_string_equal(known(bench).refusal, "exceeded quota: q");
    assert_true(known(bench).refused_for_now);
    set(&bench->pods, pod("p", 2, "j", running()));
    assert_string_equal(known(bench).refusal, "");
}

static void test_questions_are_asked_seldom(void **state)
{
    struct bench *bench = *state;

    set(&bench->jobs, job("j", 1, NULL));
    assert_true(kubernetes_cache_may_ask(bench->cache, bench->run, 1));
    assert_false(kubernetes_cache_may_ask(bench->cache, bench->run, 1));
}

static void test_what_isnt_ours_is_ignored(void **state)
{
    struct bench *bench = *state;
    cJSON *other = job("j", 1, NULL);

    cJSON_ReplaceItemInObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(other, "metadata"),
                                           "name", jstr("another-name"));
    set(&bench->jobs, other);
    set(&bench->jobs, jobj({"metadata", jobj({"name", jstr("run-" RUN "-1")})}));
    set(&bench->pods, pod("p", 1, NULL, running())); /* nobody's */
    assert_false(knows(bench));
    assert_int_equal(told, 0);
}

static void test_thousands_are_kept_and_dropped(void **state)
{
    enum { MANY = 5000 };
    struct bench *bench = *state;
    struct kubernetes_state facts;

    for (int round = 0; round < 2; round++) {
        bench->jobs.on_listing(bench->jobs.ctx);
        for (int i = 0; i < MANY; i++) {
            cJSON *object = job("j", 1, NULL);
            cJSON *meta = cJSON_GetObjectItemCaseSensitive(object, "metadata");
            struct id run = {.key = ((int64_t)i << 21) + 7, .tail = 7 + ((int64_t)i << 5)};
            char text[ID_TEXT_SIZE];

            id_text(run, text);
            assert_true(id_parse(text, &run));
            cJSON_ReplaceItemInObjectCaseSensitive(
                cJSON_GetObjectItemCaseSensitive(meta, "labels"), "dispatch.dev/run-id",
                jstr(text));
            cJSON_ReplaceItemInObjectCaseSensitive(meta, "name",
                                                   jstr(job_ref_make(run, 1).text));
            if (round == 0 || i % 2)
                bench->jobs.on_set(bench->jobs.ctx, object);
            cJSON_Delete(object);
            if (round == 0)
                assert_true(kubernetes_cache_get(bench->cache, run, 1, &facts));
        }
        bench->jobs.on_listed(bench->jobs.ctx);
    }
    assert_int_equal(told, MANY / 2);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_job_and_its_pod_are_known_together),
        CASE(test_older_news_doesnt_count),
        CASE(test_a_list_is_the_truth),
        CASE(test_a_pod_made_anew_doesnt_inherit_an_end),
        CASE(test_a_deleted_pod_keeps_its_end),
        CASE(test_a_dropped_job_doesnt_come_back),
        CASE(test_our_own_answers_count_until_the_watch_says_more),
        CASE(test_a_refusal_is_forgotten_when_a_pod_comes),
        CASE(test_questions_are_asked_seldom),
        CASE(test_what_isnt_ours_is_ignored),
        CASE(test_thousands_are_kept_and_dropped),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
