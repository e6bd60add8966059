/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

#include "net/stream.h"
#include "server.h"

/* net_request.public_only, against servers that listen where it must not lead. */
static const char *const loopback_too[] = {"10.99.0.0/16", "127.0.0.0/8", NULL};

static struct net *new_net(const char *const *allowed, const char *proxy)
{
    struct net_options options = {
        .user_agent = "tester/1", .allowed_private = allowed, .proxy = proxy};
    struct err err = {0};
    struct net *net = net_new(&options, &err);

    assert_made(net, err);
    return net;
}

static int get(struct net *net, const char *url, bool public_only, struct err *err)
{
    struct net_request request = {.method = "GET",
                                  .url = url,
                                  .retry = NET_IDEMPOTENT,
                                  .timeout_ms = 20000,
                                  .public_only = public_only};
    scoped_net_answer answer = {0};
    int result = net_call(net, &request, &answer, err);

    if (result == 0)
        assert_int_equal(answer.status, 200);
    return result;
}

static void test_no_notation_leads_to_a_private_address(void **state)
{
    static const char *const hosts[] = {
        "localhost", "LOCALHOST",  "deep.localhost",     "127.0.0.1",       "127.1",
        "0x7f.1",    "0177.0.0.1", "2130706433",         "0.0.0.0",         "0",
        "[::1]",     "[::]",       "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]",
        "10.0.0.1",  "172.16.0.1", "192.168.1.1",        "100.64.0.1",      "169.254.169.254",
        "[fe80::1]", "[fd00::1]",  "224.0.0.1",          "255.255.255.255",
    };
    scoped_server server;
    scoped(net) net = new_net(NULL, NULL);

    (void)state;
    server_start(&server, serve_say, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        scoped_str url = xasprintf("http://%s:%d/", hosts[i], server.port);
        struct err err = {0};

        assert_int_equal(get(net, url, true, &err), -1);
        if (err.kind != ERR_DENIED)
            fail_msg("%s: %s", hosts[i], err.text);
        assert_non_null(strstr(err.text, "neither public nor allowed"));
        assert_null(strstr(err.text, "tries")); /* another try wouldn't lead elsewhere */
    }
    assert_int_equal(server.connections, 0);
}

static void test_what_the_operator_allows_is_called(void **state)
{
    scoped_server server;
    scoped(net) net = new_net(loopback_too, NULL);
    struct err err = {0};

    (void)state;
    server_start(&server, serve_say, NULL);
    scoped_str url = server_url(&server, "/");
    scoped_str named = xasprintf("http://localhost:%d/", server.port);
    scoped_str other = xasprintf("http://10.98.0.1:%d/", server.port);
    assert_ok(get(net, url, true, &err), err);
    assert_ok(get(net, url, true, &err), err);
    assert_int_equal(server.connections, 1);
    assert_ok(get(net, named, true, &err), err);
    assert_int_equal(get(net, other, true, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
}

static void test_a_connection_that_another_call_made_is_judged_too(void **state)
{
    scoped_server server;
    scoped(net) net = new_net(NULL, NULL);
    struct err err = {0};

    (void)state;
    server_start(&server, serve_say, NULL);
    scoped_str url = server_url(&server, "/");
    for (int i = 0; i < 3; i++) {
        assert_ok(get(net, url, false, &err), err);
        assert_int_equal(get(net, url, true, &err), -1);
        assert_int_equal(err.kind, ERR_DENIED);
    }
    assert_int_equal(server.requests, 3);
}

static void test_a_refused_connection_is_no_denial(void **state)
{
    scoped(net) net = new_net(loopback_too, NULL);
    struct net_request request = {
        .method = "GET", .url = "http://127.0.0.1:1/", .public_only = true};
    scoped_net_answer answer = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(net_call(net, &request, &answer, &err), -1);
    assert_int_equal(err.kind, ERR_UPSTREAM);
}

static void test_no_proxy_stands_between(void **state)
{
    scoped_server proxy;
    scoped_server server;
    struct err err = {0};

    (void)state;
    server_start(&proxy, serve_say, NULL);
    server_start(&server, serve_say, NULL);
    scoped_str proxy_url = server_url(&proxy, "");
    scoped_str url = server_url(&server, "/");
    assert_int_equal(setenv("http_proxy", proxy_url, 1), 0);
    scoped(net) net = new_net(loopback_too, "");
    int through = get(net, url, false, &err);
    int past = get(net, url, true, &err);
    (void)unsetenv("http_proxy");
    assert_int_equal(through, 0);
    assert_int_equal(past, 0);
    assert_int_equal(proxy.requests, 1);
    assert_int_equal(server.requests, 1);
}

static void test_a_unix_socket_is_no_public_address(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/socket", dir);
    scoped_server server;
    scoped(net) net = new_net(loopback_too, NULL);
    struct net_request request = {
        .method = "GET", .url = "http://x/", .unix_socket = path, .public_only = true};
    scoped_net_answer answer = {0};
    struct err err = {0};

    (void)state;
    server_start_unix(&server, serve_say, path);
    assert_int_equal(net_call(net, &request, &answer, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_int_equal(server.connections, 0);
    test_dir_remove(dir);
}

static void test_a_stream_keeps_to_the_rule(void **state)
{
    scoped_server server;
    scoped(net) net = new_net(NULL, NULL);
    const struct net_answer *head = NULL;
    struct err err = {0};

    (void)state;
    server_start(&server, serve_say, NULL);
    scoped_str url = server_url(&server, "/");
    struct net_request request = {.method = "GET", .url = url, .public_only = true};
    struct net_stream *stream = net_stream_open(net, &request, &err);

    assert_made(stream, err);
    assert_int_equal(net_stream_head(stream, 20000, &head, &err), NET_HEARD_FAILED);
    assert_int_equal(err.kind, ERR_DENIED);
    net_stream_close(stream);
    assert_int_equal(server.connections, 0);
}

static void test_a_redirect_to_a_private_address_is_not_followed(void **state)
{
    scoped_server server;
    scoped(net) net = new_net(loopback_too, NULL);
    scoped_net_answer answer = {0};
    struct err err = {0};

    (void)state;
    server_start(&server, serve_say,
                 "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n"
                 "Content-Length: 0\r\n\r\n");
    scoped_str url = server_url(&server, "/");
    struct net_request request = {.method = "GET", .url = url, .public_only = true};

    assert_ok(net_call(net, &request, &answer, &err), err);
    assert_int_equal(answer.status, 302);
}

static void test_a_range_that_is_none_is_refused(void **state)
{
    static const char *const bad[] = {"10.0.0.0/8", "intranet", NULL};
    struct net_options options = {.user_agent = "t", .allowed_private = bad};
    struct err err = {0};

    (void)state;
    assert_null(net_new(&options, &err));
    assert_int_equal(err.kind, ERR_INVALID);
}

TEST_MAIN(cmocka_unit_test(test_no_notation_leads_to_a_private_address),
          cmocka_unit_test(test_what_the_operator_allows_is_called),
          cmocka_unit_test(test_a_connection_that_another_call_made_is_judged_too),
          cmocka_unit_test(test_a_refused_connection_is_no_denial),
          cmocka_unit_test(test_no_proxy_stands_between),
          cmocka_unit_test(test_a_unix_socket_is_no_public_address),
          cmocka_unit_test(test_a_stream_keeps_to_the_rule),
          cmocka_unit_test(test_a_redirect_to_a_private_address_is_not_followed),
          cmocka_unit_test(test_a_range_that_is_none_is_refused))
