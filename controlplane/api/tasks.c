/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/app.h"
#include "api/task_json.h"
#include "store/run_store.h"

#define LIST_LIMIT_DEFAULT 100
#define LIST_LIMIT_MAX 1000

static int task_id(const struct request *req, struct id *out, struct err *err)
{
    const char *text = request_param(req, "task_id");

    if (!id_parse(text, out))
        return err_set(err, ERR_NOT_FOUND, "there is no task %.64s", text);
    return 0;
}

int show_task(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    struct id id;

    if (task_id(req, &id, err) < 0)
        return -1;
    scoped(run) run = run_store_load(app->db, id, err);
    if (!run)
        return -1;
    *out = task_json(app->config, run, false);
    return 200;
}

/* --- Listing
 * ------------------------------------------------------------------------------------ */

/* A public status is one or two stored ones. */
static int read_status(const char *text, unsigned *out, struct err *err)
{
    for (int status = 0; status < RUN_STATUS_COUNT; status++)
        if (strcmp(text, run_status_public_name((enum run_status)status)) == 0)
            *out |= 1U << status;
    if (*out)
        return 0;
    return err_set_field(err, "status",
                         "expected one of pending, running, completed, failed, stopped");
}

static int read_limit(const char *text, int *out, struct err *err)
{
    char *end;
    long limit = strtol(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end || limit < 1 || limit > LIST_LIMIT_MAX)
        return err_set_field(err, "limit", "expected a whole number from 1 to %d",
                             LIST_LIMIT_MAX);
    *out = (int)limit;
    return 0;
}

static int read_filter(const struct request *req, struct run_filter *out, struct err *err)
{
    static const char *const known[] = {"status", "limit", "cursor", NULL};
    const char *status = request_query(req, "status");
    const char *limit = request_query(req, "limit");
    const char *cursor = request_query(req, "cursor");

    *out = (struct run_filter){.limit = LIST_LIMIT_DEFAULT};
    if (request_query_only(req, known, err) < 0
        || (status && read_status(status, &out->statuses, err) < 0)
        || (limit && read_limit(limit, &out->limit, err) < 0))
        return -1;
    if (cursor && !id_parse(cursor, &out->before))
        return err_set_field(err, "cursor", "this is no cursor of ours");
    return 0;
}

int list_tasks(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    struct run_filter filter;
    struct run_page page = {0};
    char next[ID_TEXT_SIZE];
    cJSON *tasks;

    if (read_filter(req, &filter, err) < 0 || run_store_page(app->db, &filter, &page, err) < 0)
        return -1;
    tasks = json_array(NULL, 0);
    for (size_t i = 0; i < page.n_runs; i++)
        cJSON_AddItemToArray(tasks, task_json(app->config, page.runs[i], true));
    id_text(page.next, next);
    *out = jobj({"tasks", tasks}, {"count", jint((int64_t)page.n_runs)},
                {"next_cursor", page.next.key ? jstr(next) : NULL});
    run_page_done(&page);
    return 200;
}

/* --- Stopping
 * ----------------------------------------------------------------------------------- */

int stop_task(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    struct id id;

    if (task_id(req, &id, err) < 0 || service_stop_run(app->service, id, err) < 0)
        return -1;
    *out = jobj({"task_id", jstr(request_param(req, "task_id"))},
                {"message", jstr("The task is being stopped")});
    return 202;
}
