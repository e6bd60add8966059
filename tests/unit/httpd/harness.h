/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_HARNESS_H
#define HTTPD_HARNESS_H
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "httpd/httpd.h"

/*
 * A server with one route for each thing a handler may do, and a client that sends bytes as
 * they are. Included by each test program of this folder, which uses what it needs.
 */
#define MAYBE __attribute__((unused))
#define ANSWER_MS 60000 /* no answer within this is a failure, also on a busy machine */
#define LATER_MAX 4096

enum { ANYONE, MEMBERS };

struct app {
    _Atomic int n_handled;    /* calls of any handler */
    _Atomic int n_authorized; /* calls of authorize */
    _Atomic int n_principals; /* alive */
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool gate_open;
    _Atomic int n_waiting;
    _Atomic int n_later;
    struct request *later[LATER_MAX];
};

/* --- Handlers ----------------------------------------------------------------------------- */

static int say_hello(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    (void)err;
    app->n_handled++;
    *out = jobj({"hello", jstr(request_query(req, "name"))}, {"peer", jstr(request_peer(req))},
                {"agent", jstr(request_header(req, "user-agent"))});
    return 200;
}

static int show_item(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    static const char *const known[] = {"a", "b", NULL};

    app->n_handled++;
    if (request_query_only(req, known, err) < 0)
        return -1;
    *out = jobj({"id", jstr(request_param(req, "id"))}, {"path", jstr(request_path(req))},
                {"a", jstr(request_query(req, "a"))}, {"b", jstr(request_query(req, "b"))},
                {"missing", jstr(request_param(req, "nope"))});
    return 200;
}

static int show_special(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    (void)req;
    (void)err;
    app->n_handled++;
    *out = jobj({"special", jbool(true)});
    return 200;
}

static int echo(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    (void)err;
    app->n_handled++;
    if (!request_body(req))
        return 204;
    *out = cJSON_Duplicate(request_body(req), true);
    return 201;
}

static int measure(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    size_t size = 0;

    (void)err;
    app->n_handled++;
    (void)request_body_text(req, &size);
    *out = jobj({"size", jint((int64_t)size)}, {"parsed", jbool(request_body(req) != NULL)});
    return 200;
}

static int send_text(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    size_t size = (size_t)strtoul(request_param(req, "size"), NULL, 10);
    char *text = xcalloc(1, size + 1);

    (void)out;
    (void)err;
    app->n_handled++;
    memset(text, 'x', size);
    request_set_text(req, "text/plain; charset=utf-8", text, size);
    request_set_header(req, "X-Extra", "one");
    request_set_header(req, "Cache-Control", "max-age=60");
    return 200;
}

static int fail_as_asked(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    (void)out;
    app->n_handled++;
    (void)err_set(err, (enum err_kind)atoi(request_param(req, "kind")), "it went wrong");
    if (request_query(req, "field"))
        (void)err_set_field(err, request_query(req, "field"), "too odd");
    if (request_query(req, "after"))
        err->retry_after_s = atoi(request_query(req, "after"));
    if (request_query(req, "coded"))
        err->code = "odd_one";
    return -1;
}

static int return_status(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    (void)out;
    (void)err;
    app->n_handled++;
    return atoi(request_param(req, "status"));
}

static int answer_later(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    (void)out;
    (void)err;
    app->n_handled++;
    (void)pthread_mutex_lock(&app->lock);
    app->later[app->n_later] = req;
    app->n_later++; /* after it: tests look without the lock */
    (void)pthread_mutex_unlock(&app->lock);
    return REPLY_LATER;
}

static int answer_from_within(struct app *app, struct request *req, cJSON **out,
                              struct err *err)
{
    (void)out;
    (void)err;
    app->n_handled++;
    request_finish(req, 202, jobj({"within", jbool(true)}), NULL);
    return REPLY_LATER;
}

static int wait_at_gate(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    (void)err;
    app->n_handled++;
    app->n_waiting++;
    (void)pthread_mutex_lock(&app->lock);
    while (!app->gate_open)
        (void)pthread_cond_wait(&app->opened, &app->lock);
    (void)pthread_mutex_unlock(&app->lock);
    app->n_waiting--;
    *out = jobj({"id", jstr(request_id(req))}, {"agent", jstr(request_header(req, "X-Tag"))});
    return 200;
}

static int authorize(struct app *app, struct request *req, int scope, struct err *err)
{
    const char *bearer = request_bearer(req);

    app->n_authorized++;
    if (scope == ANYONE)
        return 0;
    if (!bearer)
        return err_set(err, ERR_UNAUTHENTICATED, "a token is needed");
    if (strcmp(bearer, "good") != 0)
        return err_set(err, ERR_DENIED, "this token may not do that");
    app->n_principals++;
    request_set_principal(req, app);
    return 0;
}

static void principal_free(void *principal)
{
    ((struct app *)principal)->n_principals--;
}

static const struct route test_routes[] = {
    {HTTP_GET, "/inline", ANYONE, ROUTE_INLINE, say_hello, ""},
    {HTTP_GET, "/worker", ANYONE, 0, say_hello, ""},
    {HTTP_GET, "/items/{id}", ANYONE, ROUTE_INLINE, show_item, ""},
    {HTTP_PUT, "/items/{id}", ANYONE, ROUTE_INLINE, echo, ""},
    {HTTP_GET, "/items/special", ANYONE, ROUTE_INLINE, show_special, ""},
    {HTTP_GET, "/items/{id}/parts/{part}", ANYONE, ROUTE_INLINE, show_item, ""},
    {HTTP_POST, "/echo", ANYONE, 0, echo, ""},
    {HTTP_POST, "/members/echo", MEMBERS, 0, echo, ""},
    {HTTP_POST, "/members/inline", MEMBERS, ROUTE_INLINE, echo, ""},
    {HTTP_POST, "/measure", ANYONE, ROUTE_NO_BODY, measure, ""},
    {HTTP_GET, "/text/{size}", ANYONE, 0, send_text, ""},
    {HTTP_GET, "/fail/{kind}", ANYONE, ROUTE_INLINE, fail_as_asked, ""},
    {HTTP_GET, "/status/{status}", ANYONE, 0, return_status, ""},
    {HTTP_GET, "/later", ANYONE, ROUTE_INLINE, answer_later, ""},
    {HTTP_GET, "/within", ANYONE, ROUTE_INLINE, answer_from_within, ""},
    {HTTP_GET, "/gate", ANYONE, 0, wait_at_gate, ""},
    {HTTP_GET, "/api/v1/fail/{kind}", ANYONE, ROUTE_V1_ERRORS, fail_as_asked, ""},
    {HTTP_POST, "/api/v1/echo", ANYONE, ROUTE_V1_ERRORS, echo, ""},
};

/* --- The server --------------------------------------------------------------------------- */

MAYBE static struct app *app_new(void)
{
    struct app *app = xcalloc(1, sizeof(*app));

    json_setup();
    (void)pthread_mutex_init(&app->lock, NULL);
    (void)pthread_cond_init(&app->opened, NULL);
    return app;
}

MAYBE static void app_free(struct app *app)
{
    assert_int_equal(app->n_principals, 0);
    (void)pthread_cond_destroy(&app->opened);
    (void)pthread_mutex_destroy(&app->lock);
    free(app);
}

MAYBE static void open_gate(struct app *app)
{
    (void)pthread_mutex_lock(&app->lock);
    app->gate_open = true;
    (void)pthread_cond_broadcast(&app->opened);
    (void)pthread_mutex_unlock(&app->lock);
}

MAYBE static struct httpd_options test_options(struct app *app)
{
    return (struct httpd_options){
        .address = "127.0.0.1",
        .workers = 4,
        .app = app,
        .routes = test_routes,
        .n_routes = ARRAY_SIZE(test_routes),
        .authorize = authorize,
        .principal_free = principal_free,
    };
}

MAYBE static struct httpd *start_with(const struct httpd_options *options)
{
    struct err err = {0};
    struct httpd *httpd = httpd_start(options, &err);

    assert_made(httpd, err);
    return httpd;
}

MAYBE static struct httpd *start(struct app *app)
{
    struct httpd_options options = test_options(app);

    return start_with(&options);
}

/* --- The client --------------------------------------------------------------------------- */

MAYBE static int connect_to(const struct httpd *httpd)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)httpd_port(httpd)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* False when the other side has closed. */
MAYBE static bool send_bytes(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);

        if (sent < 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

MAYBE static bool send_str(int fd, const char *text)
{
    return send_bytes(fd, text, strlen(text));
}

/* What came next: the bytes received, 0 for the end, -1 for a reset. */
MAYBE static ssize_t receive(int fd, char *to, size_t room)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    if (poll(&ready, 1, ANSWER_MS) != 1)
        fail_msg("nothing came within %d ms", ANSWER_MS);
    return recv(fd, to, room, 0);
}

struct answer {
    int status; /* 0: the connection ended instead */
    char *head;
    char *body;
};

MAYBE static void answer_done(struct answer *answer)
{
    free(answer->head);
    free(answer->body);
}
#define scoped_answer __attribute__((cleanup(answer_done))) struct answer

/* The value of a header; NULL: it isn't there. Valid until the next call of the thread. */
MAYBE static const char *header_of(const struct answer *answer, const char *name)
{
    static _Thread_local char value[512];
    size_t length = strlen(name);

    for (const char *line = answer->head; (line = strstr(line, "\r\n")); line += 2) {
        if (strncasecmp(line + 2, name, length) != 0 || line[2 + length] != ':')
            continue;
        (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(line + length + 4, "\r"),
                       line + length + 4);
        return value;
    }
    return NULL;
}

static bool read_exactly(int fd, struct buf *to, size_t count)
{
    char piece[16384];

    while (count) {
        ssize_t got = receive(fd, piece, count < sizeof(piece) ? count : sizeof(piece));

        if (got <= 0)
            return false;
        buf_append(to, piece, (size_t)got);
        count -= (size_t)got;
    }
    return true;
}

/* One answer and not a byte more. */
MAYBE static struct answer read_answer(int fd)
{
    scoped_buf head = {0};
    scoped_buf body = {0};
    struct answer answer = {0};
    const char *length;

    while (!head.data || !strstr(head.data, "\r\n\r\n"))
        if (!read_exactly(fd, &head, 1))
            return answer;
    answer.head = buf_take(&head);
    answer.status = atoi(answer.head + strlen("HTTP/1.1 "));
    if (answer.status == 100) {
        answer_done(&answer);
        return read_answer(fd);
    }
    length = header_of(&answer, "Content-Length");
    if (length && !read_exactly(fd, &body, strtoul(length, NULL, 10)))
        fail_msg("the answer ends early: %s", answer.head);
    answer.body = buf_take(&body);
    return answer;
}

/* Throws away what comes until the server ends the connection. */
MAYBE static void assert_closed(int fd)
{
    char away[4096];

    while (receive(fd, away, sizeof(away)) > 0)
        ;
}

/* Not closed, and nothing came. */
MAYBE static bool is_still_open(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

/* Sends and reads one answer on a connection of its own. */
MAYBE static struct answer ask(const struct httpd *httpd, const char *request)
{
    scoped_fd fd = connect_to(httpd);

    (void)send_str(fd, request);
    return read_answer(fd);
}

MAYBE static struct answer get(const struct httpd *httpd, const char *path)
{
    scoped_str request = xasprintf("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);

    return ask(httpd, request);
}

MAYBE static struct answer post(const struct httpd *httpd, const char *path,
                                const char *headers, const char *body)
{
    scoped_str request = xasprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n"
                                   "%s\r\n%s",
                                   path, strlen(body), headers, body);

    return ask(httpd, request);
}

MAYBE static struct httpd_stats stats_of(const struct httpd *httpd)
{
    struct httpd_stats stats;

    httpd_stats(httpd, &stats);
    return stats;
}
#endif
