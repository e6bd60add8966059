/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/tool_server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/log.h"
#include "mcp/session.h"
#include "text/text_list.h"

#define LISTEN_BACKLOG 16
#define ACCEPT_AGAIN_AFTER_US 100000

struct tool_server {
    struct tool_list tools;
    struct session_world world;
    char *path;
    int directory_fd;
    int listen_fd;

    pthread_mutex_t lock;
    pthread_cond_t left; /* a thread has */
    int threads;         /* the one that accepts, and those of connections */
    int connections[TOOL_SERVER_CONNECTIONS_MAX]; /* -1: free */
    bool stopping;
};

struct connection {
    struct tool_server *server;
    int place;
};

/* --- Connections -------------------------------------------------------------------------- */

/* The server may be gone after this. */
static void leave(struct tool_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->threads--;
    (void)pthread_cond_signal(&server->left);
    (void)pthread_mutex_unlock(&server->lock);
}

static void *serve(void *ctx)
{
    struct connection *connection = ctx;
    struct tool_server *server = connection->server;
    int place = connection->place;
    int fd = server->connections[place]; /* ours until we free the place */

    free(connection);
    session_serve(&server->world, fd);
    (void)pthread_mutex_lock(&server->lock);
    server->connections[place] = -1;
    (void)pthread_mutex_unlock(&server->lock);
    (void)close(fd);
    leave(server);
    return NULL;
}

/* Under the lock. False when there is no place for it. */
static bool take_connection(struct tool_server *server, int fd)
{
    struct connection *connection = xcalloc(1, sizeof(*connection));

    connection->server = server;
    while (connection->place < TOOL_SERVER_CONNECTIONS_MAX
           && server->connections[connection->place] >= 0)
        connection->place++;
    if (server->stopping || connection->place == TOOL_SERVER_CONNECTIONS_MAX) {
        free(connection);
        return false;
    }
    server->connections[connection->place] = fd;
    if (session_start_thread(serve, connection) < 0) {
        server->connections[connection->place] = -1;
        free(connection);
        return false;
    }
    server->threads++;
    return true;
}

static bool is_stopping(struct tool_server *server)
{
    bool stopping;

    (void)pthread_mutex_lock(&server->lock);
    stopping = server->stopping;
    (void)pthread_mutex_unlock(&server->lock);
    return stopping;
}

static void *accept_all(void *ctx)
{
    struct tool_server *server = ctx;

    while (!is_stopping(server)) {
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        bool taken;

        if (fd < 0) {
            if (!is_stopping(server))
                (void)usleep(ACCEPT_AGAIN_AFTER_US); /* no descriptors, say */
            continue;
        }
        (void)pthread_mutex_lock(&server->lock);
        taken = take_connection(server, fd);
        (void)pthread_mutex_unlock(&server->lock);
        if (!taken)
            (void)close(fd);
    }
    leave(server);
    return NULL;
}

/* --- Starting ----------------------------------------------------------------------------- */

/* The agent's directory may lie deeper than a socket's address can say: it is named by its
 * descriptor. */
static int listen_in(struct tool_server *server, const char *directory, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    server->path = xasprintf("%s/" TOOL_SERVER_SOCKET_NAME, directory);
    server->directory_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->directory_fd < 0 || server->listen_fd < 0)
        return err_set_errno(err, errno, "%s", directory);
    (void)snprintf(address.sun_path, sizeof(address.sun_path),
                   "/proc/self/fd/%d/" TOOL_SERVER_SOCKET_NAME, server->directory_fd);
    (void)unlinkat(server->directory_fd, TOOL_SERVER_SOCKET_NAME, 0);
    if (bind(server->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0
        || fchmodat(server->directory_fd, TOOL_SERVER_SOCKET_NAME, 0666, 0) < 0
        || listen(server->listen_fd, LISTEN_BACKLOG) < 0)
        return err_set_errno(err, errno, "listening on %s", server->path);
    return 0;
}

static int open_net(struct tool_server *server, const struct tool_server_options *options,
                    struct err *err)
{
    scoped_text_list ranges = {0};
    struct net_options net_options = {
        .user_agent = "dispatch-runner/" DISPATCH_VERSION,
        .ca_file = options->ca_file,
    };
    const cJSON *range;

    cJSON_ArrayForEach(range, options->allowed_private)
    {
        if (!cJSON_IsString(range))
            return err_set(err, ERR_INVALID, "allow_private_urls: expected strings");
        text_list_add(&ranges, "%s", range->valuestring);
    }
    net_options.allowed_private = text_list_view(&ranges);
    server->world.caller.net = net_new(&net_options, err);
    return server->world.caller.net ? 0 : -1;
}

static int start(struct tool_server *server, const struct tool_server_options *options,
                 struct err *err)
{
    if (tool_list_read(&server->tools, options->tools, options->headers, options->redaction,
                       err)
            < 0
        || open_net(server, options, err) < 0 || listen_in(server, options->directory, err) < 0)
        return -1;
    server->world.tools = &server->tools;
    server->world.caller.events = options->events;
    server->world.caller.redaction = options->redaction;
    server->world.caller.timeout_ms = options->call_timeout_ms;
    server->threads = 1;
    if (session_start_thread(accept_all, server) == 0)
        return 0;
    server->threads = 0;
    return err_set(err, ERR_INTERNAL, "no thread to be had");
}

static void wipe_values(cJSON *headers)
{
    cJSON *value;

    cJSON_ArrayForEach(value, headers)
    {
        if (cJSON_IsString(value))
            secret_wipe(value->valuestring, strlen(value->valuestring));
        wipe_values(value);
    }
}

struct tool_server *tool_server_start(const struct tool_server_options *options,
                                      struct err *err)
{
    scoped(tool_server) server = xcalloc(1, sizeof(*server));
    int result;

    (void)pthread_mutex_init(&server->lock, NULL);
    (void)pthread_cond_init(&server->left, NULL);
    server->directory_fd = -1;
    server->listen_fd = -1;
    for (int i = 0; i < TOOL_SERVER_CONNECTIONS_MAX; i++)
        server->connections[i] = -1;
    result = start(server, options, err);
    wipe_values(options->headers);
    cJSON_Delete(options->headers);
    if (result < 0) {
        err_wrap(err, "the tool server");
        return NULL;
    }
    log_info("tools are served", KV("tools", server->tools.n));
    return TAKE(server);
}

/* --- Ending ------------------------------------------------------------------------------- */

static void end_threads(struct tool_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->stopping = true;
    if (server->listen_fd >= 0)
        (void)shutdown(server->listen_fd, SHUT_RDWR);
    for (int i = 0; i < TOOL_SERVER_CONNECTIONS_MAX; i++)
        if (server->connections[i] >= 0)
            (void)shutdown(server->connections[i], SHUT_RDWR);
    while (server->threads > 0)
        (void)pthread_cond_wait(&server->left, &server->lock);
    (void)pthread_mutex_unlock(&server->lock);
}

void tool_server_free(struct tool_server *server)
{
    if (!server)
        return;
    if (server->world.caller.net)
        net_stop(server->world.caller.net);
    end_threads(server);
    net_free(server->world.caller.net);
    if (server->listen_fd >= 0)
        (void)close(server->listen_fd);
    if (server->directory_fd >= 0) {
        (void)unlinkat(server->directory_fd, TOOL_SERVER_SOCKET_NAME, 0);
        (void)close(server->directory_fd);
    }
    tool_list_done(&server->tools);
    free(server->path);
    (void)pthread_cond_destroy(&server->left);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *tool_server_socket(const struct tool_server *server)
{
    return server->path;
}
