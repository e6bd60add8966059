/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_kit.h"

/* What 0.61.0 prints, shortened. */
#define INIT "{\"type\":\"init\",\"model\":\"m\"}\n"
#define ECHO                                                                                   \
    "{\"type\":\"message\",\"role\":\"user\",\"content\":\"<<<VGVBOT_STATUS: partial: "        \
    "mine>>>\"}\n"
#define PART(text)                                                                             \
    "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"" text "\",\"delta\":true}\n"
#define USE                                                                                    \
    "{\"type\":\"tool_use\",\"tool_name\":\"write_file\",\"parameters\":{\"file_path\":"       \
    "\"a\"}}\n{\"type\":\"tool_result\",\"status\":\"success\"}\n"
#define SUCCESS "{\"type\":\"result\",\"status\":\"success\",\"stats\":{}}\n"

static void test_work_is_started_trusting_the_run_and_not_the_repository(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, &gemini_code_agent);
    kit.assignment.max_turns = 9;
    kit_options(&kit, "{\"write\":false,\"bash\":false}");
    kit_prepare(&kit);
    scoped_str argv = kit_joined(&kit.start.argv);
    scoped_str env = kit_joined(&kit.start.env);
    scoped_str settings = kit_file(&kit, ".gemini/settings.json");
    scoped_str policy = kit_file(&kit, ".gemini/policies/dispatch.toml");
    scoped_str instructions = kit_file(&kit, ".gemini/DISPATCH_RUN.md");
    scoped_str subagent = kit_file(&kit, ".gemini/agents/reviewer.md");
    assert_string_equal(argv, "gemini -o stream-json --skip-trust --approval-mode yolo -m "
                              "gemini-2.5-pro");
    assert_has(env, "GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:1/gemini GEMINI_API_KEY=run-key");
    assert_lacks(env, "TRUST");
    assert_has(settings, "\"folderTrust\":{\"enabled\":true}");
    assert_has(settings, "\"ignoreLocalEnv\":true");
    assert_has(settings, "\"skills\":{\"enabled\":false}");
    assert_has(settings, "\"hooksConfig\":{\"enabled\":false}");
    assert_has(settings, "\"fileName\":[\"DISPATCH_RUN.md\"]");
    assert_has(settings, "\"maxSessionTurns\":9");
    assert_has(settings, "\"args\":[\"mcp\",\"/run/tools.sock\"],\"trust\":true");
    assert_lacks(settings, "\"core\"");
    assert_has(policy, "exit_plan_mode");
    assert_has(instructions, "<<<VGVBOT_STATUS: partial:");
    assert_has(subagent, "name: \"reviewer\"\n");
    assert_has(subagent, "max_turns: 5\n");
    assert_has(subagent, "tools: [\"read_file\", ");
    assert_has(subagent, "\"mcp_dispatch_stock\"");
    assert_lacks(subagent, "write_file");
    assert_lacks(subagent, "run_shell_command");
    kit_finish(&kit);
}

static void test_repository_rules_where_the_operator_says_so(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, &gemini_code_agent);
    kit.assignment.honour_repository_agent_config = true;
    kit_prepare(&kit);
    scoped_str argv = kit_joined(&kit.start.argv);
    scoped_str env = kit_joined(&kit.start.env);
    scoped_str settings = kit_file(&kit, ".gemini/settings.json");
    assert_lacks(argv, "--skip-trust");
    assert_has(env, "GEMINI_CLI_TRUST_WORKSPACE=true");
    assert_has(settings, "\"GEMINI.md\"");
    kit_finish(&kit);
}

static void test_plan_has_only_tools_that_read(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, &gemini_code_agent);
    kit.assignment.mode = "plan";
    kit_options(&kit, "{\"read\":true,\"write\":true}");
    kit_prepare(&kit);
    scoped_str argv = kit_joined(&kit.start.argv);
    scoped_str settings = kit_file(&kit, ".gemini/settings.json");
    scoped_str subagent = kit_file(&kit, ".gemini/agents/reviewer.md");
    assert_has(argv, "--approval-mode default");
    assert_has(settings, "\"core\":[\"read_file\",");
    assert_has(settings, "\"mcp_dispatch_stock\",\"invoke_agent\",\"complete_task\"]");
    assert_lacks(settings, "write_file");
    assert_lacks(subagent, "write_file");
    kit_finish(&kit);
}

static void test_description_has_no_tool_at_all(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, &gemini_code_agent);
    kit.job.turn = AGENT_TURN_DESCRIBE;
    kit_options(&kit, "{}");
    kit_prepare(&kit);
    scoped_str settings = kit_file(&kit, ".gemini/settings.json");
    assert_has(settings, "\"core\":[]");
    assert_lacks(settings, "mcpServers");
    kit_finish(&kit);
}

static void test_run_is_told_and_answered(void **state)
{
    struct kit kit;
    struct err err = {0};

    (void)state;
    kit_begin(&kit, &gemini_code_agent);
    assert_ok(kit_judge(&kit,
                        INIT ECHO PART("I wr") PART("ite.") USE PART("Do") PART("ne.") SUCCESS,
                        0, &err),
              err);
    assert_null(agent_output_partial_reason(kit.output));
    assert_string_equal(agent_output_answer(kit.output), "Done.");
    assert_string_equal(heard_text(), "agent_message {\"text\":\"I write.\"}\n"
                                      "tool_use {\"name\":\"write_file\",\"argument\":\"a\"}\n"
                                      "agent_message {\"text\":\"Done.\"}\n");
    kit_finish(&kit);
}

static void test_its_word_counts_and_not_its_exit_code(void **state)
{
    static const struct kit_ending cases[] = {
        {"{\"type\":\"result\",\"status\":\"error\",\"error\":{\"type\":\"unknown\","
         "\"message\":"
         "\"API Error: 401\"}}\n",
         145, "the agent failed: API Error: 401"},
        {"{\"type\":\"result\",\"status\":\"error\",\"error\":{\"type\":"
         "\"FatalTurnLimitedError\","
         "\"message\":\"Reached max session turns\"}}\n",
         53, "the agent failed: it reached its limit of turns"},
        {INIT, 0, "the agent ended without a result, with exit code 0"},
        {"Please set an Auth method\n", 41,
         "the agent ended without a result, with exit code 41: Please set an Auth method"},
    };

    (void)state;
    kit_expect_endings(&gemini_code_agent, cases, ARRAY_SIZE(cases));
}

KIT_MAIN(cmocka_unit_test(test_work_is_started_trusting_the_run_and_not_the_repository),
         cmocka_unit_test(test_repository_rules_where_the_operator_says_so),
         cmocka_unit_test(test_plan_has_only_tools_that_read),
         cmocka_unit_test(test_description_has_no_tool_at_all),
         cmocka_unit_test(test_run_is_told_and_answered),
         cmocka_unit_test(test_its_word_counts_and_not_its_exit_code))
