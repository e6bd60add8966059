/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/transcript.h"

#include "heard.h"

#include "base/alloc.h"

#define MARKER "<<<VGVBOT_STATUS: partial:"

static struct redaction *redaction;

static struct transcript *begin(bool metered)
{
    buf_clear(&heard);
    return transcript_new(NULL, redaction, metered);
}

static void test_messages_and_uses_of_tools_are_told(void **state)
{
    scoped(transcript) transcript = begin(true);
    scoped_json arguments =
        jobj({"content", jstr("much text")}, {"file_path", jstr("src/a.c")});

    (void)state;
    transcript_message(transcript, VOICE_AGENT, "I write.");
    transcript_tool_use(transcript, VOICE_AGENT, "Write", arguments);
    transcript_message(transcript, VOICE_SUBAGENT, "I look.");
    transcript_message(transcript, VOICE_AGENT, " \n");
    transcript_message(transcript, VOICE_AGENT, NULL);
    transcript_end(transcript);
    assert_string_equal(heard_text(),
                        "agent_message {\"text\":\"I write.\"}\n"
                        "tool_use {\"name\":\"Write\",\"argument\":\"src/a.c\"}\n"
                        "agent_message {\"text\":\"I look.\",\"subagent\":true}\n");
}

static void test_argument_is_the_telling_one_on_one_short_line(void **state)
{
    static const struct {
        const char *arguments;
        const char *shown;
    } cases[] = {
        {"{\"command\":\"ls\\n-l\",\"description\":\"d\"}", "\"argument\":\"ls -l\""},
        {"{\"odd\":{\"a\":1}}", "\"argument\":\"{\\\"odd\\\":{\\\"a\\\":1}}\""},
        {"{}", "tool_use {\"name\":\"T\"}"},
        {"{\"query\":\"secret-of-the-run here\"}", "\"argument\":\"*** here\""},
    };
    scoped_str wide = xcalloc(1, 1000);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped(transcript) transcript = begin(true);
        scoped_json arguments = cJSON_Parse(cases[i].arguments);

        transcript_tool_use(transcript, VOICE_AGENT, "T", arguments);
        assert_int_equal(heard_count(cases[i].shown), 1);
    }
    for (int i = 0; i < 300; i++)
        memcpy(wide + 3 * i, "\xe2\x80\xa6", 3);
    scoped(transcript) transcript = begin(true);
    scoped_json arguments = jobj({"path", jstr(wide)});
    transcript_tool_use(transcript, VOICE_AGENT, "T", arguments);
    assert_int_equal(heard_count("\xe2\x80\xa6"), ARGUMENT_MAX_BYTES / 3);
}

static void test_parts_are_one_message(void **state)
{
    scoped(transcript) transcript = begin(true);

    (void)state;
    transcript_message_part(transcript, "Hel");
    transcript_message_part(transcript, "lo. <<<VGVBOT_STA");
    transcript_message_part(transcript, "TUS: partial: tests>>>");
    transcript_success(transcript, NULL);
    transcript_end(transcript);
    assert_int_equal(heard_count("agent_message"), 1);
    assert_string_equal(transcript_partial_reason(transcript), "tests");
    assert_string_equal(transcript_answer(transcript), "Hello. " MARKER " tests>>>");
}

static void test_marker_is_the_agents_own_and_never_two_halves(void **state)
{
    scoped(transcript) transcript = begin(true);
    scoped_json arguments = jobj({"command", jstr("echo '" MARKER " tool>>>'")});

    (void)state;
    transcript_message(transcript, VOICE_SUBAGENT, MARKER " subagent>>>");
    transcript_tool_use(transcript, VOICE_AGENT, "Bash", arguments);
    transcript_message(transcript, VOICE_AGENT, "<<<VGVBOT_STATUS: par");
    transcript_message(transcript, VOICE_AGENT, "tial: halves>>>");
    transcript_end(transcript);
    assert_null(transcript_partial_reason(transcript));
}

static void test_answer_is_what_was_said_after_the_last_use_of_a_tool(void **state)
{
    scoped(transcript) transcript = begin(true);

    (void)state;
    transcript_message(transcript, VOICE_AGENT, "First I look.");
    transcript_tool_use(transcript, VOICE_AGENT, "Read", NULL);
    transcript_message(transcript, VOICE_AGENT, "One.");
    transcript_message(transcript, VOICE_AGENT, "Two, and secret-of-the-run.");
    transcript_tool_use(transcript, VOICE_SUBAGENT, "Read", NULL);
    transcript_message(transcript, VOICE_SUBAGENT, "not this");
    transcript_end(transcript);
    assert_string_equal(transcript_answer(transcript), "One.\n\nTwo, and ***.");
}

static void test_answer_that_is_given_counts(void **state)
{
    scoped(transcript) transcript = begin(true);

    (void)state;
    transcript_message(transcript, VOICE_AGENT, "said");
    transcript_success(transcript, "given");
    transcript_end(transcript);
    assert_string_equal(transcript_answer(transcript), "given");
    assert_int_equal(transcript_verdict(transcript), VERDICT_SUCCESS);
}

static void test_last_word_on_how_it_went_counts(void **state)
{
    scoped(transcript) transcript = begin(true);

    (void)state;
    assert_int_equal(transcript_verdict(transcript), VERDICT_NONE);
    transcript_success(transcript, NULL);
    transcript_failure(transcript, "it %s\nwith secret-of-the-run", "broke");
    assert_int_equal(transcript_verdict(transcript), VERDICT_FAILURE);
    assert_string_equal(transcript_problem(transcript), "it broke with ***");
    transcript_success(transcript, NULL);
    assert_int_equal(transcript_verdict(transcript), VERDICT_SUCCESS);
    transcript_end(transcript);
    assert_string_equal(transcript_answer(transcript), "");
}

static void test_usage_is_told_where_nobody_else_does(void **state)
{
    scoped(transcript) metered = begin(true);

    (void)state;
    transcript_usage(metered, 10, 5, 0.5);
    assert_string_equal(heard_text(), "");
    scoped(transcript) alone = begin(false);
    transcript_usage(alone, 10, 5, 0.5);
    assert_string_equal(heard_text(), "usage {\"input_tokens\":10,\"output_tokens\":5,"
                                      "\"cost_usd\":0.5,\"source\":\"agent\"}\n");
}

static void test_without_end_it_says_so_once_and_stays_small(void **state)
{
    static char text[100 * 1024];
    scoped(transcript) transcript = begin(true);

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    for (int i = 0; i < 3000; i++) {
        transcript_message(transcript, VOICE_AGENT, text);
        transcript_message_part(transcript, text);
        transcript_tool_use(transcript, VOICE_AGENT, "T", NULL);
    }
    transcript_end(transcript);
    assert_int_equal(heard_count("warning"), 1);
    assert_true(heard.size < TRANSCRIPT_MAX_BYTES + 1024 * 1024);
    assert_true(strlen(transcript_answer(transcript)) <= ANSWER_MAX_BYTES);
}

static int start(void **state)
{
    scoped(secret) secret = secret_new("secret-of-the-run");

    (void)state;
    redaction = redaction_new();
    redaction_add(redaction, secret);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    redaction_free(redaction);
    buf_done(&heard);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_and_uses_of_tools_are_told),
        cmocka_unit_test(test_argument_is_the_telling_one_on_one_short_line),
        cmocka_unit_test(test_parts_are_one_message),
        cmocka_unit_test(test_marker_is_the_agents_own_and_never_two_halves),
        cmocka_unit_test(test_answer_is_what_was_said_after_the_last_use_of_a_tool),
        cmocka_unit_test(test_answer_that_is_given_counts),
        cmocka_unit_test(test_last_word_on_how_it_went_counts),
        cmocka_unit_test(test_usage_is_told_where_nobody_else_does),
        cmocka_unit_test(test_without_end_it_says_so_once_and_stays_small),
    };

    json_setup();
    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, start, finish);
}
