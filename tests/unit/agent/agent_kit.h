/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_AGENT_KIT_H
#define TESTS_AGENT_KIT_H
#include <string.h>

#include "heard.h"

#include "agent/agent.h"
#include "base/alloc.h"
#include "base/buf.h"

/* An agent that is prepared, and its events read, but not started. */
struct kit {
    char *dir;
    struct workspace *workspace;
    struct redaction *redaction;
    struct agent_output *output;
    cJSON *document; /* for assignment.tools and .agents */
    struct assignment assignment;
    struct model_access access;
    struct agent_job job;
    struct agent_start start;
};

static const struct model_access full_access = {
    .key = "run-key",
    .anthropic_url = "http://127.0.0.1:1/anthropic",
    .openai_url = "http://127.0.0.1:1/openai/v1",
    .gemini_url = "http://127.0.0.1:1/gemini",
};

static void kit_begin(struct kit *kit, const struct agent_kind *kind)
{
    struct err err = {0};

    buf_clear(&heard);
    *kit = (struct kit){.dir = test_dir_new(), .access = full_access};
    kit->workspace = workspace_new(kit->dir, "0123456789abcdefghij", &err);
    assert_made(kit->workspace, err);
    kit->redaction = redaction_new();
    kit->output = agent_output_new(NULL, kit->redaction);
    agent_output_read_events(kit->output, kind->read_event, true);
    kit->assignment = (struct assignment){.mode = "execute", .timeout_s = 60};
    kit->job = (struct agent_job){.kind = kind,
                                  .prompt = "do it",
                                  .assignment = &kit->assignment,
                                  .workspace = kit->workspace,
                                  .access = &kit->access,
                                  .output = kit->output};
}

static void kit_finish(struct kit *kit)
{
    text_list_done(&kit->start.argv);
    text_list_done(&kit->start.env);
    free(kit->start.own_input);
    agent_output_free(kit->output);
    redaction_free(kit->redaction);
    workspace_free(kit->workspace);
    cJSON_Delete(kit->document);
    test_dir_remove(kit->dir);
    free(kit->dir);
}

/* One external tool and one subagent, whose `tools` are these. */
__attribute__((unused)) static void kit_options(struct kit *kit, const char *subagent_tools)
{
    scoped_str text = xasprintf(
        "{\"tools\":[{\"name\":\"stock\",\"description\":\"d\"}],\"agents\":[{\"name\":"
        "\"Reviewer\",\"description\":\"Reviews: \\\"code\\\"\",\"mode\":\"subagent\","
        "\"prompt\":\"You review.\",\"tools\":%s,\"max_turns\":5}]}",
        subagent_tools);

    kit->document = cJSON_Parse(text);
    assert_non_null(kit->document);
    kit->assignment.tools = json_get(kit->document, "tools");
    kit->assignment.agents = json_get(kit->document, "agents");
    kit->job.tool_socket = "/run/tools.sock";
}

__attribute__((unused)) static void kit_prepare(struct kit *kit)
{
    struct err err = {0};

    assert_ok(kit->job.kind->prepare(&kit->job, &kit->start, &err), err);
}

/* The whole argv, or environment, words apart by spaces; the caller frees it. */
__attribute__((unused)) static char *kit_joined(const struct text_list *list)
{
    struct buf text = {0};

    for (size_t i = 0; i < list->n; i++)
        buf_printf(&text, "%s%s", i ? " " : "", list->all[i]);
    return buf_take(&text);
}

/* A file of the agent's HOME; the caller frees it. */
__attribute__((unused)) static char *kit_file(const struct kit *kit, const char *name)
{
    scoped_str path = xasprintf("%s/%s", workspace_agent_home(kit->workspace), name);
    struct buf text = {0};
    struct err err = {0};

    assert_ok(buf_read_file(&text, path, 65536, &err), err);
    return buf_take(&text);
}

/* What it printed, and how it ended: 0, or -1 with the sentence in `err`. */
__attribute__((unused)) static int kit_judge(struct kit *kit, const char *stream, int exit_code,
                                             struct err *err)
{
    struct process_end end = {.exit_code = exit_code};

    agent_output_feed(kit->output, PROCESS_STDOUT, stream, strlen(stream));
    agent_output_end(kit->output);
    return kit->job.kind->judge(&end, kit->output, err);
}

struct kit_ending {
    const char *stream;
    int exit_code;
    const char *sentence; /* NULL: it did its job */
};

/* What the agent's last words and its exit code are taken for. */
__attribute__((unused)) static void kit_expect_endings(const struct agent_kind *kind,
                                                       const struct kit_ending *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct kit kit;
        struct err err = {0};
        int result;

        kit_begin(&kit, kind);
        result = kit_judge(&kit, cases[i].stream, cases[i].exit_code, &err);
        assert_int_equal(result, cases[i].sentence ? -1 : 0);
        assert_string_equal(err.text, cases[i].sentence ? cases[i].sentence : "");
        kit_finish(&kit);
    }
}

#define assert_has(text, part)                                                                 \
    do {                                                                                       \
        if (!strstr((text), (part)))                                                           \
            fail_msg("no \"%s\" in: %s", (part), (text));                                      \
    } while (0)
#define assert_lacks(text, part)                                                               \
    do {                                                                                       \
        if (strstr((text), (part)))                                                            \
            fail_msg("\"%s\" in: %s", (part), (text));                                         \
    } while (0)

__attribute__((unused)) static int kit_set_up(void **state)
{
    (void)state;
    json_setup();
    return 0;
}

__attribute__((unused)) static int kit_tear_down(void **state)
{
    (void)state;
    buf_done(&heard);
    return 0;
}
#define KIT_MAIN(...)                                                                          \
    int main(void)                                                                             \
    {                                                                                          \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                       \
                                                                                               \
        if (getenv("T"))                                                                       \
            cmocka_set_test_filter(getenv("T"));                                               \
        return cmocka_run_group_tests(tests, kit_set_up, kit_tear_down);                       \
    }
#endif
