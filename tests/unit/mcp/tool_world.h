/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_MCP_TOOL_WORLD_H
#define UNIT_MCP_TOOL_WORLD_H
#include <poll.h>
#include <sys/stat.h>

#include "../net/server.h"

#include "mcp/tool_server.h"

/* A tool server over tools whose endpoint is a server that the test scripts, and an agent's
 * connection to it. */
#define WAIT_MS 60000 /* a busy machine under a sanitizer is slow */
#define TOOL_SECRET "sk-tool-0123456789abcdef"

struct tool_world {
    struct server server;
    char *dir;
    cJSON *tools;
    cJSON *ranges;
    struct redaction *redaction;
    struct tool_server *served;
    int fd; /* the agent's */
    struct buf heard;
};

/* Each tool takes {"q": string} and may take more. */
#define TOOL(name, method, path, more)                                                         \
    "{\"name\": \"" name "\", \"description\": \"Does " name "\", \"parameters\": "            \
    "{\"properties\": {\"q\": {\"type\": \"string\"}" more "}}, \"endpoint\": {\"url\": "      \
    "\"http://127.0.0.1:PORT" path "\", \"method\": \"" method "\"}}"
#define USUAL_TOOLS                                                                            \
    "[" TOOL("find", "GET", "/find?v=1",                                                       \
             ", \"n\": {\"type\": \"integer\"}") ", " TOOL("make", "POST", "/make", "") "]"

static cJSON *parse_with_port(const char *text, int port)
{
    scoped_buf filled = {0};
    const char *mark;
    struct err err = {0};
    cJSON *value;

    for (; (mark = strstr(text, "PORT")); text = mark + 4) {
        buf_append(&filled, text, (size_t)(mark - text));
        buf_printf(&filled, "%d", port);
    }
    buf_append_str(&filled, text);
    value = json_parse(filled.data, filled.size, &err);
    assert_made(value, err);
    return value;
}

static int agent_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* `options` may say events, headers and a time limit. */
static void world_start_with(struct tool_world *world, void (*serve)(struct conn *),
                             const char *say, const char *tools,
                             struct tool_server_options options)
{
    struct err err = {0};

    json_setup();
    *world = (struct tool_world){.fd = -1};
    server_start(&world->server, serve, say);
    world->dir = test_dir_new();
    world->tools = parse_with_port(tools, world->server.port);
    world->ranges = jarr(jstr("127.0.0.0/8"));
    world->redaction = redaction_new();
    options.tools = world->tools;
    options.directory = world->dir;
    options.allowed_private = world->ranges;
    options.redaction = world->redaction;
    world->served = tool_server_start(&options, &err);
    assert_made(world->served, err);
    world->fd = agent_connect(tool_server_socket(world->served));
}

__attribute__((unused)) static void world_start(struct tool_world *world,
                                                void (*serve)(struct conn *), const char *say)
{
    world_start_with(world, serve, say, USUAL_TOOLS, (struct tool_server_options){0});
}

__attribute__((unused)) static void world_stop(struct tool_world *world)
{
    world->server.let_go = true;
    if (world->fd >= 0)
        (void)close(world->fd);
    tool_server_free(world->served);
    redaction_free(world->redaction);
    cJSON_Delete(world->tools);
    cJSON_Delete(world->ranges);
    buf_done(&world->heard);
    test_dir_remove(world->dir);
    free(world->dir);
    server_stop(&world->server);
}

#define scoped_world __attribute__((cleanup(world_stop))) struct tool_world

__attribute__((unused)) static void say(struct tool_world *world, const char *text)
{
    assert_int_equal(send(world->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* The next line, for the caller to free; NULL at the end. */
__attribute__((unused)) static char *hear_from(int fd, struct buf *heard)
{
    for (;;) {
        char *end = heard->data ? memchr(heard->data, '\n', heard->size) : NULL;
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        char piece[8192];
        ssize_t size;

        if (end) {
            char *line = xstrndup(heard->data, (size_t)(end - heard->data));

            buf_drop_front(heard, strlen(line) + 1);
            return line;
        }
        if (poll(&ready, 1, WAIT_MS) != 1)
            fail_msg("nothing more to hear within %d ms", WAIT_MS);
        size = read(fd, piece, sizeof(piece));
        if (size <= 0)
            return NULL;
        buf_append(heard, piece, (size_t)size);
    }
}

__attribute__((unused)) static char *hear(struct tool_world *world)
{
    char *line = hear_from(world->fd, &world->heard);

    assert_non_null(line);
    return line;
}

__attribute__((unused)) static void expect(struct tool_world *world, const char *line)
{
    scoped_str heard = hear(world);

    assert_string_equal(heard, line);
}

/* Past the greeting. */
__attribute__((unused)) static void greet(struct tool_world *world)
{
    say(world, "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":"
               "{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{}}}\n"
               "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
    free(hear(world));
}

__attribute__((unused)) static void ask(struct tool_world *world, int id, const char *tool,
                                        const char *arguments)
{
    scoped_str line = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"tools/call\","
                                "\"params\":{\"name\":\"%s\",\"arguments\":%s}}\n",
                                id, tool, arguments);

    say(world, line);
}

/* The text of the next result; for the caller to free. */
__attribute__((unused)) static char *hear_result(struct tool_world *world, int id,
                                                 bool is_error)
{
    scoped_str line = hear(world);
    struct err err = {0};
    scoped_json answer = json_parse(line, strlen(line), &err);
    const cJSON *result = json_get(answer, "result");
    const cJSON *content = json_get(result, "content");

    assert_made(answer, err);
    if (!result)
        fail_msg("no result: %s", line);
    assert_int_equal(json_get_int(answer, "id", -1), id);
    assert_int_equal(cJSON_GetArraySize(content), 1);
    if (json_get_bool(result, "isError", false) != is_error)
        fail_msg("isError isn't %d: %s", is_error, line);
    return xstrdup(json_get_str(cJSON_GetArrayItem(content, 0), "text"));
}

__attribute__((unused)) static void expect_result(struct tool_world *world, int id,
                                                  bool is_error, const char *text)
{
    scoped_str heard = hear_result(world, id, is_error);

    assert_string_equal(heard, text);
}
#endif
