/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/kubernetes_api.h"

#include <string.h>

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "launch/kubernetes_job.h"

#define MERGE_PATCH "application/merge-patch+json"
#define FIELD_MANAGER "fieldManager=dispatchd"
/* https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches tells it
 * of GET; the answer to a create is turned into that, too. A server that can't sends it all. */
#define METADATA_ALONE                                                                         \
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
/* Of short lines this many come for each byte asked for, and some for tiny limits. */
#define LOG_BYTES_A_LINE 16
#define LOG_LINES_MIN 64
#define LOG_SILENCE_MS 15000
#define CALL_MAX_MS 5000

void kubernetes_api_init(struct kubernetes_api *api, struct cluster *cluster,
                         const char *namespace)
{
    *api = (struct kubernetes_api){
        .cluster = cluster,
        .jobs = xasprintf("/apis/batch/v1/namespaces/%s/jobs", namespace),
        .pods = xasprintf("/api/v1/namespaces/%s/pods", namespace),
        .secrets = xasprintf("/api/v1/namespaces/%s/secrets", namespace),
        .events = xasprintf("/api/v1/namespaces/%s/events", namespace),
        .away_until_ms = xcalloc(1, sizeof(*api->away_until_ms)),
    };
}

void kubernetes_api_done(struct kubernetes_api *api)
{
    free(api->jobs);
    free(api->pods);
    free(api->secrets);
    free(api->events);
    free(api->away_until_ms);
    *api = (struct kubernetes_api){0};
}

/* --- Calls ---------------------------------------------------------------------------- */

static int call(const struct kubernetes_api *api, const struct cluster_request *request,
                cJSON **out, struct err *err)
{
    struct err failure = {0};

    if (clock_monotonic_ms() < atomic_load(api->away_until_ms)) {
        (void)err_set(err, ERR_UNAVAILABLE, "the API server didn't answer a moment ago");
        err->retry_after_s = KUBERNETES_API_PAUSE_MS / 1000;
        return -1;
    }
    if (cluster_call(api->cluster, request, out, &failure) == 0)
        return 0;
    if (failure.kind == ERR_UNAVAILABLE || failure.kind == ERR_TIMEOUT)
        atomic_store(api->away_until_ms, clock_monotonic_ms() + KUBERNETES_API_PAUSE_MS);
    *err = failure;
    return -1;
}

static int get(const struct kubernetes_api *api, const char *path, const char *query,
               const char *const *left_out, cJSON **out, struct err *err)
{
    const struct cluster_request request = {.method = "GET",
                                            .path = path,
                                            .query = query,
                                            .left_out = left_out,
                                            .timeout_ms = CALL_MAX_MS};

    return call(api, &request, out, err);
}

/* Spec and status would only be our own words again, and a Secret's its token. */
static int create(const struct kubernetes_api *api, const char *path, const cJSON *body,
                  cJSON **out, struct err *err)
{
    const struct cluster_request request = {.method = "POST",
                                            .path = path,
                                            .query = FIELD_MANAGER,
                                            .body = body,
                                            .accept = METADATA_ALONE,
                                            .left_out = kubernetes_facts_not_of_job};

    if (cluster_call(api->cluster, &request, out, err) < 0)
        return -1;
    atomic_store(api->away_until_ms, 0); /* it is back */
    return 0;
}

static int patch_at(const struct kubernetes_api *api, const char *collection, const char *name,
                    const cJSON *patch, const char *const *left_out, cJSON **out,
                    struct err *err)
{
    scoped_str path = xasprintf("%s/%s", collection, name);
    const struct cluster_request request = {.method = "PATCH",
                                            .path = path,
                                            .query = FIELD_MANAGER,
                                            .body = patch,
                                            .content_type = MERGE_PATCH,
                                            .left_out = left_out,
                                            .timeout_ms = CALL_MAX_MS};

    return call(api, &request, out, err);
}

/* --- Jobs ----------------------------------------------------------------------------- */

int kubernetes_api_probe(const struct kubernetes_api *api, struct err *err)
{
    return get(api, api->jobs, "limit=1", NULL, NULL, err);
}

int kubernetes_api_create_job(const struct kubernetes_api *api, const cJSON *job, cJSON **out,
                              struct err *err)
{
    const cJSON *spec = json_get(job, "spec");

    if (create(api, api->jobs, job, out, err) < 0)
        return -1;
    if (!json_get(*out, "spec"))
        (void)cJSON_AddItemToObject(
            *out, "spec", jobj({"suspend", jtrue(json_get_bool(spec, "suspend", false))}));
    return 0;
}

int kubernetes_api_get_job(const struct kubernetes_api *api, const char *ref, cJSON **out,
                           struct err *err)
{
    scoped_str path = xasprintf("%s/%s", api->jobs, ref);

    return get(api, path, NULL, kubernetes_facts_not_of_job, out, err);
}

int kubernetes_api_patch_job(const struct kubernetes_api *api, const char *ref,
                             const cJSON *patch, cJSON **out, struct err *err)
{
    return patch_at(api, api->jobs, ref, patch, kubernetes_facts_not_of_job, out, err);
}

int kubernetes_api_delete_job(const struct kubernetes_api *api, const char *ref,
                              const char *uid, struct err *err)
{
    scoped_str path = xasprintf("%s/%s", api->jobs, ref);
    scoped_json options = kubernetes_job_delete_options(uid);
    const struct cluster_request request = {
        .method = "DELETE", .path = path, .body = options, .timeout_ms = CALL_MAX_MS};

    return call(api, &request, NULL, err);
}

/* --- Secrets ---------------------------------------------------------------------------- */

int kubernetes_api_create_secret(const struct kubernetes_api *api, const cJSON *secret,
                                 struct err *err)
{
    return create(api, api->secrets, secret, NULL, err);
}

/* --- Pods ----------------------------------------------------------------------------- */

int kubernetes_api_list_pods(const struct kubernetes_api *api, struct id run, int attempt,
                             cJSON **out, struct err *err)
{
    char text[ID_TEXT_SIZE];
    scoped_str selector = NULL;
    scoped_str escaped = NULL;
    scoped_str query = NULL;

    id_text(run, text);
    selector =
        xasprintf(LABEL_MANAGED_BY "=" OUR_MANAGER "," LABEL_RUN_ID "=%s," LABEL_ATTEMPT "=%d",
                  text, attempt);
    escaped = net_escape(selector);
    query = xasprintf("labelSelector=%s", escaped);
    return get(api, api->pods, query, kubernetes_facts_not_of_pod, out, err);
}

int kubernetes_api_patch_pod(const struct kubernetes_api *api, const char *name,
                             const cJSON *patch, cJSON **out, struct err *err)
{
    return patch_at(api, api->pods, name, patch, kubernetes_facts_not_of_pod, out, err);
}

struct tail {
    struct buf *out;
    size_t limit;
};

static int keep_tail(void *ctx, const char *data, size_t size)
{
    const struct tail *tail = ctx;

    buf_append(tail->out, data, size);
    if (tail->out->size > 2 * tail->limit)
        buf_drop_front(tail->out, tail->out->size - tail->limit);
    return 0;
}

/* The server's limitBytes counts from the beginning, so it is lines that are asked for. */
int kubernetes_api_pod_log(const struct kubernetes_api *api, const char *name,
                           const char *container, size_t limit_bytes, struct buf *out,
                           struct err *err)
{
    scoped_str path = xasprintf("%s/%s/log", api->pods, name);
    scoped_str escaped = net_escape(container);
    scoped_str query = xasprintf("container=%s&tailLines=%zu", escaped,
                                 limit_bytes / LOG_BYTES_A_LINE + LOG_LINES_MIN);
    scoped_buf text = {0};
    struct tail tail = {.out = &text, .limit = limit_bytes};
    struct err failure = {0};

    if (cluster_stream(api->cluster, path, query, LOG_SILENCE_MS, keep_tail, &tail, NULL,
                       &failure)
        < 0) {
        if (failure.kind == ERR_INVALID) /* "... is waiting to start: ContainerCreating" */
            return 0;
        *err = failure;
        return -1;
    }
    if (text.size > limit_bytes)
        buf_drop_front(&text, text.size - limit_bytes);
    if (text.size)
        buf_append(out, text.data, text.size);
    return 0;
}

/* --- Events ----------------------------------------------------------------------------- */

static const char *last_seen(const cJSON *event)
{
    const char *seen = json_get_str(event, "lastTimestamp");

    if (!seen)
        seen = json_get_str(event, "eventTime");
    return seen ? seen : "";
}

int kubernetes_api_refusal(const struct kubernetes_api *api, const char *job_uid,
                           char **out_message, struct err *err)
{
    scoped_str selector = xasprintf("involvedObject.uid=%s,reason=FailedCreate", job_uid);
    scoped_str escaped = net_escape(selector);
    scoped_str query = xasprintf("fieldSelector=%s", escaped);
    scoped_json list = NULL;
    const cJSON *newest = NULL;
    const cJSON *event;

    if (get(api, api->events, query, NULL, &list, err) < 0)
        return -1;
    cJSON_ArrayForEach(event, json_get(list, "items"))
    {
        if (!newest || strcmp(last_seen(event), last_seen(newest)) >= 0)
            newest = event;
    }
    *out_message = xstrdup(json_get_str(newest, "message"));
    return 0;
}
