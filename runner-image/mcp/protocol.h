/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MCP_PROTOCOL_H
#define MCP_PROTOCOL_H
#include "mcp/message.h"
#include "mcp/tool.h"

/*
 * The server's side of one MCP conversation (modelcontextprotocol.io, revisions 2024-11-05,
 * 2025-03-26 and 2025-06-18), apart from threads and sockets: lines come in, what is to be done
 * goes out through the functions of its owner. Served are initialize, ping, tools/list,
 * tools/call and the cancelling of one. One thread at a time.
 */
#define PROTOCOL_LATEST "2025-06-18"

enum protocol_start { PROTOCOL_STARTED, PROTOCOL_BUSY, PROTOCOL_SAME_ID };

struct protocol_owner {
    /* A whole line. */
    void (*send)(void *ctx, const char *line);
    /* Starts a call that will be answered to `id`. Takes `arguments`, an object. */
    enum protocol_start (*call)(void *ctx, const cJSON *id, const struct tool *tool,
                                cJSON *arguments);
    /* Ends the call with this id, if there is one, which then isn't answered. */
    void (*cancel)(void *ctx, const cJSON *id);
    void *ctx;
};

struct protocol {
    const struct tool_list *tools;
    struct protocol_owner owner;
    bool greeted; /* initialize was answered */
};

/* A line without its break. */
void protocol_take(struct protocol *protocol, const char *line, size_t size);
/* There was one that is longer than its reader takes. */
void protocol_take_too_long(struct protocol *protocol);

/* Do they name the same request? */
bool protocol_same_id(const cJSON *a, const cJSON *b);
#endif
