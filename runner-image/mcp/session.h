/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MCP_SESSION_H
#define MCP_SESSION_H
#include <stdatomic.h>

#include "mcp/tool_call.h"

/*
 * One connection of an agent to the tool server, from its first line to its end. Calls run on
 * threads of their own, so that others, and the word to cancel one, come through meanwhile.
 */
struct session_world {
    const struct tool_list *tools;
    struct tool_caller caller;
    _Atomic int calls; /* under way, of all sessions */
};

/* Serves until the other side hangs up, or somebody shuts the socket down; every call has ended
 * then. The socket stays open. */
void session_serve(struct session_world *world, int fd);

/* Starts a thread that nobody waits for; signals are for others. */
int session_start_thread(void *(*run)(void *), void *ctx);
#endif
