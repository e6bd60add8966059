/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/tool_call.h"

#include "tool_world.h"

/* What of an endpoint's answer the agent gets, and what of a call home hears. */

static const char secret_tools[] =
    "[{\"name\": \"find\", \"description\": \"Finds\", \"parameters\": {\"properties\": {}},"
    " \"endpoint\": {\"url\": \"http://127.0.0.1:PORT/find\", \"method\": \"POST\","
    " \"has_headers\": true}}]";

static cJSON *secret_headers(void)
{
    return jobj({"find", jobj({"Authorization", jstr("Bearer " TOOL_SECRET)},
                              {"X-Tenant", jstr("acme")}, {"Accept", jstr("text/plain")},
                              {"Accept-Encoding", jstr("gzip")})});
}

static char *answered(const char *answer, bool is_error)
{
    scoped_world world;

    world_start(&world, serve_say, answer);
    greet(&world);
    ask(&world, 1, "make", "{}");
    return hear_result(&world, 1, is_error);
}

static void test_an_answer_reads_as_it_was_meant(void **state)
{
    static const struct {
        const char *answer;
        bool is_error;
        const char *text;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n"
         "{\"a\": 1}",
         false, "{\"a\": 1}"},
        {"HTTP/1.1 201 OK\r\nContent-Type: application/problem+json; charset=utf-8\r\n"
         "Content-Length: 2\r\n\r\n{}",
         false, "{}"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na\xff"
         "b",
         false,
         "a\xef\xbf\xbd"
         "b"},
        {"HTTP/1.1 204 No Content\r\n\r\n", false, "(an empty answer, HTTP status 204)"},
        {"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 4\r\n\r\n\x89PNG",
         false, "(4 bytes of image/png, which isn't text)"},
        {"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nnone",
         true, "HTTP status 404\nnone"},
        {"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n", true,
         "HTTP status 503\n(an empty answer, HTTP status 503)"},
        {"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 2\r\n\r\n"
         "at",
         true, "HTTP status 302: redirects aren't followed\nat"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str text = answered(cases[i].answer, cases[i].is_error);

        assert_string_equal(text, cases[i].text);
    }
}

static void serve_null(struct conn *conn)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na\0b";

    while (conn_read(conn) && conn_write(conn, answer, sizeof(answer) - 1))
        ;
}

static void test_an_answer_with_null_bytes_is_described(void **state)
{
    scoped_world world;

    (void)state;
    world_start(&world, serve_null, NULL);
    greet(&world);
    ask(&world, 1, "make", "{}");
    expect_result(&world, 1, false, "(3 bytes of no known type, which isn't text)");
}

static void serve_endlessly(struct conn *conn)
{
    static char chunk[16384];

    memset(chunk, 'x', sizeof(chunk));
    if (!conn_read(conn) || !conn_say(conn, "HTTP/1.1 200 OK\r\n\r\n"))
        return;
    while (conn_write(conn, chunk, sizeof(chunk)))
        ;
}

static void test_an_endless_answer_is_cut(void **state)
{
    static const char mark[] = "\n[cut here: the answer is longer than 256 KiB]";
    scoped_world world;

    (void)state;
    world_start(&world, serve_endlessly, NULL);
    greet(&world);
    ask(&world, 1, "make", "{}");
    scoped_str text = hear_result(&world, 1, false);
    assert_int_equal(strlen(text), TOOL_ANSWER_MAX_BYTES + sizeof(mark) - 1);
    assert_string_equal(text + TOOL_ANSWER_MAX_BYTES, mark);
}

static void serve_and_hang(struct conn *conn)
{
    (void)conn_read(conn);
    conn_hang(conn);
}

static void test_a_call_has_an_end(void **state)
{
    struct tool_server_options options = {.call_timeout_ms = 200};
    scoped_world world;

    (void)state;
    world_start_with(&world, serve_and_hang, NULL, USUAL_TOOLS, options);
    greet(&world);
    ask(&world, 1, "make", "{}");
    expect_result(&world, 1, true, "POST make gave no answer in time");
}

static void test_a_private_address_is_not_called(void **state)
{
    static const char tools[] = "[" TOOL("find", "GET", "/", "") "]";
    scoped_str dir = test_dir_new();
    scoped_server server;
    scoped(redaction) redaction = redaction_new();
    struct tool_world world = {.redaction = redaction};
    struct err err = {0};

    (void)state;
    json_setup();
    server_start(&server, serve_say, NULL);
    scoped_json read = parse_with_port(tools, server.port);
    struct tool_server_options options = {
        .tools = read, .directory = dir, .redaction = redaction};
    scoped(tool_server) served = tool_server_start(&options, &err);
    assert_made(served, err);
    world.fd = agent_connect(tool_server_socket(served));
    greet(&world);
    ask(&world, 1, "find", "{}");
    scoped_str text = hear_result(&world, 1, true);
    assert_non_null(strstr(text, "neither public nor allowed"));
    assert_int_equal(server.connections, 0);
    (void)close(world.fd);
    buf_done(&world.heard);
    test_dir_remove(dir);
}

/* --- Secrets ------------------------------------------------------------------------------ */

/* Says the request back, as a debugging endpoint would. */
static void serve_echo(struct conn *conn)
{
    if (!conn_read(conn))
        return;
    (void)pthread_mutex_lock(&conn->server->lock);
    scoped_str answer = xasprintf("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                                  conn->server->seen.size, conn->server->seen.data);
    (void)pthread_mutex_unlock(&conn->server->lock);
    (void)conn_say(conn, answer);
}

static void test_secret_headers_are_sent_and_never_come_back(void **state)
{
    struct tool_server_options options = {.headers = secret_headers()};
    scoped_world world;

    (void)state;
    world_start_with(&world, serve_echo, NULL, secret_tools, options);
    greet(&world);
    ask(&world, 1, "find", "{\"guess\":\"" TOOL_SECRET "\"}");
    scoped_str text = hear_result(&world, 1, false);
    assert_true(server_saw(&world.server, "Authorization: Bearer " TOOL_SECRET "\r\n"));
    assert_true(server_saw(&world.server, "Accept: text/plain\r\n"));
    assert_false(server_saw(&world.server, "application/json, text"));
    assert_false(server_saw(&world.server, "gzip"));
    assert_null(strstr(text, TOOL_SECRET));
    assert_non_null(strstr(text, "Authorization: ***\r\n"));
    assert_non_null(strstr(text, "X-Tenant: acme\r\n"));
    assert_non_null(strstr(text, "{\"guess\":\"***\"}"));
}

/* `ctx` is how many bytes come before secrets without end. */
static void serve_secrets_at_the_cut(struct conn *conn)
{
    static const char secret[] = TOOL_SECRET;
    scoped_buf body = {0};

    if (!conn_read(conn))
        return;
    buf_append_str(&body, "HTTP/1.1 200 OK\r\n\r\n");
    for (size_t i = 0; i < *(const size_t *)conn->server->ctx; i++)
        buf_append(&body, "x", 1);
    for (int i = 0; i < 20000; i++)
        buf_append(&body, secret, sizeof(secret) - 1);
    (void)conn_write(conn, body.data, body.size);
}

static void test_no_part_of_a_secret_stays_where_an_answer_is_cut(void **state)
{
    /* The limit lies within a secret; and what was read ends within one. */
    static size_t before[] = {TOOL_ANSWER_MAX_BYTES - 12, 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
        struct tool_server_options options = {.headers = secret_headers()};
        scoped_world world;

        world_start_with(&world, serve_secrets_at_the_cut, NULL, secret_tools, options);
        world.server.ctx = &before[i];
        greet(&world);
        ask(&world, 1, "find", "{}");
        scoped_str text = hear_result(&world, 1, false);
        assert_null(strstr(text, "sk"));
        assert_non_null(strstr(text, "[cut here"));
    }
}

/* --- Events ------------------------------------------------------------------------------- */

static void test_home_hears_of_each_call(void **state)
{
    static const struct net_options net_options = {.user_agent = "tester/1"};
    scoped_server home_server;
    scoped(redaction) redaction = redaction_new();
    struct err err = {0};

    (void)state;
    json_setup();
    server_start(&home_server, serve_say, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    struct settings settings = {.home_url = server_url(&home_server, ""),
                                .attempt = 1,
                                .task_token = secret_new("vgvtask_toolcalltest")};
    scoped(net) net = net_new(&net_options, &err);
    assert_made(net, err);
    scoped(home) home = home_new(net, &settings);
    struct events *events = events_new(home, redaction);
    {
        struct tool_server_options options = {.events = events, .headers = secret_headers()};
        scoped_world world;

        world_start_with(&world, serve_say, NULL, secret_tools, options);
        greet(&world);
        ask(&world, 1, "find", "{\"q\":\"" TOOL_SECRET "\"}");
        expect_result(&world, 1, false, "hello");
        ask(&world, 2, "find", "{}");
        expect_result(&world, 2, false, "hello");
    }
    events_finish(events, WAIT_MS);
    assert_true(server_saw(&home_server,
                           "\"type\":\"tool_use\",\"name\":\"find\",\"argument\":"
                           "\"{\\\"q\\\":\\\"***\\\"}\",\"source\":\"tool\",\"status\":200,"
                           "\"took_ms\":"));
    assert_true(server_saw(&home_server, "\"name\":\"find\",\"source\":\"tool\""));
    assert_false(server_saw(&home_server, TOOL_SECRET));
    events_free(events);
    settings_done(&settings);
}

TEST_MAIN(cmocka_unit_test(test_an_answer_reads_as_it_was_meant),
          cmocka_unit_test(test_an_answer_with_null_bytes_is_described),
          cmocka_unit_test(test_an_endless_answer_is_cut),
          cmocka_unit_test(test_a_call_has_an_end),
          cmocka_unit_test(test_a_private_address_is_not_called),
          cmocka_unit_test(test_secret_headers_are_sent_and_never_come_back),
          cmocka_unit_test(test_no_part_of_a_secret_stays_where_an_answer_is_cut),
          cmocka_unit_test(test_home_hears_of_each_call))
