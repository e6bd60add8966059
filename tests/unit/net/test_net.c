/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

#include "server.h"

/* Everything is so in both ways of making calls. */
static struct net_options plain_options = {.user_agent = "tester/1"};

static int make_calls_directly(void **state)
{
    (void)state;
    plain_options.direct = true;
    return 0;
}

static int share_calls(void **state)
{
    (void)state;
    plain_options.direct = false;
    return 0;
}

static struct net *new_net(void)
{
    struct err err = {0};
    struct net *net = net_new(&plain_options, &err);

    assert_made(net, err);
    return net;
}

/* --- What goes out -------------------------------------------------------------------- */

static void test_get_brings_status_headers_and_body(void **state)
{
    scoped_server server;
    scoped(net) net = new_net();
    scoped_net_answer answer = {0};
    struct err err = {0};

    (void)state;
    server_start(&server, serve_say,
                 "HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n"
                 "HTTP/1.1 418 Teapot\r\nContent-Length: 3\r\nX-Kind:  Green \r\n\r\ntea");
    scoped_str url = server_url(&server, "/a%20b?q=1");
    struct net_request request = {.method = "GET", .url = url};

    assert_ok(net_call(net, &request, &answer, &err), err);
    assert_int_equal(answer.status, 418);
    assert_int_equal(answer.tries, 1);
    assert_string_equal(answer.body.data, "tea");
    assert_string_equal(answer.headers.data, "content-length: 3\nx-kind: Green\n");
    assert_true(server_saw(&server, "GET /a%20b?q=1 HTTP/1.1\r\n"));
    assert_true(server_saw(&server, "User-Agent: tester/1\r\n"));
    assert_false(server_saw(&server, "Accept-Encoding"));
}

static void test_post_sends_body_type_headers_and_bearer(void **state)
{
    static const char *const headers[] = {"X-One: 1", "X-Empty:", NULL};
    scoped_server server;
    scoped(net) net = new_net();
    scoped(secret) bearer = secret_new("tok-123");
    scoped_net_answer answer = {0};
    struct err err = {0};
    static char big[2 * 1024 * 1024];

    (void)state;
    memset(big, 'x', sizeof(big));
    server_start(&server, serve_say, NULL);
    scoped_str url = server_url(&server, "/");
    struct net_request request = {.method = "POST",
                                  .url = url,
                                  .headers = headers,
                                  .bearer = bearer,
                                  .body = big,
                                  .body_size = sizeof(big)};

    assert_ok(net_call(net, &request, &answer, &err), err);
    assert_string_equal(answer.body.data, "hello");
    assert_true(server_saw(&server, "POST / HTTP/1.1\r\n"));
    assert_true(server_saw(&server, "Content-Length: 2097152\r\n"));
    assert_true(server_saw(&server, "Content-Type: application/json\r\n"));
    assert_true(server_saw(&server, "Authorization: Bearer tok-123\r\n"));
    assert_true(server_saw(&server, "X-One: 1\r\n"));
    assert_true(server_saw(&server, "X-Empty:\r\n"));
    assert_false(server_saw(&server, "Expect"));
    assert_false(server_saw(&server, "Transfer-Encoding"));
}

static void test_every_method_has_its_body_or_none(void **state)
{
    static const struct {
        const char *method;
        const char *body;
        const char *line;
        const char *length;
    } cases[] = {
        {"DELETE", NULL, "DELETE /x HTTP/1.1\r\n", NULL},
        {"GET", NULL, "GET /x HTTP/1.1\r\n", NULL},
        {"HEAD", NULL, "HEAD /x HTTP/1.1\r\n", NULL},
        {"POST", NULL, "POST /x HTTP/1.1\r\n", "Content-Length: 0\r\n"},
        {"PUT", "{}", "PUT /x HTTP/1.1\r\n", "Content-Length: 2\r\n"},
        {"PATCH", "{}", "PATCH /x HTTP/1.1\r\n", "Content-Length: 2\r\n"},
        {"DELETE", "{}", "DELETE /x HTTP/1.1\r\n", "Content-Length: 2\r\n"},
    };
    scoped(net) net = new_net();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_server server;
        scoped_net_answer answer = {0};
        struct err err = {0};

        server_start(&server, serve_say, NULL);
        scoped_str url = server_url(&server, "/x");
        struct net_request request = {.method = cases[i].method,
                                      .url = url,
                                      .body = cases[i].body,
                                      .body_size = cases[i].body ? 2 : 0};

        assert_ok(net_call(net, &request, &answer, &err), err);
        assert_int_equal(answer.status, 200);
        assert_true(server_saw(&server, cases[i].line));
        assert_true(server_saw(&server, cases[i].length ? cases[i].length : "/x"));
        assert_int_equal(server_saw(&server, "Content-Length"), cases[i].length != NULL);
        assert_int_equal(server_saw(&server, "Content-Type"), cases[i].body != NULL);
    }
}

static void test_what_could_split_a_request_is_refused_before_sending(void **state)
{
    static const struct {
        const char *method;
        const char *path;
        const char *header;
        const char *type;
        const char *bearer;
    } cases[] = {
        {"GET", "/a\r\nX: y", NULL, NULL, NULL},
        {"GET", "/a b", NULL, NULL, NULL},
        {"GET", "/\xc3\xa4", NULL, NULL, NULL},
        {"GET\r\n", "/", NULL, NULL, NULL},
        {"get", "/", NULL, NULL, NULL},
        {"", "/", NULL, NULL, NULL},
        {NULL, "/", NULL, NULL, NULL},
        {"GET", "/", "X: a\r\nY: b", NULL, NULL},
        {"GET", "/", "X: a\nY: b", NULL, NULL},
        {"GET", "/", "X: a\rY: b", NULL, NULL},
        {"GET", "/", "no colon", NULL, NULL},
        {"GET", "/", ": nameless", NULL, NULL},
        {"GET", "/", "X : a", NULL, NULL},
        {"POST", "/", NULL, "text/plain\r\nX: y", NULL},
        {"GET", "/", NULL, NULL, "tok\r\nX: y"},
        {"GET", "/", NULL, NULL, "tok\n"},
        {"GET", "/", NULL, NULL, "tok en"},
        {"GET", "/", "authorization: Basic x", NULL, "tok"},
    };
    scoped_server server;
    scoped(net) net = new_net();

    (void)state;
    server_start(&server, serve_say, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str url = server_url(&server, cases[i].path);
        scoped(secret) bearer = secret_new(cases[i].bearer);
        scoped_net_answer answer = {0};
        struct err err = {0};
        const char *headers[] = {cases[i].header, NULL};
        struct net_request request = {
            .method = cases[i].method,
            .url = url,
            .headers = headers,
            .bearer = bearer,
            .content_type = cases[i].type,
            .retry = NET_IDEMPOTENT,
        };

        assert_int_equal(net_call(net, &request, &answer, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_null(strstr(err.text, "tok"));
        assert_null(strstr(err.text, "X"));
    }
    assert_int_equal(server.connections, 0);
}

static void test_only_http_urls_are_called(void **state)
{
    static const char *const urls[] = {
        NULL,
        "",
        "127.0.0.1:1/x",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1/",
        "http://",
        "http:///x",
        "https//x",
        "http://host:99999/",
    };
    scoped(net) net = new_net();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        struct net_request request = {.method = "GET", .url = urls[i]};
        scoped_net_answer answer = {0};
        struct err err = {0};

        assert_int_equal(net_call(net, &request, &answer, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
    }
}

static void test_a_redirect_is_an_answer(void **state)
{
    scoped_server server;
    scoped(net) net = new_net();
    scoped_net_answer answer = {0};
    struct err err = {0};

    (void)state;
    server_start(&server, serve_say,
                 "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
    scoped_str url = server_url(&server, "/");
    struct net_request request = {.method = "GET", .url = url};

    assert_ok(net_call(net, &request, &answer, &err), err);
    assert_int_equal(answer.status, 302);
    assert_int_equal(server.requests, 1);
}

static void test_a_unix_socket_can_be_called(void **state)
{
    scoped_server server;
    scoped(net) net = new_net();
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/socket", dir);
    scoped_net_answer answer = {0};
    struct err err = {0};
    struct net_request request = {
        .method = "GET", .url = "http://docker/v1/info", .unix_socket = path};

    (void)state;
    server_start_unix(&server, serve_say, path);
    assert_ok(net_call(net, &request, &answer, &err), err);
    assert_string_equal(answer.body.data, "hello");
    assert_true(server_saw(&server, "Host: docker\r\n"));
    test_dir_remove(dir);
}

static void test_proxies_of_the_environment_count_only_when_wanted(void **state)
{
    scoped_server server;
    struct err err = {0};

    (void)state;
    server_start(&server, serve_say, NULL);
    scoped_str url = server_url(&server, "/");
    struct net_request request = {.method = "GET", .url = url};

    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(unsetenv("no_proxy"), 0);
    for (int wanted = 0; wanted < 2; wanted++) {
        struct net_options options = {.user_agent = "t", .proxy = wanted ? "" : NULL};
        scoped(net) net = net_new(&options, &err);
        scoped_net_answer answer = {0};

        assert_made(net, err);
        assert_int_equal(net_call(net, &request, &answer, &err), wanted ? -1 : 0);
    }
    assert_int_equal(unsetenv("http_proxy"), 0);
    assert_int_equal(server.requests, 1);
}

/* --- Connections ---------------------------------------------------------------------- */

static void test_calls_in_a_row_share_one_connection(void **state)
{
    static const char *const methods[] = {"GET", "GET", "POST", "POST", "GET"};
    scoped_server server;
    scoped(net) net = new_net();

    (void)state;
    server_start(&server, serve_say, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        scoped_str url = server_url(&server, "/");
        struct net_request request = {.method = methods[i],
                                      .url = url,
                                      .body = methods[i][0] == 'P' ? "{}" : NULL,
                                      .body_size = methods[i][0] == 'P' ? 2 : 0};
        scoped_net_answer answer = {0};
        struct err err = {0};

        assert_ok(net_call(net, &request, &answer, &err), err);
    }
    assert_int_equal(server.connections, 1);
    assert_int_equal(server.requests, ARRAY_SIZE(methods));
}

struct caller {
    struct net *net;
    const char *url;
    int wrong;
    pthread_t thread;
};

static void *call_many(void *ctx)
{
    struct caller *caller = ctx;

    for (int i = 0; i < 20; i++) {
        struct net_request request = {.method = "GET", .url = caller->url};
        scoped_net_answer answer = {0};
        struct err err = {0};

        if (net_call(caller->net, &request, &answer, &err) < 0 || answer.status != 200
            || strcmp(answer.body.data, "hello") != 0)
            caller->wrong++;
    }
    return NULL;
}

static void test_many_callers_share_few_connections(void **state)
{
    scoped_server server;
    scoped(net) net = new_net();
    struct caller callers[32];

    (void)state;
    server_start(&server, serve_say, NULL);
    scoped_str url = server_url(&server, "/");

    for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
        callers[i] = (struct caller){.net = net, .url = url};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_many, &callers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
        assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
        assert_int_equal(callers[i].wrong, 0);
    }
    assert_int_equal(server.requests, 32 * 20);
    assert_in_range(server.connections, 1, 8);
}

/* --- Time ----------------------------------------------------------------------------- */

static void serve_drip(struct conn *conn)
{
    (void)conn_read(conn);
    (void)conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (!conn->server->let_go && conn_say(conn, "."))
        (void)usleep(20000);
}

static void serve_hang(struct conn *conn)
{
    (void)conn_read(conn);
    conn_hang(conn);
}

static void test_a_dripping_or_silent_server_runs_into_the_time_limit(void **state)
{
    void (*const serves[])(struct conn *) = {serve_drip, serve_hang};
    scoped(net) net = new_net();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(serves); i++) {
        scoped_server server;
        scoped_net_answer answer = {0};
        struct err err = {0};
        int64_t began_ms = clock_monotonic_ms();

        server_start(&server, serves[i], NULL);
        scoped_str url = server_url(&server, "/x?secret=1");
        struct net_request request = {
            .method = "GET", .url = url, .timeout_ms = 300, .retry = NET_IDEMPOTENT};

        assert_int_equal(net_call(net, &request, &answer, &err), -1);
        assert_int_equal(err.kind, ERR_TIMEOUT);
        assert_in_range(clock_monotonic_ms() - began_ms, 300, 60000);
        assert_null(strstr(err.text, "secret"));
    }
}

struct canceller {
    struct server *server;
    volatile bool cancel;
    pthread_t thread;
};

static void *cancel_when_sent(void *ctx)
{
    struct canceller *canceller = ctx;

    while (canceller->server->requests == 0)
        (void)usleep(1000);
    __atomic_store_n(&canceller->cancel, true, __ATOMIC_RELEASE);
    return NULL;
}

static void test_cancel_ends_a_call_early(void **state)
{
    scoped_server server;
    scoped(net) net = new_net();
    scoped_net_answer answer = {0};
    struct canceller canceller = {.server = &server};
    struct err err = {0};

    (void)state;
    server_start(&server, serve_hang, NULL);
    scoped_str url = server_url(&server, "/");
    struct net_request request = {.method = "GET",
                                  .url = url,
                                  .timeout_ms = 60000,
                                  .retry = NET_IDEMPOTENT,
                                  .cancel = &canceller.cancel};
    int64_t began_ms = clock_monotonic_ms();

    assert_int_equal(pthread_create(&canceller.thread, NULL, cancel_when_sent, &canceller), 0);
    assert_int_equal(net_call(net, &request, &answer, &err), -1);
    assert_int_equal(pthread_join(canceller.thread, NULL), 0);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_in_range(clock_monotonic_ms() - began_ms, 0, 45000);
}

static void test_cancel_ends_the_wait_between_tries(void **state)
{
    scoped_server server;
    scoped(net) net = new_net();
    scoped_net_answer answer = {0};
    struct canceller canceller = {.server = &server};
    struct err err = {0};

    (void)state;
    server_start(&server, serve_say,
                 "HTTP/1.1 503 Later\r\nRetry-After: 50\r\nContent-Length: 0\r\n\r\n");
    scoped_str url = server_url(&server, "/");
    struct net_request request = {.method = "GET",
                                  .url = url,
                                  .timeout_ms = 60000,
                                  .retry = NET_IDEMPOTENT,
                                  .cancel = &canceller.cancel};
    int64_t began_ms = clock_monotonic_ms();

    assert_int_equal(pthread_create(&canceller.thread, NULL, cancel_when_sent, &canceller), 0);
    assert_int_equal(net_call(net, &request, &answer, &err), -1);
    assert_int_equal(pthread_join(canceller.thread, NULL), 0);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_in_range(clock_monotonic_ms() - began_ms, 0, 45000);
}

struct waiter {
    struct net *net;
    const char *url;
    int result;
    enum err_kind kind;
    _Atomic bool begun;
    pthread_t thread;
};

static void *call_and_wait(void *ctx)
{
    struct waiter *waiter = ctx;
    struct net_request request = {
        .method = "GET", .url = waiter->url, .timeout_ms = 60000, .retry = NET_IDEMPOTENT};
    scoped_net_answer answer = {0};
    struct err err = {0};

    waiter->begun = true;
    waiter->result = net_call(waiter->net, &request, &answer, &err);
    waiter->kind = err.kind;
    return NULL;
}

static void test_net_free_ends_calls_that_run_wait_or_pause(void **state)
{
    static const char *const says[] = {
        NULL, "HTTP/1.1 503 Later\r\nRetry-After: 50\r\nContent-Length: 0\r\n\r\n"};

    (void)state;
    for (size_t round = 0; round < ARRAY_SIZE(says); round++) {
        scoped_server server;
        struct net *net = new_net();
        struct waiter waiters[12] = {0}; /* more than there are connections */

        server_start(&server, says[round] ? serve_say : serve_hang, says[round]);
        scoped_str url = server_url(&server, "/");

        for (size_t i = 0; i < ARRAY_SIZE(waiters); i++) {
            waiters[i].net = net;
            waiters[i].url = url;
            assert_int_equal(
                pthread_create(&waiters[i].thread, NULL, call_and_wait, &waiters[i]), 0);
        }
        /* All of them are inside by then: eight have their connection, or all had an answer. */
        wait_until(server.requests >= (says[round] ? 12 : 8), 45000);
        for (size_t i = 0; i < ARRAY_SIZE(waiters); i++)
            wait_until(waiters[i].begun, 45000);
        (void)usleep(200000); /* from there into the call, which says nothing */
        net_free(net);
        for (size_t i = 0; i < ARRAY_SIZE(waiters); i++) {
            assert_int_equal(pthread_join(waiters[i].thread, NULL), 0);
            assert_int_equal(waiters[i].result, -1);
            assert_int_equal(waiters[i].kind, ERR_UNAVAILABLE);
        }
    }
}

/* --- Bad servers ---------------------------------------------------------------------- */

static void serve_once(struct conn *conn)
{
    (void)conn_read(conn);
    (void)conn_say(conn, conn->server->say);
}

static void test_a_bad_answer_is_the_upstreams_fault(void **state)
{
    static const char *const says[] = {
        "",
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        "HTTP/1.1 200",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 000 Nothing\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
    };
    scoped(net) net = new_net();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(says); i++) {
        scoped_server server;
        scoped_net_answer answer = {0};
        struct err err = {0};

        server_start(&server, serve_once, says[i]);
        scoped_str url = server_url(&server, "/");
        struct net_request request = {.method = "GET", .url = url};

        if (net_call(net, &request, &answer, &err) == 0)
            fail_msg("accepted: %s", says[i]);
        assert_int_equal(err.kind, ERR_UPSTREAM);
        assert_null(answer.body.data);
    }
}

static void serve_nul_in_header(struct conn *conn)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n";

    (void)conn_read(conn);
    (void)conn_write(conn, answer, sizeof(answer) - 1);
}

static void test_a_nul_in_a_header_is_refused(void **state)
{
    scoped_server server;
    scoped(net) net = new_net();
    scoped_net_answer answer = {0};
    struct err err = {0};

    (void)state;
    server_start(&server, serve_nul_in_header, NULL);
    scoped_str url = server_url(&server, "/");
    struct net_request request = {.method = "GET", .url = url};

    assert_int_equal(net_call(net, &request, &answer, &err), -1);
    assert_int_equal(err.kind, ERR_UPSTREAM);
}

static void serve_endless_body(struct conn *conn)
{
    static const char piece[4096] = {'x'};

    (void)conn_read(conn);
    (void)conn_say(conn, "HTTP/1.1 200 OK\r\n\r\n");
    while (conn_write(conn, piece, sizeof(piece)))
        ;
}

static void serve_endless_headers(struct conn *conn)
{
    (void)conn_read(conn);
    (void)conn_say(conn, "HTTP/1.1 200 OK\r\n");
    while (conn_say(conn, "X-Many: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"))
        ;
}

static void serve_endless_early_answers(struct conn *conn)
{
    (void)conn_read(conn);
    while (conn_say(conn, "HTTP/1.1 103 Early\r\nLink: </aaaaaaaaaaaaaaaaaaaaaaaaa>\r\n\r\n"))
        ;
}

static void test_an_answer_without_end_is_too_large(void **state)
{
    void (*const serves[])(struct conn *) = {
        serve_endless_body,
        serve_endless_headers,
        serve_endless_early_answers,
    };
    scoped(net) net = new_net();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(serves); i++) {
        scoped_server server;
        scoped_net_answer answer = {0};
        struct err err = {0};

        server_start(&server, serves[i], NULL);
        scoped_str url = server_url(&server, "/");
        struct net_request request = {
            .method = "GET", .url = url, .answer_max_bytes = 100000, .retry = NET_IDEMPOTENT};

        assert_int_equal(net_call(net, &request, &answer, &err), -1);
        assert_int_equal(err.kind, ERR_TOO_LARGE);
        assert_int_equal(server.connections, 1);
        /* the head was whole only where it is the body that has no end */
        assert_int_equal(answer.cut_status, i == 0 ? 200 : 0);
        assert_int_equal(answer.status, 0);
    }
}

static void test_the_size_limit_is_exact(void **state)
{
    scoped_server server;
    scoped(net) net = new_net();

    (void)state;
    server_start(&server, serve_say, NULL);
    scoped_str url = server_url(&server, "/");

    for (size_t most = 4; most <= 5; most++) {
        struct net_request request = {.method = "GET", .url = url, .answer_max_bytes = most};
        scoped_net_answer answer = {0};
        struct err err = {0};

        assert_int_equal(net_call(net, &request, &answer, &err), most == 5 ? 0 : -1);
    }
}

static void test_an_error_names_the_call_and_hides_the_rest(void **state)
{
    scoped(net) net = new_net();
    scoped(secret) bearer = secret_new("hidden-token");
    static const char *const headers[] = {"X-Key: hidden-key", NULL};
    scoped_net_answer answer = {0};
    struct err err = {0};
    struct net_request request = {.method = "PUT",
                                  .url = "http://user:hidden@127.0.0.1:1/path?hidden=1#hidden",
                                  .headers = headers,
                                  .bearer = bearer};

    (void)state;
    assert_int_equal(net_call(net, &request, &answer, &err), -1);
    assert_int_equal(err.kind, ERR_UPSTREAM);
    assert_non_null(strstr(err.text, "PUT http://127.0.0.1:1/path: "));
    assert_non_null(strstr(err.text, "127.0.0.1 port 1"));
    assert_null(strstr(err.text, "hidden"));
    assert_null(strstr(err.text, "user"));
}

static void serve_reset(struct conn *conn)
{
    if (conn_read(conn))
        conn_reset(conn);
}

static void test_an_error_that_says_the_bearer_back_is_masked(void **state)
{
    scoped_server server;
    scoped(net) net = new_net();
    scoped(secret) bearer = secret_new("tok-123");
    scoped_net_answer answer = {0};
    struct err err = {0};

    (void)state;
    server_start(
        &server, serve_say,
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 24\r\nX-Said: Bearer tok-123\r\n\r\n"
        "tok-123 may not, tok-123");
    scoped_str url = server_url(&server, "/");
    struct net_request request = {.method = "GET", .url = url, .bearer = bearer};

    assert_ok(net_call(net, &request, &answer, &err), err);
    assert_string_equal(answer.body.data, "******* may not, *******");
    assert_non_null(strstr(answer.headers.data, "x-said: Bearer *******\n"));
}

static void test_a_failure_says_whether_anything_was_sent(void **state)
{
    scoped_server server;
    scoped(net) net = new_net();
    scoped_net_answer answer = {0};
    struct err err = {0};

    (void)state;
    server_start(&server, serve_reset, NULL);
    scoped_str url = server_url(&server, "/");
    struct net_request request = {
        .method = "POST", .url = url, .body = "x", .body_size = 1, .retry = NET_ONCE};
    struct net_request nowhere = {.method = "POST", .url = "http://127.0.0.1:1/"};
    struct net_request bad = {.method = "POST", .url = "nonsense"};

    assert_int_equal(net_call(net, &request, &answer, &err), -1);
    assert_false(answer.unsent);
    assert_int_equal(net_call(net, &nowhere, &answer, &err), -1);
    assert_true(answer.unsent);
    assert_int_equal(net_call(net, &bad, &answer, &err), -1);
    assert_true(answer.unsent);
}

static void test_after_stop_no_call_is_made(void **state)
{
    scoped_server server;
    scoped(net) net = new_net();
    scoped_net_answer answer = {0};
    struct err err = {0};

    (void)state;
    server_start(&server, serve_say, NULL);
    scoped_str url = server_url(&server, "/");
    struct net_request request = {.method = "GET", .url = url};

    net_stop(net);
    net_stop(net);
    assert_int_equal(net_call(net, &request, &answer, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_int_equal(server.connections, 0);
}

#define BOTH_WAYS(test)                                                                        \
    cmocka_unit_test(test),                                                                    \
    {                                                                                          \
#test "_directly", test, make_calls_directly, share_calls, NULL                        \
    }

TEST_MAIN(BOTH_WAYS(test_get_brings_status_headers_and_body),
          BOTH_WAYS(test_post_sends_body_type_headers_and_bearer),
          BOTH_WAYS(test_every_method_has_its_body_or_none),
          BOTH_WAYS(test_what_could_split_a_request_is_refused_before_sending),
          BOTH_WAYS(test_only_http_urls_are_called), BOTH_WAYS(test_a_redirect_is_an_answer),
          BOTH_WAYS(test_a_unix_socket_can_be_called),
          BOTH_WAYS(test_proxies_of_the_environment_count_only_when_wanted),
          BOTH_WAYS(test_calls_in_a_row_share_one_connection),
          BOTH_WAYS(test_many_callers_share_few_connections),
          BOTH_WAYS(test_a_dripping_or_silent_server_runs_into_the_time_limit),
          BOTH_WAYS(test_cancel_ends_a_call_early),
          BOTH_WAYS(test_cancel_ends_the_wait_between_tries),
          BOTH_WAYS(test_net_free_ends_calls_that_run_wait_or_pause),
          BOTH_WAYS(test_a_bad_answer_is_the_upstreams_fault),
          BOTH_WAYS(test_a_nul_in_a_header_is_refused),
          BOTH_WAYS(test_an_answer_without_end_is_too_large),
          BOTH_WAYS(test_the_size_limit_is_exact),
          BOTH_WAYS(test_an_error_names_the_call_and_hides_the_rest),
          BOTH_WAYS(test_an_error_that_says_the_bearer_back_is_masked),
          BOTH_WAYS(test_a_failure_says_whether_anything_was_sent),
          BOTH_WAYS(test_after_stop_no_call_is_made))
