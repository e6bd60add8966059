/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatchd token create|list|revoke. One process writes a database: while a dispatchd serves
 * it, this command asks that one over its control socket; else it takes the lock itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "command/command.h"
#include "config/config.h"
#include "net/net.h"
#include "service/integration_tokens.h"
#include "store/lock.h"

/* How long a dispatchd that holds the lock may take to open its socket. */
#define SOCKET_WAIT_MS 5000
#define SOCKET_RETRY_US 20000

static const char usage[] =
    "usage: dispatchd token create --repo OWNER/NAME [--installation-id N] [--name S]\n"
    "       dispatchd token list\n"
    "       dispatchd token revoke PREFIX|ID\n"
    "       (each also takes --config FILE)\n";

enum action { TOKEN_CREATE, TOKEN_LIST, TOKEN_REVOKE };

struct order {
    enum action action;
    struct token_wish wish;
    const char *which;
};

/* --- Doing it, one way or the other
 * ------------------------------------------------------------ */

static cJSON *do_here(const struct order *order, struct db *db, struct err *err)
{
    scoped(token_store) tokens = token_store_open(db, err);
    scoped(secret) made = NULL;

    if (!tokens)
        return NULL;
    switch (order->action) {
    case TOKEN_CREATE:
        made = integration_token_mint(tokens, &order->wish, err);
        return made ? jobj({"token", jstr(secret_reveal(made))}) : NULL;
    case TOKEN_LIST:
        return integration_tokens_json(tokens, err);
    case TOKEN_REVOKE:
        if (token_store_revoke(tokens, order->which, clock_wall_ms(), err) < 0)
            return NULL;
        return jobj({"revoked", jstr(order->which)});
    }
    return NULL;
}

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

static int ask(struct net *net, const char *socket, const struct order *order,
               struct net_answer *out, struct err *err)
{
    scoped_json wish = order->action == TOKEN_CREATE ? token_wish_json(&order->wish) : NULL;
    scoped_str body = wish ? json_text(wish) : NULL;
    scoped_str which = order->which ? net_escape(order->which) : xstrdup("");
    scoped_str url =
        xasprintf("http://dispatchd/admin/v1/tokens%s%s", order->which ? "/" : "", which);
    struct net_request request = {
        .method = order->action == TOKEN_CREATE ? "POST"
                  : order->action == TOKEN_LIST ? "GET"
                                                : "DELETE",
        .url = url,
        .body = body,
        .body_size = body ? strlen(body) : 0,
        .unix_socket = socket,
        .timeout_ms = 10000,
        .tries_max = 1,
        .answer_max_bytes = 64 * 1024 * 1024,
    };

    return net_call(net, &request, out, err);
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

static cJSON *do_there(const struct order *order, const char *socket, struct err *err)
{
    struct net_options options = {.user_agent = "dispatchd/" DISPATCH_VERSION};
    scoped_fd folder_fd = open_folder_of(socket);
    scoped_str name = reachable_name(socket, folder_fd);
    scoped(net) net = net_new(&options, err);
    scoped_net_answer answer = {0};

    if (!net || ask(net, name, order, &answer, err) < 0)
        return NULL;
    return read_answer(&answer, err);
}

/* Whoever holds the lock may just be starting, or just have stopped: try both in turn. */
static cJSON *do_order(const struct order *order, const struct config *config, struct err *err)
{
    scoped_str socket = control_socket_path(config->database);
    int64_t until_ms = clock_monotonic_ms() + SOCKET_WAIT_MS;

    for (;;) {
        scoped(store_lock) lock = store_lock_take(config->database, 0, err);
        cJSON *answer;

        if (lock) {
            scoped(db) db = db_open(config->database, err);

            return db ? do_here(order, db, err) : NULL;
        }
        if (err->kind != ERR_CONFLICT)
            return NULL;
        answer = do_there(order, socket, err);
        if (answer || err->kind == ERR_INVALID || clock_monotonic_ms() > until_ms)
            return answer;
        (void)usleep(SOCKET_RETRY_US);
    }
}

/* --- Arguments
 * --------------------------------------------------------------------------------- */

static bool take_value(const char *flag, char *const **argv, const char **out)
{
    size_t length = strlen(flag);

    if (strncmp(**argv, flag, length) != 0)
        return false;
    if ((**argv)[length] == '=') {
        *out = **argv + length + 1;
        (*argv)++;
        return true;
    }
    if ((**argv)[length] || !(*argv)[1])
        return false;
    *out = (*argv)[1];
    *argv += 2;
    return true;
}

static int read_installation(const char *text, int64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno || end == text || *end || *out < 1 ? -1 : 0;
}

struct arguments {
    const char *repo;
    const char *name;
    const char *installation;
    const char *config;
    const char *which;
};

static int read_arguments(char *const *argv, struct arguments *out)
{
    while (*argv) {
        if (take_value("--repo", &argv, &out->repo) || take_value("--name", &argv, &out->name)
            || take_value("--installation-id", &argv, &out->installation)
            || take_value("--config", &argv, &out->config))
            continue;
        if (**argv == '-' || out->which)
            return -1;
        out->which = *argv++;
    }
    return 0;
}

static const char *who_am_i(void)
{
    const struct passwd *user = getpwuid(getuid());

    return user ? user->pw_name : "unknown";
}

/* True when the words fit the action. */
static bool read_order(char *const *argv, struct order *order, struct arguments *given)
{
    const char *action = argv[0] ? argv[0] : "";

    if (read_arguments(argv[0] ? argv + 1 : argv, given) < 0)
        return false;
    order->which = given->which;
    if (strcmp(action, "list") == 0) {
        order->action = TOKEN_LIST;
        return !given->which && !given->repo && !given->name && !given->installation;
    }
    if (strcmp(action, "revoke") == 0) {
        order->action = TOKEN_REVOKE;
        return given->which && *given->which && !given->repo && !given->name
               && !given->installation;
    }
    order->action = TOKEN_CREATE;
    order->wish =
        (struct token_wish){.repo = given->repo, .name = given->name, .created_by = who_am_i()};
    return strcmp(action, "create") == 0 && !given->which && given->repo
           && (!given->installation
               || read_installation(given->installation, &order->wish.installation_id) == 0);
}

/* --- Output
 * ------------------------------------------------------------------------------------ */

static const char *or_dash(const cJSON *object, const char *key)
{
    const char *text = json_get_str(object, key);

    return text ? text : "-";
}

static void print_list(const cJSON *answer)
{
    const cJSON *token;

    printf("%-6s %-12s  %-32s %-24s %-24s %-24s %s\n", "ID", "PREFIX", "REPOSITORY", "CREATED",
           "LAST USED", "REVOKED", "NAME");
    cJSON_ArrayForEach(token, json_get(answer, "tokens"))
    {
        printf("%-6s %-12s  %-32s %-24s %-24s %-24s %s\n", or_dash(token, "id"),
               or_dash(token, "display_prefix"), or_dash(token, "repo"),
               or_dash(token, "created_at"), or_dash(token, "last_used_at"),
               or_dash(token, "revoked_at"), or_dash(token, "name"));
    }
}

static int print_answer(const struct order *order, const cJSON *answer)
{
    switch (order->action) {
    case TOKEN_CREATE:
        printf("%s\n", json_get_str(answer, "token"));
        break;
    case TOKEN_LIST:
        print_list(answer);
        break;
    case TOKEN_REVOKE:
        printf("revoked %s\n", order->which);
        break;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

int command_token(char *const *argv)
{
    struct err err = {0};
    struct order order = {0};
    struct arguments given = {0};
    scoped_config config = {0};
    scoped_str config_flag = NULL;
    char *config_argv[2] = {NULL, NULL};

    if (!read_order(argv, &order, &given)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    if (given.config) {
        config_flag = xasprintf("--config=%s", given.config);
        config_argv[0] = config_flag;
    }
    log_set_level(LOG_LEVEL_WARN); /* stdout and stderr belong to the answer */
    if (config_load(&config, config_argv, &err) < 0)
        return command_quit("configuration", &err);
    scoped_json answer = do_order(&order, &config, &err);
    return answer ? print_answer(&order, answer) : command_quit("token", &err);
}
