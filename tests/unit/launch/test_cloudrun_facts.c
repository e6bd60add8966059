/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/cloudrun_facts.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"
#include "crypto/random.h"

#define RUN "01hq3k9d8abcdefghij0"
#define ENV                                                                                    \
    "{\"containers\":[{\"image\":\"i\",\"env\":[{\"name\":\"A\",\"value\":\"b\"},"             \
    "{\"name\":\"DISPATCH_RUN_ID\",\"value\":\"" RUN "\"},"                                    \
    "{\"name\":\"DISPATCH_ATTEMPT\",\"value\":\"3\"}]}]}"
#define NAMED "\"name\":\"projects/p/locations/r/jobs/j/executions/j-x7k2p\""
#define OURS NAMED ",\"createTime\":\"2026-01-02T03:04:05.678901234Z\",\"template\":" ENV
#define STARTED ",\"startTime\":\"2026-01-02T03:04:10Z\""
#define DONE ",\"completionTime\":\"2026-01-02T03:05:00Z\""

static cJSON *parse(const char *text)
{
    struct err err = {0};
    cJSON *value = json_parse(text, strlen(text), &err);

    assert_made(value, err);
    return value;
}

static bool facts_of(const char *text, struct cloudrun_facts *out)
{
    scoped_json execution = parse(text);

    return cloudrun_facts_read(execution, out);
}

static void test_whose_it_is_stands_in_its_environment(void **state)
{
    struct cloudrun_facts facts;
    char text[ID_TEXT_SIZE];

    (void)state;
    assert_true(facts_of("{" OURS "}", &facts));
    id_text(facts.run, text);
    assert_string_equal(text, RUN);
    assert_int_equal(facts.attempt, 3);
    assert_string_equal(facts.name, "j-x7k2p");
    assert_int_equal(facts.created_ms % 1000, 678);
}

static void test_what_says_otherwise_is_not_ours(void **state)
{
    static const char *const strangers[] = {
        "{}",
        "[]",
        "{" NAMED "}",
        "{" NAMED ",\"template\":7}",
        "{" NAMED ",\"template\":{\"containers\":{\"a\":1}}}",
        "{" NAMED ",\"template\":{\"containers\":[{\"env\":[{\"name\":\"DISPATCH_RUN_ID\","
        "\"value\":\"" RUN "\"}]}]}}",
        "{" NAMED ",\"template\":{\"containers\":[{\"env\":[{\"name\":\"DISPATCH_RUN_ID\","
        "\"value\":\"" RUN "\"},{\"name\":\"DISPATCH_ATTEMPT\",\"value\":\"01\"}]}]}}",
        "{" NAMED ",\"template\":{\"containers\":[{\"env\":[{\"name\":\"DISPATCH_RUN_ID\","
        "\"value\":\"../../x\"},{\"name\":\"DISPATCH_ATTEMPT\",\"value\":\"1\"}]}]}}",
        "{\"template\":" ENV "}",
        "{\"name\":\"\",\"template\":" ENV "}",
        "{\"name\":\"executions/\",\"template\":" ENV "}",
        "{\"name\":\"executions/a?b\",\"template\":" ENV "}",
        "{\"name\":\"executions/..\",\"template\":" ENV "}",
        "{\"name\":\"executions/"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
        "\"template\":" ENV "}",
    };
    struct cloudrun_facts facts;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(strangers); i++)
        if (facts_of(strangers[i], &facts))
            fail_msg("taken for ours: %s", strangers[i]);
}

static void test_conditions_and_counts_say_how_it_is(void **state)
{
    static const struct {
        const char *text;
        enum job_phase phase;
        bool waiting;
        int exit_code;
        enum failure_code reason;
        bool ask_task;
    } cases[] = {
        {"{" OURS "}", JOB_STARTING, true, -1, FAILURE_NONE, false},
        {"{" OURS STARTED ",\"runningCount\":1}", JOB_RUNNING, false, -1, FAILURE_NONE, false},
        {"{" OURS STARTED ",\"conditions\":[{\"type\":\"Completed\",\"state\":"
         "\"CONDITION_RECONCILING\",\"executionReason\":\"CANCELLING\"}],\"runningCount\":1}",
         JOB_RUNNING, false, -1, FAILURE_NONE, false},
        {"{" OURS STARTED DONE ",\"succeededCount\":1,\"conditions\":[{\"type\":\"Completed\","
         "\"state\":\"CONDITION_SUCCEEDED\"}]}",
         JOB_ENDED, false, 0, FAILURE_NONE, false},
        {"{" OURS STARTED DONE ",\"failedCount\":1}", JOB_ENDED, false, -1, FAILURE_NONE, true},
        {"{" OURS STARTED DONE ",\"conditions\":[{\"type\":\"Completed\",\"state\":"
         "\"CONDITION_FAILED\",\"executionReason\":\"CANCELLED\"}]}",
         JOB_ENDED, false, -1, FAILURE_NONE, false},
        {"{" OURS STARTED DONE ",\"conditions\":[{\"type\":\"Completed\",\"state\":"
         "\"CONDITION_FAILED\",\"executionReason\":\"NON_ZERO_EXIT_CODE\",\"message\":"
         "\"Task j-x7k2p-task0 failed with exit code: 0 and message: The configured memory "
         "limit was reached.\"}]}",
         JOB_ENDED, false, -1, FAILURE_OUT_OF_MEMORY, true},
        {"{" OURS STARTED DONE ",\"conditions\":[{\"type\":\"Completed\",\"state\":"
         "\"CONDITION_FAILED\",\"message\":\"Task j failed with message: The configured "
         "timeout was reached.\"}]}",
         JOB_ENDED, false, -1, FAILURE_DEADLINE, true},
        {"{" OURS DONE ",\"conditions\":[{\"type\":\"Completed\",\"state\":"
         "\"CONDITION_FAILED\",\"reason\":\"CONTAINER_MISSING\"}]}",
         JOB_ENDED, false, -1, FAILURE_IMAGE_PULL, false},
        {"{" OURS DONE ",\"conditions\":[{\"type\":\"Completed\",\"state\":"
         "\"CONDITION_FAILED\",\"reason\":\"INTERNAL\"}]}",
         JOB_ENDED, false, -1, FAILURE_LAUNCH_FAILED, false},
        {"{" OURS
         ",\"conditions\":[{\"type\":\"Completed\",\"state\":\"CONDITION_SUCCEEDED\"}]}",
         JOB_ENDED, false, 0, FAILURE_NONE, false},
        {"{" OURS ",\"conditions\":[7,{\"type\":3},{\"type\":\"Completed\",\"state\":9}],"
         "\"completionTime\":\"soon\",\"runningCount\":\"1\"}",
         JOB_STARTING, true, -1, FAILURE_NONE, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct cloudrun_facts facts;

        assert_true(facts_of(cases[i].text, &facts));
        assert_int_equal(facts.view.phase, cases[i].phase);
        assert_int_equal(facts.view.waiting, cases[i].waiting);
        assert_int_equal(facts.view.exit_code, cases[i].exit_code);
        assert_int_equal(facts.view.reason, cases[i].reason);
        assert_int_equal(facts.ask_task, cases[i].ask_task);
    }
}

static void test_what_it_waits_for_is_said(void **state)
{
    struct cloudrun_facts facts;

    (void)state;
    assert_true(facts_of("{" OURS ",\"conditions\":[{\"type\":\"ResourcesAvailable\",\"state\":"
                         "\"CONDITION_SUCCEEDED\",\"message\":\"Provisioned.\"},{\"type\":"
                         "\"ContainerReady\",\"state\":\"CONDITION_PENDING\",\"message\":"
                         "\"Imported container\\nimage soon.\"}]}",
                         &facts));
    assert_string_equal(facts.view.detail, "Imported container image soon.");
}

static void test_the_task_says_how_it_failed(void **state)
{
    static const struct {
        const char *task;
        int exit_code;
        enum failure_code reason;
    } cases[] = {
        {"{\"lastAttemptResult\":{\"exitCode\":3}}", 3, FAILURE_NONE},
        {"{\"lastAttemptResult\":{\"exitCode\":137}}", 137, FAILURE_OUT_OF_MEMORY},
        {"{\"lastAttemptResult\":{\"termSignal\":9}}", -1, FAILURE_OUT_OF_MEMORY},
        {"{\"lastAttemptResult\":{\"termSignal\":15}}", -1, FAILURE_NONE},
        {"{\"lastAttemptResult\":{\"status\":{\"code\":4,\"message\":\"The configured timeout "
         "was reached.\"},\"termSignal\":9}}",
         -1, FAILURE_DEADLINE},
        {"{\"lastAttemptResult\":{\"exitCode\":99999}}", -1, FAILURE_NONE},
        {"{\"lastAttemptResult\":{\"exitCode\":-1}}", -1, FAILURE_NONE},
        {"{\"lastAttemptResult\":7}", -1, FAILURE_NONE},
        {"{}", -1, FAILURE_NONE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct cloudrun_facts facts;
        scoped_json task = parse(cases[i].task);

        assert_true(facts_of("{" OURS STARTED DONE ",\"failedCount\":1}", &facts));
        cloudrun_facts_add_task(&facts, task);
        assert_int_equal(facts.view.exit_code, cases[i].exit_code);
        assert_int_equal(facts.view.reason, cases[i].reason);
        assert_false(facts.ask_task);
    }
}

static int setup(void **state)
{
    (void)state;
    json_setup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whose_it_is_stands_in_its_environment),
        cmocka_unit_test(test_what_says_otherwise_is_not_ours),
        cmocka_unit_test(test_conditions_and_counts_say_how_it_is),
        cmocka_unit_test(test_what_it_waits_for_is_said),
        cmocka_unit_test(test_the_task_says_how_it_failed),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, setup, NULL);
}
