/* SPDX-License-Identifier: Apache-2.0 */
#include "home/events.h"

#include "scripted_server.h"

#include "agent/agent_output.h"
#include "home/stop.h"

struct story {
    struct server server;
    struct script script;
    struct settings settings;
    struct net *net;
    struct home *home;
    struct redaction *redaction;
    struct events *events;
};

static void begin(struct story *at, const struct scripted_answer *answers, size_t n)
{
    static const struct net_options options = {.user_agent = "tester/1"};
    scoped(secret) secret = secret_new("ghs_eventsecret");
    struct err err = {0};

    at->script = (struct script){answers, n, 0};
    script_start(&at->server, &at->script);
    at->settings = (struct settings){
        .home_url = server_url(&at->server, ""),
        .attempt = 1,
        .task_token = secret_new("vgvtask_eventtest"),
    };
    at->net = net_new(&options, &err);
    assert_made(at->net, err);
    at->home = home_new(at->net, &at->settings);
    at->redaction = redaction_new();
    redaction_add(at->redaction, secret);
    at->events = events_new(at->home, at->redaction);
}

static void finish(struct story *at)
{
    events_free(at->events);
    redaction_free(at->redaction);
    home_free(at->home);
    net_free(at->net);
    server_stop(&at->server);
    settings_done(&at->settings);
}

static const struct scripted_answer takes_all[] = {{200, NULL, "{\"stored\":1}"}};

#define begin_with(at, answers) begin((at), (answers), ARRAY_SIZE(answers))

static int count(struct server *server, const char *text)
{
    int n = 0;

    (void)pthread_mutex_lock(&server->lock);
    for (const char *at = server->seen.data; at && (at = strstr(at, text)); at += strlen(text))
        n++;
    (void)pthread_mutex_unlock(&server->lock);
    return n;
}

static void test_events_go_home_numbered_and_redacted(void **state)
{
    struct story at;

    (void)state;
    begin_with(&at, takes_all);
    events_add(at.events, "started", jobj({"agent", jstr("command")}));
    events_warn(at.events, "%s leaked", "ghs_eventsecret");
    events_finish(at.events, 60000);
    assert_true(server_saw(&at.server, "POST /runner/v1/events HTTP/1.1\r\n"));
    assert_true(server_saw(&at.server, "{\"events\":[{\"seq\":1,\"at\":\""));
    assert_true(
        server_saw(&at.server, "\"type\":\"started\",\"agent\":\"command\"},{\"seq\":2,"));
    assert_true(server_saw(&at.server, "\"type\":\"warning\",\"message\":\"*** leaked\"}]}"));
    assert_false(server_saw(&at.server, "ghs_eventsecret"));
    finish(&at);
}

static void test_batches_are_sent_without_being_asked(void **state)
{
    struct story at;

    (void)state;
    begin_with(&at, takes_all);
    events_add(at.events, "log", jobj({"line", jstr("soon")}));
    wait_until(server_saw(&at.server, "soon"), 60000);
    for (int i = 0; i < 200; i++)
        events_add(at.events, "log", jobj({"line", jstr("many")}));
    wait_until(count(&at.server, "many") == 200, 60000);
    finish(&at);
}

static void test_batch_that_failed_is_sent_again(void **state)
{
    static const struct scripted_answer answers[] = {
        {500, NULL, "{}"}, {500, NULL, "{}"}, {500, NULL, "{}"},
        {500, NULL, "{}"}, {0, NULL, ""},     {200, NULL, "{\"stored\":1}"}};
    struct story at;

    (void)state;
    begin_with(&at, answers);
    events_add(at.events, "log", jobj({"line", jstr("persistent")}));
    wait_until(at.server.requests >= 6, 60000);
    events_finish(at.events, 60000);
    assert_int_equal(count(&at.server, "persistent"), 6);
    finish(&at);
}

static void test_batch_that_home_refuses_does_not_block_the_next(void **state)
{
    static const struct scripted_answer answers[] = {{400, NULL, "{\"error\":\"bad\"}"},
                                                     {200, NULL, "{\"stored\":1}"}};
    struct story at;

    (void)state;
    begin_with(&at, answers);
    events_add(at.events, "log", jobj({"line", jstr("refused")}));
    wait_until(server_saw(&at.server, "refused"), 60000);
    events_add(at.events, "log", jobj({"line", jstr("following")}));
    events_finish(at.events, 60000);
    assert_int_equal(count(&at.server, "refused"), 1);
    assert_int_equal(count(&at.server, "following"), 1);
    finish(&at);
}

static void test_finish_gives_up_on_a_home_that_is_gone(void **state)
{
    static const struct scripted_answer answers[] = {{0, NULL, ""}};
    struct story at;
    int64_t began_ms = clock_monotonic_ms();

    (void)state;
    begin_with(&at, answers);
    events_add(at.events, "log", jobj({"line", jstr("lost")}));
    events_finish(at.events, 1500);
    assert_true(clock_monotonic_ms() - began_ms < 60000);
    finish(&at);
}

/* --- The agent's output ------------------------------------------------------------------ */

static void feed(struct agent_output *output, enum process_stream stream, const char *text)
{
    agent_output_feed(output, stream, text, strlen(text));
}

static void test_lines_become_log_events(void **state)
{
    struct story at;

    (void)state;
    begin_with(&at, takes_all);
    scoped(agent_output) output = agent_output_new(at.events, at.redaction);
    feed(output, PROCESS_STDOUT, "one\r\ntw");
    feed(output, PROCESS_STDERR, "oops ghs_eventsecret\n");
    feed(output, PROCESS_STDOUT, "o\nbad \xff");
    agent_output_feed(output, PROCESS_STDOUT, "\0end", 4);
    agent_output_end(output);
    events_finish(at.events, 60000);
    assert_true(server_saw(&at.server, "\"stream\":\"stdout\",\"line\":\"one\"}"));
    assert_true(server_saw(&at.server, "\"stream\":\"stderr\",\"line\":\"oops ***\"}"));
    assert_true(server_saw(&at.server, "\"line\":\"two\"}"));
    assert_true(server_saw(&at.server, "\"line\":\"bad \xef\xbf\xbd\xef\xbf\xbd"
                                       "end\"}"));
    assert_string_equal(agent_output_last_line(output), "bad \xff\xff"
                                                        "end");
    assert_null(agent_output_partial_reason(output));
    finish(&at);
}

static void test_long_line_is_cut_and_a_secret_across_the_cut_is_not_shown(void **state)
{
    static char line[OUTPUT_LINE_MAX_BYTES + 2000];
    struct story at;

    (void)state;
    begin_with(&at, takes_all);
    scoped(agent_output) output = agent_output_new(at.events, at.redaction);
    memset(line, 'x', sizeof(line) - 1);
    memcpy(line + OUTPUT_LINE_MAX_BYTES - 20, "ghs_eventsecret", 15);
    memcpy(line + 100, "ghs_eventsecret", 15);
    feed(output, PROCESS_STDOUT, line);
    feed(output, PROCESS_STDOUT, "\nnext\n");
    agent_output_end(output);
    events_finish(at.events, 60000);
    assert_true(server_saw(&at.server, "xx [line cut]\"}"));
    assert_true(server_saw(&at.server, "\"line\":\"next\"}"));
    assert_false(server_saw(&at.server, "ghs_"));
    finish(&at);
}

static void test_endless_line_and_output_cost_no_memory_and_hide_no_marker(void **state)
{
    static char chunk[65536];
    struct story at;

    (void)state;
    begin_with(&at, takes_all);
    scoped(agent_output) output = agent_output_new(at.events, at.redaction);
    memset(chunk, 'y', sizeof(chunk));
    for (int i = 0; i < 16384; i++) /* 1 GiB */
        agent_output_feed(output, PROCESS_STDOUT, chunk, sizeof(chunk));
    for (size_t i = 7; i < sizeof(chunk); i += 8)
        chunk[i] = '\n';
    for (int i = 0; i < 1024; i++) /* 64 MiB in short lines */
        agent_output_feed(output, PROCESS_STDOUT, chunk, sizeof(chunk));
    feed(output, PROCESS_STDOUT, "<<<VGVBOT_STATUS: partial: ghs_eventsecret ran out>>>\n");
    agent_output_end(output);
    events_finish(at.events, 60000);
    assert_string_equal(agent_output_partial_reason(output), "*** ran out");
    assert_int_equal(count(&at.server, "output truncated"), 1);
    assert_true(count(&at.server, "events were left out") <= 2);
    assert_true(at.server.seen.size < 200 * 1024 * 1024);
    finish(&at);
}

/* Home keeps 20,000 events of a run: the agent's lines must leave room for the run's own. */
static void test_lines_are_told_up_to_a_number(void **state)
{
    static char breaks[1000];
    struct story at;

    (void)state;
    begin_with(&at, takes_all);
    scoped(agent_output) output = agent_output_new(at.events, at.redaction);
    memset(breaks, '\n', sizeof(breaks));
    for (int i = 0; i < 40; i++) {
        agent_output_feed(output, PROCESS_STDOUT, breaks, sizeof(breaks));
        (void)usleep(20000); /* slowly enough for home to take them */
    }
    agent_output_end(output);
    events_finish(at.events, 60000);
    assert_true(count(&at.server, "\"type\":\"log\"") <= OUTPUT_TOTAL_MAX_LINES);
    assert_int_equal(count(&at.server, "output truncated"), 1);
    finish(&at);
}

/* Last: the request to stop is for good. */
static void test_home_that_no_longer_wants_us_stops_the_run(void **state)
{
    static const struct scripted_answer answers[] = {{409, NULL, "{\"code\":\"run_ended\"}"}};
    struct story at;

    (void)state;
    begin_with(&at, answers);
    events_add(at.events, "log", jobj({"line", jstr("x")}));
    wait_until(stop_requested(), 60000);
    events_add(at.events, "log", jobj({"line", jstr("never sent")}));
    events_finish(at.events, 2000);
    assert_int_equal(at.server.requests, 1);
    finish(&at);
}

TEST_MAIN(cmocka_unit_test(test_events_go_home_numbered_and_redacted),
          cmocka_unit_test(test_batches_are_sent_without_being_asked),
          cmocka_unit_test(test_batch_that_failed_is_sent_again),
          cmocka_unit_test(test_batch_that_home_refuses_does_not_block_the_next),
          cmocka_unit_test(test_finish_gives_up_on_a_home_that_is_gone),
          cmocka_unit_test(test_lines_become_log_events),
          cmocka_unit_test(test_long_line_is_cut_and_a_secret_across_the_cut_is_not_shown),
          cmocka_unit_test(test_endless_line_and_output_cost_no_memory_and_hide_no_marker),
          cmocka_unit_test(test_lines_are_told_up_to_a_number),
          cmocka_unit_test(test_home_that_no_longer_wants_us_stops_the_run))
