/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/tool.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "mcp/header_secret.h"
#include "net/header.h"

#define NAME_MAX_BYTES 64

/* --- Headers ------------------------------------------------------------------------------ */

static int add_header(struct tool *tool, const cJSON *header, struct redaction *redaction,
                      struct err *err)
{
    bool good = cJSON_IsString(header) && !header_is_the_senders(header->string);
    char *line;

    if (tool->n_headers == TOOL_HEADERS_MAX)
        return err_set(err, ERR_INVALID, "tool %s: more than %d headers", tool->name,
                       TOOL_HEADERS_MAX);
    if (good && strcasecmp(header->string, "accept-encoding") == 0)
        return 0; /* answers come as they are: what nobody here could unpack isn't asked for */
    line = good ? xasprintf("%s: %s", header->string, header->valuestring) : NULL;
    good = line && header_valid(line);
    if (good) {
        tool->headers[tool->n_headers++] = secret_new(line);
        header_secret_redact(header->string, header->valuestring, redaction);
    }
    if (line)
        secret_wipe(line, strlen(line));
    free(line);
    return good ? 0
                : err_set(err, ERR_INVALID, "tool %s: a header can't be sent as it is",
                          tool->name);
}

static int add_headers(struct tool *tool, const cJSON *headers, bool expected,
                       struct redaction *redaction, struct err *err)
{
    const cJSON *header;

    if (expected && !cJSON_IsObject(headers))
        return err_set(err, ERR_INVALID, "tool %s: its headers are missing", tool->name);
    cJSON_ArrayForEach(header, headers)
    {
        if (add_header(tool, header, redaction, err) < 0)
            return -1;
    }
    return 0;
}

/* --- Tools -------------------------------------------------------------------------------- */

struct endpoint {
    const char *url;
    const char *method;
    bool has_headers;
};

static const struct jfield tool_fields[] = {
    JFIELD(struct tool, name, J_REQUIRED),
    JFIELD(struct tool, description, J_REQUIRED),
    JFIELD(struct tool, parameters, J_REQUIRED),
};

static const struct jfield endpoint_fields[] = {
    JFIELD(struct endpoint, url, J_REQUIRED),
    JFIELD(struct endpoint, method, J_REQUIRED),
    JFIELD(struct endpoint, has_headers, J_OPTIONAL),
};

static bool name_valid(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-";
    size_t length = strnlen(name, NAME_MAX_BYTES + 1);

    return length && length <= NAME_MAX_BYTES && strspn(name, allowed) == length;
}

static bool method_known(const char *method)
{
    static const char *const known[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(known[i], method) == 0)
            return true;
    return false;
}

static int read_tool(struct tool *tool, const cJSON *given, const char *path,
                     bool *out_has_headers, struct err *err)
{
    scoped_str endpoint_path = xasprintf("%s.endpoint", path);
    struct endpoint endpoint = {0};

    if (json_read_fields(given, tool_fields, ARRAY_SIZE(tool_fields), false, path, tool, err)
            < 0
        || json_read_fields(json_get(given, "endpoint"), endpoint_fields,
                            ARRAY_SIZE(endpoint_fields), false, endpoint_path, &endpoint, err)
               < 0)
        return -1;
    if (!name_valid(tool->name) || !cJSON_IsObject(tool->parameters)
        || !method_known(endpoint.method))
        return err_set_field(err, path, "not a tool that can be called");
    tool->url = endpoint.url;
    tool->method = endpoint.method;
    *out_has_headers = endpoint.has_headers;
    return 0;
}

static int add_tool(struct tool_list *list, const cJSON *given, const cJSON *headers,
                    struct redaction *redaction, struct err *err)
{
    struct tool *tool = &list->all[list->n];
    char path[32];
    bool has_headers = false;

    (void)snprintf(path, sizeof(path), "tools[%zu]", list->n);
    if (read_tool(tool, given, path, &has_headers, err) < 0)
        return -1;
    if (tool_find(list, tool->name))
        return err_set_field(err, path, "two tools have this name");
    list->n++;
    return add_headers(tool, json_get(headers, tool->name), has_headers, redaction, err);
}

int tool_list_read(struct tool_list *out, const cJSON *tools, const cJSON *headers,
                   struct redaction *redaction, struct err *err)
{
    int n = cJSON_GetArraySize(tools);
    const cJSON *tool;

    *out = (struct tool_list){0};
    if (!cJSON_IsArray(tools) || n > TOOLS_MAX)
        return err_set_field(err, "tools", "expected at most %d tools", TOOLS_MAX);
    out->all = xcalloc((size_t)n + 1, sizeof(*out->all));
    cJSON_ArrayForEach(tool, tools)
    {
        if (add_tool(out, tool, headers, redaction, err) < 0) {
            tool_list_done(out);
            return -1;
        }
    }
    return 0;
}

void tool_list_done(struct tool_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        for (size_t k = 0; k < list->all[i].n_headers; k++)
            secret_free(list->all[i].headers[k]);
    free(list->all);
    *list = (struct tool_list){0};
}

const struct tool *tool_find(const struct tool_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->all[i].name, name) == 0)
            return &list->all[i];
    return NULL;
}
