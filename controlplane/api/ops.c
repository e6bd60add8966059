/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "api/app.h"
#include "api/openapi.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "model/agent.h"
#include "service/deliveries.h"
#include "store/prune_slice.h"
#include "store/run_store.h"

int show_health(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    struct service_gauges gauges;

    (void)req;
    (void)err;
    service_gauges(app->service, &gauges);
    *out = jobj({"status", jstr("healthy")}, {"review_queue_size", jint(0)},
                {"task_queue_size", jint(gauges.pending)});
    return 200;
}

int show_live(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    (void)app;
    (void)req;
    (void)err;
    *out = jobj({"status", jstr("ok")});
    return 200;
}

/* One read through a reader connection: the store answers. */
static int ask_store(struct app *app, struct err *err)
{
    int64_t newest;

    return run_store_newest_key(app->db, &newest, err);
}

int show_ready(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    struct err why = {0};

    (void)req;
    if (ask_store(app, &why) < 0)
        return err_set_code(err, ERR_UNAVAILABLE, "store_unavailable",
                            "the store does not answer");
    *out = jobj({"status", jstr("ready")});
    return 200;
}

/* --- Metrics
 * -------------------------------------------------------------------------------------- */

static void put_metric(struct buf *out, const char *name, const char *type, const char *help,
                       int64_t value)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRId64 "\n", name, help, name, type,
               name, value);
}

static void put_runs(struct buf *out, const struct service_gauges *gauges)
{
    static const enum run_status ends[] = {RUN_COMPLETED, RUN_FAILED, RUN_STOPPED};

    put_metric(out, "dispatch_runs_pending", "gauge", "Runs that wait to be launched.",
               gauges->pending);
    put_metric(out, "dispatch_runs_active", "gauge", "Runs that are launching or running.",
               gauges->active);
    put_metric(out, "dispatch_jobs_launched_total", "counter", "Jobs started in the backend.",
               gauges->launched);
    put_metric(out, "dispatch_launch_failures_total", "counter", "Launches that failed.",
               gauges->launch_failures);
    buf_append_str(out, "# HELP dispatch_launching_paused 1 while the launcher's backend does "
                        "not answer.\n# TYPE dispatch_launching_paused gauge\n");
    for (size_t i = 0; i < gauges->n_backends; i++)
        buf_printf(out, "dispatch_launching_paused{launcher=\"%s\"} %d\n",
                   gauges->backends[i].launcher, gauges->backends[i].paused);
    put_metric(out, "dispatch_launches_moved_total", "counter",
               "Runs that moved on to another launcher, as one had refused them.",
               gauges->launch_moves);
    put_metric(out, "dispatch_orphan_jobs_stopped_total", "counter",
               "Jobs that were stopped because no run needed them.", gauges->orphans);
    put_metric(out, "dispatch_stranger_jobs", "gauge",
               "Jobs in the backend of runs that the store does not know.", gauges->strangers);
    put_metric(out, "dispatch_runs_pruned_total", "counter",
               "Ended runs that were forgotten at the end of their time.", gauges->pruned);
    buf_printf(out,
               "# HELP dispatch_prune_longest_seconds The longest that one step of pruning has "
               "held the database.\n# TYPE dispatch_prune_longest_seconds gauge\n"
               "dispatch_prune_longest_seconds %.6f\n",
               (double)prune_slice_longest_us() / 1e6);
    put_metric(out, "dispatch_restore_unsettled", "gauge",
               "1 while runs of a restored backup are not settled with the launchers.",
               gauges->restoring);
    buf_append_str(out, "# HELP dispatch_runs_ended_total Runs that ended, by status.\n"
                        "# TYPE dispatch_runs_ended_total counter\n");
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        buf_printf(out, "dispatch_runs_ended_total{status=\"%s\"} %" PRId64 "\n",
                   run_status_name(ends[i]), gauges->ended[ends[i]]);
}

/* Left out where the store doesn't answer: no number is better than a wrong one. */
static void put_deliveries(struct buf *out, struct app *app)
{
    struct deliveries_stats stats;
    struct err err = {0};

    if (deliveries_stats(app->deliveries, &stats, &err) < 0)
        return;
    put_metric(out, "dispatch_deliveries_pending", "gauge",
               "Deliveries that no receiver has taken yet.", stats.pending);
    put_metric(out, "dispatch_deliveries_delivered_total", "counter",
               "Deliveries that a receiver took.", stats.delivered);
    put_metric(out, "dispatch_deliveries_failed_total", "counter",
               "Deliveries that were given up.", stats.failed);
    put_metric(out, "dispatch_delivery_attempts_total", "counter", "Calls to receivers.",
               stats.attempts);
}

static void put_store(struct buf *out, struct app *app)
{
    struct db_stats stats;

    db_stats(app->db, &stats);
    put_metric(out, "dispatch_wal_pages", "gauge",
               "Pages of 4 KiB in the database's write-ahead log, which a reader of another "
               "program that stays lets grow.",
               stats.wal_pages);
}

static void put_http(struct buf *out, const struct httpd_stats *stats)
{
    put_metric(out, "dispatch_http_connections", "gauge", "Open connections.",
               stats->connections);
    put_metric(out, "dispatch_http_streams", "gauge", "Open streams among them.",
               stats->streams);
    put_metric(out, "dispatch_http_refused_malformed_total", "counter",
               "Requests refused before any handler.", stats->refused_malformed);
    put_metric(out, "dispatch_http_cut_late_total", "counter", "Connections cut at a deadline.",
               stats->cut_late);
    buf_append_str(out, "# HELP dispatch_http_requests_total Answers, by class of status.\n"
                        "# TYPE dispatch_http_requests_total counter\n");
    for (int i = 1; i < 6; i++)
        buf_printf(out, "dispatch_http_requests_total{code=\"%dxx\"} %" PRId64 "\n", i,
                   stats->by_status[i]);
}

int show_metrics(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    struct service_gauges gauges;
    struct httpd_stats stats = {0};
    struct buf text = {0};
    size_t size;

    (void)out;
    (void)err;
    service_gauges(app->service, &gauges);
    httpd_stats(app->httpd, &stats);
    buf_append_str(&text, "# HELP dispatch_build_info The running version.\n"
                          "# TYPE dispatch_build_info gauge\n"
                          "dispatch_build_info{version=\"" DISPATCH_VERSION "\"} 1\n");
    put_metric(&text, "dispatch_start_time_seconds", "gauge", "When this process started.",
               app->started_ms / 1000);
    put_runs(&text, &gauges);
    put_deliveries(&text, app);
    put_store(&text, app);
    put_http(&text, &stats);
    size = text.size;
    request_set_text(req, "text/plain; version=0.0.4; charset=utf-8", buf_take(&text), size);
    return 200;
}

/* --- Start-up check
 * --------------------------------------------------------------------------------- */

static cJSON *check_json(const char *name, bool ok, const char *why)
{
    return jobj({"name", jstr(name)}, {"ok", jbool(ok)}, {"detail", ok ? NULL : jstr(why)});
}

static cJSON *check_store(struct app *app, bool *all)
{
    struct err why = {0};
    bool ok = ask_store(app, &why) == 0;

    *all &= ok;
    return check_json("store", ok, why.text);
}

static cJSON *check_github(struct app *app, bool *all)
{
    bool ok = github_configured(app->github);

    *all &= ok;
    return check_json("github", ok,
                      "neither a GitHub App (GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY_PATH) nor "
                      "GITHUB_TOKEN is set");
}

static cJSON *check_api_keys(struct app *app, bool *all)
{
    bool ok = app->config->n_api_keys > 0;

    *all &= ok;
    return check_json("api_keys", ok, "CODEBOT_API_KEYS is not set: the task API is closed");
}

/* That a launcher could be opened is seen by our being here; what it needs may have gone since.
 */
static cJSON *check_launcher(const struct service_backend *backend, bool is_usual, bool *all)
{
    scoped_str name =
        is_usual ? xstrdup("launcher") : xasprintf("launcher.%s", backend->launcher);

    *all &= !backend->paused;
    return jobj(
        {"name", jstr(name)}, {"ok", jbool(!backend->paused)},
        {"detail", jstr(backend->paused ? "its backend does not answer" : backend->launcher)});
}

/* The usual one's is `launcher`, any other's `launcher.NAME`. */
static void add_launchers(const struct service_gauges *gauges, cJSON *checks, bool *all)
{
    for (size_t i = 0; i < gauges->n_backends; i++)
        cJSON_AddItemToArray(checks, check_launcher(&gauges->backends[i], i == 0, all));
}

/* Left out of the answer where there is nothing to say. */
static cJSON *check_restore(const struct app *app, bool *all)
{
    if (!service_is_restoring(app->service))
        return NULL;
    *all = false;
    return check_json("restore", false,
                      "the database was restored from a backup, and nothing is launched until "
                      "every launcher has said which jobs it has");
}

static cJSON *check_strangers(const struct service_gauges *gauges, bool *all)
{
    scoped_str why = NULL;

    if (!gauges->strangers)
        return NULL;
    *all = false;
    why = xasprintf("the backend has %" PRId64 " jobs of runs that this database does not know "
                    "(the log names some): they are left alone",
                    gauges->strangers);
    return check_json("jobs", false, why);
}

static bool has_launcher(const struct app *app, const char *name)
{
    scoped_str names = NULL;

    return service_has_launcher(app->service, name, &names);
}

static cJSON *check_runner(struct app *app, bool *all)
{
    const char *runner = app->config->runner;
    scoped_str why = NULL;
    bool ok;

    if (!has_launcher(app, "process"))
        return NULL;
    ok = runner && access(runner, X_OK) == 0;
    if (!ok)
        why = xasprintf("%s can't be executed (DISPATCH_RUNNER)", runner ? runner : "nothing");
    *all &= ok;
    return check_json("runner", ok, why);
}

static cJSON *check_agent(struct app *app, bool *all)
{
    const struct config *config = app->config;
    bool ok = strcmp(config->default_agent, AGENT_COMMAND) != 0 || config->agent_command;

    *all &= ok;
    return check_json("default_agent", ok,
                      "it is `command`, and DISPATCH_AGENT_COMMAND isn't set");
}

/* Runners on other machines can't call home to a loopback address. */
static cJSON *check_public_url(struct app *app, const struct service_gauges *gauges, bool *all)
{
    bool ok = app->config->public_url != NULL;
    bool is_here = true;

    for (size_t i = 0; i < gauges->n_backends; i++)
        is_here &= strcmp(gauges->backends[i].launcher, "process") == 0
                   || strncmp(gauges->backends[i].launcher, "fake", 4) == 0;
    ok |= is_here;

    *all &= ok;
    return check_json("public_url", ok,
                      "DISPATCH_PUBLIC_URL is not set: where do runners call home?");
}

static void add_check(cJSON *checks, cJSON *check)
{
    if (check)
        cJSON_AddItemToArray(checks, check);
}

int check_startup(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    bool all = true;
    cJSON *store = check_store(app, &all);
    cJSON *github = check_github(app, &all);
    cJSON *api_keys = check_api_keys(app, &all);
    cJSON *checks = jarr(store, github, api_keys);
    struct service_gauges gauges;

    (void)req;
    (void)err;
    service_gauges(app->service, &gauges);
    add_launchers(&gauges, checks, &all);
    add_check(checks, check_runner(app, &all));
    add_check(checks, check_agent(app, &all));
    add_check(checks, check_public_url(app, &gauges, &all));
    add_check(checks, check_restore(app, &all));
    add_check(checks, check_strangers(&gauges, &all));
    *out = jobj({"ok", jbool(all)}, {"version", jstr(DISPATCH_VERSION)}, {"checks", checks});
    return 200;
}

/* --- The API's description
 * ---------------------------------------------------------------------------- */

int show_openapi(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    char *text = xcalloc(1, openapi_yaml_size);

    (void)app;
    (void)out;
    (void)err;
    memcpy(text, openapi_yaml, openapi_yaml_size);
    request_set_text(req, "application/yaml", text, openapi_yaml_size);
    return 200;
}
