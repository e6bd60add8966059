/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_kit.h"

#include <unistd.h>

#include "process/process.h"

/* An agent that is a line of shell, prints events, and would obey two files. */
static const char *script;

static int fake_prepare(const struct agent_job *job, struct agent_start *out, struct err *err)
{
    (void)job;
    (void)err;
    text_list_add(&out->argv, "sh");
    text_list_add(&out->argv, "-c");
    text_list_add(&out->argv, "%s", script);
    return 0;
}

static int fake_judge(const struct process_end *end, const struct agent_output *output,
                      struct err *err)
{
    (void)output;
    return end->exit_code ? err_set(err, ERR_UPSTREAM, "it failed") : 0;
}

static void fake_read(struct transcript *transcript, const cJSON *event)
{
    transcript_message(transcript, VOICE_AGENT, json_get_str(event, "say"));
}

static const char *const obeyed[] = {".fake", "fake.json", NULL};
static const struct agent_kind fake_agent = {
    .name = "fake",
    .prepare = fake_prepare,
    .judge = fake_judge,
    .read_event = fake_read,
    .obeyed = obeyed,
};

static const struct settings settings;

static void begin(struct kit *kit)
{
    struct err err = {0};

    kit_begin(kit, &fake_agent);
    agent_output_free(kit->output); /* agent_run says how it is read */
    kit->output = agent_output_new(NULL, kit->redaction);
    kit->job.output = kit->output;
    kit->job.settings = &settings;
    kit->job.timeout_s = 60;
    kit->assignment.run_id = "0123456789abcdefghij";
    kit->assignment.sandbox = "off";
    test_file_write(workspace_checkout(kit->workspace), "fake.json", "theirs");
    assert_ok(process_become_subreaper(&err), err);
}

static bool is_there(const struct kit *kit, const char *name)
{
    scoped_str path = xasprintf("%s/%s", workspace_checkout(kit->workspace), name);

    return access(path, F_OK) == 0;
}

static void test_repositorys_word_is_out_of_sight_while_it_runs(void **state)
{
    static const char *const scripts[] = {"test ! -e fake.json && : >unseen",
                                          "test ! -e fake.json && : >unseen; exit 3"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
        struct kit kit;
        struct err err = {0};

        begin(&kit);
        script = scripts[i];
        assert_int_equal(agent_run(&kit.job, &err), i ? -1 : 0);
        assert_true(is_there(&kit, "unseen"));
        assert_true(is_there(&kit, "fake.json"));
        assert_int_equal(heard_count("out of its sight"), 1);
        kit_finish(&kit);
    }
}

static void test_repositorys_word_is_seen_where_the_operator_says_so(void **state)
{
    struct kit kit;
    struct err err = {0};

    (void)state;
    begin(&kit);
    kit.assignment.honour_repository_agent_config = true;
    script = "test -e fake.json && : >seen";
    assert_ok(agent_run(&kit.job, &err), err);
    assert_true(is_there(&kit, "seen"));
    assert_int_equal(heard_count("out of its sight"), 0);
    kit_finish(&kit);
}

static void test_events_are_read_and_other_lines_are_told_as_they_are(void **state)
{
    struct kit kit;
    struct err err = {0};

    (void)state;
    begin(&kit);
    script = "echo hello; echo '{\"say\":\"done\"}'; echo '{\"broken'; echo oops >&2; "
             "head -c 300000 /dev/zero | tr '\\0' x; echo; printf '{\"say\":\"last\"}'";
    assert_ok(agent_run(&kit.job, &err), err);
    assert_int_equal(heard_count("log {\"stream\":\"stdout\",\"line\":\"hello\"}"), 1);
    assert_int_equal(heard_count("log {\"stream\":\"stdout\",\"line\":\"{\\\"broken\"}"), 1);
    assert_int_equal(heard_count("log {\"stream\":\"stderr\",\"line\":\"oops\"}"), 1);
    assert_int_equal(heard_count("agent_message {\"text\":\"done\"}"), 1);
    assert_int_equal(heard_count("agent_message {\"text\":\"last\"}"), 1);
    assert_int_equal(heard_count("1 of the agent's events were longer than 256 KiB"), 1);
    assert_int_equal(heard_count("xxxx"), 0);
    assert_string_equal(agent_output_answer(kit.output), "done\n\nlast");
    kit_finish(&kit);
}

static void test_agents_are_found_by_name(void **state)
{
    static const char *const known[] = {"claude-code", "gemini-code", "opencode", "command"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        assert_string_equal(agent_find(known[i])->name, known[i]);
    assert_null(agent_find("codex"));
}

KIT_MAIN(cmocka_unit_test(test_repositorys_word_is_out_of_sight_while_it_runs),
         cmocka_unit_test(test_repositorys_word_is_seen_where_the_operator_says_so),
         cmocka_unit_test(test_events_are_read_and_other_lines_are_told_as_they_are),
         cmocka_unit_test(test_agents_are_found_by_name))
