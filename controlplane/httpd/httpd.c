/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/httpd.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "httpd/intake.h"
#include "httpd/loop.h"
#include "httpd/server.h"
#include "httpd/uri.h"

#define REQUEST_DEADLINE_MS 10000
#define ANSWER_DEADLINE_MS 60000
#define STREAM_IDLE_MS 15000
#define STREAM_STALL_MS 10000
#define BODY_MAX_BYTES (1 << 20)
#define WORKERS 16
#define CONNECTIONS_MAX 4096
#define CONNECTIONS_PER_ADDRESS_MAX 512

/* A connection's own memory: the request's line and headers, the piece of the body being
 * read and the head of the answer have to fit. */
#define CONNECTION_MEMORY_BYTES ((size_t)16 << 10)

/* How strict libmicrohttpd is by itself, from -1 to 1. At 1 it closes a connection without a
 * word, or sends the head of its error twice, for requests that strict.c refuses properly;
 * what it passes at -1 is refused there as well (the tests send all of it). */
#define STRICTNESS (-1)

/* --- libmicrohttpd's words ---------------------------------------------------------------- */

static void hear(void *cls, const char *fmt, va_list args) PRINTF_LIKE(2, 0);

/* Mostly about what clients do wrong. */
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

static void give_up(void *cls, const char *file, unsigned line, const char *why)
{
    (void)cls;
    log_error("libmicrohttpd can't go on", KV("file", file), KV("line", line),
              KV("error", why));
    abort();
}

/* --- Starting ----------------------------------------------------------------------------- */

static void fill_in_defaults(struct httpd_options *options)
{
    if (!options->connections_max)
        options->connections_max = CONNECTIONS_MAX;
    if (!options->connections_per_address_max)
        options->connections_per_address_max = CONNECTIONS_PER_ADDRESS_MAX;
    if (!options->request_deadline_ms)
        options->request_deadline_ms = REQUEST_DEADLINE_MS;
    if (!options->answer_deadline_ms)
        options->answer_deadline_ms = ANSWER_DEADLINE_MS;
    if (!options->stream_idle_ms)
        options->stream_idle_ms = STREAM_IDLE_MS;
    if (!options->stream_stall_ms)
        options->stream_stall_ms = STREAM_STALL_MS;
    if (!options->body_max_bytes)
        options->body_max_bytes = BODY_MAX_BYTES;
    if (!options->workers)
        options->workers = WORKERS;
}

/* Each connection is a descriptor, and the usual soft limit is 1024. */
static void allow_many_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_warn("can't raise the limit of open files, ignoring");
}

static int start_daemon(struct httpd *httpd, struct err *err)
{
    const struct httpd_options *options = &httpd->options;
    /* 0: no limit. All clients of a unix socket have the same address. */
    unsigned per_address =
        options->unix_socket ? 0 : (unsigned)options->connections_per_address_max;

    MHD_set_panic_func(give_up, NULL);
    httpd->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        intake_handle, httpd, MHD_OPTION_EXTERNAL_LOGGER, hear, NULL, MHD_OPTION_LISTEN_SOCKET,
        httpd->listener.fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)options->connections_max,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, per_address, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        CONNECTION_MEMORY_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, STRICTNESS,
        MHD_OPTION_URI_LOG_CALLBACK, intake_line, httpd, MHD_OPTION_UNESCAPE_CALLBACK,
        uri_keep_escapes, NULL, MHD_OPTION_NOTIFY_CONNECTION, connection_notify, httpd,
        MHD_OPTION_NOTIFY_COMPLETED, connection_request_done, httpd, MHD_OPTION_END);
    if (!httpd->daemon)
        return err_set(err, ERR_INTERNAL, "libmicrohttpd can't start");
    return 0;
}

/* Signals are for the main thread: the threads started here inherit this mask. Those that
 * tell of a fault belong to the thread that made it. */
static int start_threads(struct httpd *httpd, struct err *err)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t others;
    sigset_t before;
    int failed;

    (void)sigfillset(&others);
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
        (void)sigdelset(&others, faults[i]);
    (void)pthread_sigmask(SIG_SETMASK, &others, &before);
    httpd->workers = workers_new(httpd->options.workers, err);
    failed = !httpd->workers || loop_start(httpd, err) < 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? -1 : 0;
}

struct httpd *httpd_start(const struct httpd_options *options, struct err *err)
{
    scoped(httpd) httpd = xcalloc(1, sizeof(*httpd));

    httpd->options = *options;
    fill_in_defaults(&httpd->options);
    httpd->listener.fd = httpd->poll_fd = httpd->wake_fd = httpd->gone_fd = -1;
    httpd->now_ms = clock_monotonic_ms();
    httpd->id_seed = random_u64();
    (void)pthread_mutex_init(&httpd->farewell.lock, NULL);
    (void)pthread_cond_init(&httpd->farewell.changed, NULL);
    allow_many_files();
    httpd->router = router_new(options->routes, options->n_routes, err);
    if (!httpd->router || listener_open(&httpd->listener, options, err) < 0
        || start_daemon(httpd, err) < 0 || start_threads(httpd, err) < 0)
        return NULL;
    return TAKE(httpd);
}

/* --- Running and stopping ----------------------------------------------------------------- */

int httpd_port(const struct httpd *httpd)
{
    return httpd->listener.port;
}

int httpd_stop(struct httpd *httpd, int grace_ms)
{
    if (!httpd->thread_runs || atomic_load(&httpd->stopping))
        return 0;
    return loop_stop(httpd, grace_ms);
}

void httpd_free(struct httpd *httpd)
{
    if (!httpd)
        return;
    (void)httpd_stop(httpd, 0);
    if (!loop_quit(httpd)) {
        log_error("a handler still holds a request, leaving the HTTP server as it is");
        return;
    }
    workers_free(httpd->workers);
    if (httpd->daemon)
        MHD_stop_daemon(httpd->daemon);
    linger_close_all(&httpd->linger);
    listener_close(&httpd->listener);
    router_free(httpd->router);
    if (httpd->poll_fd >= 0)
        (void)close(httpd->poll_fd);
    if (httpd->wake_fd >= 0)
        (void)close(httpd->wake_fd);
    if (httpd->gone_fd >= 0)
        (void)close(httpd->gone_fd);
    (void)pthread_cond_destroy(&httpd->farewell.changed);
    (void)pthread_mutex_destroy(&httpd->farewell.lock);
    free(httpd);
}

static int64_t value_of(const _Atomic int64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void httpd_stats(const struct httpd *httpd, struct httpd_stats *out)
{
    const struct counters *from = &httpd->counters;

    *out = (struct httpd_stats){
        .requests = value_of(&from->requests),
        .connections = value_of(&from->connections),
        .streams = value_of(&from->streams),
        .refused_malformed = value_of(&from->refused_malformed),
        .cut_late = value_of(&from->cut_late),
    };
    for (size_t i = 0; i < ARRAY_SIZE(out->by_status); i++)
        out->by_status[i] = value_of(&from->by_status[i]);
}
