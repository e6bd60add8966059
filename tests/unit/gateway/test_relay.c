/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_run.h"

/* --- Streaming ---------------------------------------------------------------------------- */

/* Each event waits until the test has seen the one before: server.ctx counts those allowed. */
static void serve_events_on_demand(struct conn *conn)
{
    static const char *const events[] = {
        ("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":"
         "\"claude-sonnet-4-5\",\"usage\":{\"input_tokens\":10,\"output_tokens\":1,"
         "\"cache_read_input_tokens\":1000,\"cache_creation_input_tokens\":100}}}\n\n"),
        "event: content_block_delta\ndata: {\"delta\":{\"text\":\"h\xc3\xa9llo\"}}\n\n",
        ("event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{"
         "\"output_tokens\":50}}\n\n"),
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    };
    _Atomic int *allowed = conn->server->ctx;

    if (!conn_read(conn) || !conn_say(conn, SSE_HEAD))
        return;
    for (int i = 0; i < 4; i++) {
        while (*allowed <= i && !conn->server->let_go)
            (void)usleep(1000);
        if (!say_chunk(conn, events[i]))
            return;
    }
    (void)say_chunk(conn, "");
}

static void test_events_arrive_one_by_one_and_are_counted(void **state)
{
    struct run run;
    scoped_buf got = {0};
    _Atomic int allowed = 0;
    struct model_totals totals;
    int fd;

    (void)state;
    run_start(&run, serve_events_on_demand, NULL, (struct gateway_options){0});
    run.server.ctx = &allowed;
    fd = agent_connect(&run);
    agent_say(&run, fd, "/anthropic/v1/messages", "{}");
    allowed = 1;
    agent_read_until(fd, &got, "\"cache_creation_input_tokens\":100}}}\n\n");
    assert_null(strstr(got.data, "content_block_delta"));
    allowed = 2;
    agent_read_until(fd, &got, "h\xc3\xa9llo");
    assert_null(strstr(got.data, "message_delta"));
    allowed = 4;
    agent_read_until(fd, &got, "0\r\n\r\n");
    totals = gateway_usage(run.gateway);
    assert_int_equal(totals.input_tokens, 10);
    assert_int_equal(totals.output_tokens, 50);
    assert_int_equal(totals.cache_read_tokens, 1000);
    assert_int_equal(totals.cache_write_tokens, 100);
    assert_int_equal(totals.requests, 1);
    assert_false(totals.estimated);
    /* (10 * 3 + 50 * 15 + 1000 * 0.3 + 100 * 3.75) / 1e6 */
    assert_true(totals.cost_usd > 0.001454 && totals.cost_usd < 0.001456);
    (void)close(fd);
    run_end(&run);
}

#define BIG_BYTES (32 * 1024 * 1024)

/* The first connection gets much, the others little. */
static void serve_much(struct conn *conn)
{
    static char piece[64 * 1024];
    scoped_str head = xasprintf(JSON_HEAD "Content-Length: %d\r\n\r\n", BIG_BYTES);

    if (conn->number > 1) {
        serve_say(conn);
        return;
    }
    if (!conn_read(conn) || !conn_say(conn, head))
        return;
    for (size_t sent = 0; sent < BIG_BYTES; sent += sizeof(piece)) {
        if (!conn_write(conn, piece, sizeof(piece)))
            return;
        *(_Atomic size_t *)conn->server->ctx += sizeof(piece);
    }
}

static void test_a_slow_agent_slows_its_provider_and_nobody_else(void **state)
{
    struct run run;
    scoped_buf got = {0};
    _Atomic size_t sent = 0;
    size_t before;
    size_t head;
    int fd;

    (void)state;
    run_start(&run, serve_much, NULL, (struct gateway_options){0});
    run.server.ctx = &sent;
    fd = agent_connect(&run);
    agent_say(&run, fd, "/anthropic/v1/messages", "{}");
    agent_read_until(fd, &got, "\r\n\r\n");
    do { /* what fits into sockets and buffers goes, and then no more */
        before = sent;
        (void)usleep(200000);
    } while (sent != before);
    assert_true(sent < BIG_BYTES);
    assert_int_equal(
        status_of(&run, (struct call){.base = run.access.openai_url, .path = "/responses"}),
        200);
    head = (size_t)(strstr(got.data, "\r\n\r\n") + 4 - got.data);
    while (got.size < head + BIG_BYTES)
        agent_read_some(fd, &got);
    assert_int_equal(got.size, head + BIG_BYTES);
    assert_int_equal(sent, BIG_BYTES);
    (void)close(fd);
    run_end(&run);
}

/* --- Things that go wrong ----------------------------------------------------------------- */

static void serve_cut(struct conn *conn)
{
    if (conn_read(conn) && conn_say(conn, SSE_HEAD))
        (void)say_chunk(conn, "data: {\"model\":\"gpt-5\",\"choices\":[]}\n\n");
    conn_reset(conn);
}

static void test_a_cut_answer_is_a_cut_for_the_agent_and_isnt_free(void **state)
{
    struct run run;
    scoped_buf got = {0};
    struct model_totals totals;
    int fd;

    (void)state;
    run_start(&run, serve_cut, NULL, (struct gateway_options){0});
    fd = agent_connect(&run);
    agent_say(&run, fd, "/openai/v1/chat/completions",
              "{\"model\":\"gpt-5\",\"x\":\"yyyyyyyyyy\"}");
    agent_read_to_end(fd, &got);
    (void)close(fd);
    assert_non_null(strstr(got.data, "HTTP/1.1 200 "));
    assert_null(strstr(got.data, "\r\n0\r\n\r\n"));
    gateway_stop(run.gateway);
    totals = gateway_usage(run.gateway);
    assert_true(totals.estimated);
    assert_true(totals.input_tokens > 0 && totals.output_tokens > 0 && totals.cost_usd > 0);
    run_end(&run);
}

static void serve_hang(struct conn *conn)
{
    if (conn_read(conn))
        conn_hang(conn);
}

static void test_silence_is_a_504_and_no_provider_a_502(void **state)
{
    struct run run;

    (void)state;
    run_start(&run, serve_hang, NULL, (struct gateway_options){.silence_ms = 300});
    assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                   .path = "/v1/messages"}),
                     504);
    (void)shutdown(run.server.fd, SHUT_RDWR); /* nobody listens any more */
    assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                   .path = "/v1/messages"}),
                     502);
    assert_int_equal(gateway_usage(run.gateway).requests, 2);
    run_end(&run);
}

static void serve_until_gone(struct conn *conn)
{
    if (!conn_read(conn))
        return;
    conn_hang(conn);
    *(_Atomic int *)conn->server->ctx += 1;
}

static void test_an_agent_that_goes_ends_its_call(void **state)
{
    struct run run;
    _Atomic int gone = 0;
    int fd;

    (void)state;
    run_start(&run, serve_until_gone, NULL, (struct gateway_options){0});
    run.server.ctx = &gone;
    fd = agent_connect(&run);
    agent_say(&run, fd, "/anthropic/v1/messages", "{\"model\":\"claude-opus-4-5\"}");
    wait_until(run.server.requests == 1, WAIT_MS);
    (void)close(fd);
    wait_until(gone == 1, WAIT_MS);
    wait_until(gateway_usage(run.gateway).input_tokens > 0,
               WAIT_MS); /* it may have been billed */
    run_end(&run);
}

static void test_stopping_ends_calls_that_wait(void **state)
{
    struct run run;
    scoped_buf got = {0};
    int fd;

    (void)state;
    run_start(&run, serve_hang, NULL, (struct gateway_options){0});
    fd = agent_connect(&run);
    agent_say(&run, fd, "/anthropic/v1/messages", "{}");
    wait_until(run.server.requests == 1, WAIT_MS);
    gateway_stop(run.gateway);
    gateway_stop(run.gateway);
    agent_read_to_end(fd, &got);
    (void)close(fd);
    run_end(&run);
}

TEST_MAIN(cmocka_unit_test(test_events_arrive_one_by_one_and_are_counted),
          cmocka_unit_test(test_a_slow_agent_slows_its_provider_and_nobody_else),
          cmocka_unit_test(test_a_cut_answer_is_a_cut_for_the_agent_and_isnt_free),
          cmocka_unit_test(test_silence_is_a_504_and_no_provider_a_502),
          cmocka_unit_test(test_an_agent_that_goes_ends_its_call),
          cmocka_unit_test(test_stopping_ends_calls_that_wait))
