/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/exchange.h"

#include "gateway_run.h"

static void test_a_body_over_the_limit_is_a_413(void **state)
{
    struct run run;
    scoped_str body = xcalloc(1, 200001);

    (void)state;
    memset(body, 'x', 200000);
    run_start(&run, serve_say, anthropic_answer,
              (struct gateway_options){.body_max_bytes = 150000});
    assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                   .path = "/v1/messages",
                                                   .body = body}),
                     413);
    assert_int_equal(run.server.requests, 0);
    body[150000] = '\0';
    assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                   .path = "/v1/messages",
                                                   .body = body}),
                     200);
    run_end(&run);
}

static void test_headers_over_the_limit_are_refused(void **state)
{
    struct run run;
    scoped_buf got = {0};
    scoped_str head = NULL;
    int fd;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    fd = agent_connect(&run);
    head = xasprintf("POST /anthropic/v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: %s\r\n"
                     "X-Long: %070000d\r\n\r\n",
                     run.access.key, 0);
    (void)send(fd, head, strlen(head), MSG_NOSIGNAL);
    agent_read_to_end(fd, &got);
    (void)close(fd);
    assert_true(!got.data || strstr(got.data, "HTTP/1.1 431 "));
    assert_int_equal(run.server.requests, 0);
    run_end(&run);
}

#define REQUESTS_MAX 32 /* GATEWAY_REQUESTS_MAX */

static void serve_when_let_go(struct conn *conn)
{
    if (!conn_read(conn))
        return;
    while (!conn->server->let_go)
        (void)usleep(1000);
    (void)conn_say(conn, anthropic_answer);
}

static void test_too_many_requests_at_once_are_a_429(void **state)
{
    struct run run;
    int fds[REQUESTS_MAX];
    scoped_buf got = {0};

    (void)state;
    run_start(&run, serve_when_let_go, NULL, (struct gateway_options){0});
    for (int i = 0; i < REQUESTS_MAX; i++) {
        fds[i] = agent_connect(&run);
        agent_say(&run, fds[i], "/anthropic/v1/messages", "{}");
    }
    wait_until(run.server.requests == REQUESTS_MAX, WAIT_MS);
    {
        scoped_net_answer answer = {0};

        assert_int_equal(
            call(&run, (struct call){.base = run.access.anthropic_url, .path = "/v1/messages"},
                 &answer),
            429);
        assert_int_equal(net_answer_retry_after_s(&answer), 1);
        assert_non_null(strstr(answer.body.data, "rate_limit_error"));
    }
    run.server.let_go = true;
    for (int i = 0; i < REQUESTS_MAX; i++) {
        buf_clear(&got);
        agent_read_until(fds[i], &got, "20} }");
        (void)close(fds[i]);
    }
    assert_int_equal(gateway_usage(run.gateway).requests, REQUESTS_MAX);
    assert_int_equal(gateway_usage(run.gateway).input_tokens, 100 * REQUESTS_MAX);
    run_end(&run);
}

TEST_MAIN(cmocka_unit_test(test_a_body_over_the_limit_is_a_413),
          cmocka_unit_test(test_headers_over_the_limit_are_refused),
          cmocka_unit_test(test_too_many_requests_at_once_are_a_429))
