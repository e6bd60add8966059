/* SPDX-License-Identifier: Apache-2.0 */
/* get, list, stop, retry. */
#include <string.h>

#include "base/alloc.h"
#include "dispatchctl/client.h"
#include "dispatchctl/exits.h"
#include "dispatchctl/limit.h"
#include "dispatchctl/output.h"
#include "dispatchctl/run_view.h"
#include "dispatchctl/waiting.h"

int command_get(const struct invocation *call)
{
    struct err err = {0};
    scoped(client) client = client_open(call, CLIENT_WATCHES, &err);
    scoped_json run = client ? run_view_load(client, call->words[0], &err) : NULL;

    if (!run)
        return output_fail(&err);
    run_view_print(call, run);
    return output_end(EXIT_DONE);
}

/* --- Many --------------------------------------------------------------------------------- */

static const char *const headings[] = {"ID",    "AGE",          "STATUS", "REPOSITORY",
                                       "AGENT", "PULL REQUEST", NULL};
static const char *const wide_headings[] = {"ID",    "AGE",   "STATUS",       "REPOSITORY",
                                            "AGENT", "MODEL", "PULL REQUEST", "ERROR",
                                            "TITLE", NULL};

static void add_run(struct table *table, const cJSON *run, bool wide)
{
    const cJSON *result = json_get(run, "result");
    const char *id = json_get_str(run, "id");
    const char *status = json_get_str(run, "status");
    const char *repo = json_get_str(run, "repo");
    const char *agent = json_get_str(run, "agent_provider");
    const char *url = json_get_str(result, "pr_url");
    char age[AGE_SIZE];
    const char *narrow[] = {id, age, status, repo, agent, url};
    const char *all[] = {id,
                         age,
                         status,
                         repo,
                         agent,
                         json_get_str(run, "model"),
                         url,
                         json_get_str(run, "error_code"),
                         json_get_str(run, "title")};

    output_age(json_get_str(run, "created_at"), age);
    table_add(table, wide ? all : narrow);
}

static void print_runs(const struct invocation *call, const cJSON *page)
{
    bool wide = output_form(call) == OUTPUT_WIDE;
    scoped(table) table = table_new(wide ? wide_headings : headings, output_colors(call));
    const cJSON *run;

    cJSON_ArrayForEach(run, json_get(page, "agents"))
    {
        add_run(table, run, wide);
    }
    table_print(table, stdout);
    if (json_get_str(page, "next_cursor"))
        output_remark(call, "There are more: --all shows all of them, --limit N more of them.");
}

int command_list(const struct invocation *call)
{
    struct err err = {0};
    const char *status = call->options.status;
    int64_t limit;
    scoped_str query = NULL;

    if (limit_read(&call->options, &limit, &err) < 0)
        return output_fail(&err);
    if (status)
        query = xasprintf("status=%s", strcmp(status, "pending") == 0 ? "queued" : status);
    scoped(client) client = client_open(call, CLIENT_WATCHES, &err);
    scoped_json page =
        client ? client_pages(client, "/api/v1/agents", query, "agents", limit, &err) : NULL;
    if (!page)
        return output_fail(&err);
    if (!output_list(call, page, "agents", "id"))
        print_runs(call, page);
    return output_end(EXIT_DONE);
}

/* --- Doing something about one ------------------------------------------------------------ */

int command_stop(const struct invocation *call)
{
    struct err err = {0};
    scoped(client) client = client_open(call, CLIENT_WATCHES, &err);
    scoped_str path = run_view_path(FACE_TASKS, call->words[0], "/stop");
    const struct client_request request = {
        .method = "POST", .path = path, .repeatable = true /* it is ended once */};
    scoped_json answer = NULL;

    if (!client || client_call(client, &request, &answer, &err) < 0)
        return output_fail(&err);
    if (!output_document(call, answer, "task_id"))
        printf("%s is being stopped\n", call->words[0]);
    return output_end(EXIT_DONE);
}

int command_retry(const struct invocation *call)
{
    struct err err = {0};
    scoped(client) client = client_open(call, CLIENT_WATCHES, &err);
    scoped_str path = run_view_path(FACE_TASKS, call->words[0], "/retry");
    const struct client_request request = {.method = "POST", .path = path};
    scoped_json answer = NULL;

    if (!client || client_call(client, &request, &answer, &err) < 0)
        return output_fail(&err);
    return waiting_if_asked(call, client, answer, "task_id");
}
