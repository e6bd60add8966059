/* SPDX-License-Identifier: Apache-2.0 */
/* deliveries list and deliveries redeliver. */
#include "base/alloc.h"
#include "base/buf.h"
#include "dispatchctl/client.h"
#include "dispatchctl/exits.h"
#include "dispatchctl/limit.h"
#include "dispatchctl/output.h"
#include "dispatchctl/run_view.h"

static const char *const headings[] = {"ID",  "AGE",      "STATUS", "EVENT",
                                       "RUN", "ATTEMPTS", "URL",    NULL};

static void print_deliveries(const struct invocation *call, const cJSON *page)
{
    scoped(table) table = table_new(headings, output_colors(call));
    const cJSON *delivery;

    cJSON_ArrayForEach(delivery, json_get(page, "deliveries"))
    {
        scoped_str attempts =
            xasprintf("%lld", (long long)json_get_int(delivery, "attempts", 0));
        char age[AGE_SIZE];
        const char *cells[] = {
            json_get_str(delivery, "id"),     age,
            json_get_str(delivery, "status"), json_get_str(delivery, "event"),
            json_get_str(delivery, "run_id"), attempts,
            json_get_str(delivery, "url")};

        output_age(json_get_str(delivery, "created_at"), age);
        table_add(table, cells);
    }
    table_print(table, stdout);
    if (json_get_str(page, "next_cursor"))
        output_remark(call, "There are more: --all shows all of them, --limit N more of them.");
}

static char *filter_query(const struct options *options)
{
    scoped_buf query = {0};
    scoped_str status = options->status ? net_escape(options->status) : NULL;
    scoped_str run = options->run ? net_escape(options->run) : NULL;

    if (status)
        buf_printf(&query, "status=%s", status);
    if (run)
        buf_printf(&query, "%srun=%s", status ? "&" : "", run);
    return buf_take(&query);
}

int command_deliveries_list(const struct invocation *call)
{
    struct err err = {0};
    int64_t limit;
    scoped_str query = filter_query(&call->options);

    if (limit_read(&call->options, &limit, &err) < 0)
        return output_fail(&err);
    scoped(client) client = client_open(call, CLIENT_WATCHES, &err);
    scoped_json page =
        client ? client_pages(client, "/api/deliveries", query, "deliveries", limit, &err)
               : NULL;
    if (!page)
        return output_fail(&err);
    if (!output_list(call, page, "deliveries", "id"))
        print_deliveries(call, page);
    return output_end(EXIT_DONE);
}

int command_deliveries_redeliver(const struct invocation *call)
{
    struct err err = {0};
    scoped(client) client = client_open(call, CLIENT_WATCHES, &err);
    scoped_str path = run_view_path("/api/deliveries/", call->words[0], "/redeliver");
    const struct client_request request = {.method = "POST", .path = path};
    scoped_json answer = NULL;

    if (!client || client_call(client, &request, &answer, &err) < 0)
        return output_fail(&err);
    if (!output_document(call, answer, "id"))
        printf("%s will be sent again\n", call->words[0]);
    return output_end(EXIT_DONE);
}
