/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "api/api_keys.h"
#include "api/rate.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_writer.h"
#include "command/command.h"
#include "command/confine.h"
#include "command/start_pages.h"
#include "net/net.h"
#include "oidc/oidc.h"
#include "service/deliveries.h"
#include "service/live.h"
#include "store/lock.h"

/* CONTRACT section 8: what is in flight at SIGTERM is finished within 25 s. */
#define STOP_GRACE_MS 20000
/* A `dispatchd token` at work holds the lock for a moment. */
#define LOCK_WAIT_MS 3000
#define MALLOC_TRIM_EVERY_S 30

/* What stays the same when it starts anew with new settings. */
struct serving {
    char *const *argv;
    sigset_t signals;
    struct confinement confinement;
};

/* Blocked in every thread, and taken one by one in wait_for_signal. */
static sigset_t block_signals(void)
{
    sigset_t signals;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return signals;
}

/* SIGHUP with settings that are wrong changes nothing. */
static bool settings_are_good(const struct serving *serving)
{
    struct err err = {0};
    scoped_config fresh = {0};

    if (config_load(&fresh, serving->argv, &err) == 0
        && confine_admits(&serving->confinement, &fresh, &err) == 0)
        return true;
    log_error("the new settings are refused, going on with the old", KV("error", err.text));
    return false;
}

/* Which signal ended the wait: SIGHUP means that we shall start anew. Meanwhile this thread
 * gives back the whole pages that glibc keeps of freed memory, which after a burst can be many.
 */
static int wait_for_signal(const struct serving *serving)
{
    static const struct timespec until_trim = {.tv_sec = MALLOC_TRIM_EVERY_S};
    int number;

    do {
        number = sigtimedwait(&serving->signals, NULL, &until_trim);
        if (number < 0 && errno == EAGAIN)
            (void)malloc_trim(0);
    } while (number < 0 || (number == SIGHUP && !settings_are_good(serving)));
    log_info("stopping", KV("signal", number));
    return number;
}

static struct httpd *listen_public(struct app *app, struct err *err)
{
    struct httpd_options options = {
        .address = app->config->listen_address,
        .port = app->config->listen_port,
        .connections_max = app->config->connections_max,
        .connections_per_address_max = app->config->connections_per_address_max,
        .stream_idle_ms = app->config->stream_heartbeat_s * 1000,
        .app = app,
        .routes = public_routes,
        .n_routes = n_public_routes,
        .authorize = authorize,
        .principal_free = principal_free,
    };

    return httpd_start(&options, err);
}

static struct httpd *listen_control(struct app *app, struct err *err)
{
    scoped_str path = control_socket_path(app->config->database);
    struct httpd_options options = {
        .unix_socket = path,
        .connections_max = 64,
        .workers = 2,
        .app = app,
        .routes = admin_routes,
        .n_routes = n_admin_routes,
        .authorize = authorize,
        .principal_free = principal_free,
    };

    return httpd_start(&options, err);
}

/* Where runners call home, when nobody said so: the address we listen on, or loopback where
 * we listen on all. */
static char *home_url(const struct config *config, int port)
{
    const char *address = config->listen_address;

    if (config->public_url)
        return xstrdup(config->public_url);
    if (strcmp(address, "0.0.0.0") == 0)
        address = "127.0.0.1";
    if (strcmp(address, "::") == 0)
        address = "::1";
    return xasprintf(strchr(address, ':') ? "http://[%s]:%d" : "http://%s:%d", address, port);
}

static void say_ready(const struct config *config, const char *url, int port)
{
    log_info("listening", KV("url", url), KV("launcher", (const char *)config->launcher),
             KV("database", (const char *)config->database), KV("version", DISPATCH_VERSION));
    printf("HTTP API enabled with %zu API key(s)\n"
           "Starting server on port %d...\n"
           "API endpoints: %s/api/tasks/submit\n"
           "               %s/api/tasks/{task_id}/status\n"
           "               %s/api/tasks\n"
           "               %s/dispatchTask\n",
           config->n_api_keys, port, url, url, url, url);
    (void)fflush(stdout);
}

/* An integration token can name a launcher that the settings don't. */
static int check_launchers(const struct service *service, const struct serving *serving,
                           struct err *err)
{
    scoped_str names = NULL;

    if (!confine_forbids_programs(&serving->confinement)
        || !service_has_launcher(service, "process", &names))
        return 0;
    return err_set(err, ERR_INVALID,
                   "an integration token names the launcher `process`, which starts programs: "
                   "the setting `launchers` has to name it as well (or `confine` be off)");
}

/* Not by kill, which a confined process may not call. */
static void stop_serving(void *ctx)
{
    const pthread_t *main_thread = ctx;

    /* Blocked in every thread, so that it ends none of them: wait_for_signal takes it. */
    // NOLINTNEXTLINE(bugprone-bad-signal-to-kill-thread,cert-pos44-c)
    (void)pthread_kill(*main_thread, SIGTERM);
}

/* What is opened here is closed in reverse by scope. */
static int serve(const struct config *config, const struct serving *serving, bool *out_again)
{
    struct err err = {0};
    struct net_options net_options = {
        .user_agent = "dispatchd/" DISPATCH_VERSION, .ca_file = config->ca_file, .proxy = ""};
    struct app app = {.config = config, .started_ms = clock_wall_ms()};
    pthread_t main_thread = pthread_self();

    scoped(store_lock) lock = store_lock_take(config->database, LOCK_WAIT_MS, &err);
    if (!lock)
        return command_quit("database", &err);
    scoped(db) db = db_open(config->database, &err);
    if (!db)
        return command_quit("database", &err);
    db_watch_damage(db, stop_serving, &main_thread);
    scoped(token_store) tokens = token_store_open(db, &err);
    if (!tokens)
        return command_quit("database", &err);
    scoped(personal_token_store) personal_tokens = personal_token_store_open(db, &err);
    if (!personal_tokens)
        return command_quit("database", &err);
    scoped(credential_store) credentials = credential_store_open(db, &err);
    if (!credentials)
        return command_quit("database", &err);
    scoped(api_keys) api_keys = api_keys_new(config, credentials, &err);
    if (!api_keys)
        return command_quit("database", &err);
    scoped(net) net = net_new(&net_options, &err);
    if (!net)
        return command_quit("network", &err);
    scoped(oidc) oidc = config->oidc_issuers.count ? oidc_new(config, net) : NULL;
    scoped(github) github = github_new(config, net, &err);
    if (!github)
        return command_quit("GitHub App", &err);
    scoped(vault) vault = vault_open(config->database, config->encryption_key, &err);
    if (!vault)
        return command_quit("encryption key", &err);
    struct deliveries_options deliveries_options = {.config = config, .db = db, .vault = vault};
    scoped(deliveries) deliveries = deliveries_new(&deliveries_options, &err);
    if (!deliveries)
        return command_quit("deliveries", &err);
    struct service_options service_options = {.config = config,
                                              .db = db,
                                              .tokens = tokens,
                                              .personal_tokens = personal_tokens,
                                              .deliveries = deliveries,
                                              .vault = vault};
    scoped(service) service = service_new(&service_options, &err);
    if (!service || check_launchers(service, serving, &err) < 0)
        return command_quit("service", &err);
    app.db = db;
    app.tokens = tokens;
    app.personal_tokens = personal_tokens;
    app.credentials = credentials;
    app.api_keys = api_keys;
    app.oidc = oidc;
    app.github = github;
    app.service = service;
    app.vault = vault;
    app.deliveries = deliveries;
    scoped(rate) rate = rate_new(config);
    app.rate = rate;
    scoped(live) live = live_new(db, &err);
    if (!live)
        return command_quit("live streams", &err);
    app.live = live;
    scoped(httpd) httpd = listen_public(&app, &err);
    if (!httpd)
        return command_quit("http server", &err);
    app.httpd = httpd;
    scoped(httpd) control = listen_control(&app, &err);
    if (!control)
        return command_quit("control socket", &err);
    scoped_str url = home_url(config, httpd_port(httpd));
    if (service_start(service, url, &err) < 0 || deliveries_start(deliveries, &err) < 0)
        return command_quit("service", &err);
    say_ready(config, url, httpd_port(httpd));
    start_pages_give_back();
    *out_again = wait_for_signal(serving) == SIGHUP;
    log_info("stopped", KV("cut_off", httpd_stop(httpd, STOP_GRACE_MS)));
    if (db_is_damaged(db)) {
        (void)err_set(&err, ERR_INTERNAL, "%s is corrupt: restore a backup", config->database);
        return command_quit("database", &err);
    }
    return 0;
}

static int load_and_serve(struct config *config, struct serving *serving, bool *out_again)
{
    struct err err = {0};

    if (config_load(config, serving->argv, &err) < 0)
        return command_quit("configuration", &err);
    log_set_level(config->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    if (confine_enter(&serving->confinement, config, &err) < 0)
        return command_quit("confine", &err);
    log_writer_start(); /* a thread, which has to be as confined as we are */
    confine_say(&serving->confinement);
    return serve(config, serving, out_again);
}

/*
 * New settings come with a new start in the same process: nothing that runs has to expect them
 * to change, and a restart loses nothing. What can be read may still not work (a launcher that
 * there isn't, a port in use): then those that did work serve on.
 */
static int serve_until_stopped(struct serving *serving)
{
    scoped_config worked = {0};
    bool again = false;
    int code;

    for (bool first = true;; first = false) {
        scoped_config fresh = {0};

        again = false;
        code = load_and_serve(&fresh, serving, &again);
        if (code != 0 && !first) {
            log_error("the new settings don't work, going on with the old");
            log_set_level(worked.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
            code = serve(&worked, serving, &again);
        } else if (again) {
            config_done(&worked);
            worked = fresh;
            fresh = (struct config){0};
        }
        if (!again)
            return code;
    }
}

/* glibc would give each worker an arena that keeps what the largest body took. What a batch of
 * requests took is soon taken again: giving it back at once costs a system call and page
 * faults. */
#define MALLOC_ARENAS 4
#define MALLOC_MMAP_FROM_BYTES (128 * 1024)
#define MALLOC_KEPT_BYTES (1024 * 1024)

static void keep_little_memory(void)
{
    (void)mallopt(M_ARENA_MAX, MALLOC_ARENAS);
    (void)mallopt(M_MMAP_THRESHOLD, MALLOC_MMAP_FROM_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, MALLOC_KEPT_BYTES);
}

int command_serve(char *const *argv)
{
    struct serving serving = {.argv = argv, .signals = block_signals()};
    int code;

    keep_little_memory();
    code = serve_until_stopped(&serving);
    confinement_done(&serving.confinement);
    log_writer_stop();
    return code;
}
