/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MCP_TOOL_REQUEST_H
#define MCP_TOOL_REQUEST_H
#include "mcp/tool.h"

/*
 * A call's arguments as an HTTP request: with GET and DELETE they are the query (a list of
 * plain values repeats its name, what is deeper is JSON, null is left out), otherwise a JSON
 * body. Pure.
 */
struct tool_request {
    char *url;
    char *body; /* NULL: none */
};

#define scoped_tool_request __attribute__((cleanup(tool_request_done))) struct tool_request

void tool_request_make(struct tool_request *out, const char *method, const char *url,
                       const cJSON *arguments);
void tool_request_done(struct tool_request *request);
#endif
