/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/kubernetes_view.h"

#include <string.h>

#include "base/scoped.h"
#include "launch/kubernetes_facts.h"
#include "test.h"

/* From what the API server says of a Job and its pod to what the launcher says of the job. */

static int set_up(void **state)
{
    (void)state;
    json_setup();
    return 0;
}

static const struct kubernetes_patience patience = {
    .schedule_ms = 600000, .start_ms = 300000, .leave_ms = 60000};

#define JOB_OPEN_TEXT "{\"metadata\": {\"uid\": \"u\"}, \"status\": {\"active\": 1}}"
#define JOB_WITH(condition, reason)                                                            \
    "{\"metadata\": {\"uid\": \"u\"}, \"status\": {\"conditions\": [{\"type\": \"" condition   \
    "\", \"status\": \"True\", \"reason\": \"" reason                                          \
    "\", \"message\": \"the Job's word\"}]}}"
#define JOB_FAILED_TEXT JOB_WITH("Failed", "BackoffLimitExceeded")
#define POD_META "\"metadata\": {\"name\": \"p\", \"uid\": \"pu\"}"
#define SCHEDULED "{\"type\": \"PodScheduled\", \"status\": \"True\"}"
#define POD_WAITING(reason)                                                                    \
    "{" POD_META ", \"status\": {\"phase\": \"Pending\", \"conditions\": [" SCHEDULED          \
    "], \"containerStatuses\": [{\"name\": \"runner\", \"state\": {\"waiting\": {\"reason\": " \
    "\"" reason "\", \"message\": \"the kubelet's word\"}}}]}}"
#define POD_RUNS                                                                               \
    "{" POD_META ", \"status\": {\"phase\": \"Running\", \"conditions\": [" SCHEDULED          \
    "], \"containerStatuses\": [{\"name\": \"runner\", \"state\": {\"running\": {}}}]}}"
#define POD_ENDED_AS(terminated, more)                                                         \
    "{" POD_META ", \"status\": {\"phase\": \"Failed\", " more                                 \
    "\"containerStatuses\": [{\"name\": \"runner\", \"state\": {\"terminated\": {" terminated  \
    "}}}]}}"

static cJSON *parsed(const char *text)
{
    struct err err = {0};
    cJSON *value = json_parse(text, strlen(text), &err);

    assert_made(value, err);
    return value;
}

static struct kubernetes_state state_of(const char *job_text, const char *pod_text)
{
    scoped_json job = job_text ? parsed(job_text) : NULL;
    scoped_json pod = pod_text ? parsed(pod_text) : NULL;
    struct kubernetes_state state = {.pod = {.exit_code = -1}};

    if (job)
        kubernetes_facts_of_job(job, &state.job);
    if (pod)
        kubernetes_facts_of_pod(pod, "runner", &state.pod);
    return state;
}

/* --- Ends --------------------------------------------------------------------------------- */

static void test_each_end_has_its_code_and_sentence(void **state)
{
    static const struct {
        const char *job;
        const char *pod;
        int exit_code;
        enum failure_code reason;
        const char *says;
    } cases[] = {
        {JOB_OPEN_TEXT, POD_ENDED_AS("\"exitCode\": 0, \"reason\": \"Completed\"", ""), 0,
         FAILURE_NONE, ""},
        {JOB_WITH("Complete", "CompletionsReached"), NULL, 0, FAILURE_NONE, ""},
        {JOB_FAILED_TEXT, POD_ENDED_AS("\"exitCode\": 3, \"reason\": \"Error\"", ""), 3,
         FAILURE_NONE, ""},
        {JOB_FAILED_TEXT, POD_ENDED_AS("\"exitCode\": 137, \"reason\": \"Error\"", ""), -1,
         FAILURE_NONE, "signal 9"},
        {JOB_FAILED_TEXT, POD_ENDED_AS("\"exitCode\": 137, \"reason\": \"OOMKilled\"", ""), -1,
         FAILURE_OUT_OF_MEMORY, "memory"},
        /* The agent alone was killed for its memory; the runner lived to report its success. */
        {JOB_OPEN_TEXT, POD_ENDED_AS("\"exitCode\": 0, \"reason\": \"OOMKilled\"", ""), 0,
         FAILURE_NONE, ""},
        {JOB_FAILED_TEXT,
         POD_ENDED_AS("\"exitCode\": 1, \"message\": \"{\\\"status\\\": \\\"failed\\\", "
                      "\\\"error\\\": \\\"no branch\\\", \\\"error_code\\\": "
                      "\\\"clone_failed\\\"}\"",
                      ""),
         1, FAILURE_CLONE_FAILED, "no branch"},
        {JOB_FAILED_TEXT, POD_ENDED_AS("\"exitCode\": 9, \"message\": \"garbage\"", ""), 9,
         FAILURE_NONE, ""},
        /* An agent's forged word doesn't outdo the cluster's. */
        {JOB_FAILED_TEXT,
         POD_ENDED_AS("\"exitCode\": 137, \"reason\": \"OOMKilled\", \"message\": "
                      "\"{\\\"status\\\": \\\"failed\\\", \\\"error\\\": \\\"all fine\\\"}\"",
                      ""),
         1, FAILURE_OUT_OF_MEMORY, "memory"},
        {JOB_FAILED_TEXT,
         POD_ENDED_AS("\"exitCode\": 137",
                      "\"reason\": \"Evicted\", \"message\": \"The node was low on memory\", "),
         -1, FAILURE_EVICTED, "The node was low on memory"},
        {JOB_FAILED_TEXT,
         POD_ENDED_AS("\"exitCode\": 143",
                      "\"conditions\": [{\"type\": \"DisruptionTarget\", \"status\": \"True\", "
                      "\"reason\": \"PreemptionByScheduler\", \"message\": \"preempting\"}], "),
         -1, FAILURE_EVICTED, "preempting"},
        {JOB_FAILED_TEXT,
         "{" POD_META ", \"status\": {\"phase\": \"Failed\", \"reason\": \"OutOfcpu\", "
         "\"message\": \"Node didn't have enough resource\"}}",
         -1, FAILURE_EVICTED, "enough resource"},
        {JOB_FAILED_TEXT,
         POD_ENDED_AS("\"exitCode\": 128, \"reason\": \"StartError\", \"message\": \"exec: no "
                      "such file\"",
                      ""),
         128, FAILURE_LAUNCH_FAILED, "no such file"},
        {JOB_FAILED_TEXT,
         POD_ENDED_AS("\"exitCode\": 143", "\"reason\": \"DeadlineExceeded\", \"message\": "
                                           "\"Pod was active too long\", "),
         -1, FAILURE_DEADLINE, "too long"},
        {JOB_WITH("Failed", "DeadlineExceeded"), NULL, -1, FAILURE_DEADLINE, "the Job's word"},
        {JOB_WITH("FailureTarget", "DeadlineExceeded"), POD_RUNS, -1, FAILURE_DEADLINE,
         "the Job's word"},
        {JOB_FAILED_TEXT, NULL, -1, FAILURE_EVICTED, "gone"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct kubernetes_state facts = state_of(cases[i].job, cases[i].pod);
        struct job_view view = kubernetes_view(&facts, &patience).view;

        if (view.phase != JOB_ENDED || view.exit_code != cases[i].exit_code
            || view.reason != cases[i].reason || !strstr(view.detail, cases[i].says))
            fail_msg("case %zu: phase %d, exit code %d, reason %d, %s", i, view.phase,
                     view.exit_code, view.reason, view.detail);
    }
}

static void test_a_pod_that_was_told_to_go_before_its_end_was_evicted(void **state)
{
    static const struct {
        const char *finished;
        enum failure_code reason;
    } cases[] = {{"2026-01-01T00:00:05Z", FAILURE_EVICTED},
                 {"2026-01-01T00:00:04Z", FAILURE_NONE}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[1024];
        struct kubernetes_state facts;

        /* Told at :05, for it must be gone at :35 with a grace of 30 s. */
        (void)snprintf(text, sizeof(text),
                       "{\"metadata\": {\"uid\": \"pu\", \"deletionTimestamp\": "
                       "\"2026-01-01T00:00:35Z\", \"deletionGracePeriodSeconds\": 30}, "
                       "\"status\": {\"phase\": \"Failed\", \"containerStatuses\": [{\"name\": "
                       "\"runner\", \"state\": {\"terminated\": {\"exitCode\": 1, "
                       "\"finishedAt\": \"%s\"}}}]}}",
                       cases[i].finished);
        facts = state_of(JOB_FAILED_TEXT, text);
        assert_int_equal(kubernetes_view(&facts, &patience).view.reason, cases[i].reason);
    }
}

/* The Job controller deletes pods for reasons of its own, which it tells right after. */
static void test_a_deleted_pod_waits_for_the_jobs_word(void **state)
{
    struct kubernetes_state facts = state_of(JOB_OPEN_TEXT, POD_RUNS);

    (void)state;
    kubernetes_facts_pod_gone(&facts.pod);
    assert_int_equal(kubernetes_view(&facts, &patience).view.phase, JOB_RUNNING);
    facts.stage_ms = KUBERNETES_SETTLE_PATIENCE_MS;
    assert_int_equal(kubernetes_view(&facts, &patience).view.phase, JOB_ENDED);
    assert_int_equal(kubernetes_view(&facts, &patience).view.reason, FAILURE_EVICTED);
}

static void test_what_is_said_of_an_end_stays_said(void **state)
{
    struct kubernetes_pod_facts evicted = {.state = KUBERNETES_POD_ENDED,
                                           .reason = FAILURE_EVICTED,
                                           .detail = "its pod was deleted"};
    struct kubernetes_pod_facts leaving = {.state = KUBERNETES_POD_RUNNING, .leaving = true};
    struct kubernetes_pod_facts now = {.state = KUBERNETES_POD_ENDED, .exit_code = 4};
    struct kubernetes_pod_facts well = {.state = KUBERNETES_POD_ENDED, .exit_code = 0};

    (void)state;
    kubernetes_facts_pod_after(&evicted, &now);
    assert_int_equal(now.reason, FAILURE_EVICTED);
    assert_string_equal(now.detail, "its pod was deleted");
    now.reason = FAILURE_NONE;
    kubernetes_facts_pod_after(&leaving, &now);
    assert_int_equal(now.reason, FAILURE_EVICTED);
    kubernetes_facts_pod_after(&leaving, &well);
    assert_int_equal(well.reason, FAILURE_NONE);
}

static void test_an_end_of_which_the_pod_isnt_known_asks_for_it(void **state)
{
    struct kubernetes_state late = state_of(JOB_FAILED_TEXT, POD_RUNS);
    struct kubernetes_state known =
        state_of(JOB_FAILED_TEXT, POD_ENDED_AS("\"exitCode\": 3", ""));

    (void)state;
    assert_true(kubernetes_view(&late, &patience).ask_pod);
    assert_false(kubernetes_view(&known, &patience).ask_pod);
}

/* --- Before it runs ----------------------------------------------------------------------- */

static void test_each_beginning_waits_only_so_long(void **state)
{
    static const struct {
        const char *pod;
        int64_t stage_ms; /* still waiting just before this, given up from then on */
        int64_t node_ms;
        enum failure_code reason;
    } cases[] = {
        {NULL, 600000, 0, FAILURE_LAUNCH_FAILED},
        {"{" POD_META ", \"status\": {\"phase\": \"Pending\", \"conditions\": [{\"type\": "
         "\"PodScheduled\", \"status\": \"False\", \"reason\": \"Unschedulable\", "
         "\"message\": \"0/1 nodes\"}]}}",
         600000, 0, FAILURE_LAUNCH_FAILED},
        {POD_WAITING("ContainerCreating"), 0, 300000, FAILURE_LAUNCH_FAILED},
        {POD_WAITING("ErrImagePull"), KUBERNETES_PULL_PATIENCE_MS, 0, FAILURE_IMAGE_PULL},
        {POD_WAITING("ImagePullBackOff"), 0, 300000, FAILURE_IMAGE_PULL},
        {POD_WAITING("CreateContainerConfigError"), KUBERNETES_CONFIG_PATIENCE_MS, 0,
         FAILURE_LAUNCH_FAILED},
        {POD_WAITING("CreateContainerError"), KUBERNETES_CONFIG_PATIENCE_MS, 0,
         FAILURE_LAUNCH_FAILED},
        {POD_WAITING("RunContainerError"), 0, 300000, FAILURE_LAUNCH_FAILED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct kubernetes_state facts = state_of(JOB_OPEN_TEXT, cases[i].pod);
        struct kubernetes_verdict verdict;

        facts.stage_ms = cases[i].stage_ms ? cases[i].stage_ms - 1 : 0;
        facts.node_ms = cases[i].node_ms ? cases[i].node_ms - 1 : 0;
        verdict = kubernetes_view(&facts, &patience);
        assert_int_equal(verdict.view.phase, JOB_STARTING);
        assert_true(verdict.view.waiting);
        assert_false(verdict.give_up);
        facts.stage_ms = cases[i].stage_ms;
        facts.node_ms = cases[i].node_ms;
        verdict = kubernetes_view(&facts, &patience);
        assert_int_equal(verdict.view.phase, JOB_ENDED);
        assert_int_equal(verdict.view.reason, cases[i].reason);
        assert_true(verdict.give_up);
    }
}

static void test_an_image_that_never_will_be_is_given_up_at_once(void **state)
{
    static const char *const pods[] = {POD_WAITING("InvalidImageName"),
                                       POD_WAITING("ErrImageNeverPull")};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pods); i++) {
        struct kubernetes_state facts = state_of(JOB_OPEN_TEXT, pods[i]);

        assert_int_equal(kubernetes_view(&facts, &patience).view.reason, FAILURE_IMAGE_PULL);
    }
}

static void test_a_refused_pod_fails_and_a_full_quota_waits(void **state)
{
    struct kubernetes_state facts = state_of(JOB_OPEN_TEXT, NULL);

    (void)state;
    assert_false(kubernetes_view(&facts, &patience).ask_events);
    facts.stage_ms = KUBERNETES_POD_PATIENCE_MS;
    assert_true(kubernetes_view(&facts, &patience).ask_events);
    (void)snprintf(facts.refusal, sizeof(facts.refusal), "violates PodSecurity");
    assert_int_equal(kubernetes_view(&facts, &patience).view.phase, JOB_ENDED);
    assert_non_null(strstr(kubernetes_view(&facts, &patience).view.detail, "PodSecurity"));
    assert_true(kubernetes_view_refused_for_now("pods \"x\" is forbidden: exceeded quota: q"));
    facts.refused_for_now = true;
    assert_int_equal(kubernetes_view(&facts, &patience).view.phase, JOB_STARTING);
    assert_true(kubernetes_view(&facts, &patience).view.waiting);
}

static void test_a_suspended_job_waits_as_long_as_it_takes(void **state)
{
    struct kubernetes_state facts = state_of(
        "{\"metadata\": {\"uid\": \"u\", \"labels\": {\"kueue.x-k8s.io/queue-name\": \"q\"}}, "
        "\"spec\": {\"suspend\": true}}",
        NULL);
    struct job_view view;

    (void)state;
    facts.stage_ms = INT64_C(1) << 40;
    view = kubernetes_view(&facts, &patience).view;
    assert_int_equal(view.phase, JOB_STARTING);
    assert_true(view.waiting);
    assert_string_equal(view.detail, "waits for admission to queue: q");
}

/* --- While it runs ------------------------------------------------------------------------ */

static void test_a_running_container_is_running(void **state)
{
    struct kubernetes_state facts = state_of(JOB_OPEN_TEXT, POD_RUNS);
    struct job_view view = kubernetes_view(&facts, &patience).view;

    (void)state;
    assert_int_equal(view.phase, JOB_RUNNING);
    assert_false(view.waiting);
}

static void test_a_pod_whose_node_never_lets_it_go_is_given_up(void **state)
{
    struct kubernetes_state facts = state_of(
        JOB_OPEN_TEXT,
        "{\"metadata\": {\"uid\": \"pu\", \"deletionTimestamp\": \"2026-01-01T00:00:35Z\"}, "
        "\"status\": {\"phase\": \"Running\", \"containerStatuses\": [{\"name\": \"runner\", "
        "\"state\": {\"running\": {}}}]}}");

    (void)state;
    assert_int_equal(kubernetes_view(&facts, &patience).view.phase, JOB_RUNNING);
    facts.stage_ms = patience.leave_ms;
    assert_int_equal(kubernetes_view(&facts, &patience).view.reason, FAILURE_EVICTED);
    assert_true(kubernetes_view(&facts, &patience).give_up);
}

static void test_what_we_stopped_says_so_and_why(void **state)
{
    struct kubernetes_state asked = state_of(
        JOB_FAILED_TEXT,
        "{\"metadata\": {\"uid\": \"pu\", \"annotations\": {\"dispatch.dev/stopped\": "
        "\"asked\"}}, \"status\": {\"phase\": \"Failed\", \"reason\": \"DeadlineExceeded\", "
        "\"containerStatuses\": [{\"name\": \"runner\", \"state\": {\"terminated\": "
        "{\"exitCode\": 4}}}]}}");
    struct kubernetes_state given_up =
        state_of("{\"metadata\": {\"uid\": \"u\", \"annotations\": {\"dispatch.dev/stopped\": "
                 "\"image_pull\", \"dispatch.dev/stopped-because\": \"no such image\"}}, "
                 "\"status\": {\"conditions\": [{\"type\": \"Failed\", \"status\": \"True\", "
                 "\"reason\": \"DeadlineExceeded\"}]}}",
                 NULL);
    struct job_view view = kubernetes_view(&asked, &patience).view;

    (void)state;
    assert_int_equal(view.reason, FAILURE_NONE);
    assert_int_equal(view.exit_code, 4);
    view = kubernetes_view(&given_up, &patience).view;
    assert_int_equal(view.reason, FAILURE_IMAGE_PULL);
    assert_string_equal(view.detail, "no such image");
}

static void test_no_job_is_a_lost_job(void **state)
{
    struct kubernetes_state facts = state_of(NULL, POD_RUNS);

    (void)state;
    assert_int_equal(kubernetes_view(&facts, &patience).view.phase, JOB_LOST);
}

/* --- Strangers ---------------------------------------------------------------------------- */

/* Whatever an API server, or somebody in its place, may answer. */
static void test_nonsense_is_read_without_harm(void **state)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "3",
        "{\"metadata\": 1, \"status\": [], \"spec\": \"x\"}",
        ("{\"metadata\": {\"labels\": [], \"ownerReferences\": {\"kind\": 3}}, \"status\": "
         "{\"conditions\": [1, null, {}], \"containerStatuses\": [[], {\"name\": \"runner\", "
         "\"state\": {\"terminated\": 1}}]}}"),
        ("{\"status\": {\"phase\": \"Failed\", \"containerStatuses\": [{\"name\": \"runner\", "
         "\"state\": {\"terminated\": {\"exitCode\": 1e300, \"message\": 7}}}]}}"),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct kubernetes_state facts = state_of(texts[i], texts[i]);
        struct id run;
        int attempt;
        scoped_json value = parsed(texts[i]);

        (void)kubernetes_view(&facts, &patience);
        assert_false(kubernetes_facts_ours(value, &run, &attempt));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_end_has_its_code_and_sentence),
        cmocka_unit_test(test_a_pod_that_was_told_to_go_before_its_end_was_evicted),
        cmocka_unit_test(test_a_deleted_pod_waits_for_the_jobs_word),
        cmocka_unit_test(test_what_is_said_of_an_end_stays_said),
        cmocka_unit_test(test_an_end_of_which_the_pod_isnt_known_asks_for_it),
        cmocka_unit_test(test_each_beginning_waits_only_so_long),
        cmocka_unit_test(test_an_image_that_never_will_be_is_given_up_at_once),
        cmocka_unit_test(test_a_refused_pod_fails_and_a_full_quota_waits),
        cmocka_unit_test(test_a_suspended_job_waits_as_long_as_it_takes),
        cmocka_unit_test(test_a_running_container_is_running),
        cmocka_unit_test(test_a_pod_whose_node_never_lets_it_go_is_given_up),
        cmocka_unit_test(test_what_we_stopped_says_so_and_why),
        cmocka_unit_test(test_no_job_is_a_lost_job),
        cmocka_unit_test(test_nonsense_is_read_without_harm),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, set_up, NULL);
}
