/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "api/app.h"
#include "api/openapi.h"
#include "base/alloc.h"
#include "base/clock.h"
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
    put_metric(out, "dispatch_launching_paused", "gauge",
               "1 while the launcher's backend does not answer.", gauges->launching_paused);
    put_metric(out, "dispatch_orphan_jobs_stopped_total", "counter",
               "Jobs that were stopped because no run needed them.", gauges->orphans);
    put_metric(out, "dispatch_stranger_jobs", "gauge",
               "Jobs in the backend of runs that the store does not know.", gauges->strangers);
    buf_append_str(out, "# HELP dispatch_runs_ended_total Runs that ended, by status.\n"
                        "# TYPE dispatch_runs_ended_total counter\n");
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        buf_printf(out, "dispatch_runs_ended_total{status=\"%s\"} %" PRId64 "\n",
                   run_status_name(ends[i]), gauges->ended[ends[i]]);
}

static void put_http(struct buf *out, const struct httpd_stats *stats)
{
    put_metric(out, "dispatch_http_connections", "gauge", "Open connections.",
               stats->connections);
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

static cJSON *check_launcher(struct app *app)
{
    return jobj({"name", jstr("launcher")}, {"ok", jbool(true)},
                {"detail", jstr(launcher_name(service_launcher(app->service)))});
}

int check_startup(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    bool all = true;
    cJSON *store = check_store(app, &all);
    cJSON *github = check_github(app, &all);
    cJSON *api_keys = check_api_keys(app, &all);

    (void)req;
    (void)err;
    *out = jobj({"ok", jbool(all)}, {"version", jstr(DISPATCH_VERSION)},
                {"checks", jarr(store, github, api_keys, check_launcher(app))});
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
