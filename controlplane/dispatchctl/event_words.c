/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/event_words.h"

#include <string.h>

#include "base/alloc.h"

static char *status_text(const cJSON *data, const cJSON *detail)
{
    const char *status = json_get_str(data, "status");
    const char *error = json_get_str(data, "error");
    const char *url = json_get_str(data, "pr_url");

    (void)detail;
    if (!status)
        return NULL;
    return xasprintf("-- %s%s%s", status, error || url ? ": " : "",
                     error ? error
                     : url ? url
                           : "");
}

static char *started_text(const cJSON *data, const cJSON *detail)
{
    const char *agent = json_get_str(detail, "agent");

    (void)data;
    return xasprintf("-- the runner has started, with %s", agent ? agent : "its agent");
}

static char *log_text(const cJSON *data, const cJSON *detail)
{
    const char *line = json_get_str(detail, "line");

    (void)data;
    return xstrdup(line ? line : json_get_str(detail, "text"));
}

static char *message_text(const cJSON *data, const cJSON *detail)
{
    (void)data;
    return xstrdup(json_get_str(detail, "text"));
}

static char *step_text(const cJSON *data, const cJSON *detail)
{
    const char *name = json_get_str(detail, "name");

    (void)data;
    return name ? xasprintf("-- %s", name) : NULL;
}

static char *tool_text(const cJSON *data, const cJSON *detail)
{
    const char *name = json_get_str(detail, "name");
    const char *argument = json_get_str(detail, "argument");

    (void)data;
    return xasprintf("> %s %s", name ? name : "a tool", argument ? argument : "");
}

static char *warning_text(const cJSON *data, const cJSON *detail)
{
    const char *message = json_get_str(detail, "message");

    (void)data;
    return message ? xasprintf("warning: %s", message) : NULL;
}

static char *pull_request_text(const cJSON *data, const cJSON *detail)
{
    const char *url = json_get_str(detail, "url");

    (void)data;
    return url ? xasprintf("-- pull request: %s", url) : NULL;
}

char *event_words(const char *type, const cJSON *data)
{
    static const struct {
        const char *type;
        char *(*text)(const cJSON *data, const cJSON *detail);
    } types[] = {
        {"status", status_text},   {"started", started_text},
        {"log", log_text},         {"agent_message", message_text},
        {"step", step_text},       {"tool_use", tool_text},
        {"warning", warning_text}, {"pull_request", pull_request_text},
    };

    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (strcmp(types[i].type, type) == 0)
            return types[i].text(data, json_get(data, "data"));
    return NULL;
}
