/* SPDX-License-Identifier: Apache-2.0 */
#include "api/app.h"
#include "api/run_query.h"
#include "api/task_json.h"
#include "store/run_details.h"
#include "store/run_store.h"

static int task_id(const struct request *req, struct id *out, struct err *err)
{
    const char *text = request_param(req, "task_id");

    if (!id_parse(text, out))
        return err_set(err, ERR_NOT_FOUND, "there is no such task");
    return 0;
}

int show_task(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    scoped_run_details details = {0};
    char reason[PENDING_REASON_MAX];
    struct id id;

    if (task_id(req, &id, err) < 0)
        return -1;
    scoped(run) run = principal_load_run(app, req, id, err);
    if (!run || run_details_load(app->db, id, &details, err) < 0)
        return -1;
    *out = task_json(app->config, run, &details);
    if (service_pending_reason(app->service, run, reason, sizeof(reason)))
        (void)cJSON_AddItemToObject(*out, "reason", jstr(reason));
    return 200;
}

/* --- Listing
 * ------------------------------------------------------------------------------------ */

static int list(struct app *app, struct request *req, unsigned among, cJSON **out,
                struct err *err)
{
    struct run_filter filter;
    struct run_page page = {0};
    char next[ID_TEXT_SIZE];
    cJSON *tasks;

    if (run_query_read(req, run_status_public_name, among, &filter, err) < 0)
        return -1;
    principal_narrow(principal_of(req), &filter);
    if (run_store_page(app->db, &filter, &page, err) < 0)
        return -1;
    tasks = json_array(NULL, 0);
    for (size_t i = 0; i < page.n_runs; i++)
        cJSON_AddItemToArray(tasks, task_json(app->config, page.runs[i], NULL));
    id_text(page.next, next);
    *out = jobj({"tasks", tasks}, {"count", jint((int64_t)page.n_runs)},
                {"next_cursor", page.next.key ? jstr(next) : NULL});
    run_page_done(&page);
    return 200;
}

int list_tasks(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    return list(app, req, ALL_STATUSES, out, err);
}

int list_history(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    return list(app, req, ENDED_STATUSES, out, err);
}

/* --- Stopping
 * ----------------------------------------------------------------------------------- */

int stop_task(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const struct audit_source source = request_source(app, req);
    struct id id;

    if (task_id(req, &id, err) < 0)
        return -1;
    scoped(run) run = principal_load_run(app, req, id, err);
    if (!run || service_stop_run(app->service, id, &source, err) < 0)
        return -1;
    *out = jobj({"task_id", jstr(request_param(req, "task_id"))},
                {"message", jstr("The task is being stopped")});
    return 202;
}
