/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway.h"

#include <poll.h>

#include "../net/server.h"

#include "net/net.h"

#define REAL_KEY "sk-real-0123456789abcdef"
#define WAIT_MS 30000

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

static void on_budget(void *ctx)
{
    ((struct run *)ctx)->budget_calls++;
}

static void set_environment(int port)
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

static void run_start(struct run *run, void (*serve)(struct conn *), const char *say,
                      struct gateway_options options)
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

static void run_end(struct run *run)
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

static int call(struct run *run, struct call what, struct net_answer *out)
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

static int status_of(struct run *run, struct call what)
{
    scoped_net_answer answer = {0};

    return call(run, what, &answer);
}

/* A connection of one's own, to see bytes as they come. */
static int agent_connect(struct run *run)
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

static void agent_say(struct run *run, int fd, const char *path, const char *body)
{
    scoped_str text = xasprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                                "Content-Length: %zu\r\n\r\n%s",
                                path, run->access.key, strlen(body), body);

    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void agent_read_some(int fd, struct buf *got)
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
static void agent_read_until(int fd, struct buf *got, const char *text)
{
    while (!got->data || !strstr(got->data, text))
        agent_read_some(fd, got);
}

static void agent_read_to_end(int fd, struct buf *got)
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
static const char anthropic_answer[] =
    JSON_HEAD "Content-Length: 93\r\n\r\n"
              "{\"type\":\"message\",\"model\":\"claude-opus-4-5\",\"usage\":{\"input_tokens\""
              ":100,\"output_tokens\":20} }";

static bool say_chunk(struct conn *conn, const char *text)
{
    scoped_str chunk = xasprintf("%zx\r\n%s\r\n", strlen(text), text);

    return conn_say(conn, chunk);
}

/* --- Keys --------------------------------------------------------------------------------- */

static void test_key_is_replaced_in_each_protocols_own_header(void **state)
{
    struct run run;
    scoped_str google = NULL;
    scoped_str bearer = NULL;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    google = xasprintf("x-goog-api-key: %s", run.access.key);
    bearer = xasprintf("Authorization: Bearer %s", run.access.key);
    assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                   .path = "/v1/messages"}),
                     200);
    assert_true(server_saw(&run.server, "POST /v1/messages HTTP/1.1\r\n"));
    assert_true(server_saw(&run.server, "\r\nx-api-key: " REAL_KEY "\r\n"));
    assert_int_equal(status_of(&run, (struct call){.base = run.access.openai_url,
                                                   .path = "/chat/completions",
                                                   .header = bearer}),
                     200);
    assert_true(server_saw(&run.server, "POST /v1/chat/completions HTTP/1.1\r\n"));
    assert_true(server_saw(&run.server, "\r\nAuthorization: Bearer " REAL_KEY "\r\n"));
    assert_int_equal(
        status_of(&run, (struct call){.base = run.access.gemini_url,
                                      .path = "/v1beta/models/gemini-2.5-pro:generateContent",
                                      .header = google}),
        200);
    assert_true(server_saw(&run.server, "\r\nx-goog-api-key: " REAL_KEY "\r\n"));
    assert_false(server_saw(&run.server, run.access.key));
    run_end(&run);
}

static void test_key_in_a_query_opens_and_stays_here(void **state)
{
    struct run run;
    scoped_str path = NULL;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    path = xasprintf("/v1beta/models/m:streamGenerateContent?alt=sse&key=%s&quotaUser=x",
                     run.access.key);
    assert_int_equal(
        status_of(&run,
                  (struct call){.base = run.access.gemini_url, .path = path, .header = "A: b"}),
        200);
    assert_true(server_saw(&run.server,
                           "POST /v1beta/models/m:streamGenerateContent?alt=sse HTTP/1.1\r\n"));
    assert_false(server_saw(&run.server, run.access.key));
    run_end(&run);
}

static void test_another_key_is_refused_and_nothing_is_sent(void **state)
{
    static const char *const wrong[] = {
        "A: b",
        "x-api-key: ",
        ("x-api-key: " REAL_KEY),
        "Authorization: Bearer ",
        "Authorization:",
        "x-goog-api-key: none",
    };
    struct run run;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        scoped_net_answer answer = {0};

        assert_int_equal(call(&run,
                              (struct call){.base = run.access.anthropic_url,
                                            .path = "/v1/messages",
                                            .header = wrong[i]},
                              &answer),
                         401);
        assert_non_null(strstr(answer.body.data, "\"type\":\"authentication_error\""));
    }
    assert_int_equal(run.server.requests, 0);
    run_end(&run);
}

/* Shows what it was sent, as debugging pages do: in a header, in the body, in pieces. */
static void serve_echo(struct conn *conn)
{
    (void)conn_read(conn);
    (void)conn_say(conn, "HTTP/1.1 401 Unauthorized\r\nX-Seen: key=" REAL_KEY
                         "\r\nContent-Type: application/json\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n");
    (void)say_chunk(conn, "{\"seen\":\"" REAL_KEY "\",\"again\":\"sk-real-0123");
    (void)say_chunk(conn, "456789abcdef\"}");
    (void)say_chunk(conn, "");
}

static void test_the_real_key_is_in_nothing_the_agent_sees(void **state)
{
    struct run run;
    scoped_buf got = {0};
    int fd;

    (void)state;
    run_start(&run, serve_echo, NULL, (struct gateway_options){0});
    fd = agent_connect(&run);
    agent_say(&run, fd, "/anthropic/v1/messages", "{}");
    agent_read_until(fd, &got, "0\r\n\r\n");
    assert_non_null(strstr(got.data, "HTTP/1.1 401 "));
    assert_non_null(strstr(got.data, "{\"seen\":\"************************\""));
    assert_null(strstr(got.data, REAL_KEY));
    assert_null(strstr(got.data, "sk-real-"));
    (void)close(fd);
    run_end(&run);
}

static void test_keys_leave_the_environment(void **state)
{
    struct run run;
    scoped_str said = xstrdup("the key is " REAL_KEY);

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    assert_null(getenv("ANTHROPIC_API_KEY"));
    assert_null(getenv("ANTHROPIC_BASE_URL"));
    redaction_apply(run.redaction, said);
    assert_null(strstr(said, REAL_KEY));
    run_end(&run);
}

/* --- What passes -------------------------------------------------------------------------- */

static void test_only_headers_of_model_calls_go_out(void **state)
{
    struct run run;
    scoped_buf got = {0};
    scoped_str text = NULL;
    int fd;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    fd = agent_connect(&run);
    text = xasprintf("POST /anthropic/v1/messages?beta=true HTTP/1.1\r\nHost: evil.example\r\n"
                     "x-api-key: %s\r\nAuthorization: Bearer other\r\nCookie: a=b\r\n"
                     "Forwarded: for=1\r\nX-Forwarded-For: 1.2.3.4\r\nProxy-Connection: x\r\n"
                     "X-HTTP-Method-Override: DELETE\r\nx-goog-user-project: p\r\n"
                     "OpenAI-Organization: o\r\nConnection: keep-alive, X-Stainless-Lang\r\n"
                     "Accept-Encoding: gzip, br\r\nTE: trailers\r\n"
                     "User-Agent: agent/1\r\nanthropic-version: 2023-06-01\r\n"
                     "anthropic-beta: one\r\nX-Stainless-OS: Linux\r\n"
                     "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
                     run.access.key);
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    agent_read_until(fd, &got, "20}");
    (void)close(fd);
    assert_true(
        server_saw(&run.server, "POST /v1/messages?beta=true HTTP/1.1\r\nHost: 127.0.0.1:"));
    assert_true(server_saw(&run.server, "\r\nUser-Agent: agent/1\r\n"));
    assert_true(server_saw(&run.server, "\r\nanthropic-version: 2023-06-01\r\n"));
    assert_true(server_saw(&run.server, "\r\nanthropic-beta: one\r\n"));
    assert_true(server_saw(&run.server, "\r\nX-Stainless-OS: Linux\r\n"));
    assert_true(server_saw(&run.server, "\r\nAccept-Encoding: identity\r\n"));
    assert_true(server_saw(&run.server, "\r\n\r\n{}"));
    for (const char *const *no =
             (const char *const[]){"evil", "ther", "Cookie", "orwarded", "roxy", "Override",
                                   "project", "Organization", "gzip", "TE:", "keep-alive",
                                   NULL};
         *no; no++) {
        if (server_saw(&run.server, *no))
            fail_msg("the provider saw %s", *no);
    }
    run_end(&run);
}

static void test_answers_come_back_as_they_are_but_for_the_connections_headers(void **state)
{
    struct run run;
    scoped_net_answer answer = {0};
    scoped_str kept = NULL;
    scoped_str type = NULL;

    (void)state;
    run_start(
        &run, serve_say,
        "HTTP/1.1 529 Overloaded\r\nRetry-After: 7\r\nLocation: http://evil.example/\r\n"
        "Set-Cookie: a=b\r\nAlt-Svc: h3\r\nrequest-id: req_1\r\nContent-Type: text/plain\r\n"
        "Content-Length: 5\r\n\r\nhello",
        (struct gateway_options){0});
    assert_int_equal(
        call(&run, (struct call){.base = run.access.anthropic_url, .path = "/v1/messages"},
             &answer),
        529);
    kept = net_answer_header(&answer, "request-id");
    type = net_answer_header(&answer, "content-type");
    assert_string_equal(kept, "req_1");
    assert_string_equal(type, "text/plain");
    assert_int_equal(net_answer_retry_after_s(&answer), 7);
    assert_string_equal(answer.body.data, "hello");
    assert_null(strstr(answer.headers.data, "location"));
    assert_null(strstr(answer.headers.data, "set-cookie"));
    assert_null(strstr(answer.headers.data, "alt-svc"));
    run_end(&run);
}

static void test_redirects_are_not_followed(void **state)
{
    struct run run;

    (void)state;
    run_start(&run, serve_say,
              "HTTP/1.1 307 Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
              (struct gateway_options){0});
    assert_int_equal(
        status_of(&run, (struct call){.base = run.access.openai_url, .path = "/responses"}),
        307);
    assert_int_equal(run.server.requests, 1);
    assert_false(server_saw(&run.server, "/elsewhere"));
    run_end(&run);
}

static void test_the_rest_of_a_providers_api_isnt_served(void **state)
{
    static const struct {
        const char *method;
        const char *path;
    } not_served[] = {
        {"GET", "/anthropic/v1/files"},
        {"POST", "/anthropic/v1/messages/batches"},
        {"GET", "/anthropic/v1/messages"},
        {"DELETE", "/anthropic/v1/models/m"},
        {"POST", "/anthropic/v1/messages/../files"},
        {"POST", "/anthropic/v1//messages"},
        {"POST", "/anthropic/v1/%6dessages"},
        {"POST", "/openai/v1/files"},
        {"GET", "/openai/v1/responses/resp_1"},
        {"POST", "/openai/v1/fine_tuning/jobs"},
        {"GET", "/gemini/v1beta/files"},
        {"POST", "/gemini/v1beta/cachedContents"},
        {"POST", "/groq/v1/chat/completions"}, /* this run has no key for it */
        {"POST", "/nobody/v1/messages"},
        {"POST", "/anthropic"},
        {"GET", "/"},
    };
    struct run run;
    scoped_str base = NULL;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    base = xstrndup(run.access.gemini_url, strlen(run.access.gemini_url) - strlen("/gemini"));
    for (size_t i = 0; i < ARRAY_SIZE(not_served); i++) {
        int status = status_of(&run, (struct call){.base = base,
                                                   .path = not_served[i].path,
                                                   .method = not_served[i].method});

        if (status != 404)
            fail_msg("%s %s: %d", not_served[i].method, not_served[i].path, status);
    }
    assert_int_equal(run.server.requests, 0);
    assert_null(gateway_url(run.gateway, "groq"));
    assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                   .path = "/v1/models",
                                                   .method = "GET"}),
                     200);
    run_end(&run);
}

/* --- Streaming ---------------------------------------------------------------------------- */

/* Each event waits until the test has seen the one before: server.ctx counts those allowed. */
static void serve_events_on_demand(struct conn *conn)
{
    static const char *const events[] = {
        ("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":"
         "\"claude-sonnet-4-5\",\"usage\":{\"input_tokens\":10,\"output_tokens\":1,"
         "\"cache_read_input_tokens\":1000,\"cache_creation_input_tokens\":100}}}\n\n"),
        "event: content_block_delta\ndata: {\"delta\":{\"text\":\"h\xc3\xa9llo\"}}\n\n",
        ("event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{"
         "\"output_tokens\":50}}\n\n"),
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    };
    _Atomic int *allowed = conn->server->ctx;

    if (!conn_read(conn) || !conn_say(conn, SSE_HEAD))
        return;
    for (int i = 0; i < 4; i++) {
        while (*allowed <= i && !conn->server->let_go)
            (void)usleep(1000);
        if (!say_chunk(conn, events[i]))
            return;
    }
    (void)say_chunk(conn, "");
}

static void test_events_arrive_one_by_one_and_are_counted(void **state)
{
    struct run run;
    scoped_buf got = {0};
    _Atomic int allowed = 0;
    struct model_totals totals;
    int fd;

    (void)state;
    run_start(&run, serve_events_on_demand, NULL, (struct gateway_options){0});
    run.server.ctx = &allowed;
    fd = agent_connect(&run);
    agent_say(&run, fd, "/anthropic/v1/messages", "{}");
    allowed = 1;
    agent_read_until(fd, &got, "\"cache_creation_input_tokens\":100}}}\n\n");
    assert_null(strstr(got.data, "content_block_delta"));
    allowed = 2;
    agent_read_until(fd, &got, "h\xc3\xa9llo");
    assert_null(strstr(got.data, "message_delta"));
    allowed = 4;
    agent_read_until(fd, &got, "0\r\n\r\n");
    totals = gateway_usage(run.gateway);
    assert_int_equal(totals.input_tokens, 10);
    assert_int_equal(totals.output_tokens, 50);
    assert_int_equal(totals.cache_read_tokens, 1000);
    assert_int_equal(totals.cache_write_tokens, 100);
    assert_int_equal(totals.requests, 1);
    assert_false(totals.estimated);
    /* (10 * 3 + 50 * 15 + 1000 * 0.3 + 100 * 3.75) / 1e6 */
    assert_true(totals.cost_usd > 0.001454 && totals.cost_usd < 0.001456);
    (void)close(fd);
    run_end(&run);
}

#define BIG_BYTES (32 * 1024 * 1024)

/* The first connection gets much, the others little. */
static void serve_much(struct conn *conn)
{
    static char piece[64 * 1024];
    scoped_str head = xasprintf(JSON_HEAD "Content-Length: %d\r\n\r\n", BIG_BYTES);

    if (conn->number > 1) {
        serve_say(conn);
        return;
    }
    if (!conn_read(conn) || !conn_say(conn, head))
        return;
    for (size_t sent = 0; sent < BIG_BYTES; sent += sizeof(piece)) {
        if (!conn_write(conn, piece, sizeof(piece)))
            return;
        *(_Atomic size_t *)conn->server->ctx += sizeof(piece);
    }
}

static void test_a_slow_agent_slows_its_provider_and_nobody_else(void **state)
{
    struct run run;
    scoped_buf got = {0};
    _Atomic size_t sent = 0;
    size_t before;
    size_t head;
    int fd;

    (void)state;
    run_start(&run, serve_much, NULL, (struct gateway_options){0});
    run.server.ctx = &sent;
    fd = agent_connect(&run);
    agent_say(&run, fd, "/anthropic/v1/messages", "{}");
    agent_read_until(fd, &got, "\r\n\r\n");
    do { /* what fits into sockets and buffers goes, and then no more */
        before = sent;
        (void)usleep(200000);
    } while (sent != before);
    assert_true(sent < BIG_BYTES);
    assert_int_equal(
        status_of(&run, (struct call){.base = run.access.openai_url, .path = "/responses"}),
        200);
    head = (size_t)(strstr(got.data, "\r\n\r\n") + 4 - got.data);
    while (got.size < head + BIG_BYTES)
        agent_read_some(fd, &got);
    assert_int_equal(got.size, head + BIG_BYTES);
    assert_int_equal(sent, BIG_BYTES);
    (void)close(fd);
    run_end(&run);
}

/* --- Things that go wrong ----------------------------------------------------------------- */

static void serve_cut(struct conn *conn)
{
    if (conn_read(conn) && conn_say(conn, SSE_HEAD))
        (void)say_chunk(conn, "data: {\"model\":\"gpt-5\",\"choices\":[]}\n\n");
    conn_reset(conn);
}

static void test_a_cut_answer_is_a_cut_for_the_agent_and_isnt_free(void **state)
{
    struct run run;
    scoped_buf got = {0};
    struct model_totals totals;
    int fd;

    (void)state;
    run_start(&run, serve_cut, NULL, (struct gateway_options){0});
    fd = agent_connect(&run);
    agent_say(&run, fd, "/openai/v1/chat/completions",
              "{\"model\":\"gpt-5\",\"x\":\"yyyyyyyyyy\"}");
    agent_read_to_end(fd, &got);
    (void)close(fd);
    assert_non_null(strstr(got.data, "HTTP/1.1 200 "));
    assert_null(strstr(got.data, "\r\n0\r\n\r\n"));
    gateway_stop(run.gateway);
    totals = gateway_usage(run.gateway);
    assert_true(totals.estimated);
    assert_true(totals.input_tokens > 0 && totals.output_tokens > 0 && totals.cost_usd > 0);
    run_end(&run);
}

static void serve_hang(struct conn *conn)
{
    if (conn_read(conn))
        conn_hang(conn);
}

static void test_silence_is_a_504_and_no_provider_a_502(void **state)
{
    struct run run;

    (void)state;
    run_start(&run, serve_hang, NULL, (struct gateway_options){.silence_ms = 300});
    assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                   .path = "/v1/messages"}),
                     504);
    (void)shutdown(run.server.fd, SHUT_RDWR); /* nobody listens any more */
    assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                   .path = "/v1/messages"}),
                     502);
    assert_int_equal(gateway_usage(run.gateway).requests, 2);
    run_end(&run);
}

static void serve_until_gone(struct conn *conn)
{
    if (!conn_read(conn))
        return;
    conn_hang(conn);
    *(_Atomic int *)conn->server->ctx += 1;
}

static void test_an_agent_that_goes_ends_its_call(void **state)
{
    struct run run;
    _Atomic int gone = 0;
    int fd;

    (void)state;
    run_start(&run, serve_until_gone, NULL, (struct gateway_options){0});
    run.server.ctx = &gone;
    fd = agent_connect(&run);
    agent_say(&run, fd, "/anthropic/v1/messages", "{\"model\":\"claude-opus-4-5\"}");
    wait_until(run.server.requests == 1, WAIT_MS);
    (void)close(fd);
    wait_until(gone == 1, WAIT_MS);
    wait_until(gateway_usage(run.gateway).input_tokens > 0,
               WAIT_MS); /* it may have been billed */
    run_end(&run);
}

static void test_stopping_ends_calls_that_wait(void **state)
{
    struct run run;
    scoped_buf got = {0};
    int fd;

    (void)state;
    run_start(&run, serve_hang, NULL, (struct gateway_options){0});
    fd = agent_connect(&run);
    agent_say(&run, fd, "/anthropic/v1/messages", "{}");
    wait_until(run.server.requests == 1, WAIT_MS);
    gateway_stop(run.gateway);
    gateway_stop(run.gateway);
    agent_read_to_end(fd, &got);
    (void)close(fd);
    run_end(&run);
}

/* --- Limits ------------------------------------------------------------------------------- */

static void test_a_body_over_the_limit_is_a_413(void **state)
{
    struct run run;
    scoped_str body = xcalloc(1, 200001);

    (void)state;
    memset(body, 'x', 200000);
    run_start(&run, serve_say, anthropic_answer,
              (struct gateway_options){.body_max_bytes = 150000});
    assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                   .path = "/v1/messages",
                                                   .body = body}),
                     413);
    assert_int_equal(run.server.requests, 0);
    body[150000] = '\0';
    assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                   .path = "/v1/messages",
                                                   .body = body}),
                     200);
    run_end(&run);
}

static void test_headers_over_the_limit_are_refused(void **state)
{
    struct run run;
    scoped_buf got = {0};
    scoped_str head = NULL;
    int fd;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    fd = agent_connect(&run);
    head = xasprintf("POST /anthropic/v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: %s\r\n"
                     "X-Long: %070000d\r\n\r\n",
                     run.access.key, 0);
    (void)send(fd, head, strlen(head), MSG_NOSIGNAL);
    agent_read_to_end(fd, &got);
    (void)close(fd);
    assert_true(!got.data || strstr(got.data, "HTTP/1.1 431 "));
    assert_int_equal(run.server.requests, 0);
    run_end(&run);
}

#define REQUESTS_MAX 32 /* GATEWAY_REQUESTS_MAX */

static void serve_when_let_go(struct conn *conn)
{
    if (!conn_read(conn))
        return;
    while (!conn->server->let_go)
        (void)usleep(1000);
    (void)conn_say(conn, anthropic_answer);
}

static void test_too_many_requests_at_once_are_a_429(void **state)
{
    struct run run;
    int fds[REQUESTS_MAX];
    scoped_buf got = {0};

    (void)state;
    run_start(&run, serve_when_let_go, NULL, (struct gateway_options){0});
    for (int i = 0; i < REQUESTS_MAX; i++) {
        fds[i] = agent_connect(&run);
        agent_say(&run, fds[i], "/anthropic/v1/messages", "{}");
    }
    wait_until(run.server.requests == REQUESTS_MAX, WAIT_MS);
    {
        scoped_net_answer answer = {0};

        assert_int_equal(
            call(&run, (struct call){.base = run.access.anthropic_url, .path = "/v1/messages"},
                 &answer),
            429);
        assert_int_equal(net_answer_retry_after_s(&answer), 1);
        assert_non_null(strstr(answer.body.data, "rate_limit_error"));
    }
    run.server.let_go = true;
    for (int i = 0; i < REQUESTS_MAX; i++) {
        buf_clear(&got);
        agent_read_until(fds[i], &got, "20} }");
        (void)close(fds[i]);
    }
    assert_int_equal(gateway_usage(run.gateway).requests, REQUESTS_MAX);
    assert_int_equal(gateway_usage(run.gateway).input_tokens, 100 * REQUESTS_MAX);
    run_end(&run);
}

/* --- The budget --------------------------------------------------------------------------- */

static void expect_refusal(struct run *run, const char *base, const char *path,
                           const char *words)
{
    scoped_net_answer answer = {0};
    scoped_str retry = NULL;

    assert_int_equal(call(run, (struct call){.base = base, .path = path}, &answer), 400);
    assert_non_null(strstr(answer.body.data, words));
    assert_non_null(strstr(answer.body.data, "The budget of this run is spent"));
    retry = net_answer_header(&answer, "x-should-retry");
    assert_string_equal(retry, "false");
}

static void test_a_spent_budget_ends_further_calls_in_the_providers_words(void **state)
{
    struct run run;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){.max_tokens = 200});
    for (int i = 0; i < 2; i++) /* 120 of 200, then 240 */
        assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                       .path = "/v1/messages"}),
                         200);
    assert_false(gateway_budget_exceeded(run.gateway));
    assert_int_equal(run.budget_calls, 0);
    expect_refusal(&run, run.access.anthropic_url, "/v1/messages",
                   "\"type\":\"invalid_request_error\"");
    assert_true(gateway_budget_exceeded(run.gateway));
    expect_refusal(&run, run.access.openai_url, "/responses", "\"code\":\"budget_exceeded\"");
    expect_refusal(&run, run.access.gemini_url, "/v1beta/models/m:generateContent",
                   "\"status\":\"FAILED_PRECONDITION\"");
    assert_int_equal(run.budget_calls, 1);
    assert_int_equal(run.server.requests, 2);
    assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                   .path = "/v1/models",
                                                   .method = "GET"}),
                     200); /* lists cost nothing */
    run_end(&run);
}

static void test_a_budget_in_dollars_holds(void **state)
{
    struct run run;

    (void)state;
    /* Each call costs (100 * 5 + 20 * 25) / 1e6 = $0.001. */
    run_start(&run, serve_say, anthropic_answer,
              (struct gateway_options){.max_cost_usd = 0.0015});
    for (int i = 0; i < 2; i++)
        assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                       .path = "/v1/messages"}),
                         200);
    expect_refusal(&run, run.access.anthropic_url, "/v1/messages", "at most $0.00");
    run_end(&run);
}

/* --- Many at once ------------------------------------------------------------------------- */

struct caller {
    struct run *run;
    pthread_t thread;
    int good;
};

static void *call_many(void *ctx)
{
    struct caller *caller = ctx;

    for (int i = 0; i < 20; i++)
        caller->good +=
            status_of(caller->run, (struct call){.base = caller->run->access.anthropic_url,
                                                 .path = "/v1/messages"})
            == 200;
    return NULL;
}

static void test_many_agents_calls_are_all_counted(void **state)
{
    struct run run;
    struct caller callers[8];
    int good = 0;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
        callers[i] = (struct caller){.run = &run};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_many, &callers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
        (void)pthread_join(callers[i].thread, NULL);
        good += callers[i].good;
    }
    assert_int_equal(good, 160);
    assert_int_equal(gateway_usage(run.gateway).requests, 160);
    assert_int_equal(gateway_usage(run.gateway).output_tokens, 160 * 20);
    run_end(&run);
}

static void test_a_bad_prices_file_or_base_url_is_told(void **state)
{
    struct model_keys keys;
    struct gateway_options options = {.keys = &keys, .prices_file = "/nonexistent.yaml"};
    struct err err = {0};

    (void)state;
    set_environment(1);
    (void)setenv("OPENAI_BASE_URL", "ftp://x", 1);
    assert_ok(model_keys_take(&keys, &err), err);
    assert_null(gateway_start(&options, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    options.prices_file = NULL;
    assert_null(gateway_start(&options, &err));
    assert_non_null(strstr(err.text, "OPENAI_BASE_URL"));
    model_keys_done(&keys);
}

TEST_MAIN(cmocka_unit_test(test_key_is_replaced_in_each_protocols_own_header),
          cmocka_unit_test(test_key_in_a_query_opens_and_stays_here),
          cmocka_unit_test(test_another_key_is_refused_and_nothing_is_sent),
          cmocka_unit_test(test_the_real_key_is_in_nothing_the_agent_sees),
          cmocka_unit_test(test_keys_leave_the_environment),
          cmocka_unit_test(test_only_headers_of_model_calls_go_out),
          cmocka_unit_test(test_answers_come_back_as_they_are_but_for_the_connections_headers),
          cmocka_unit_test(test_redirects_are_not_followed),
          cmocka_unit_test(test_the_rest_of_a_providers_api_isnt_served),
          cmocka_unit_test(test_events_arrive_one_by_one_and_are_counted),
          cmocka_unit_test(test_a_slow_agent_slows_its_provider_and_nobody_else),
          cmocka_unit_test(test_a_cut_answer_is_a_cut_for_the_agent_and_isnt_free),
          cmocka_unit_test(test_silence_is_a_504_and_no_provider_a_502),
          cmocka_unit_test(test_an_agent_that_goes_ends_its_call),
          cmocka_unit_test(test_stopping_ends_calls_that_wait),
          cmocka_unit_test(test_a_body_over_the_limit_is_a_413),
          cmocka_unit_test(test_headers_over_the_limit_are_refused),
          cmocka_unit_test(test_too_many_requests_at_once_are_a_429),
          cmocka_unit_test(test_a_spent_budget_ends_further_calls_in_the_providers_words),
          cmocka_unit_test(test_a_budget_in_dollars_holds),
          cmocka_unit_test(test_many_agents_calls_are_all_counted),
          cmocka_unit_test(test_a_bad_prices_file_or_base_url_is_told))
