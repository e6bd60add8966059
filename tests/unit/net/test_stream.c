/* SPDX-License-Identifier: Apache-2.0 */
#include "net/stream.h"

#include "server.h"

#define WAIT_MS 60000

static struct net *open_net(void)
{
    static const struct net_options options = {.user_agent = "tester/1"};
    struct err err = {0};
    struct net *net = net_new(&options, &err);

    assert_made(net, err);
    return net;
}

static struct net_stream *open_stream(struct net *net, struct server *server)
{
    scoped_str url = server_url(server, "/path");
    static const char *const headers[] = {"X-Asked: yes", NULL};
    struct net_request request = {
        .method = "POST", .url = url, .headers = headers, .body = "{}", .body_size = 2};
    struct err err = {0};
    struct net_stream *stream = net_stream_open(net, &request, &err);

    assert_made(stream, err);
    return stream;
}

/* The rest of the body; what it ended with. */
static enum net_heard read_rest(struct net_stream *stream, struct buf *out)
{
    for (;;) {
        struct err err = {0};
        char piece[1000];
        size_t size = 0;
        enum net_heard heard =
            net_stream_read(stream, WAIT_MS, piece, sizeof(piece), &size, &err);

        if (heard != NET_HEARD_MORE)
            return heard;
        buf_append(out, piece, size);
    }
}

static void test_head_then_body_then_end(void **state)
{
    scoped_server server;
    const struct net_answer *answer = NULL;
    struct err err = {0};
    struct net_stream *stream;
    scoped_buf body = {0};

    (void)state;
    server_start(&server, serve_say,
                 "HTTP/1.1 429 Wait\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello");
    scoped(net) net = open_net();
    stream = open_stream(net, &server);
    assert_int_equal(net_stream_head(stream, WAIT_MS, &answer, &err), NET_HEARD_MORE);
    assert_int_equal(answer->status, 429);
    assert_string_equal(answer->headers.data, "x-a: b\ncontent-length: 5\n");
    assert_int_equal(read_rest(stream, &body), NET_HEARD_END);
    assert_string_equal(body.data, "hello");
    assert_int_equal(read_rest(stream, &body), NET_HEARD_END);
    assert_true(server_saw(&server, "POST /path HTTP/1.1\r\n"));
    assert_true(server_saw(&server, "X-Asked: yes\r\n"));
    net_stream_close(stream);
}

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static void serve_head_then_wait(struct conn *conn)
{
    if (!conn_read(conn) || !conn_say(conn, CHUNKED))
        return;
    while (!conn->server->let_go)
        (void)usleep(1000);
    (void)conn_say(conn, "1\r\nx\r\n0\r\nX-Trailer: t\r\n\r\n");
}

static void test_head_comes_before_any_body_and_waiting_can_go_on(void **state)
{
    scoped_server server;
    const struct net_answer *answer = NULL;
    struct err err = {0};
    struct net_stream *stream;
    scoped_buf body = {0};
    char piece[10];
    size_t size;

    (void)state;
    server_start(&server, serve_head_then_wait, NULL);
    scoped(net) net = open_net();
    stream = open_stream(net, &server);
    assert_int_equal(net_stream_head(stream, WAIT_MS, &answer, &err), NET_HEARD_MORE);
    assert_int_equal(net_stream_read(stream, 1, piece, sizeof(piece), &size, &err),
                     NET_HEARD_NOTHING);
    server.let_go = true;
    assert_int_equal(read_rest(stream, &body), NET_HEARD_END);
    assert_string_equal(body.data, "x");
    assert_null(strstr(answer->headers.data, "trailer"));
    net_stream_close(stream);
}

static void serve_cut(struct conn *conn)
{
    if (conn_read(conn) && conn_say(conn, CHUNKED "4\r\nhalf\r\n"))
        (void)shutdown(conn->fd, SHUT_RDWR);
}

static void test_a_cut_body_fails_after_what_came(void **state)
{
    scoped_server server;
    struct net_stream *stream;
    scoped_buf body = {0};

    (void)state;
    server_start(&server, serve_cut, NULL);
    scoped(net) net = open_net();
    stream = open_stream(net, &server);
    assert_int_equal(read_rest(stream, &body), NET_HEARD_FAILED);
    assert_string_equal(body.data, "half");
    net_stream_close(stream);
}

static void test_no_server_is_a_failure(void **state)
{
    struct server server;
    const struct net_answer *answer = NULL;
    struct err err = {0};
    struct net_stream *stream;

    (void)state;
    server_start(&server, serve_say, NULL);
    server_stop(&server);
    scoped(net) net = open_net();
    stream = open_stream(net, &server);
    assert_int_equal(net_stream_head(stream, WAIT_MS, &answer, &err), NET_HEARD_FAILED);
    assert_int_equal(err.kind, ERR_UPSTREAM);
    net_stream_close(stream);
}

#define MANY_BYTES (32 * 1024 * 1024)

static void serve_many(struct conn *conn)
{
    static char piece[64 * 1024];

    if (conn->number > 1) {
        serve_say(conn);
        return;
    }
    if (!conn_read(conn)
        || !conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n"))
        return;
    for (size_t sent = 0; sent < MANY_BYTES; sent += sizeof(piece)) {
        if (!conn_write(conn, piece, sizeof(piece)))
            return;
        *(_Atomic size_t *)conn->server->ctx += sizeof(piece);
    }
}

static void test_a_slow_reader_stops_its_server_but_no_other_call(void **state)
{
    scoped_server server;
    _Atomic size_t sent = 0;
    size_t before;
    struct net_stream *slow;
    struct net_stream *quick;
    scoped_buf much = {0};
    scoped_buf little = {0};

    (void)state;
    server_start(&server, serve_many, NULL);
    server.ctx = &sent;
    scoped(net) net = open_net();
    slow = open_stream(net, &server);
    wait_until(sent > 0, WAIT_MS);
    do { /* what sockets and buffers hold goes, and then no more */
        before = sent;
        (void)usleep(200000);
    } while (sent != before);
    assert_true(sent < MANY_BYTES);
    quick = open_stream(net, &server);
    assert_int_equal(read_rest(quick, &little), NET_HEARD_END);
    assert_string_equal(little.data, "hello");
    assert_int_equal(read_rest(slow, &much), NET_HEARD_END);
    assert_int_equal(much.size, MANY_BYTES);
    net_stream_close(quick);
    net_stream_close(slow);
}

static void serve_hang_counting(struct conn *conn)
{
    if (!conn_read(conn))
        return;
    conn_hang(conn);
    *(_Atomic size_t *)conn->server->ctx += 1;
}

static void test_closing_ends_the_call(void **state)
{
    scoped_server server;
    _Atomic size_t gone = 0;
    struct net_stream *stream;

    (void)state;
    server_start(&server, serve_hang_counting, NULL);
    server.ctx = &gone;
    scoped(net) net = open_net();
    stream = open_stream(net, &server);
    wait_until(server.requests == 1, WAIT_MS);
    net_stream_close(stream);
    wait_until(gone == 1, WAIT_MS);
    net_stream_close(NULL);
}

static void test_stopping_the_net_ends_streams(void **state)
{
    scoped_server server;
    _Atomic size_t gone = 0;
    const struct net_answer *answer = NULL;
    struct err err = {0};
    struct net_stream *stream;
    struct net_request request = {.method = "GET", .url = "http://127.0.0.1:1/"};

    (void)state;
    server_start(&server, serve_hang_counting, NULL);
    server.ctx = &gone;
    scoped(net) net = open_net();
    stream = open_stream(net, &server);
    wait_until(server.requests == 1, WAIT_MS);
    net_stop(net);
    assert_int_equal(net_stream_head(stream, WAIT_MS, &answer, &err), NET_HEARD_FAILED);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    net_stream_close(stream);
    assert_null(net_stream_open(net, &request, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

static void test_a_bad_url_is_told_at_once(void **state)
{
    struct net_request request = {.method = "GET", .url = "ftp://x/"};
    struct err err = {0};

    (void)state;
    scoped(net) net = open_net();
    assert_null(net_stream_open(net, &request, &err));
    assert_int_equal(err.kind, ERR_INVALID);
}

TEST_MAIN(cmocka_unit_test(test_head_then_body_then_end),
          cmocka_unit_test(test_head_comes_before_any_body_and_waiting_can_go_on),
          cmocka_unit_test(test_a_cut_body_fails_after_what_came),
          cmocka_unit_test(test_no_server_is_a_failure),
          cmocka_unit_test(test_a_slow_reader_stops_its_server_but_no_other_call),
          cmocka_unit_test(test_closing_ends_the_call),
          cmocka_unit_test(test_stopping_the_net_ends_streams),
          cmocka_unit_test(test_a_bad_url_is_told_at_once))
