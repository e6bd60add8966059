/* SPDX-License-Identifier: Apache-2.0 */
#include "net/retry.h"

#include "server.h"

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define STATUS(line, headers) "HTTP/1.1 " line "\r\n" headers "Content-Length: 0\r\n\r\n"

static const struct net_options plain_options = {.user_agent = "tester/1"};

/* --- The rule ------------------------------------------------------------------------- */

static void test_what_may_be_tried_again(void **state)
{
    static const struct {
        struct net_try tried;
        bool unsent;
        bool idempotent;
    } cases[] = {
        {{.status = 200}, false, false},
        {{.status = 404}, false, false},
        {{.status = 403, .retry_after_s = 5}, false, false},
        {{.status = 429}, true, true},
        {{.status = 429, .retry_after_s = 5}, true, true},
        {{.status = 500}, false, true},
        {{.status = 501}, false, false},
        {{.status = 502}, false, true},
        {{.status = 503}, false, true},
        {{.status = 503, .retry_after_s = 5}, true, true},
        {{.status = 504, .retry_after_s = 5}, false, true},
        {{.broken = true}, false, true},
        {{.broken = true, .unsent = true}, true, true},
        {{.broken = true, .unsent = true, .delivered = true}, false, false},
        {{.status = 500, .delivered = true}, false, false},
        {{.status = 0}, false, false}, /* stopped, too large, a stranger's certificate */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_false(retry_allowed(NET_ONCE, &cases[i].tried));
        assert_int_equal(retry_allowed(NET_UNSENT, &cases[i].tried), cases[i].unsent);
        assert_int_equal(retry_allowed(NET_IDEMPOTENT, &cases[i].tried), cases[i].idempotent);
    }
}

static void test_waits_double_with_full_jitter(void **state)
{
    static const int most_ms[] = {200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
    struct net_try tried = {.broken = true};

    (void)state;
    for (int i = 0; i < (int)ARRAY_SIZE(most_ms); i++) {
        assert_int_equal(retry_wait_ms(&tried, i + 2, 0), 0);
        assert_int_equal(retry_wait_ms(&tried, i + 2, (uint64_t)most_ms[i]), most_ms[i]);
        assert_int_equal(retry_wait_ms(&tried, i + 2, (uint64_t)most_ms[i] + 1), 0);
    }
    assert_in_range(retry_wait_ms(&tried, 1000000000, UINT64_MAX), 0, 30000);
    tried.retry_after_s = 7;
    assert_int_equal(retry_wait_ms(&tried, 2, 5), 7000);
}

/* --- The calls ------------------------------------------------------------------------ */

struct outcome {
    int result;
    int status;
    int tries;
    enum err_kind kind;
    int64_t took_ms;
};

static struct outcome call(struct server *server, struct net_request request)
{
    struct err err = {0};
    scoped(net) net = net_new(&plain_options, &err);
    scoped_str url = server_url(server, "/");
    scoped_net_answer answer = {0};
    struct outcome outcome = {0};
    int64_t began_ms = clock_monotonic_ms();

    assert_made(net, err);
    request.url = url;
    outcome.result = net_call(net, &request, &answer, &err);
    outcome.status = answer.status;
    outcome.tries = answer.tries;
    outcome.kind = err.kind;
    outcome.took_ms = clock_monotonic_ms() - began_ms;
    return outcome;
}

static void serve_500_twice(struct conn *conn)
{
    while (conn_read(conn))
        if (!conn_say(conn, conn->server->requests <= 2 ? STATUS("500 Oh", "") : OK_EMPTY))
            return;
}

static void test_two_500s_then_200(void **state)
{
    static const struct {
        enum net_retry rule;
        int tries_max;
        int status;
        int tries;
    } cases[] = {
        {NET_ONCE, 0, 500, 1},
        {NET_UNSENT, 0, 500, 1},
        {NET_IDEMPOTENT, 0, 200, 3},
        {NET_IDEMPOTENT, 2, 500, 2},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_server server;
        struct outcome got;

        server_start(&server, serve_500_twice, NULL);
        got = call(&server, (struct net_request){.method = "POST",
                                                 .body = "{}",
                                                 .body_size = 2,
                                                 .retry = cases[i].rule,
                                                 .tries_max = cases[i].tries_max});
        assert_int_equal(got.result, 0);
        assert_int_equal(got.status, cases[i].status);
        assert_int_equal(got.tries, cases[i].tries);
        assert_int_equal(server.requests, cases[i].tries);
    }
}

static void serve_reset_twice(struct conn *conn)
{
    if (conn->number <= 2) {
        conn->server->requests++;
        conn_reset(conn);
        return;
    }
    serve_say(conn);
}

static void test_a_reset_is_tried_again_only_when_repeating_is_harmless(void **state)
{
    (void)state;
    for (int rule = NET_ONCE; rule <= NET_IDEMPOTENT; rule++) {
        scoped_server server;
        struct outcome got;

        server_start(&server, serve_reset_twice, OK_EMPTY);
        got =
            call(&server, (struct net_request){.method = "GET", .retry = (enum net_retry)rule});
        if (rule == NET_IDEMPOTENT) {
            assert_int_equal(got.result, 0);
            assert_int_equal(got.tries, 3);
        } else if (rule == NET_ONCE) {
            assert_int_equal(got.result, -1);
            assert_int_equal(got.kind, ERR_UPSTREAM);
            assert_int_equal(server.connections, 1);
        }
    }
}

static void serve_429_once(struct conn *conn)
{
    while (conn_read(conn))
        if (!conn_say(conn, conn->server->requests == 1
                                ? STATUS("429 Slow down", "Retry-After: 1\r\n")
                                : OK_EMPTY))
            return;
}

static void test_retry_after_is_waited_for(void **state)
{
    scoped_server server;
    struct outcome got;

    (void)state;
    server_start(&server, serve_429_once, NULL);
    got =
        call(&server, (struct net_request){
                          .method = "POST", .body = "{}", .body_size = 2, .retry = NET_UNSENT});
    assert_int_equal(got.status, 200);
    assert_int_equal(got.tries, 2);
    assert_in_range(got.took_ms, 1000, 60000);
}

static void test_a_retry_after_beyond_the_time_limit_is_the_answer(void **state)
{
    scoped_server server;
    struct outcome got;

    (void)state;
    server_start(&server, serve_say, STATUS("429 Slow down", "Retry-After: 3600\r\n"));
    got = call(&server, (struct net_request){.method = "GET", .retry = NET_IDEMPOTENT});
    assert_int_equal(got.result, 0);
    assert_int_equal(got.status, 429);
    assert_int_equal(got.tries, 1);
    assert_in_range(got.took_ms, 0, 60000);
}

static void test_retries_end_with_the_time_limit(void **state)
{
    scoped_server server;
    struct outcome got;

    (void)state;
    server_start(&server, serve_say, STATUS("500 Oh", ""));
    got = call(&server, (struct net_request){.method = "GET",
                                             .retry = NET_IDEMPOTENT,
                                             .tries_max = 1000,
                                             .timeout_ms = 5000});
    assert_int_equal(got.status, 500);
    assert_in_range(got.tries, 2, 900);
    assert_in_range(got.took_ms, 0, 60000);
}

static void test_no_connection_is_tried_again_as_nothing_was_sent(void **state)
{
    static const struct {
        enum net_retry rule;
        bool again;
    } cases[] = {{NET_ONCE, false}, {NET_UNSENT, true}, {NET_IDEMPOTENT, true}};
    struct err err = {0};
    scoped(net) net = net_new(&plain_options, &err);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct net_request request = {.method = "POST",
                                      .url = "http://127.0.0.1:1/",
                                      .retry = cases[i].rule,
                                      .tries_max = 3};
        scoped_net_answer answer = {0};

        assert_int_equal(net_call(net, &request, &answer, &err), -1);
        assert_int_equal(err.kind, ERR_UPSTREAM);
        assert_int_equal(strstr(err.text, "(3 tries)") != NULL, cases[i].again);
    }
}

/* The first request is well; the second is read, and the connection breaks without a word:
 * perhaps the server has acted. */
static void serve_die_on_second(struct conn *conn)
{
    while (conn_read(conn)) {
        if (conn->server->requests == 2) {
            conn_reset(conn);
            return;
        }
        if (!conn_say(conn, OK_EMPTY))
            return;
    }
}

static void test_a_one_shot_request_is_never_sent_twice(void **state)
{
    static const struct {
        enum net_retry rule;
        const char *body;
        int requests;
    } cases[] = {
        {NET_ONCE, "{}", 2},   {NET_UNSENT, "{}", 2},     {NET_ONCE, NULL, 2},
        {NET_UNSENT, NULL, 2}, {NET_IDEMPOTENT, "{}", 3}, {NET_IDEMPOTENT, NULL, 3},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_server server;
        struct err err = {0};
        scoped(net) net = net_new(&plain_options, &err);

        assert_made(net, err);
        server_start(&server, serve_die_on_second, NULL);
        scoped_str url = server_url(&server, "/");

        for (int number = 1; number <= 2; number++) {
            struct net_request request = {.method = "POST",
                                          .url = url,
                                          .body = cases[i].body,
                                          .body_size = cases[i].body ? 2 : 0,
                                          .retry = cases[i].rule};
            scoped_net_answer answer = {0};
            int result = net_call(net, &request, &answer, &err);

            assert_int_equal(result, number == 2 && cases[i].requests == 2 ? -1 : 0);
        }
        assert_int_equal(server.requests, cases[i].requests);
    }
}

static int count_pieces(void *ctx, const char *data, size_t size)
{
    (void)data;
    (void)size;
    ++*(int *)ctx;
    return 0;
}

static void serve_half(struct conn *conn)
{
    (void)conn_read(conn);
    (void)conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
}

static void test_a_stream_that_breaks_half_way_does_not_start_over(void **state)
{
    scoped_server server;
    struct outcome got;
    int pieces = 0;

    (void)state;
    server_start(&server, serve_half, NULL);
    got = call(&server, (struct net_request){.method = "GET",
                                             .retry = NET_IDEMPOTENT,
                                             .on_data = count_pieces,
                                             .ctx = &pieces});
    assert_int_equal(got.result, -1);
    assert_int_equal(got.kind, ERR_UPSTREAM);
    assert_int_equal(pieces, 1);
    assert_int_equal(server.requests, 1);
}

TEST_MAIN(cmocka_unit_test(test_what_may_be_tried_again),
          cmocka_unit_test(test_waits_double_with_full_jitter),
          cmocka_unit_test(test_two_500s_then_200),
          cmocka_unit_test(test_a_reset_is_tried_again_only_when_repeating_is_harmless),
          cmocka_unit_test(test_retry_after_is_waited_for),
          cmocka_unit_test(test_a_retry_after_beyond_the_time_limit_is_the_answer),
          cmocka_unit_test(test_retries_end_with_the_time_limit),
          cmocka_unit_test(test_no_connection_is_tried_again_as_nothing_was_sent),
          cmocka_unit_test(test_a_one_shot_request_is_never_sent_twice),
          cmocka_unit_test(test_a_stream_that_breaks_half_way_does_not_start_over))
