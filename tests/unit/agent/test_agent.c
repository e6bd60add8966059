/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include "scripted_server.h"

#include "home/stop.h"

#define RUN_ID "0123456789abcdefghij"

static const struct scripted_answer takes_all[] = {{200, NULL, "{\"stored\":1}"}};

/* A place for agent `command` to run in, and a home that hears it. */
struct site {
    struct server server;
    struct script script;
    struct settings settings;
    struct net *net;
    struct home *home;
    struct redaction *redaction;
    struct events *events;
    struct agent_output *output;
    struct workspace *workspace;
    struct assignment assignment;
    char *dir;
};

static void begin(struct site *at)
{
    static const struct net_options options = {.user_agent = "tester/1"};
    struct err err = {0};

    at->script = (struct script){takes_all, 1, 0};
    script_start(&at->server, &at->script);
    at->settings = (struct settings){
        .home_url = server_url(&at->server, ""),
        .attempt = 1,
        .task_token = secret_new("vgvtask_agenttest"),
    };
    at->net = net_new(&options, &err);
    assert_made(at->net, err);
    at->home = home_new(at->net, &at->settings);
    at->redaction = redaction_new();
    at->events = events_new(at->home, at->redaction);
    at->output = agent_output_new(at->events, at->redaction);
    at->dir = test_dir_new();
    at->workspace = workspace_new(at->dir, RUN_ID, &err);
    assert_made(at->workspace, err);
    at->assignment = (struct assignment){
        .run_id = RUN_ID, .prompt = "the prompt\n", .timeout_s = 60, .sandbox = "auto"};
}

static void finish(struct site *at)
{
    workspace_free(at->workspace);
    agent_output_free(at->output);
    events_free(at->events);
    redaction_free(at->redaction);
    home_free(at->home);
    net_free(at->net);
    server_stop(&at->server);
    settings_done(&at->settings);
    test_dir_remove(at->dir);
    free(at->dir);
}

static int run(struct site *at, const char *command, struct err *err)
{
    struct agent_job job = {
        .kind = agent_find("command"),
        .assignment = &at->assignment,
        .workspace = at->workspace,
        .prompt = at->assignment.prompt,
        .timeout_s = at->assignment.timeout_s,
        .settings = &at->settings,
        .events = at->events,
        .output = at->output,
        .stop = stop_flag(),
    };

    at->assignment.agent_command = command;
    return agent_run(&job, err);
}

/* What the file holds that the agent wrote in its checkout; the caller frees it. */
static char *written(const struct site *at, const char *name)
{
    scoped_str path = xasprintf("%s/%s", workspace_checkout(at->workspace), name);
    scoped_buf text = {0};
    struct err err = {0};

    assert_ok(buf_read_file(&text, path, 65536, &err), err);
    return buf_take(&text);
}

static void test_agent_gets_the_prompt_on_stdin_in_its_checkout(void **state)
{
    struct site at;
    struct err err = {0};

    (void)state;
    begin(&at);
    assert_ok(run(&at, "sh -c 'cat >prompt; pwd >where'", &err), err);
    scoped_str prompt = written(&at, "prompt");
    scoped_str where = written(&at, "where");
    scoped_str checkout = xasprintf("%s\n", workspace_checkout(at.workspace));
    assert_string_equal(prompt, "the prompt\n");
    assert_string_equal(where, checkout);
    finish(&at);
}

static void test_environment_is_made_from_nothing(void **state)
{
    static const char *const allowed[] = {
        "PATH=", "HOME=",    "TMPDIR=", "PWD=", "USER=",
        "LANG=", "LOGNAME=", "TERM=",   "CI=",  "DISPATCH_RUN_ID="};
    struct site at;
    struct err err = {0};

    (void)state;
    (void)setenv("DISPATCH_URL", "http://home", 1);
    (void)setenv("ANTHROPIC_API_KEY", "sk-test", 1);
    begin(&at);
    assert_ok(run(&at, "/bin/cp /proc/self/environ env", &err), err);
    scoped_str path = xasprintf("%s/env", workspace_checkout(at.workspace));
    scoped_buf env = {0};
    assert_ok(buf_read_file(&env, path, 65536, &err), err);
    for (const char *one = env.data; one < env.data + env.size; one += strlen(one) + 1) {
        bool known = false;

        for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
            known = known || strncmp(one, allowed[i], strlen(allowed[i])) == 0;
        if (!known)
            fail_msg("the agent's environment has %s", one);
    }
    finish(&at);
}

static void test_agent_inherits_no_descriptor(void **state)
{
    struct site at;
    struct err err = {0};

    (void)state;
    begin(&at);
    assert_ok(run(&at, "sh -c 'ls /proc/$$/fd >fds'", &err), err);
    scoped_str fds = written(&at, "fds");
    for (const char *line = fds; *line; line = strchr(line, '\n') + 1)
        assert_true(strtol(line, NULL, 10) <= 2 || strtol(line, NULL, 10) == 10);
    finish(&at);
}

static void test_failure_says_code_or_signal_and_the_last_line(void **state)
{
    static const struct {
        const char *command;
        const char *text;
    } cases[] = {
        {"sh -c 'echo one; echo two; echo; exit 3'", "the agent exited with code 3: two"},
        {"sh -c 'exit 1'", "the agent exited with code 1"},
        {"sh -c 'kill -9 $$'", "the agent was ended by signal 9 (Killed)"},
        {"/no/such/agent", "the agent: starting /no/such/agent: No such file or directory"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct site at;
        struct err err = {0};

        begin(&at);
        assert_int_equal(run(&at, cases[i].command, &err), -1);
        assert_int_equal(err.kind, ERR_UPSTREAM);
        assert_string_equal(err.text, cases[i].text);
        finish(&at);
    }
}

static void test_command_that_is_not_there_or_malformed_is_refused(void **state)
{
    struct site at;
    struct err err = {0};

    (void)state;
    begin(&at);
    assert_int_equal(run(&at, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(run(&at, "'open", &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_null(agent_find("codex"));
    finish(&at);
}

static void test_time_is_up_for_agent_and_descendants(void **state)
{
    struct site at;
    struct err err = {0};

    (void)state;
    begin(&at);
    at.assignment.timeout_s = 1;
    assert_int_equal(run(&at, "sh -c 'trap \"\" TERM; sleep 100 & echo $! >pid; wait'", &err),
                     -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_string_equal(err.text, "the agent didn't finish within 1 s");
    finish(&at);
}

static void test_daemons_end_with_the_agent(void **state)
{
    struct site at;
    struct err err = {0};
    long pid;

    (void)state;
    begin(&at);
    assert_ok(run(&at,
                  "sh -c '(setsid sh -c \"trap : TERM; echo \\$\\$ >pid; while :; do sleep 1; "
                  "done\" &) ; while ! test -s pid; do sleep 0.05; done'",
                  &err),
              err);
    scoped_str text = written(&at, "pid");
    pid = strtol(text, NULL, 10);
    assert_true(pid > 1);
    scoped_str gone = xasprintf("/proc/%ld/stat", pid);
    assert_int_equal(access(gone, F_OK), -1);
    finish(&at);
}

/* Last: the request to stop is for good. */
static void test_stop_ends_the_agent(void **state)
{
    struct site at;
    struct err err = {0};

    (void)state;
    begin(&at);
    stop_request();
    assert_int_equal(run(&at, "sleep 100", &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    finish(&at);
}

static int become_reaper(void **state)
{
    struct err err = {0};

    (void)state;
    return process_become_subreaper(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agent_gets_the_prompt_on_stdin_in_its_checkout),
        cmocka_unit_test(test_environment_is_made_from_nothing),
        cmocka_unit_test(test_agent_inherits_no_descriptor),
        cmocka_unit_test(test_failure_says_code_or_signal_and_the_last_line),
        cmocka_unit_test(test_command_that_is_not_there_or_malformed_is_refused),
        cmocka_unit_test(test_time_is_up_for_agent_and_descendants),
        cmocka_unit_test(test_daemons_end_with_the_agent),
        cmocka_unit_test(test_stop_ends_the_agent),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, become_reaper, NULL);
}
