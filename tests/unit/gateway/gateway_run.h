/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_GATEWAY_RUN_H
#define TESTS_GATEWAY_RUN_H
#include <poll.h>

#include "../net/server.h"

#include "gateway/gateway.h"
#include "net/net.h"

#define REAL_KEY "sk-real-0123456789abcdef"
#define WAIT_MS 60000

/* A run with one provider of each protocol, all at one server that the test scripts. */
struct run {
    struct server server;
    struct model_keys keys;
    struct redaction *redaction;
    struct gateway *gateway;
    struct model_access access;
    struct net *net; /* the agent's */
    _Atomic int budget_calls;
};

__attribute__((unused)) static void on_budget(void *ctx)
{
    ((struct run *)ctx)->budget_calls++;
}

__attribute__((unused)) static void set_environment(int port)
{
    scoped_str url = xasprintf("http://127.0.0.1:%d", port);
    scoped_str url_v1 = xasprintf("http://127.0.0.1:%d/v1", port);

    (void)setenv("ANTHROPIC_API_KEY", REAL_KEY, 1);
    (void)setenv("ANTHROPIC_BASE_URL", url, 1);
    (void)setenv("OPENAI_API_KEY", REAL_KEY, 1);
    (void)setenv("OPENAI_BASE_URL", url_v1, 1);
    (void)setenv("GEMINI_API_KEY", REAL_KEY, 1);
    (void)setenv("GOOGLE_GEMINI_BASE_URL", url, 1);
}

__attribute__((unused)) static void run_start(struct run *run, void (*serve)(struct conn *),
                                              const char *say, struct gateway_options options)
{
    static const struct net_options net_options = {.connections_per_host = 64};
    struct err err = {0};

    *run = (struct run){0};
    server_start(&run->server, serve, say);
    set_environment(run->server.port);
    assert_ok(model_keys_take(&run->keys, &err), err);
    run->redaction = redaction_new();
    options.keys = &run->keys;
    options.redaction = run->redaction;
    options.on_budget = on_budget;
    options.ctx = run;
    run->gateway = gateway_start(&options, &err);
    assert_made(run->gateway, err);
    run->access = gateway_access(run->gateway);
    run->net = net_new(&net_options, &err);
    assert_made(run->net, err);
}

__attribute__((unused)) static void run_end(struct run *run)
{
    gateway_free(run->gateway);
    net_free(run->net);
    redaction_free(run->redaction);
    model_keys_done(&run->keys);
    server_stop(&run->server);
}

/* --- The agent's side --------------------------------------------------------------------- */

struct call {
    const char *base; /* a URL of the access */
    const char *path;
    const char *method; /* NULL: POST */
    const char *header; /* NULL: x-api-key with the run's key */
    const char *header2;
    const char *body; /* NULL: {} */
};

__attribute__((unused)) static int call(struct run *run, struct call what,
                                        struct net_answer *out)
{
    scoped_str url = xasprintf("%s%s", what.base, what.path);
    scoped_str key = xasprintf("x-api-key: %s", run->access.key);
    const char *headers[] = {what.header ? what.header : key, what.header2, NULL};
    const char *body = what.body ? what.body : "{}";
    bool get = what.method && strcmp(what.method, "GET") == 0;
    struct net_request request = {
        .method = what.method ? what.method : "POST",
        .url = url,
        .headers = headers,
        .body = get ? NULL : body,
        .body_size = get ? 0 : strlen(body),
    };
    struct err err = {0};

    return net_call(run->net, &request, out, &err) < 0 ? -1 : out->status;
}

__attribute__((unused)) static int status_of(struct run *run, struct call what)
{
    scoped_net_answer answer = {0};

    return call(run, what, &answer);
}

/* A connection of one's own, to see bytes as they come. */
__attribute__((unused)) static int agent_connect(struct run *run)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_port =
        htons((uint16_t)strtol(strrchr(run->access.gemini_url, ':') + 1, NULL, 10));
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

__attribute__((unused)) static void agent_say(struct run *run, int fd, const char *path,
                                              const char *body)
{
    scoped_str text = xasprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                                "Content-Length: %zu\r\n\r\n%s",
                                path, run->access.key, strlen(body), body);

    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

__attribute__((unused)) static void agent_read_some(int fd, struct buf *got)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char piece[16384];
    ssize_t size;

    if (poll(&ready, 1, WAIT_MS) <= 0)
        fail_msg("nothing came after %s", got->data ? got->data : "");
    size = recv(fd, piece, sizeof(piece), 0);
    if (size <= 0)
        fail_msg("the end came after %s", got->data ? got->data : "");
    buf_append(got, piece, (size_t)size);
}

/* Reads on until `text` is there. */
__attribute__((unused)) static void agent_read_until(int fd, struct buf *got, const char *text)
{
    while (!got->data || !strstr(got->data, text))
        agent_read_some(fd, got);
}

__attribute__((unused)) static void agent_read_to_end(int fd, struct buf *got)
{
    char piece[4096];
    ssize_t size;

    while ((size = recv(fd, piece, sizeof(piece), 0)) > 0)
        buf_append(got, piece, (size_t)size);
}

/* --- Answers ------------------------------------------------------------------------------ */

#define JSON_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define SSE_HEAD                                                                               \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"                    \
    "Transfer-Encoding: chunked\r\n\r\n"

/* 100 + 20 tokens */
__attribute__((unused)) static const char anthropic_answer[] =
    JSON_HEAD "Content-Length: 93\r\n\r\n"
              "{\"type\":\"message\",\"model\":\"claude-opus-4-5\",\"usage\":{\"input_tokens\""
              ":100,\"output_tokens\":20} }";

__attribute__((unused)) static bool say_chunk(struct conn *conn, const char *text)
{
    scoped_str chunk = xasprintf("%zx\r\n%s\r\n", strlen(text), text);

    return conn_say(conn, chunk);
}
#endif
