/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MCP_TOOL_CALL_H
#define MCP_TOOL_CALL_H
#include <stdatomic.h>

#include "home/events.h"
#include "mcp/tool.h"
#include "net/net.h"

/*
 * One call of a tool: its arguments are held against the schema, the endpoint is called, and
 * the answer becomes what MCP calls a CallToolResult. Text and JSON are handed on as they are,
 * up to TOOL_ANSWER_MAX_BYTES and without the run's secrets; what isn't text is described.
 * Whatever fails is a result too (isError), so that the model can make something of it. Each
 * call is a tool_use event: {name, argument?, source: "tool", status?, error?, took_ms}.
 *
 * Safe from any thread.
 */
#define TOOL_ANSWER_MAX_BYTES ((size_t)256 * 1024)
#define TOOL_CALL_TIMEOUT_MS 120000
#define TOOL_EVENTS_MAX 2000

struct tool_caller {
    struct net *net;
    struct events *events; /* NULL: nobody is told */
    struct redaction *redaction;
    int timeout_ms; /* 0: TOOL_CALL_TIMEOUT_MS */
    _Atomic int told;
};

/* The result, for the caller. NULL when *cancel ended it. */
cJSON *tool_call(struct tool_caller *caller, const struct tool *tool, const cJSON *arguments,
                 const volatile bool *cancel);
#endif
