/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_NET_SERVER_H
#define UNIT_NET_SERVER_H
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"

/*
 * A server that says exactly what a test wants it to, byte by byte. Each connection has a
 * thread, which calls `serve` once; what that returns from is closed.
 */
#define SERVER_CONNECTIONS_MAX 256

struct server;

struct conn {
    struct server *server;
    int fd;
    int number; /* the first is 1 */
    pthread_t thread;
};

struct server {
    void (*serve)(struct conn *conn);
    const char *say; /* for serve_say */
    void *ctx;       /* for the test's own */
    int fd;
    int port;
    pthread_t thread;
    _Atomic int connections;
    _Atomic int requests;
    _Atomic bool let_go; /* set when a serve that waits should go on */
    struct conn conns[SERVER_CONNECTIONS_MAX];
    pthread_mutex_t lock;
    struct buf seen; /* every request, as it came */
};

static void *serve_conn(void *ctx)
{
    struct conn *conn = ctx;
    sigset_t block;

    sigemptyset(&block); /* OpenSSL writes with write(2) */
    sigaddset(&block, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &block, NULL);
    conn->server->serve(conn);
    (void)shutdown(conn->fd, SHUT_RDWR); /* closed at the end: its number stays ours */
    return NULL;
}

static void *accept_all(void *ctx)
{
    struct server *server = ctx;
    int fd;

    while ((fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        int number = server->connections + 1;
        struct conn *conn = &server->conns[number - 1];

        if (number > SERVER_CONNECTIONS_MAX)
            abort();
        *conn = (struct conn){.server = server, .fd = fd, .number = number};
        server->connections = number;
        if (pthread_create(&conn->thread, NULL, serve_conn, conn) != 0)
            abort();
    }
    return NULL;
}

static void server_listen(struct server *server, const struct sockaddr *address, socklen_t size)
{
    (void)pthread_mutex_init(&server->lock, NULL);
    server->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->fd >= 0);
    assert_int_equal(bind(server->fd, address, size), 0);
    assert_int_equal(listen(server->fd, 128), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, accept_all, server), 0);
}

__attribute__((unused)) static void server_start(struct server *server,
                                                 void (*serve)(struct conn *), const char *say)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    *server = (struct server){.serve = serve, .say = say};
    server_listen(server, (struct sockaddr *)&address, size);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
}

__attribute__((unused)) static void
server_start_unix(struct server *server, void (*serve)(struct conn *), const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *server = (struct server){.serve = serve};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    server_listen(server, (struct sockaddr *)&address, sizeof(address));
}

__attribute__((unused)) static void server_stop(struct server *server)
{
    server->let_go = true;
    (void)shutdown(server->fd, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    for (int i = 0; i < server->connections; i++) {
        (void)shutdown(server->conns[i].fd, SHUT_RDWR);
        (void)pthread_join(server->conns[i].thread, NULL);
        (void)close(server->conns[i].fd);
    }
    (void)close(server->fd);
    buf_done(&server->seen);
    (void)pthread_mutex_destroy(&server->lock);
}

#define scoped_server __attribute__((cleanup(server_stop))) struct server

__attribute__((unused)) static char *server_url(const struct server *server, const char *path)
{
    return xasprintf("http://127.0.0.1:%d%s", server->port, path);
}

__attribute__((unused)) static bool server_saw(struct server *server, const char *text)
{
    bool saw;

    (void)pthread_mutex_lock(&server->lock);
    saw = server->seen.data && strstr(server->seen.data, text);
    (void)pthread_mutex_unlock(&server->lock);
    return saw;
}

/* --- What a serve is made of ---------------------------------------------------------- */

/* A whole request, its body included; false when the client is gone. */
static bool conn_read(struct conn *conn)
{
    scoped_buf got = {0};
    size_t need = SIZE_MAX;

    while (got.size < need) {
        char chunk[8192];
        ssize_t n = recv(conn->fd, chunk, sizeof(chunk), 0);
        const char *body;
        const char *length;

        if (n <= 0)
            return false;
        buf_append(&got, chunk, (size_t)n);
        body = strstr(got.data, "\r\n\r\n");
        if (!body)
            continue;
        length = strcasestr(got.data, "content-length:");
        need = (size_t)(body + 4 - got.data);
        if (length && length < body)
            need += strtoul(length + 15, NULL, 10);
    }
    (void)pthread_mutex_lock(&conn->server->lock);
    buf_append(&conn->server->seen, got.data, got.size);
    (void)pthread_mutex_unlock(&conn->server->lock);
    conn->server->requests++;
    return true;
}

static bool conn_write(struct conn *conn, const void *data, size_t size)
{
    return send(conn->fd, data, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static bool conn_say(struct conn *conn, const char *text)
{
    return conn_write(conn, text, strlen(text));
}

/* Closes with a reset instead of a goodbye. */
__attribute__((unused)) static void conn_reset(struct conn *conn)
{
    struct linger at_once = {.l_onoff = 1};
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

    (void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    (void)connect(conn->fd, &nowhere, sizeof(nowhere)); /* this resets and keeps the number */
}

/* Nothing more, until the client goes or the test is over. */
__attribute__((unused)) static void conn_hang(struct conn *conn)
{
    char byte;

    while (recv(conn->fd, &byte, 1, 0) > 0)
        ;
}

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* Answers server->say (or hello) to everything, on one connection. */
__attribute__((unused)) static void serve_say(struct conn *conn)
{
    while (conn_read(conn) && conn_say(conn, conn->server->say ? conn->server->say : OK_HELLO))
        ;
}
#endif
