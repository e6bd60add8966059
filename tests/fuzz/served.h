/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_SERVED_H
#define FUZZ_SERVED_H
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/rate.h"
#include "base/log.h"
#include "fuzz.h"
#include "launched.h"
#include "server.h"

/*
 * The whole server for a fuzz target: its routes, its database, nothing launched, and a unix
 * socket to say things to, as that has no ports to run out of. It is made anew now and then, so
 * that its queue has room; the first run of it is launched, and `run` is its runner.
 */
struct served {
    struct test_server *server;
    struct httpd *httpd;
    char *socket;
    char *dispatch_token;
    char *admin_token;
    struct launched run;
    int n_calls;
};

#define SERVED_CALLS_MAX 2000
#define SERVED_QUEUE (2 * SERVED_CALLS_MAX)
#define SERVED_ANSWER_MAX_BYTES (8 * 1024 * 1024)
#define SERVED_WAIT_MS 9000
/* One that hangs up half way is cut then. */
#define SERVED_DEADLINE_MS 20

static inline void served_close(struct served *served)
{
    if (!served->server)
        return;
    (void)httpd_stop(served->httpd, 0);
    httpd_free(served->httpd);
    launched_done(&served->run);
    free(served->socket);
    free(served->dispatch_token);
    free(served->admin_token);
    test_server_free(served->server);
    *served = (struct served){0};
}

static inline void served_open(struct served *served)
{
    static const struct test_server_options quiet = {.max_workers = -1,
                                                     .max_queue_size = SERVED_QUEUE,
                                                     .github_api_url = "http://127.0.0.1:9"};
    struct err err = {0};
    struct httpd_options options = {.connections_max = 8,
                                    .connections_per_address_max = 8,
                                    .request_deadline_ms = SERVED_DEADLINE_MS,
                                    .routes = public_routes,
                                    .n_routes = n_public_routes,
                                    .workers = 1,
                                    .authorize = authorize,
                                    .principal_free = principal_free};

    served->server = test_server_new(&quiet);
    rate_free(TAKE(served->server->rate));
    served->server->app.rate = NULL;
    served->socket = xasprintf("%s/fuzz.sock", served->server->dir);
    options.unix_socket = served->socket;
    options.app = &served->server->app;
    served->httpd = httpd_start(&options, &err);
    if (!served->httpd)
        abort();
    served->dispatch_token = test_server_token(served->server, "octo/hello");
    served->admin_token = test_server_admin(served->server);
    launch(&served->run, served->server, "Fix it");
}

static struct served served_one;

static inline void served_end(void)
{
    served_close(&served_one);
}

/* The server, for one more call. */
static inline struct served *served_get(void)
{
    static bool known;

    log_set_level(LOG_LEVEL_ERROR);
    if (served_one.n_calls++ % SERVED_CALLS_MAX == 0) {
        served_close(&served_one);
        served_open(&served_one);
        served_one.n_calls = 1;
    }
    /* Not before OpenSSL's own end is registered: its threads here go first. */
    if (!known)
        (void)atexit(served_end);
    known = true;
    return &served_one;
}

static inline int served_connect(const struct served *served)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", served->socket);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
        abort();
    return fd;
}

/* Streams go on; that one has begun is all there is to see. */
static inline bool served_is_stream(const struct buf *answer)
{
    return answer->size
           && memmem(answer->data, answer->size, "X-Accel-Buffering",
                     sizeof("X-Accel-Buffering") - 1);
}

/* Says it all and hangs up; what came back is in `answer`. One that never comes is a fault. */
static inline void served_say(const struct served *served, const char *text, size_t size,
                              struct buf *answer)
{
    int fd = served_connect(served);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char piece[16384];
    ssize_t got = 1;

    (void)send(fd, text, size, MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    while (got > 0 && answer->size < SERVED_ANSWER_MAX_BYTES && !served_is_stream(answer)) {
        if (poll(&wait, 1, SERVED_WAIT_MS) == 0)
            abort();
        got = recv(fd, piece, sizeof(piece), 0);
        if (got > 0)
            buf_append(answer, piece, (size_t)got);
    }
    (void)close(fd);
}

static inline bool served_begins(const char *text, size_t size, const char *with)
{
    return size >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

/* The status of the first answer; 0: there was none. What a stranger sends is never our own
 * mistake, and what comes back is HTTP. */
static inline int served_status(const struct buf *answer)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    static const char begin[] = "HTTP/1.1 ";
    const char *text = answer->data;
    size_t size = answer->size;
    int status;

    if (size && served_begins(text, size, go_on)) {
        text += sizeof(go_on) - 1;
        size -= sizeof(go_on) - 1;
    }
    if (!size)
        return 0;
    if (!served_begins(text, size, begin) || size < sizeof(begin) + 3)
        abort();
    status = (text[9] - '0') * 100 + (text[10] - '0') * 10 + text[11] - '0';
    if (status < 200 || status > 599 || status == 500)
        abort();
    return status;
}
#endif
