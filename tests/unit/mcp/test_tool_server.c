/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/tool_server.h"

#include "tool_world.h"

/* --- The conversation --------------------------------------------------------------------- */

static void test_a_client_is_greeted_in_a_revision_that_both_speak(void **state)
{
    static const struct {
        const char *wanted;
        const char *spoken;
    } cases[] = {
        {"2024-11-05", "2024-11-05"}, {"2025-03-26", "2025-03-26"},
        {"2025-06-18", "2025-06-18"}, {"2025-11-25", "2025-06-18"},
        {"1.0", "2025-06-18"},
    };
    scoped_world world;

    (void)state;
    world_start(&world, serve_say, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str request =
            xasprintf("{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"initialize\",\"params\":"
                      "{\"protocolVersion\":\"%s\"}}\n",
                      cases[i].wanted);
        scoped_str answer = xasprintf(
            "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":{\"protocolVersion\":\"%s\","
            "\"capabilities\":{\"tools\":{}},\"serverInfo\":{\"name\":\"dispatch\","
            "\"version\":\"" DISPATCH_VERSION "\"}}}",
            cases[i].spoken);

        say(&world, request);
        expect(&world, answer);
    }
}

static void test_tools_are_listed_without_their_endpoints(void **state)
{
    scoped_world world;

    (void)state;
    world_start(&world, serve_say, NULL);
    greet(&world);
    say(&world, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\r\n");
    expect(&world, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":["
                   "{\"name\":\"find\",\"description\":\"Does find\",\"inputSchema\":"
                   "{\"properties\":{\"q\":{\"type\":\"string\"},\"n\":{\"type\":\"integer\"}},"
                   "\"type\":\"object\"}},"
                   "{\"name\":\"make\",\"description\":\"Does make\",\"inputSchema\":"
                   "{\"properties\":{\"q\":{\"type\":\"string\"}},\"type\":\"object\"}}]}}");
}

static void test_what_is_no_good_message_is_told_so(void **state)
{
    static const char *const cases[][2] = {
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}",
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32600,"
         "\"message\":\"initialize must come first\"}}"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"},
        {"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"initialize\"}",
         "{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32602,"
         "\"message\":\"protocolVersion: expected a string\"}}"},
        {"[]", "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,"
               "\"message\":\"batches aren't served, one message a line\"}}"},
        {"17", "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,"
               "\"message\":\"not a message of JSON-RPC 2.0\"}}"},
        {"{\"jsonrpc\":\"1.0\",\"id\":\"x\",\"method\":\"ping\"}",
         "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"error\":{\"code\":-32600,"
         "\"message\":\"not a message of JSON-RPC 2.0\"}}"},
        {"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}",
         "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,"
         "\"message\":\"id: expected a string or a whole number\"}}"},
        {"{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":7}",
         "{\"jsonrpc\":\"2.0\",\"id\":3,\"error\":{\"code\":-32600,"
         "\"message\":\"method: expected a string\"}}"},
        {"{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"ping\",\"params\":[]}",
         "{\"jsonrpc\":\"2.0\",\"id\":3,\"error\":{\"code\":-32602,"
         "\"message\":\"params: expected an object\"}}"},
    };
    scoped_world world;

    (void)state;
    world_start(&world, serve_say, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str line = xasprintf("%s\n", cases[i][0]);

        say(&world, line);
        expect(&world, cases[i][1]);
    }
    say(&world, "{\"jsonrpc\":\n");
    scoped_str broken = hear(&world);
    assert_non_null(strstr(broken, "\"id\":null,\"error\":{\"code\":-32700,"));
}

static void test_what_wants_no_answer_gets_none(void **state)
{
    scoped_world world;

    (void)state;
    world_start(&world, serve_say, NULL);
    greet(&world);
    say(&world, "\n \r\n"
                "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/unheard-of\"}\n"
                "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":"
                "{\"requestId\":99}}\n"
                "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}\n"
                "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":[]}\n"
                "{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}\n"
                "{\"jsonrpc\":\"2.0\",\"id\":5,\"error\":{}}\n"
                "{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"ping\"}\n");
    expect(&world, "{\"jsonrpc\":\"2.0\",\"id\":6,\"result\":{}}");
}

static void test_unknown_names_are_told_apart(void **state)
{
    scoped_world world;

    (void)state;
    world_start(&world, serve_say, NULL);
    greet(&world);
    say(&world, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/list\"}\n");
    expect(&world, "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32601,"
                   "\"message\":\"Unknown method: resources/list\"}}");
    ask(&world, 2, "steal", "{}");
    expect(&world, "{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32602,"
                   "\"message\":\"Unknown tool: steal\"}}");
    ask(&world, 3, "find", "[]");
    expect(&world, "{\"jsonrpc\":\"2.0\",\"id\":3,\"error\":{\"code\":-32602,"
                   "\"message\":\"arguments: expected an object\"}}");
    say(&world, "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"tools/call\"}\n");
    expect(&world, "{\"jsonrpc\":\"2.0\",\"id\":4,\"error\":{\"code\":-32602,"
                   "\"message\":\"name: expected a string\"}}");
    assert_int_equal(world.server.connections, 0);
}

/* --- Calls -------------------------------------------------------------------------------- */

static void test_a_call_reaches_its_endpoint_and_its_answer_the_agent(void **state)
{
    scoped_world world;

    (void)state;
    world_start(&world, serve_say, NULL);
    greet(&world);
    ask(&world, 1, "find", "{\"q\":\"a b&c\",\"n\":3}");
    expect_result(&world, 1, false, "hello");
    assert_true(server_saw(&world.server, "GET /find?v=1&q=a%20b%26c&n=3 HTTP/1.1\r\n"));
    ask(&world, 2, "make", "{\"q\":\"\xc3\xa4\"}");
    expect_result(&world, 2, false, "hello");
    assert_true(server_saw(&world.server, "POST /make HTTP/1.1\r\n"));
    assert_true(server_saw(&world.server, "Content-Type: application/json\r\n"));
    assert_true(server_saw(&world.server, "{\"q\":\"\xc3\xa4\"}"));
}

static void test_arguments_that_do_not_fit_go_nowhere(void **state)
{
    scoped_world world;

    (void)state;
    world_start(&world, serve_say, NULL);
    greet(&world);
    ask(&world, 1, "find", "{\"q\":1}");
    expect_result(&world, 1, true, "q: expected a string");
    assert_int_equal(world.server.connections, 0);
}

static void serve_until_let_go(struct conn *conn)
{
    if (conn_read(conn)) {
        while (!conn->server->let_go)
            (void)usleep(2000);
        (void)conn_say(conn, OK_HELLO);
    }
}

static void test_calls_run_side_by_side(void **state)
{
    scoped_world world;

    (void)state;
    world_start(&world, serve_until_let_go, NULL);
    greet(&world);
    ask(&world, 1, "find", "{}");
    ask(&world, 2, "make", "{}");
    wait_until(world.server.requests == 2, WAIT_MS);
    ask(&world, 2, "make", "{}");
    expect(&world, "{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32600,"
                   "\"message\":\"a call with this id is under way\"}}");
    say(&world, "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"ping\"}\n");
    expect(&world, "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{}}");
    world.server.let_go = true;
    free(hear(&world));
    free(hear(&world));
}

static void serve_and_hang(struct conn *conn)
{
    (void)conn_read(conn);
    conn_hang(conn);
    atomic_fetch_add((_Atomic int *)conn->server->ctx, 1);
}

static void test_a_cancelled_call_ends_and_is_not_answered(void **state)
{
    _Atomic int hung_up = 0;
    scoped_world world;

    (void)state;
    world_start(&world, serve_and_hang, NULL);
    world.server.ctx = &hung_up;
    greet(&world);
    ask(&world, 1, "find", "{}");
    ask(&world, 2, "make", "{}");
    wait_until(world.server.requests == 2, WAIT_MS);
    say(&world, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":"
                "{\"requestId\":1,\"reason\":\"changed my mind\"}}\n");
    wait_until(hung_up == 1, WAIT_MS);
    say(&world, "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"ping\"}\n");
    expect(&world, "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{}}");
    assert_int_equal(hung_up, 1);
}

static void test_who_hangs_up_ends_its_calls(void **state)
{
    _Atomic int hung_up = 0;
    scoped_world world;

    (void)state;
    world_start(&world, serve_and_hang, NULL);
    world.server.ctx = &hung_up;
    greet(&world);
    ask(&world, 1, "find", "{}");
    wait_until(world.server.requests == 1, WAIT_MS);
    (void)close(world.fd);
    world.fd = -1;
    wait_until(hung_up == 1, WAIT_MS);
}

static void test_no_more_calls_at_once_than_the_limit(void **state)
{
    _Atomic int hung_up = 0;
    scoped_world world;

    (void)state;
    world_start(&world, serve_and_hang, NULL);
    world.server.ctx = &hung_up;
    greet(&world);
    for (int i = 1; i <= TOOL_SERVER_CALLS_MAX; i++)
        ask(&world, i, "find", "{}");
    ask(&world, 99, "find", "{}");
    expect_result(&world, 99, true, "too many calls are under way, try again later");
    say(&world, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":"
                "{\"requestId\":1}}\n");
    /* One may go, so another may come. */
    for (int id = 100;; id++) {
        scoped_str heard = NULL;
        scoped_str ping =
            xasprintf("{\"jsonrpc\":\"2.0\",\"id\":\"p%d\",\"method\":\"ping\"}\n", id);

        ask(&world, id, "make", "{}");
        say(&world, ping);
        heard = hear(&world);
        if (strstr(heard, "\"p"))
            break;
        free(hear(&world));
        (void)usleep(5000);
    }
}

/* --- Hostile agents ----------------------------------------------------------------------- */

static void test_an_endless_line_is_passed_over(void **state)
{
    static char chunk[64 * 1024];
    scoped_world world;

    (void)state;
    world_start(&world, serve_say, NULL);
    greet(&world);
    memset(chunk, '[', sizeof(chunk));
    for (int i = 0; i < 64; i++)
        assert_int_equal(send(world.fd, chunk, sizeof(chunk), MSG_NOSIGNAL), sizeof(chunk));
    say(&world, "\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n");
    expect(&world, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,"
                   "\"message\":\"the line is too long\"}}");
    expect(&world, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
}

static void test_one_connection_too_many_is_closed_and_a_place_comes_free(void **state)
{
    scoped_world world;
    int fds[TOOL_SERVER_CONNECTIONS_MAX];
    char byte;

    (void)state;
    world_start(&world, serve_say, NULL);
    greet(&world);
    for (int i = 1; i < TOOL_SERVER_CONNECTIONS_MAX; i++)
        fds[i] = agent_connect(tool_server_socket(world.served));
    fds[0] = agent_connect(tool_server_socket(world.served));
    assert_int_equal(read(fds[0], &byte, 1), 0);
    for (int i = 0; i < TOOL_SERVER_CONNECTIONS_MAX; i++)
        (void)close(fds[i]);
    for (bool answered = false; !answered;) {
        int fd = agent_connect(tool_server_socket(world.served));
        static const char ping[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";

        (void)send(fd, ping, sizeof(ping) - 1, MSG_NOSIGNAL);
        answered = read(fd, &byte, 1) == 1;
        (void)close(fd);
    }
}

static void test_an_agent_that_does_not_read_holds_nobody_up(void **state)
{
    static const char ping[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";
    scoped_world world;
    int deaf;

    (void)state;
    world_start(&world, serve_say, NULL);
    deaf = agent_connect(tool_server_socket(world.served));
    while (send(deaf, ping, sizeof(ping) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
        ;
    greet(&world);
    ask(&world, 1, "find", "{}");
    expect_result(&world, 1, false, "hello");
    tool_server_free(world.served); /* nor the end */
    world.served = NULL;
    (void)close(deaf);
}

/* --- Its place ---------------------------------------------------------------------------- */

static void test_the_socket_is_there_for_another_user_and_goes_at_the_end(void **state)
{
    scoped_world world;
    struct stat seen;

    (void)state;
    world_start(&world, serve_say, NULL);
    scoped_str path = xstrdup(tool_server_socket(world.served));
    assert_int_equal(stat(path, &seen), 0);
    assert_int_equal(seen.st_mode, S_IFSOCK | 0666);
    tool_server_free(world.served);
    world.served = NULL;
    assert_int_equal(stat(path, &seen), -1);
}

static void test_a_tool_that_can_not_be_called_is_no_start(void **state)
{
    static const char headerless[] =
        "[{\"name\": \"a\", \"description\": \"\", \"parameters\": {}, \"endpoint\": "
        "{\"url\": \"http://x\", \"method\": \"GET\", \"has_headers\": true}}]";
    static const char *const bad[] = {
        "{}",
        "[1]",
        "[{\"name\": \"a\", \"description\": \"\", \"parameters\": {}}]",
        "[" TOOL("a b", "GET", "/", "") "]",
        "[" TOOL("a", "BREW", "/", "") "]",
        "[" TOOL("a", "GET", "/", "") "," TOOL("a", "GET", "/", "") "]",
        headerless,
    };
    scoped_str dir = test_dir_new();
    scoped(redaction) redaction = redaction_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        scoped_json tools = parse_with_port(bad[i], 1);
        struct tool_server_options options = {
            .tools = tools, .directory = dir, .redaction = redaction};
        struct err err = {0};

        if (tool_server_start(&options, &err))
            fail_msg("%s", bad[i]);
        assert_int_equal(err.kind, ERR_INVALID);
    }
    test_dir_remove(dir);
}

TEST_MAIN(cmocka_unit_test(test_a_client_is_greeted_in_a_revision_that_both_speak),
          cmocka_unit_test(test_tools_are_listed_without_their_endpoints),
          cmocka_unit_test(test_what_is_no_good_message_is_told_so),
          cmocka_unit_test(test_what_wants_no_answer_gets_none),
          cmocka_unit_test(test_unknown_names_are_told_apart),
          cmocka_unit_test(test_a_call_reaches_its_endpoint_and_its_answer_the_agent),
          cmocka_unit_test(test_arguments_that_do_not_fit_go_nowhere),
          cmocka_unit_test(test_calls_run_side_by_side),
          cmocka_unit_test(test_a_cancelled_call_ends_and_is_not_answered),
          cmocka_unit_test(test_who_hangs_up_ends_its_calls),
          cmocka_unit_test(test_no_more_calls_at_once_than_the_limit),
          cmocka_unit_test(test_an_endless_line_is_passed_over),
          cmocka_unit_test(test_one_connection_too_many_is_closed_and_a_place_comes_free),
          cmocka_unit_test(test_an_agent_that_does_not_read_holds_nobody_up),
          cmocka_unit_test(test_the_socket_is_there_for_another_user_and_goes_at_the_end),
          cmocka_unit_test(test_a_tool_that_can_not_be_called_is_no_start))
