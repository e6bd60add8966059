/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/bridge.h"

#include "bridge_process.h"
#include "sandbox/identity.h"
#include "tool_world.h"

#define BIG_BYTES ((size_t)4 * 1024 * 1024)

/* A server that only counts, and hangs up when it is let go. */
static void serve_nothing(struct conn *conn)
{
    while (!conn->server->let_go)
        (void)usleep(2000);
}

/* Says back what it hears. */
static void serve_back(struct conn *conn)
{
    char piece[8192];
    ssize_t size;

    while ((size = recv(conn->fd, piece, sizeof(piece), 0)) > 0)
        if (!conn_write(conn, piece, (size_t)size))
            return;
}

static void test_it_reaches_a_socket_deeper_than_an_address_can_say(void **state)
{
    struct tool_server_options options = {0};
    scoped(redaction) redaction = redaction_new();
    scoped_str dir = test_dir_new();
    scoped_str deep = xasprintf("%s/%0100d", dir, 0);
    scoped_str deeper = xasprintf("%s/%0100d", deep, 0);
    scoped_json tools = parse_with_port(USUAL_TOOLS, 1);
    struct bridge_process bridge;
    scoped_buf heard = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(mkdir(deep, 0700), 0);
    assert_int_equal(mkdir(deeper, 0700), 0);
    options = (struct tool_server_options){
        .tools = tools, .directory = deeper, .redaction = redaction};
    scoped(tool_server) served = tool_server_start(&options, &err);
    assert_made(served, err);
    assert_true(strlen(tool_server_socket(served)) > 200);
    bridge_start(&bridge, tool_server_socket(served), NULL);
    assert_true(write(bridge.in, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n", 41)
                > 0);
    scoped_str line = hear_from(bridge.out, &heard);
    assert_string_equal(line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    bridge_close_in(&bridge);
    assert_int_equal(bridge_wait(&bridge), 0);
    test_dir_remove(dir);
}

/* As the agent starts it: behind the wall, and where we may as another user, to whom the
 * directory was given when the server was there already. */
static void test_it_works_from_inside_the_sandbox(void **state)
{
    scoped(redaction) redaction = redaction_new();
    scoped_str dir = test_dir_new();
    scoped_str self = realpath("/proc/self/exe", NULL);
    scoped_json tools = parse_with_port(USUAL_TOOLS, 1);
    struct tool_server_options options = {
        .tools = tools, .directory = dir, .redaction = redaction};
    const char *writable[] = {dir, NULL};
    const char *readable[] = {self, NULL};
    uid_t uid = identity_for_agent();
    struct sandbox_options wall = {.writable = writable, .readable = readable};
    struct sandbox sandbox;
    struct bridge_process bridge;
    scoped_buf heard = {0};
    struct err err = {0};
    static const char ping[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";

    (void)state;
    scoped(tool_server) served = tool_server_start(&options, &err);
    assert_made(served, err);
    wall.uid = SANDBOX_OWN_UID;
    if (identity_may_become(uid) && identity_reaches(uid, dir) && identity_reaches(uid, self)) {
        wall.uid = uid;
        assert_ok(identity_give(dir, uid, &err), err);
    }
    assert_ok(sandbox_init(&sandbox, &wall, &err), err);
    bridge_start(&bridge, tool_server_socket(served), &sandbox);
    assert_int_equal(write(bridge.in, ping, sizeof(ping) - 1), sizeof(ping) - 1);
    scoped_str line = hear_from(bridge.out, &heard);
    assert_string_equal(line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    bridge_close_in(&bridge);
    assert_int_equal(bridge_wait(&bridge), 0);
    sandbox_done(&sandbox);
    test_dir_remove(dir);
}

static void test_it_ends_when_the_server_hangs_up(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/socket", dir);
    scoped_server server;
    struct bridge_process bridge;

    (void)state;
    server_start_unix(&server, serve_nothing, path);
    bridge_start(&bridge, path, NULL);
    wait_until(server.connections == 1, WAIT_MS);
    server.let_go = true;
    assert_int_equal(bridge_wait(&bridge), 0);
    test_dir_remove(dir);
}

static void *write_much(void *ctx)
{
    struct bridge_process *bridge = ctx;
    char piece[5000];

    memset(piece, 'x', sizeof(piece));
    for (size_t left = BIG_BYTES; left;) {
        ssize_t size = write(bridge->in, piece, left < sizeof(piece) ? left : sizeof(piece));

        if (size <= 0)
            break;
        left -= (size_t)size;
    }
    bridge_close_in(bridge);
    return NULL;
}

static void test_much_comes_through_whole_to_one_who_reads_late(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/socket", dir);
    scoped_server server;
    struct bridge_process bridge;
    pthread_t writer;
    size_t got = 0;
    char piece[8192];
    ssize_t size;

    (void)state;
    server_start_unix(&server, serve_back, path);
    bridge_start(&bridge, path, NULL);
    assert_int_equal(pthread_create(&writer, NULL, write_much, &bridge), 0);
    wait_until(server.connections == 1, WAIT_MS);
    while ((size = read(bridge.out, piece, sizeof(piece))) > 0)
        got += (size_t)size;
    (void)pthread_join(writer, NULL);
    assert_int_equal(got, BIG_BYTES);
    assert_int_equal(bridge_wait(&bridge), 0);
    test_dir_remove(dir);
}

static void test_what_it_can_not_reach_it_says(void **state)
{
    static const char *const paths[] = {"/nonexistent/socket", "/dev/null", "/dev/null/socket"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct bridge_process bridge;

        bridge_start(&bridge, paths[i], NULL);
        assert_int_equal(bridge_wait(&bridge), 2);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_reaches_a_socket_deeper_than_an_address_can_say),
        cmocka_unit_test(test_it_works_from_inside_the_sandbox),
        cmocka_unit_test(test_it_ends_when_the_server_hangs_up),
        cmocka_unit_test(test_much_comes_through_whole_to_one_who_reads_late),
        cmocka_unit_test(test_what_it_can_not_reach_it_says),
    };

    BRIDGE_MAIN(argc, argv);
    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
