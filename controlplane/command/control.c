/* SPDX-License-Identifier: Apache-2.0 */
#include "command/control.h"

#include <fcntl.h>
#include <string.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "command/command.h"
#include "net/net.h"
#include "store/lock.h"

/* How long a dispatchd that holds the lock may take to open its socket. */
#define SOCKET_WAIT_MS 5000
#define SOCKET_RETRY_US 20000
#define ANSWER_MAX_BYTES ((size_t)64 * 1024 * 1024)

/* A socket's address holds 107 bytes; through /proc the folder's own length doesn't count. */
static char *reachable_name(const char *socket, int folder_fd)
{
    if (strlen(socket) < sizeof(((struct sockaddr_un *)NULL)->sun_path) || folder_fd < 0)
        return xstrdup(socket);
    return xasprintf("/proc/self/fd/%d/%s", folder_fd, strrchr(socket, '/') + 1);
}

static int open_folder_of(const char *socket)
{
    const char *slash = strrchr(socket, '/');
    scoped_str folder = slash ? xstrndup(socket, (size_t)(slash - socket) + 1) : NULL;

    return folder ? open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
}

static cJSON *read_answer(const struct net_answer *answer, struct err *err)
{
    cJSON *document = net_answer_json(answer, err);

    if (!document || answer->status < 300)
        return document;
    (void)err_set(err, ERR_INVALID, "%s",
                  json_get_str(document, "error") ? json_get_str(document, "error")
                                                  : "dispatchd refused");
    cJSON_Delete(document);
    return NULL;
}

static cJSON *do_there(const struct control_call *call, const char *socket, struct err *err)
{
    struct net_options options = {.user_agent = "dispatchd/" DISPATCH_VERSION};
    scoped_fd folder_fd = open_folder_of(socket);
    scoped_str name = reachable_name(socket, folder_fd);
    scoped_str url = xasprintf("http://dispatchd%s", call->path);
    scoped(net) net = net_new(&options, err);
    scoped_net_answer answer = {0};
    struct net_request request = {
        .method = call->method,
        .url = url,
        .body = call->body,
        .body_size = call->body ? strlen(call->body) : 0,
        .unix_socket = name,
        .timeout_ms = call->timeout_ms,
        .tries_max = 1,
        .answer_max_bytes = ANSWER_MAX_BYTES,
    };

    if (!net || net_call(net, &request, &answer, err) < 0)
        return NULL;
    return read_answer(&answer, err);
}

static cJSON *do_here(const struct control_call *call, const struct config *config,
                      struct err *err)
{
    scoped(db) db = db_open(config->database, err);

    return db ? call->here(db, call->ctx, err) : NULL;
}

/* Whoever holds the lock may just be starting, or just have stopped: try both in turn. */
cJSON *control_do(const struct config *config, const struct control_call *call, struct err *err)
{
    scoped_str socket = control_socket_path(config->database);
    int64_t until_ms = clock_monotonic_ms() + SOCKET_WAIT_MS;

    for (;;) {
        scoped(store_lock) lock = store_lock_take(config->database, 0, err);
        cJSON *answer;

        if (lock)
            return do_here(call, config, err);
        if (err->kind != ERR_CONFLICT)
            return NULL;
        answer = do_there(call, socket, err);
        if (answer || err->kind == ERR_INVALID || clock_monotonic_ms() > until_ms)
            return answer;
        (void)usleep(SOCKET_RETRY_US);
    }
}

int control_config(const char *file, struct config *out, struct err *err)
{
    scoped_str flag = file ? xasprintf("--config=%s", file) : NULL;
    char *const argv[] = {flag, NULL};

    log_set_level(LOG_LEVEL_WARN); /* stdout and stderr belong to the answer */
    return config_load(out, argv, err);
}
