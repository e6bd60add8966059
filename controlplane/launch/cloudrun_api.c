/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/cloudrun_api.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "crypto/digest.h"
#include "googleapis/rpc_status.h"

#define PAGE_EXECUTIONS 100
#define RUN_TIMEOUT_MS 30000
#define OPERATION_WAIT_FIRST_MS 200
#define OPERATION_WAIT_MAX_MS 5000
#define OPERATION_RUN_MS 10000    /* until it names the execution */
#define OPERATION_APPLY_MS 300000 /* until the Job is ready */
#define NAME_MAX_BYTES 512
#define TOKEN_MAX_BYTES 4096

/* --- Life --------------------------------------------------------------------------------- */

static struct google_api *api_new(const struct cloudrun_api *api,
                                  const struct config_cloudrun *settings, const char *name,
                                  const char *url)
{
    const struct google_api_options options = {.name = name,
                                               .url = url,
                                               .keyring = api->keyring,
                                               .net = api->net,
                                               .qps = settings->qps,
                                               .burst = settings->burst};

    return google_api_new(&options);
}

int cloudrun_api_open(struct cloudrun_api *api, const struct config *config, struct err *err)
{
    const struct config_cloudrun *settings = &config->cloudrun;
    const struct token_source_options source_options = {.access_token = settings->access_token,
                                                        .key_file = settings->credentials_file,
                                                        .ca_file = config->ca_file};
    const struct net_options net_options = {.user_agent = "dispatchd/" DISPATCH_VERSION,
                                            .ca_file = config->ca_file,
                                            .proxy = "",
                                            .connections_per_host = settings->connections};
    struct token_source *source;

    *api = (struct cloudrun_api){0};
    source = token_source_new(&source_options, err);
    if (!source)
        return -1;
    api->keyring = keyring_new(source);
    api->net = net_new(&net_options, err);
    if (!api->net)
        return -1;
    api->run = api_new(api, settings, "Cloud Run", settings->api_url);
    api->logging = api_new(api, settings, "Cloud Logging", settings->logging_url);
    api->secrets = api_new(api, settings, "Secret Manager", settings->secretmanager_url);
    api->project = xasprintf("projects/%s", settings->project);
    api->job_id = xstrdup(settings->job);
    api->region = xstrdup(settings->region);
    api->job = xasprintf("projects/%s/locations/%s/jobs/%s", settings->project,
                         settings->region, settings->job);
    return 0;
}

void cloudrun_api_stop(struct cloudrun_api *api)
{
    if (!api->run)
        return;
    google_api_stop(api->run);
    google_api_stop(api->logging);
    google_api_stop(api->secrets);
    keyring_stop(api->keyring);
    net_stop(api->net);
}

void cloudrun_api_done(struct cloudrun_api *api)
{
    google_api_free(api->run);
    google_api_free(api->logging);
    google_api_free(api->secrets);
    keyring_free(api->keyring);
    net_free(api->net);
    free(api->project);
    free(api->job);
    free(api->job_id);
    free(api->region);
    *api = (struct cloudrun_api){0};
}

static int call(struct google_api *google, const char *method, const char *path,
                const char *query, const cJSON *body, cJSON **out, struct err *err)
{
    const struct google_request request = {
        .method = method, .path = path, .query = query, .body = body};

    return google_api_call(google, &request, out, err);
}

/* --- Long-running operations -------------------------------------------------------------- */

/* What it names goes into a path of ours. */
static bool is_operation(const char *name)
{
    return name && strncmp(name, "projects/", 9) == 0 && strlen(name) < NAME_MAX_BYTES
           && !strstr(name, "..")
           && !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789/_-.")];
}

/* 1: it has gone well; 0: it is under way; -1: it has failed. */
static int state_of(const cJSON *operation, struct err *err)
{
    const cJSON *error = json_get(operation, "error");

    if (cJSON_IsObject(error))
        return rpc_status_from_error(error, "Cloud Run", err);
    return json_get_bool(operation, "done", false) ? 1 : 0;
}

static int look_at(const struct cloudrun_api *api, const cJSON *operation, cJSON **out,
                   struct err *err)
{
    const char *name = json_get_str(operation, "name");
    scoped_str path = NULL;

    if (!is_operation(name))
        return err_set(err, ERR_TIMEOUT, "Cloud Run: the answer names no operation");
    path = xasprintf("/v2/%s", name);
    return call(api->run, "GET", path, NULL, NULL, out, err);
}

/* With growing pauses, until `enough` says so or it has ended; *operation is replaced by what
 * it has become. ERR_TIMEOUT after limit_ms. */
static int follow(const struct cloudrun_api *api, cJSON **operation,
                  bool (*enough)(const cJSON *operation), int limit_ms, struct err *err)
{
    int64_t until_ms = clock_monotonic_ms() + limit_ms;
    int wait_ms = OPERATION_WAIT_FIRST_MS;

    for (;;) {
        cJSON *next = NULL;
        int state = state_of(*operation, err);

        if (state < 0)
            return -1;
        if (state > 0 || (enough && enough(*operation)))
            return 0;
        if (clock_monotonic_ms() + wait_ms > until_ms)
            return err_set(err, ERR_TIMEOUT, "Cloud Run: the operation takes too long");
        (void)usleep((useconds_t)wait_ms * 1000);
        wait_ms = wait_ms * 2 < OPERATION_WAIT_MAX_MS ? wait_ms * 2 : OPERATION_WAIT_MAX_MS;
        if (look_at(api, *operation, &next, err) < 0)
            return -1;
        cJSON_Delete(*operation);
        *operation = next;
    }
}

/* What it is about: its result, or its metadata while there is none. */
static cJSON *take_object(cJSON *operation)
{
    cJSON *object = cJSON_GetObjectItemCaseSensitive(operation, "response");

    if (!json_get_str(object, "name"))
        object = cJSON_GetObjectItemCaseSensitive(operation, "metadata");
    return json_get_str(object, "name") ? cJSON_DetachItemViaPointer(operation, object) : NULL;
}

static bool names_something(const cJSON *operation)
{
    return json_get_str(json_get(operation, "metadata"), "name")
           || json_get_str(json_get(operation, "response"), "name");
}

/* --- The Job ------------------------------------------------------------------------------ */

int cloudrun_api_get_job(const struct cloudrun_api *api, cJSON **out, struct err *err)
{
    scoped_str path = xasprintf("/v2/%s", api->job);

    return call(api->run, "GET", path, NULL, NULL, out, err);
}

int cloudrun_api_create_job(const struct cloudrun_api *api, const cJSON *job, struct err *err)
{
    scoped_str path = xasprintf("/v2/%s/locations/%s/jobs", api->project, api->region);
    scoped_str query = xasprintf("jobId=%s", api->job_id);
    scoped_json operation = NULL;

    if (call(api->run, "POST", path, query, job, &operation, err) < 0)
        return -1;
    return follow(api, &operation, NULL, OPERATION_APPLY_MS, err);
}

int cloudrun_api_update_job(const struct cloudrun_api *api, const cJSON *job, struct err *err)
{
    scoped_str path = xasprintf("/v2/%s", api->job);
    scoped_json operation = NULL;

    if (call(api->run, "PATCH", path, NULL, job, &operation, err) < 0)
        return -1;
    return follow(api, &operation, NULL, OPERATION_APPLY_MS, err);
}

/* --- Executions --------------------------------------------------------------------------- */

static char *path_of(const struct cloudrun_api *api, const char *name, const char *rest)
{
    return xasprintf("/v2/%s/executions/%s%s", api->job, name, rest);
}

int cloudrun_api_run(const struct cloudrun_api *api, const cJSON *body, cJSON **out_execution,
                     struct err *err)
{
    scoped_str path = xasprintf("/v2/%s:run", api->job);
    const struct google_request request = {.method = "POST",
                                           .path = path,
                                           .body = body,
                                           .once = true,
                                           .timeout_ms = RUN_TIMEOUT_MS};
    scoped_json operation = NULL;

    if (google_api_call(api->run, &request, &operation, err) < 0)
        return -1;
    if (follow(api, &operation, names_something, OPERATION_RUN_MS, err) < 0) {
        /* Looking at it failed, which says nothing about the execution. */
        if (err->kind == ERR_UNAVAILABLE && !json_get(operation, "error"))
            err->kind = ERR_TIMEOUT;
        return -1;
    }
    *out_execution = take_object(operation);
    if (!*out_execution)
        return err_set(err, ERR_TIMEOUT, "Cloud Run: the operation names no execution");
    return 0;
}

int cloudrun_api_get_execution(const struct cloudrun_api *api, const char *name,
                               cJSON **out_execution, struct err *err)
{
    scoped_str path = path_of(api, name, "");

    return call(api->run, "GET", path, NULL, NULL, out_execution, err);
}

int cloudrun_api_list_executions(const struct cloudrun_api *api, const char *token,
                                 cJSON **out_page, char **out_token, struct err *err)
{
    scoped_str path = xasprintf("/v2/%s/executions", api->job);
    scoped_str escaped = net_escape(token);
    scoped_str query =
        xasprintf("pageSize=%d%s%s", PAGE_EXECUTIONS, *token ? "&pageToken=" : "", escaped);
    const char *next;

    if (call(api->run, "GET", path, query, NULL, out_page, err) < 0)
        return -1;
    next = json_get_str(*out_page, "nextPageToken");
    if (next && (strlen(next) > TOKEN_MAX_BYTES || strcmp(next, token) == 0)) {
        cJSON_Delete(TAKE(*out_page));
        return err_set(err, ERR_TIMEOUT, "Cloud Run: a list of executions that has no end");
    }
    *out_token = xstrdup(next ? next : "");
    return 0;
}

int cloudrun_api_cancel(const struct cloudrun_api *api, const char *name, cJSON **out_execution,
                        struct err *err)
{
    scoped_str path = path_of(api, name, ":cancel");
    scoped_json body = cJSON_CreateObject();
    scoped_json operation = NULL;
    const struct google_request request = {
        .method = "POST", .path = path, .body = body, .repeatable = true};

    if (google_api_call(api->run, &request, &operation, err) < 0)
        return -1;
    *out_execution = take_object(operation);
    return 0;
}

int cloudrun_api_delete_execution(const struct cloudrun_api *api, const char *name,
                                  struct err *err)
{
    scoped_str path = path_of(api, name, "");

    return call(api->run, "DELETE", path, NULL, NULL, NULL, err);
}

int cloudrun_api_task(const struct cloudrun_api *api, const char *name, cJSON **out,
                      struct err *err)
{
    scoped_str path = path_of(api, name, "/tasks");
    scoped_json page = NULL;
    cJSON *tasks;

    if (call(api->run, "GET", path, "pageSize=1", NULL, &page, err) < 0)
        return -1;
    tasks = cJSON_GetObjectItemCaseSensitive(page, "tasks");
    *out = cJSON_IsArray(tasks) ? cJSON_DetachItemFromArray(tasks, 0) : NULL;
    return 0;
}

/* --- Secrets ------------------------------------------------------------------------------ */

#define SECRET_PREFIX "dispatch-"

char *cloudrun_api_secret_name(const struct cloudrun_api *api, const char *ref)
{
    return xasprintf("%s/secrets/" SECRET_PREFIX "%s", api->project, ref);
}

static int create_secret(const struct cloudrun_api *api, const char *ref, int64_t ttl_s,
                         struct err *err)
{
    scoped_str path = xasprintf("/v1/%s/secrets", api->project);
    scoped_str query = xasprintf("secretId=" SECRET_PREFIX "%s", ref);
    scoped_str ttl = xasprintf("%llds", (long long)ttl_s);
    scoped_json body =
        jobj({"replication", jobj({"automatic", cJSON_CreateObject()})},
             {"labels", jobj({"managed-by", jstr("dispatchd")})}, {"ttl", jstr(ttl)});
    struct err failed = {0};

    if (call(api->secrets, "POST", path, query, body, NULL, &failed) == 0
        || (failed.code && strcmp(failed.code, "ALREADY_EXISTS") == 0))
        return 0;
    *err = failed;
    return -1;
}

int cloudrun_api_put_secret(const struct cloudrun_api *api, const char *ref,
                            const struct secret *value, int64_t ttl_s, struct err *err)
{
    scoped_str name = cloudrun_api_secret_name(api, ref);
    scoped_str path = xasprintf("/v1/%s:addVersion", name);
    const char *text = secret_reveal(value);
    char *data = base64_encode(text, strlen(text));
    cJSON *body = jobj({"payload", jobj({"data", jstr(data)})});
    cJSON *copy = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(body, "payload"), "data");
    const struct google_request request = {
        .method = "POST", .path = path, .body = body, .repeatable = true};
    int result = create_secret(api, ref, ttl_s, err);

    if (result == 0)
        result = google_api_call(api->secrets, &request, NULL, err);
    secret_wipe(copy->valuestring, strlen(copy->valuestring));
    cJSON_Delete(body);
    secret_wipe(data, strlen(data));
    free(data);
    return result;
}

int cloudrun_api_delete_secret(const struct cloudrun_api *api, const char *ref, struct err *err)
{
    scoped_str name = cloudrun_api_secret_name(api, ref);
    scoped_str path = xasprintf("/v1/%s", name);
    struct err failed = {0};

    if (call(api->secrets, "DELETE", path, NULL, NULL, NULL, &failed) == 0
        || failed.kind == ERR_NOT_FOUND)
        return 0;
    *err = failed;
    return -1;
}
