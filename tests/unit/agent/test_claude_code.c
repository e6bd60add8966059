/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_kit.h"

/* What 2.1.197 prints, shortened. */
#define INIT "{\"type\":\"system\",\"subtype\":\"init\",\"tools\":[\"Bash\"]}\n"
#define SAYS(parent, block)                                                                    \
    "{\"type\":\"assistant\",\"message\":{\"model\":\"m\",\"content\":[" block                 \
    "]},\"parent_tool_use_id\":" parent "}\n"
#define TEXT(text) "{\"type\":\"text\",\"text\":\"" text "\"}"
#define RESULT(more) "{\"type\":\"result\"," more ",\"usage\":{\"input_tokens\":1}}\n"

static void test_work_is_started_with_everything_but_the_repositorys_word(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, &claude_code_agent);
    kit.assignment.model = "claude-x";
    kit.assignment.max_turns = 7;
    kit_prepare(&kit);
    scoped_str argv = kit_joined(&kit.start.argv);
    scoped_str env = kit_joined(&kit.start.env);
    assert_has(argv, "claude -p --output-format stream-json --verbose");
    assert_has(argv, "<<<VGVBOT_STATUS: partial:");
    assert_has(argv, "--model claude-x");
    assert_has(argv, "--dangerously-skip-permissions");
    assert_has(argv, "--max-turns 7");
    assert_has(argv, "--setting-sources user --strict-mcp-config");
    assert_lacks(argv, "run-key");
    assert_lacks(argv, "do it");
    assert_has(env, "ANTHROPIC_BASE_URL=http://127.0.0.1:1/anthropic");
    assert_has(env, "ANTHROPIC_API_KEY=run-key");
    assert_string_equal(kit.start.input, "do it");
    kit_finish(&kit);
}

static void test_repository_rules_where_the_operator_says_so(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, &claude_code_agent);
    kit.assignment.honour_repository_agent_config = true;
    kit_prepare(&kit);
    scoped_str argv = kit_joined(&kit.start.argv);
    assert_lacks(argv, "--setting-sources");
    kit_finish(&kit);
}

static void test_plan_has_only_tools_that_read(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, &claude_code_agent);
    kit.assignment.mode = "plan";
    kit_options(&kit, "{\"read\":true,\"write\":true}");
    kit_prepare(&kit);
    scoped_str argv = kit_joined(&kit.start.argv);
    scoped_str subagent = kit_file(&kit, ".claude/agents/Reviewer.md");
    assert_has(argv,
               "--permission-mode dontAsk --tools Read,Grep,Glob,WebFetch,WebSearch,Agent "
               "--allowedTools");
    assert_lacks(argv, "--dangerously-skip-permissions");
    assert_has(subagent, "tools: [\"Read\"]\n");
    kit_finish(&kit);
}

static void test_description_has_no_tool_at_all(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, &claude_code_agent);
    kit.job.turn = AGENT_TURN_DESCRIBE;
    kit_options(&kit, "{}");
    kit_prepare(&kit);
    scoped_str argv = kit_joined(&kit.start.argv);
    assert_has(argv, "--permission-mode dontAsk --tools  --max-turns 1");
    assert_lacks(argv, "--mcp-config");
    kit_finish(&kit);
}

static void test_options_are_files_of_its_home(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, &claude_code_agent);
    kit_options(&kit, "{\"read\":true,\"stock\":true,\"Odd\":true}");
    kit_prepare(&kit);
    scoped_str argv = kit_joined(&kit.start.argv);
    scoped_str servers = kit_file(&kit, ".dispatch/claude-mcp.json");
    scoped_str subagent = kit_file(&kit, ".claude/agents/Reviewer.md");
    assert_has(argv, "/.dispatch/claude-mcp.json");
    assert_has(servers, "\"args\":[\"mcp\",\"/run/tools.sock\"]");
    assert_string_equal(subagent,
                        "---\nname: \"Reviewer\"\ndescription: \"Reviews: \\\"code\\\"\"\n"
                        "tools: [\"Read\", \"mcp__dispatch__stock\", \"Odd\"]\nmaxTurns: 5\n"
                        "---\nYou review.\n");
    kit_finish(&kit);
}

static void test_prompt_is_no_command(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, &claude_code_agent);
    kit.job.prompt = " /compact all of it";
    kit_prepare(&kit);
    assert_string_equal(kit.start.input, "The task:\n\n /compact all of it");
    kit_finish(&kit);
}

static void test_provider_that_it_cannot_speak_to_is_refused(void **state)
{
    struct kit kit;
    struct err err = {0};

    (void)state;
    kit_begin(&kit, &claude_code_agent);
    kit.assignment.provider = "openai";
    assert_int_equal(claude_code_agent.prepare(&kit.job, &kit.start, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    kit.assignment.provider = NULL;
    kit.access.anthropic_url = NULL;
    assert_int_equal(claude_code_agent.prepare(&kit.job, &kit.start, &err), -1);
    kit_finish(&kit);
}

static void test_run_is_told_and_answered(void **state)
{
    struct kit kit;
    struct err err = {0};

    (void)state;
    kit_begin(&kit, &claude_code_agent);
    assert_ok(
        kit_judge(&kit,
                  INIT SAYS("null", TEXT("I ask."))
                      SAYS("null", "{\"type\":\"tool_use\",\"name\":\"Agent\",\"input\":{"
                                   "\"subagent_type\":\"reviewer\"}}")
                          SAYS("\"toolu_1\"", TEXT("fine")) SAYS("null", TEXT("Done.")) RESULT(
                              "\"subtype\":\"success\",\"is_error\":false,\"result\":\"Done.\","
                              "\"permission_denials\":[{\"tool_name\":\"Bash\"}]"),
                  1, &err),
        err);
    assert_string_equal(agent_output_answer(kit.output), "Done.");
    assert_string_equal(heard_text(),
                        "agent_message {\"text\":\"I ask.\"}\n"
                        "tool_use {\"name\":\"Agent\",\"argument\":\"reviewer\"}\n"
                        "agent_message {\"text\":\"fine\",\"subagent\":true}\n"
                        "agent_message {\"text\":\"Done.\"}\n"
                        "warning {\"message\":\"the agent was refused a use of Bash\"}\n");
    kit_finish(&kit);
}

static void test_its_word_counts_and_not_its_exit_code(void **state)
{
    static const struct kit_ending cases[] = {
        {RESULT("\"subtype\":\"success\",\"is_error\":true,\"result\":\"API Error: 401 no\""),
         0, "the agent failed: API Error: 401 no"},
        {RESULT("\"subtype\":\"error_max_turns\",\"is_error\":true,\"errors\":[\"Reached 3\"]"),
         1, "the agent failed: it reached its limit of turns"},
        {RESULT("\"subtype\":\"error_during_execution\",\"is_error\":true,\"errors\":[\"it "
                "broke\"]"),
         0, "the agent failed: it broke"},
        {RESULT("\"subtype\":\"success\""), 0, "the agent failed: success"},
        {INIT, 0, "the agent ended without a result, with exit code 0"},
        {"Invalid API key\n", 1,
         "the agent ended without a result, with exit code 1: Invalid API key"},
        {RESULT("\"subtype\":\"success\",\"is_error\":false,\"result\":\"ok\""), 1, NULL},
        {"{\"type\":3}\n{\"type\":\"assistant\",\"message\":[{}]}\n{\"type\":\"result\"}\n{}\n",
         0, "the agent failed: no reason"},
    };

    (void)state;
    kit_expect_endings(&claude_code_agent, cases, ARRAY_SIZE(cases));
}

KIT_MAIN(cmocka_unit_test(test_work_is_started_with_everything_but_the_repositorys_word),
         cmocka_unit_test(test_repository_rules_where_the_operator_says_so),
         cmocka_unit_test(test_plan_has_only_tools_that_read),
         cmocka_unit_test(test_description_has_no_tool_at_all),
         cmocka_unit_test(test_options_are_files_of_its_home),
         cmocka_unit_test(test_prompt_is_no_command),
         cmocka_unit_test(test_provider_that_it_cannot_speak_to_is_refused),
         cmocka_unit_test(test_run_is_told_and_answered),
         cmocka_unit_test(test_its_word_counts_and_not_its_exit_code))
