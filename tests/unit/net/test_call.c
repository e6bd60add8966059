/* SPDX-License-Identifier: Apache-2.0 */
#include "net/call.h"

#include "server.h"

/* Streams: calls whose body goes to on_data piece by piece. */
static const struct net_options plain_options = {.user_agent = "tester/1"};

struct reader {
    struct buf got;
    size_t stop_after; /* 0: never */
};

static int read_piece(void *ctx, const char *data, size_t size)
{
    struct reader *reader = ctx;

    buf_append(&reader->got, data, size);
    return reader->stop_after && reader->got.size >= reader->stop_after ? -1 : 0;
}

struct streamed {
    int result;
    int status;
    struct err err;
    int64_t took_ms;
    size_t collected;
};

static struct streamed stream(struct server *server, struct reader *reader, int timeout_ms,
                              size_t most)
{
    struct streamed done = {0};
    scoped(net) net = net_new(&plain_options, &done.err);
    scoped_str url = server_url(server, "/");
    scoped_net_answer answer = {0};
    int64_t began_ms = clock_monotonic_ms();
    struct net_request request = {.method = "GET",
                                  .url = url,
                                  .timeout_ms = timeout_ms,
                                  .answer_max_bytes = most,
                                  .on_data = read_piece,
                                  .ctx = reader};

    assert_made(net, done.err);
    done.result = net_call(net, &request, &answer, &done.err);
    done.status = answer.status;
    done.collected = answer.body.size;
    done.took_ms = clock_monotonic_ms() - began_ms;
    return done;
}

static void serve_ticks(struct conn *conn)
{
    (void)conn_read(conn);
    (void)conn_say(conn, "HTTP/1.1 200 OK\r\n\r\n");
    for (int i = 0; i < 30; i++) {
        (void)conn_say(conn, "tick");
        (void)usleep(200000);
    }
}

static void test_a_stream_may_take_longer_than_its_silence_limit(void **state)
{
    scoped_server server;
    struct reader reader = {0};
    struct streamed done;

    (void)state;
    server_start(&server, serve_ticks, NULL);
    done = stream(&server, &reader, 5000, 0);
    assert_int_equal(done.result, 0);
    assert_int_equal(reader.got.size, 30 * 4);
    assert_int_equal(done.collected, 0);
    assert_true(done.took_ms >= 6000);
    buf_done(&reader.got);
}

static void serve_one_tick(struct conn *conn)
{
    (void)conn_read(conn);
    (void)conn_say(conn, "HTTP/1.1 200 OK\r\n\r\ntick");
    conn_hang(conn);
}

static void test_silence_ends_a_stream(void **state)
{
    scoped_server server;
    struct reader reader = {0};
    struct streamed done;

    (void)state;
    server_start(&server, serve_one_tick, NULL);
    done = stream(&server, &reader, 300, 0);
    assert_int_equal(done.result, -1);
    assert_int_equal(done.err.kind, ERR_TIMEOUT);
    assert_string_equal(reader.got.data, "tick");
    assert_in_range(done.took_ms, 300, 60000);
    buf_done(&reader.got);
}

static void test_the_reader_can_end_a_stream(void **state)
{
    scoped_server server;
    struct reader reader = {.stop_after = 8};
    struct streamed done;

    (void)state;
    server_start(&server, serve_ticks, NULL);
    done = stream(&server, &reader, 20000, 0);
    assert_int_equal(done.result, -1);
    assert_int_equal(done.err.kind, ERR_UNAVAILABLE);
    assert_in_range(reader.got.size, 8, 119);
    buf_done(&reader.got);
}

static void test_a_stream_has_the_size_limit_it_asks_for(void **state)
{
    static const size_t limits[] = {3, 5, 0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        scoped_server server;
        struct reader reader = {0};
        struct streamed done;

        server_start(&server, serve_say, NULL);
        done = stream(&server, &reader, 20000, limits[i]);
        assert_int_equal(done.result, limits[i] == 3 ? -1 : 0);
        if (limits[i] == 3)
            assert_int_equal(done.err.kind, ERR_TOO_LARGE);
        buf_done(&reader.got);
    }
}

static void test_the_body_of_a_failure_is_collected_not_streamed(void **state)
{
    scoped_server server;
    struct reader reader = {0};
    struct streamed done;

    (void)state;
    server_start(&server, serve_say, "HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\ngone");
    done = stream(&server, &reader, 20000, 0);
    assert_int_equal(done.result, 0);
    assert_int_equal(done.status, 404);
    assert_int_equal(done.collected, 4);
    assert_null(reader.got.data);
}

struct holder {
    struct net *net;
    const char *url;
    volatile bool cancel;
    pthread_t thread;
};

static void *hold_connection(void *ctx)
{
    struct holder *holder = ctx;
    struct net_request request = {
        .method = "GET", .url = holder->url, .timeout_ms = 60000, .cancel = &holder->cancel};
    scoped_net_answer answer = {0};
    struct err err = {0};

    return net_call(holder->net, &request, &answer, &err) < 0 ? NULL : holder;
}

static void test_a_call_that_waits_for_a_connection_keeps_its_time_limit(void **state)
{
    scoped_server server;
    struct net_options options = {.user_agent = "t", .connections_per_host = 2};
    struct err err = {0};
    scoped(net) net = net_new(&options, &err);
    scoped_net_answer answer = {0};
    struct holder holders[2];

    (void)state;
    assert_made(net, err);
    server_start(&server, serve_one_tick, NULL);
    scoped_str url = server_url(&server, "/");
    struct net_request request = {.method = "GET", .url = url, .timeout_ms = 300};

    for (size_t i = 0; i < ARRAY_SIZE(holders); i++) {
        holders[i] = (struct holder){.net = net, .url = url};
        assert_int_equal(pthread_create(&holders[i].thread, NULL, hold_connection, &holders[i]),
                         0);
    }
    wait_until(server.requests == 2, 60000);
    int64_t began_ms = clock_monotonic_ms();

    assert_int_equal(net_call(net, &request, &answer, &err), -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_in_range(clock_monotonic_ms() - began_ms, 300, 60000);
    assert_int_equal(server.connections, 2);
    for (size_t i = 0; i < ARRAY_SIZE(holders); i++) {
        __atomic_store_n(&holders[i].cancel, true, __ATOMIC_RELEASE);
        assert_int_equal(pthread_join(holders[i].thread, NULL), 0);
    }
}

/* The bearer is gone from what was ours by the time it is freed. */
static void test_no_copy_of_the_bearer_stays(void **state)
{
    scoped(secret) bearer = secret_new("abcdefghijklmnopqrstuvwxyz-unique-bearer");
    struct call_settings settings = {0};
    struct net_request request = {
        .method = "GET", .url = "http://127.0.0.1/", .bearer = bearer};
    struct net_answer answer = {0};
    struct err err = {0};
    struct call call;
    const char *copy = NULL;

    (void)state;
    settings.proxy = (char[]){""};
    settings.user_agent = (char[]){"t"};
    assert_ok(call_prepare(&call, &settings, &request, &answer, &err), err);
    for (struct curl_slist *one = call.headers; one; one = one->next)
        if (strncmp(one->data, "Authorization: ", 15) == 0)
            copy = one->data;
    if (!copy)
        fail_msg("no authorization");
    assert_string_equal(copy + 22, secret_reveal(bearer));
    call_wipe(&call);
    assert_int_equal(copy[0], '\0');
    assert_int_equal(copy[22], '\0');
    call_done(&call);
}

TEST_MAIN(cmocka_unit_test(test_a_stream_may_take_longer_than_its_silence_limit),
          cmocka_unit_test(test_silence_ends_a_stream),
          cmocka_unit_test(test_the_reader_can_end_a_stream),
          cmocka_unit_test(test_a_stream_has_the_size_limit_it_asks_for),
          cmocka_unit_test(test_the_body_of_a_failure_is_collected_not_streamed),
          cmocka_unit_test(test_a_call_that_waits_for_a_connection_keeps_its_time_limit),
          cmocka_unit_test(test_no_copy_of_the_bearer_stays))
