/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MCP_TOOL_SERVER_H
#define MCP_TOOL_SERVER_H
#include "home/events.h"
#include "json/json.h"

/*
 * Serves the run's external tools to the agent over MCP, on a unix socket in the agent's own
 * temporary directory: `dispatch-runner mcp SOCKET` (bridge.h), which the agent starts, speaks
 * there. The tools' secret headers stay in this process; the agent sees names, descriptions,
 * schemas and answers.
 *
 * Everything that comes over the socket is the agent's, and untrusted: connections, calls at
 * once and lines have limits, and one that sends garbage harms nobody but itself. Each
 * connection and each call has a thread of its own.
 */
#define TOOL_SERVER_CONNECTIONS_MAX 8
#define TOOL_SERVER_CALLS_MAX 16
#define TOOL_SERVER_SOCKET_NAME "dispatch-tools"

struct tool_server_options {
    const cJSON *tools;           /* of the assignment; must outlive the server */
    cJSON *headers;               /* {TOOL: {NAME: value}}, NULL: none. Taken and wiped */
    const char *directory;        /* where the socket is made; the agent's */
    const char *ca_file;          /* NULL: the system's */
    const cJSON *allowed_private; /* ranges that tools may be in although they aren't public,
                                     an array of strings; NULL: none */
    struct events *events;        /* gets a tool_use for each call; NULL: nobody is told */
    struct redaction *redaction;
    int call_timeout_ms; /* 0: TOOL_CALL_TIMEOUT_MS */
};

struct tool_server;

/* ERR_INVALID: a tool or a range that can't be used. `options->headers` is gone in any case. */
struct tool_server *tool_server_start(const struct tool_server_options *options,
                                      struct err *err) CHECKED;
/* Ends every call and connection. */
void tool_server_free(struct tool_server *server);
DEFINE_SCOPED(tool_server)

/* The socket's path; it may be longer than sun_path. Borrowed. */
const char *tool_server_socket(const struct tool_server *server);
#endif
