/* SPDX-License-Identifier: Apache-2.0 */
/* What is so of direct calls alone; what they share with the others is in test_net.c. */
#include "net/net.h"

#include "server.h"

static void serve_hang(struct conn *conn)
{
    (void)conn_read(conn);
    conn_hang(conn);
}

struct caller {
    struct net *net;
    const char *url;
    int wrong;
    pthread_t thread;
};

/* Ends when the net does. */
static void *call_once(void *ctx)
{
    struct caller *caller = ctx;
    struct net_request request = {
        .method = "GET", .url = caller->url, .timeout_ms = 60000, .retry = NET_ONCE};
    scoped_net_answer answer = {0};
    struct err err = {0};

    caller->wrong = net_call(caller->net, &request, &answer, &err) != -1;
    return NULL;
}

static void test_direct_calls_wait_for_a_connection_no_longer_than_they_may(void **state)
{
    static const struct net_options one = {
        .user_agent = "t", .connections_per_host = 1, .direct = true};
    scoped_server server;
    volatile bool cancel = false;
    scoped_net_answer answer = {0};
    struct err err = {0};
    scoped(net) net = net_new(&one, &err);

    (void)state;
    assert_made(net, err);
    server_start(&server, serve_hang, NULL);
    scoped_str url = server_url(&server, "/");
    struct caller taker = {.net = net, .url = url};
    struct net_request request = {
        .method = "GET", .url = url, .timeout_ms = 300, .retry = NET_ONCE, .cancel = &cancel};
    int64_t began_ms = clock_monotonic_ms();

    assert_int_equal(pthread_create(&taker.thread, NULL, call_once, &taker), 0);
    while (server.requests == 0)
        (void)usleep(1000);
    assert_int_equal(net_call(net, &request, &answer, &err), -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_true(answer.unsent);
    assert_in_range(clock_monotonic_ms() - began_ms, 300, 60000);
    cancel = true;
    assert_int_equal(net_call(net, &request, &answer, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    net_stop(net);
    assert_int_equal(pthread_join(taker.thread, NULL), 0);
    assert_int_equal(taker.wrong, 0);
    assert_int_equal(server.requests, 1);
}

TEST_MAIN(cmocka_unit_test(test_direct_calls_wait_for_a_connection_no_longer_than_they_may))
