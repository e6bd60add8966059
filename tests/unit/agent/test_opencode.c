/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_kit.h"

/* What 1.18.33 prints, shortened. */
#define STEP "{\"type\":\"step_start\",\"part\":{\"type\":\"step-start\"}}\n"
#define TEXT(text) "{\"type\":\"text\",\"part\":{\"type\":\"text\",\"text\":\"" text "\"}}\n"
#define USE                                                                                    \
    "{\"type\":\"tool_use\",\"part\":{\"tool\":\"write\",\"state\":{\"status\":\"completed\"," \
    "\"input\":{\"filePath\":\"a\"}}}}\n"
#define END(reason)                                                                            \
    "{\"type\":\"step_finish\",\"part\":{\"reason\":\"" reason                                 \
    "\",\"tokens\":{\"input\":1,\"output\":2},\"cost\":0.1}}\n"
#define ERROR                                                                                  \
    "{\"type\":\"error\",\"error\":{\"name\":\"APIError\",\"data\":{\"message\":\"no key\","   \
    "\"statusCode\":401}}}\n"

#define CONFIG ".config/opencode/opencode.json"

static void test_work_is_started_with_everything_but_the_repositorys_word(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, &opencode_agent);
    kit_options(&kit, "{\"r*\":true,\"edit\":true}");
    kit_prepare(&kit);
    scoped_str argv = kit_joined(&kit.start.argv);
    scoped_str env = kit_joined(&kit.start.env);
    scoped_str config = kit_file(&kit, CONFIG);
    scoped_str instructions = kit_file(&kit, ".config/opencode/dispatch-run.md");
    assert_string_equal(argv, "opencode run --format json --auto --title Dispatch -m "
                              "anthropic/claude-sonnet-4-5");
    assert_has(env, "OPENCODE_DISABLE_PROJECT_CONFIG=1");
    assert_has(env, "OPENCODE_DISABLE_EXTERNAL_SKILLS=1");
    assert_lacks(env, "run-key");
    assert_string_equal(opencode_agent.obeyed[0], ".opencode");
    assert_has(config,
               "\"baseURL\":\"http://127.0.0.1:1/anthropic/v1\",\"apiKey\":\"run-key\"");
    assert_has(config, "\"permission\":{\"question\":\"deny\"}");
    assert_has(config, "\"permission\":{\"*\":\"deny\",\"read\":\"allow\",\"edit\":\"allow\"},"
                       "\"steps\":5");
    assert_has(config, "\"mcp\",\"/run/tools.sock\"]");
    assert_has(instructions, "<<<VGVBOT_STATUS: partial:");
    kit_finish(&kit);
}

static void test_any_provider_is_reached_where_the_run_has_it(void **state)
{
    static const struct {
        const char *provider;
        const char *model;
        const char *word;
        const char *url; /* NULL: refused */
    } cases[] = {
        {"openai", NULL, "openai/gpt-5", "http://127.0.0.1:1/openai/v1"},
        {"gemini", NULL, "google/gemini-2.5-pro", "http://127.0.0.1:1/gemini/v1beta"},
        {"google", "g", "google/g", "http://127.0.0.1:1/gemini/v1beta"},
        {"openai-compatible", "m", "openai-compatible/m", "http://127.0.0.1:1/openai/v1"},
        {"openrouter", "a/b", "openrouter/a/b", "http://127.0.0.1:1/openrouter/v1"},
        {"openrouter", NULL, NULL, NULL},
        {NULL, "anthropic/claude-x", "anthropic/claude-x", "http://127.0.0.1:1/anthropic/v1"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct kit kit;
        struct err err = {0};

        kit_begin(&kit, &opencode_agent);
        kit.assignment.provider = cases[i].provider;
        kit.assignment.model = cases[i].model;
        if (cases[i].provider && strcmp(cases[i].provider, "openrouter") == 0)
            kit.job.provider_url = "http://127.0.0.1:1/openrouter/v1";
        if (!cases[i].url) {
            assert_int_equal(opencode_agent.prepare(&kit.job, &kit.start, &err), -1);
            assert_int_equal(err.kind, ERR_INVALID);
        } else {
            kit_prepare(&kit);
            scoped_str config = kit_file(&kit, CONFIG);
            assert_string_equal(kit.start.argv.all[kit.start.argv.n - 1], cases[i].word);
            assert_has(config, cases[i].url);
        }
        kit_finish(&kit);
    }
}

static void test_provider_without_a_key_is_refused(void **state)
{
    struct kit kit;
    struct err err = {0};

    (void)state;
    kit_begin(&kit, &opencode_agent);
    kit.access.anthropic_url = NULL;
    kit.assignment.provider = "anthropic";
    assert_int_equal(opencode_agent.prepare(&kit.job, &kit.start, &err), -1);
    assert_has(err.text, "no key for provider anthropic");
    kit_finish(&kit);
}

static void test_plan_has_only_tools_that_read(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, &opencode_agent);
    kit.assignment.mode = "plan";
    kit_options(&kit, "{}");
    kit_prepare(&kit);
    scoped_str config = kit_file(&kit, CONFIG);
    assert_int_equal(strstr(config, "\"edit\"") != NULL, 0);
    assert_int_equal(strstr(config, "\"bash\"") != NULL, 0);
    assert_has(config, "\"permission\":{\"*\":\"deny\",\"read\":\"allow\"");
    assert_has(config, "\"prompt\":\"You review.\",\"permission\":{\"*\":\"deny\",");
    kit_finish(&kit);
}

static void test_description_has_no_tool_at_all(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, &opencode_agent);
    kit.job.turn = AGENT_TURN_DESCRIBE;
    kit_options(&kit, "{}");
    kit_prepare(&kit);
    scoped_str config = kit_file(&kit, CONFIG);
    assert_has(config, "\"permission\":{\"*\":\"deny\"},\"agent\":{\"build\":{\"steps\":1}}}");
    kit_finish(&kit);
}

static void test_run_is_told_and_answered(void **state)
{
    struct kit kit;
    struct err err = {0};

    (void)state;
    kit_begin(&kit, &opencode_agent);
    assert_ok(kit_judge(&kit,
                        STEP TEXT("I write.") USE END("tool-calls") STEP TEXT(
                            "Done. <<<VGVBOT_STATUS: partial: \\\"half\\\">>>") END("stop"),
                        0, &err),
              err);
    assert_string_equal(agent_output_partial_reason(kit.output), "\"half\"");
    assert_has(agent_output_answer(kit.output), "Done. <<<VGVBOT");
    assert_int_equal(heard_count("agent_message"), 2);
    assert_int_equal(heard_count("tool_use {\"name\":\"write\",\"argument\":\"a\"}"), 1);
    kit_finish(&kit);
}

static void test_its_word_counts_and_not_its_exit_code(void **state)
{
    static const struct kit_ending cases[] = {
        {ERROR, 1, "the agent failed: no key (401)"},
        {STEP TEXT("x") END("stop") ERROR, 0, "the agent failed: no key (401)"},
        {STEP TEXT("x") USE END("tool-calls"), 0,
         "the agent ended without a result, with exit code 0"},
        {STEP END("content-filter"), 0,
         "the agent failed: the model's answer ended with content-filter"},
        {"", 0, "the agent ended without a result, with exit code 0"},
    };

    (void)state;
    kit_expect_endings(&opencode_agent, cases, ARRAY_SIZE(cases));
}

KIT_MAIN(cmocka_unit_test(test_work_is_started_with_everything_but_the_repositorys_word),
         cmocka_unit_test(test_any_provider_is_reached_where_the_run_has_it),
         cmocka_unit_test(test_provider_without_a_key_is_refused),
         cmocka_unit_test(test_plan_has_only_tools_that_read),
         cmocka_unit_test(test_description_has_no_tool_at_all),
         cmocka_unit_test(test_run_is_told_and_answered),
         cmocka_unit_test(test_its_word_counts_and_not_its_exit_code))
