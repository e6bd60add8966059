/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/run_view.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "dispatchctl/clean.h"
#include "dispatchctl/output.h"

char *run_view_path(const char *face, const char *id, const char *what)
{
    scoped_str escaped = net_escape(id);

    return xasprintf("%s%s%s", face, escaped, what);
}

cJSON *run_view_load(struct client *client, const char *id, struct err *err)
{
    scoped_str path = run_view_path(FACE_AGENTS, id, "");

    return client_get(client, path, err);
}

/* --- In words ----------------------------------------------------------------------------- */

static void print_line(const char *label, const char *value)
{
    scoped_str cleaned = clean_line(value);

    if (*cleaned)
        printf("%-13s %s\n", label, cleaned);
}

static void print_status(const struct invocation *call, const cJSON *run)
{
    scoped_str status = clean_line(json_get_str(run, "status"));
    const cJSON *result = json_get(run, "result");
    const char *color = output_colors(call) ? table_status_color(status) : "";

    printf("%-13s %s%s%s%s%s\n", "Status:", color, status, *color ? COLOR_END : "",
           json_get_bool(result, "partial", false) ? ", partial" : "",
           json_get_bool(result, "draft", false) ? ", a draft" : "");
}

/* "4m, of which 12s waiting" would need more than the reader wants: how long it ran. */
static void print_took(const cJSON *run)
{
    const char *started = json_get_str(run, "started_at");
    const char *completed = json_get_str(run, "completed_at");
    char text[AGE_SIZE];
    int64_t from_ms;
    int64_t to_ms;

    if (!started || !completed || !clock_parse(started, &from_ms)
        || !clock_parse(completed, &to_ms))
        return;
    output_elapsed(to_ms - from_ms, text);
    print_line("Took:", text);
}

static void print_result(const cJSON *result)
{
    const char *text = json_get_str(result, "text");
    scoped_str cleaned = text ? clean_text(text, strlen(text)) : NULL;

    print_line("Pull request:", json_get_str(result, "pr_url"));
    print_line("Branch:", json_get_str(result, "branch_name"));
    print_line("Summary:", json_get_str(result, "summary"));
    if (cleaned)
        printf("\n%s\n", cleaned);
}

void run_view_print(const struct invocation *call, const cJSON *run)
{
    const char *code = json_get_str(run, "error_code");
    const char *error = json_get_str(run, "error");
    scoped_str why = error ? xasprintf("%s%s%s%s", error, code ? " (" : "", code ? code : "",
                                       code ? ")" : "")
                           : NULL;

    if (output_document(call, run, "id"))
        return;
    print_line("Run:", json_get_str(run, "id"));
    print_status(call, run);
    print_line("Waits for:", json_get_str(run, "reason"));
    print_line("Error:", why);
    print_line("Repository:", json_get_str(run, "repo"));
    print_line("Base branch:", json_get_str(run, "branch"));
    print_line("Title:", json_get_str(run, "title"));
    print_line("Agent:", json_get_str(run, "agent_provider"));
    print_line("Model:", json_get_str(run, "model"));
    print_line("Launcher:", json_get_str(run, "launcher"));
    print_line("Created:", json_get_str(run, "created_at"));
    print_took(run);
    print_result(json_get(run, "result"));
}
