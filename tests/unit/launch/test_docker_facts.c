/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_facts.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

#define RUN "0000000000000000000z"
#define NAME "run-" RUN "-2"
#define LABELS                                                                                 \
    "{\"app.kubernetes.io/managed-by\": \"dispatchd\", \"app.kubernetes.io/name\": "           \
    "\"dispatch-runner\", \"dispatch.dev/namespace\": \"here\", \"dispatch.dev/run-id\": "     \
    "\"" RUN "\", \"dispatch.dev/attempt\": \"2\", \"dispatch.dev/timeout-s\": \"60\"}"
#define CREATED "2026-01-02T03:04:05Z"

static struct docker_facts facts_of(const char *text)
{
    struct docker_facts facts;
    struct err err = {0};
    scoped_json container = json_parse(text, strlen(text), &err);

    assert_made(container, err);
    docker_facts_of_container(container, "here", &facts);
    return facts;
}

/* `state` is what stands in State. */
static struct docker_facts facts_in(const char *state)
{
    scoped_str text = xasprintf(
        "{\"Id\": \"abc123\", \"Name\": \"/" NAME "\", \"Created\": \"" CREATED
        "\", \"Config\": {\"User\": \"65532:65532\", \"Labels\": " LABELS "}, \"State\": {%s}}",
        state);

    return facts_of(text);
}

static struct job_view view_in(const char *state)
{
    struct docker_facts facts = facts_in(state);
    struct job_view view;

    docker_facts_view(&facts, NULL, 0, &view);
    return view;
}

static void test_states_of_both_engines(void **state)
{
    static const struct {
        const char *word;
        enum job_phase phase;
    } cases[] = {
        {"created", JOB_STARTING}, {"configured", JOB_STARTING}, {"initialized", JOB_STARTING},
        {"running", JOB_RUNNING},  {"paused", JOB_RUNNING},      {"restarting", JOB_RUNNING},
        {"stopping", JOB_RUNNING}, {"exited", JOB_ENDED},        {"stopped", JOB_ENDED},
        {"removing", JOB_ENDED},   {"dead", JOB_ENDED},          {"of tomorrow", JOB_RUNNING},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str text = xasprintf("\"Status\": \"%s\"", cases[i].word);

        assert_int_equal(view_in(text).phase, cases[i].phase);
    }
}

static void test_exit_codes(void **state)
{
    struct job_view view = view_in("\"Status\": \"exited\", \"ExitCode\": 3");

    (void)state;
    assert_int_equal(view.exit_code, 3);
    view = view_in("\"Status\": \"exited\", \"ExitCode\": 143");
    assert_int_equal(view.exit_code, -1);
    assert_int_equal(view.reason, FAILURE_NONE);
    assert_string_equal(view.detail, "the runner was ended by signal 15");
    view = view_in("\"Status\": \"exited\", \"ExitCode\": 1e300");
    assert_int_equal(view.exit_code, -1);
}

/* The engine says so of whichever process was killed: a runner that goes on knows better. */
static void test_out_of_memory_is_a_killed_runner(void **state)
{
    (void)state;
    assert_int_equal(
        view_in("\"Status\": \"exited\", \"ExitCode\": 137, \"OOMKilled\": true").reason,
        FAILURE_OUT_OF_MEMORY);
    assert_int_equal(
        view_in("\"Status\": \"exited\", \"ExitCode\": 1, \"OOMKilled\": true").reason,
        FAILURE_NONE);
    assert_int_equal(
        view_in("\"Status\": \"exited\", \"ExitCode\": 0, \"OOMKilled\": true").reason,
        FAILURE_NONE);
}

static void test_past_its_time_is_deadline_unless_it_was_done(void **state)
{
    (void)state;
    assert_int_equal(view_in("\"Status\": \"exited\", \"ExitCode\": 143, \"FinishedAt\": "
                             "\"2026-01-02T03:05:05Z\"")
                         .reason,
                     FAILURE_DEADLINE);
    assert_int_equal(view_in("\"Status\": \"exited\", \"ExitCode\": 143, \"FinishedAt\": "
                             "\"2026-01-02T03:05:04.999Z\"")
                         .reason,
                     FAILURE_NONE);
    assert_int_equal(view_in("\"Status\": \"exited\", \"ExitCode\": 0, \"FinishedAt\": "
                             "\"2026-01-02T04:00:00Z\"")
                         .reason,
                     FAILURE_NONE);
}

static void test_the_runners_word_counts_where_the_engine_says_nothing(void **state)
{
    static const char word[] =
        "{\"status\": \"failed\", \"error\": \"no branch\", \"error_code\": \"clone_failed\"}";
    struct docker_facts facts = facts_in("\"Status\": \"exited\", \"ExitCode\": 1");
    struct job_view view;

    (void)state;
    docker_facts_view(&facts, word, strlen(word), &view);
    assert_int_equal(view.reason, FAILURE_CLONE_FAILED);
    facts = facts_in("\"Status\": \"exited\", \"ExitCode\": 137, \"OOMKilled\": true");
    docker_facts_view(&facts, word, strlen(word), &view);
    assert_int_equal(view.reason, FAILURE_OUT_OF_MEMORY);
}

static void test_whose_it_is(void **state)
{
    static const char *const others[] = {
        "{}",
        "[]",
        "{\"Id\": \"abc\", \"Name\": \"/" NAME "\"}",
        "{\"Id\": \"abc\", \"Name\": \"/" NAME "\", \"Config\": {\"Labels\": null}}",
        "{\"Id\": \"abc\", \"Name\": \"/other\", \"Config\": {\"Labels\": " LABELS "}}",
        "{\"Id\": \"../x\", \"Name\": \"/" NAME "\", \"Config\": {\"Labels\": " LABELS "}}",
        "{\"Id\": \"\", \"Name\": \"/" NAME "\", \"Config\": {\"Labels\": " LABELS "}}",
        "{\"Id\": 7, \"Name\": \"/" NAME "\", \"Config\": {\"Labels\": " LABELS "}}",
    };
    struct docker_facts facts = facts_in("\"Status\": \"running\"");
    char run[ID_TEXT_SIZE];

    (void)state;
    id_text(facts.run, run);
    assert_string_equal(run, RUN);
    assert_int_equal(facts.attempt, 2);
    assert_int_equal(facts.timeout_s, 60);
    assert_string_equal(facts.id, "abc123");
    assert_int_equal(facts.user, 65532);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        facts = facts_of(others[i]);
        assert_true(facts.foreign);
        assert_int_equal(facts.state, DOCKER_NONE);
    }
}

static void test_another_namespace_is_another_dispatchd(void **state)
{
    static const char text[] =
        "{\"Id\": \"abc\", \"Names\": [\"/" NAME "\"], \"State\": \"running\", \"Created\": "
        "1767323045, \"Labels\": " LABELS "}";
    struct docker_facts facts;
    struct err err = {0};
    scoped_json listed = json_parse(text, strlen(text), &err);

    (void)state;
    docker_facts_of_listed(listed, "here", &facts);
    assert_int_equal(facts.state, DOCKER_RUNNING);
    assert_int_equal(facts.created_ms / 1000, 1767323045);
    docker_facts_of_listed(listed, "there", &facts);
    assert_int_equal(facts.state, DOCKER_NONE);
}

static bool is_event(const char *text, int *out_attempt)
{
    struct err err = {0};
    scoped_json event = json_parse(text, strlen(text), &err);
    struct id run;

    return docker_facts_of_event(event, &run, out_attempt);
}

/* Reading what a container left is an event, too: it must not make us read again. */
static void test_events_that_change_nothing_are_not_told(void **state)
{
    int attempt = 0;

    (void)state;
    assert_true(is_event("{\"Action\": \"die\", \"Actor\": {\"Attributes\": {\"name\": "
                         "\"" NAME "\"}}}",
                         &attempt));
    assert_int_equal(attempt, 2);
    assert_false(is_event("{\"Action\": \"archive-path\", \"Actor\": {\"Attributes\": "
                          "{\"name\": \"" NAME "\"}}}",
                          &attempt));
    assert_false(is_event("{\"Action\": \"die\", \"Actor\": {\"Attributes\": {\"name\": "
                          "\"postgres\"}}}",
                          &attempt));
    assert_false(is_event("{\"Action\": \"die\"}", &attempt));
    assert_false(is_event("[[]]", &attempt));
    assert_false(is_event("{\"Action\": 1, \"Actor\": []}", &attempt));
}

static void test_users_whose_number_is_known(void **state)
{
    uid_t user = 7;

    (void)state;
    assert_true(docker_facts_user("65532:65532", &user));
    assert_int_equal(user, 65532);
    assert_true(docker_facts_user("1000", &user));
    assert_int_equal(user, 1000);
    assert_true(docker_facts_user("root", &user));
    assert_int_equal(user, 0);
    assert_true(docker_facts_user("", &user));
    assert_int_equal(user, 0);
    assert_false(docker_facts_user("node", &user));
    assert_false(docker_facts_user("99999999999999999999", &user));
    assert_false(docker_facts_user("-1", &user));
}

TEST_MAIN(cmocka_unit_test(test_states_of_both_engines), cmocka_unit_test(test_exit_codes),
          cmocka_unit_test(test_out_of_memory_is_a_killed_runner),
          cmocka_unit_test(test_past_its_time_is_deadline_unless_it_was_done),
          cmocka_unit_test(test_the_runners_word_counts_where_the_engine_says_nothing),
          cmocka_unit_test(test_whose_it_is),
          cmocka_unit_test(test_another_namespace_is_another_dispatchd),
          cmocka_unit_test(test_events_that_change_nothing_are_not_told),
          cmocka_unit_test(test_users_whose_number_is_known))
