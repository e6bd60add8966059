/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MCP_TOOL_H
#define MCP_TOOL_H
#include "base/secret.h"
#include "text/redaction.h"
#include "json/json.h"

/*
 * The external HTTP tools of a run, as the assignment has them, each with the headers that it
 * is called with. Those are secrets: they go into requests to the tool's endpoint and nowhere
 * else. A tool_list doesn't change once it is read and may be used by any thread.
 */
#define TOOLS_MAX 64
#define TOOL_HEADERS_MAX 32

struct tool {
    const char *name; /* [A-Za-z0-9_-]{1,64}; these are borrowed from the assignment */
    const char *description;
    const cJSON *parameters; /* a JSON Schema */
    const char *url;
    const char *method;                       /* "GET", "POST", "PUT", "PATCH", "DELETE" */
    struct secret *headers[TOOL_HEADERS_MAX]; /* "Name: value" */
    size_t n_headers;
};

struct tool_list {
    struct tool *all;
    size_t n;
};

/*
 * `tools`: the assignment's array, which must outlive the list; `headers`: {TOOL: {NAME:
 * value}} or NULL. What is secret among the values is added to `redaction`. ERR_INVALID: a tool
 * that can't be called as it is, or one whose headers are missing.
 */
int tool_list_read(struct tool_list *out, const cJSON *tools, const cJSON *headers,
                   struct redaction *redaction, struct err *err) CHECKED;
void tool_list_done(struct tool_list *list);

const struct tool *tool_find(const struct tool_list *list, const char *name);
#endif
