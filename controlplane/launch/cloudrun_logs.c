/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/cloudrun_api.h"

#include <string.h>

#include "base/alloc.h"

/*
 * What an execution wrote, from Cloud Logging: the newest entries come first, and pages are
 * read until there is enough. A line of JSON arrives as an object, any other as text, without
 * its line break.
 */
#define PAGE_ENTRIES 1000
#define PAGES_MAX 20
#define TIMEOUT_MS 30000

struct tail {
    char **lines; /* newest first */
    size_t count;
    size_t bytes; /* with line breaks */
};

static void tail_done(struct tail *tail)
{
    for (size_t i = 0; i < tail->count; i++)
        free(tail->lines[i]);
    free(tail->lines);
}

static char *filter_of(const struct cloudrun_api *api, const char *name)
{
    return xasprintf("resource.type=\"cloud_run_job\""
                     " AND resource.labels.job_name=\"%s\""
                     " AND resource.labels.location=\"%s\""
                     " AND labels.\"run.googleapis.com/execution_name\"=\"%s\""
                     " AND logName=(\"%s/logs/run.googleapis.com%%2Fstdout\""
                     " OR \"%s/logs/run.googleapis.com%%2Fstderr\")",
                     api->job_id, api->region, name, api->project, api->project);
}

static void take_entries(struct tail *tail, const cJSON *page)
{
    const cJSON *entries = json_get(page, "entries");
    size_t room = tail->count + (size_t)cJSON_GetArraySize(entries);
    const cJSON *entry;

    tail->lines = xrealloc(tail->lines, (room ? room : 1) * sizeof(*tail->lines));
    cJSON_ArrayForEach(entry, entries)
    {
        const char *text = json_get_str(entry, "textPayload");
        const cJSON *object = json_get(entry, "jsonPayload");

        if (!text && !object)
            continue;
        tail->lines[tail->count] = text ? xstrdup(text) : json_text(object);
        tail->bytes += strlen(tail->lines[tail->count]) + 1;
        tail->count++;
    }
}

static void write_tail(const struct tail *tail, size_t limit_bytes, struct buf *out)
{
    scoped_buf all = {0};

    for (size_t i = tail->count; i > 0; i--)
        buf_printf(&all, "%s\n", tail->lines[i - 1]);
    if (all.size > limit_bytes)
        buf_drop_front(&all, all.size - limit_bytes);
    buf_append(out, all.data ? all.data : "", all.size);
}

static int read_page(const struct cloudrun_api *api, const char *filter, const char *token,
                     cJSON **out, struct err *err)
{
    scoped_json body =
        jobj({"resourceNames", jarr(jstr(api->project))}, {"filter", jstr(filter)},
             {"orderBy", jstr("timestamp desc")}, {"pageSize", jint(PAGE_ENTRIES)},
             {"pageToken", *token ? jstr(token) : NULL});
    const struct google_request request = {.method = "POST",
                                           .path = "/v2/entries:list",
                                           .body = body,
                                           .repeatable = true,
                                           .timeout_ms = TIMEOUT_MS};

    return google_api_call(api->logging, &request, out, err);
}

int cloudrun_api_logs(const struct cloudrun_api *api, const char *name, size_t limit_bytes,
                      struct buf *out, struct err *err)
{
    scoped_str filter = filter_of(api, name);
    scoped_str token = xstrdup("");
    struct tail tail = {0};

    for (int pages = 0; pages < PAGES_MAX && tail.bytes < limit_bytes; pages++) {
        scoped_json page = NULL;
        const char *next;

        if (read_page(api, filter, token, &page, err) < 0) {
            tail_done(&tail);
            return -1;
        }
        take_entries(&tail, page);
        next = json_get_str(page, "nextPageToken");
        if (!next || !*next)
            break;
        free(token);
        token = xstrdup(next);
    }
    write_tail(&tail, limit_bytes, out);
    tail_done(&tail);
    return 0;
}
