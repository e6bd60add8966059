/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/tool_server.h"

#include <glob.h>

#include "bridge_process.h"
#include "tool_world.h"

/*
 * Conversations that real clients had with `dispatch-runner mcp`, replayed: the client's lines
 * are said as they were, and the server's must come as they did, byte for byte. They lie in
 * recorded/, where tests/support/mcp-recorder puts them; it runs this program as
 *
 *     build/tests/mcp/test_recorded serve     says {"socket": PATH}, serves until its input
 * ends
 *
 * A line of a recording is {"from": "client"|"server", "line": TEXT}; our version is @VERSION@.
 */
#define RECORDINGS "tests/unit/mcp/recorded/*.jsonl"

static const char recorded_tools[] =
    "["
    "{\"name\": \"search_inventory\", \"description\": \"Search the product inventory\","
    " \"parameters\": {\"type\": \"object\", \"properties\": {\"query\": {\"type\": \"string\","
    " \"description\": \"What to look for\"}, \"limit\": {\"type\": \"integer\", \"minimum\": "
    "1,"
    " \"maximum\": 50}}, \"required\": [\"query\"], \"additionalProperties\": false},"
    " \"endpoint\": {\"url\": \"http://127.0.0.1:PORT/search\", \"method\": \"GET\","
    " \"has_headers\": true}},"
    "{\"name\": \"place_order\", \"description\": \"Order a product\","
    " \"parameters\": {\"properties\": {\"product\": {\"type\": \"string\"},"
    " \"count\": {\"type\": \"integer\"}}, \"required\": [\"product\", \"count\"]},"
    " \"endpoint\": {\"url\": \"http://127.0.0.1:PORT/order\", \"method\": \"POST\","
    " \"has_headers\": false}},"
    "{\"name\": \"wait\", \"description\": \"Answers when it is too late\","
    " \"parameters\": {\"properties\": {}},"
    " \"endpoint\": {\"url\": \"http://127.0.0.1:PORT/wait\", \"method\": \"GET\","
    " \"has_headers\": false}}"
    "]";

/* The inventory. */
static void serve_inventory(struct conn *conn)
{
    static const char found[] = "{\"items\": [{\"name\": \"blue lamp\", \"stock\": 3}]}";
    static const char sold_out[] = "{\"error\": \"sold out\"}";

    while (conn_read(conn)) {
        bool waits = server_saw(conn->server, "GET /wait");
        bool orders = server_saw(conn->server, "POST /order");
        scoped_str answer = xasprintf("HTTP/1.1 %d Said\r\nContent-Type: application/json\r\n"
                                      "Content-Length: %zu\r\n\r\n%s",
                                      orders ? 409 : 200, strlen(orders ? sold_out : found),
                                      orders ? sold_out : found);

        (void)pthread_mutex_lock(&conn->server->lock);
        buf_clear(&conn->server->seen);
        (void)pthread_mutex_unlock(&conn->server->lock);
        if (waits)
            conn_hang(conn);
        else if (!conn_say(conn, answer))
            return;
    }
}

static void inventory_start(struct tool_world *world)
{
    struct tool_server_options options = {
        .headers =
            jobj({"search_inventory", jobj({"Authorization", jstr("Bearer " TOOL_SECRET)})}),
    };

    world_start_with(world, serve_inventory, NULL, recorded_tools, options);
}

/* --- Replaying ---------------------------------------------------------------------------- */

static char *with_version(const char *line)
{
    static const char mark[] = "@VERSION@";
    const char *at = strstr(line, mark);

    return at ? xasprintf("%.*s%s%s", (int)(at - line), line, DISPATCH_VERSION,
                          at + sizeof(mark) - 1)
              : xstrdup(line);
}

static void replay_line(struct bridge_process *bridge, struct buf *heard, const char *recorded,
                        const char *path, int number)
{
    struct err err = {0};
    scoped_json entry = json_parse(recorded, strlen(recorded), &err);
    const char *from = json_get_str(entry, "from");
    const char *line = json_get_str(entry, "line");

    if (!from || !line)
        fail_msg("%s:%d: not a recorded line", path, number);
    if (strcmp(from, "client") == 0) {
        scoped_str said = xasprintf("%s\n", line);

        assert_int_equal(write(bridge->in, said, strlen(said)), strlen(said));
        return;
    }
    scoped_str expected = with_version(line);
    scoped_str answer = hear_from(bridge->out, heard);
    if (!answer || strcmp(answer, expected) != 0)
        fail_msg("%s:%d: %s\nnot as recorded: %s", path, number, answer, expected);
}

static int replay(const char *path)
{
    struct bridge_process bridge;
    scoped_world world;
    scoped_buf heard = {0};
    scoped_file in = fopen(path, "re");
    scoped_str line = NULL;
    size_t room = 0;
    int n = 0;

    assert_non_null(in);
    inventory_start(&world);
    bridge_start(&bridge, tool_server_socket(world.served), NULL);
    while (getline(&line, &room, in) > 0)
        replay_line(&bridge, &heard, line, path, ++n);
    bridge_close_in(&bridge);
    assert_null(hear_from(bridge.out, &heard)); /* and nothing more */
    assert_int_equal(heard.size, 0);
    assert_int_equal(bridge_wait(&bridge), 0);
    return n;
}

static void test_recorded_conversations_go_as_they_went(void **state)
{
    glob_t found;

    (void)state;
    assert_int_equal(glob(RECORDINGS, 0, NULL, &found), 0);
    assert_true(found.gl_pathc > 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        assert_true(replay(found.gl_pathv[i]) > 5);
    globfree(&found);
}

/* --- Recording ---------------------------------------------------------------------------- */

static int serve(void)
{
    scoped_world world;
    char byte;

    inventory_start(&world);
    (void)printf("{\"socket\": \"%s\"}\n", tool_server_socket(world.served));
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_conversations_go_as_they_went),
    };

    BRIDGE_MAIN(argc, argv);
    if (argc > 1 && strcmp(argv[1], "serve") == 0)
        return serve();
    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
