/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/log.h"
#include "crypto/random.h"
#include "gateway/exchange.h"

#define KEY_PREFIX "dispatch-run-"
#define THREAD_STACK_BYTES ((size_t)256 * 1024)
#define LISTEN_BACKLOG 64

/* --- libmicrohttpd's calls ---------------------------------------------------------------- */

static void *on_request_line(void *self, const char *uri, struct MHD_Connection *connection)
{
    (void)connection;
    return exchange_new(self, uri);
}

static enum MHD_Result on_request(void *self, struct MHD_Connection *connection,
                                  const char *url, const char *method, const char *version,
                                  const char *data, size_t *size, void **request)
{
    struct exchange *exchange = *request;
    enum MHD_Result result;

    (void)self;
    (void)url;
    (void)version;
    if (!exchange_has_begun(exchange))
        return exchange_begin(exchange, connection, method);
    if (!*size)
        return exchange_answer(exchange);
    result = exchange_take(exchange, data, *size);
    *size = 0;
    return result;
}

static void on_completed(void *self, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode why)
{
    (void)self;
    exchange_free(*request);
    *request = NULL;
    if (why == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        (void)MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
                                        (unsigned)GATEWAY_IDLE_S);
}

static void hear(void *cls, const char *fmt, va_list args) PRINTF_LIKE(2, 0);

/* Mostly about connections that break off. */
static void hear(void *cls, const char *fmt, va_list args)
{
    char said[256];

    (void)cls;
    if (!log_enabled(LOG_LEVEL_DEBUG))
        return;
    (void)vsnprintf(said, sizeof(said), fmt, args);
    said[strcspn(said, "\r\n")] = '\0';
    log_debug("libmicrohttpd", KV("said", said));
}

/* --- Starting ----------------------------------------------------------------------------- */

static int listen_on_loopback(int *out_port, struct err *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    scoped_fd fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0
        || listen(fd, LISTEN_BACKLOG) < 0
        || getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return err_set_errno(err, errno, "model gateway: listening on 127.0.0.1");
    *out_port = ntohs(address.sin_port);
    return TAKE_FD(fd);
}

static int start_daemon(struct gateway *gateway, struct err *err)
{
    int fd = listen_on_loopback(&gateway->port, err);

    if (fd < 0)
        return -1;
    gateway->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL
            | MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_request, gateway, MHD_OPTION_EXTERNAL_LOGGER, hear, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)GATEWAY_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        GATEWAY_HEADERS_MAX_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)GATEWAY_IDLE_S,
        MHD_OPTION_THREAD_STACK_SIZE, THREAD_STACK_BYTES, MHD_OPTION_URI_LOG_CALLBACK,
        on_request_line, gateway, MHD_OPTION_NOTIFY_COMPLETED, on_completed, gateway,
        MHD_OPTION_END);
    if (gateway->daemon)
        return 0;
    (void)close(fd);
    return err_set(err, ERR_INTERNAL, "model gateway: libmicrohttpd can't start");
}

/* Signals are for the main thread: those started here inherit this mask. */
static int start_threads(struct gateway *gateway, const struct gateway_options *options,
                         struct err *err)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    struct net_options net_options = {
        .user_agent = "dispatch-runner/" DISPATCH_VERSION,
        .ca_file = options->ca_file,
        .proxy = options->proxy,
        .connections_per_host = GATEWAY_REQUESTS_MAX,
    };
    sigset_t others;
    sigset_t before;
    int result = 0;

    (void)sigfillset(&others);
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
        (void)sigdelset(&others, faults[i]);
    (void)pthread_sigmask(SIG_SETMASK, &others, &before);
    /* Its own: the agent's load is no concern of our way home. */
    gateway->net = net_new(&net_options, err);
    if (!gateway->net || start_daemon(gateway, err) < 0)
        result = -1;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

static int configure(struct gateway *gateway, const struct gateway_options *options,
                     struct err *err)
{
    for (size_t i = 0; i < n_providers; i++) {
        struct configured_provider *one = &gateway->providers[i];

        if (provider_configure(one, &providers[i], options->keys, err) < 0)
            return -1;
        if (options->redaction && one->key)
            redaction_add(options->redaction, one->key);
    }
    return 0;
}

static void make_key(struct gateway *gateway, struct redaction *redaction)
{
    char key[sizeof(KEY_PREFIX) + RANDOM_BASE62_LENGTH] = KEY_PREFIX;

    random_base62(key + sizeof(KEY_PREFIX) - 1);
    gateway->key = secret_new(key);
    secret_wipe(key, sizeof(key));
    if (redaction)
        redaction_add(redaction, gateway->key);
}

struct gateway *gateway_start(const struct gateway_options *options, struct err *err)
{
    struct meter_options meter_options = {
        .prices_file = options->prices_file,
        .events = options->events,
        .max_tokens = options->max_tokens,
        .max_cost_usd = options->max_cost_usd,
    };
    scoped(gateway) gateway = xcalloc(1, sizeof(*gateway));

    gateway->events = options->events;
    gateway->on_budget = options->on_budget;
    gateway->ctx = options->ctx;
    gateway->silence_ms = options->silence_ms > 0 ? options->silence_ms : GATEWAY_SILENCE_MS;
    gateway->body_max_bytes =
        options->body_max_bytes ? options->body_max_bytes : GATEWAY_BODY_MAX_BYTES;
    make_key(gateway, options->redaction);
    gateway->meter = meter_new(&meter_options, err);
    if (!gateway->meter || configure(gateway, options, err) < 0
        || start_threads(gateway, options, err) < 0)
        return NULL;
    for (size_t i = 0; i < n_providers; i++) {
        if (gateway->providers[i].base_url)
            gateway->urls[i] =
                xasprintf("http://127.0.0.1:%d%s", gateway->port, providers[i].prefix);
    }
    return TAKE(gateway);
}

/* --- Stopping ----------------------------------------------------------------------------- */

void gateway_stop(struct gateway *gateway)
{
    struct MHD_Daemon *daemon = TAKE(gateway->daemon);

    atomic_store(&gateway->stopping, true);
    if (gateway->net)
        net_stop(gateway->net);
    if (daemon)
        MHD_stop_daemon(daemon);
}

void gateway_free(struct gateway *gateway)
{
    if (!gateway)
        return;
    gateway_stop(gateway);
    net_free(gateway->net);
    meter_free(gateway->meter);
    for (size_t i = 0; i < n_providers; i++) {
        provider_done(&gateway->providers[i]);
        free(gateway->urls[i]);
    }
    secret_free(gateway->key);
    free(gateway);
}

/* --- Being asked -------------------------------------------------------------------------- */

const char *gateway_url(const struct gateway *gateway, const char *provider)
{
    for (size_t i = 0; i < n_providers; i++) {
        if (strcmp(providers[i].name, provider) == 0)
            return gateway->urls[i];
    }
    return NULL;
}

struct model_access gateway_access(const struct gateway *gateway)
{
    return (struct model_access){
        .key = secret_reveal(gateway->key),
        .anthropic_url = gateway_url(gateway, "anthropic"),
        .openai_url = gateway_url(gateway, "openai"),
        .gemini_url = gateway_url(gateway, "gemini"),
    };
}

struct model_totals gateway_usage(struct gateway *gateway)
{
    return meter_totals(gateway->meter);
}

bool gateway_budget_exceeded(struct gateway *gateway)
{
    return meter_exceeded(gateway->meter);
}
