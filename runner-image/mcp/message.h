/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MCP_MESSAGE_H
#define MCP_MESSAGE_H
#include "json/json.h"

/*
 * JSON-RPC 2.0 as MCP speaks it over lines: one message a line. An id is a string or a whole
 * number, never null; params are an object. Batches were part of one revision of MCP only
 * (2025-03-26) and of no client known to us: they are refused as an invalid request.
 */
#define MESSAGE_ID_MAX_BYTES 256

enum message_error {
    MESSAGE_PARSE_ERROR = -32700,
    MESSAGE_INVALID = -32600,
    MESSAGE_NO_METHOD = -32601,
    MESSAGE_BAD_PARAMS = -32602,
};

enum message_kind {
    MESSAGE_REQUEST,      /* wants an answer to `id` */
    MESSAGE_NOTIFICATION, /* wants none */
    MESSAGE_ANSWER,       /* to something that we never asked */
    MESSAGE_BAD, /* `error` and `why` say what is wrong; `id` where it has a good one */
};

struct message {
    cJSON *document;
    enum message_kind kind;
    const cJSON *id; /* borrowed from the document, as are these; NULL: none */
    const char *method;
    const cJSON *params; /* NULL: none */
    enum message_error error;
    char why[ERR_TEXT_MAX];
};

#define scoped_message __attribute__((cleanup(message_done))) struct message

void message_read(struct message *out, const char *line, size_t size);
void message_done(struct message *message);

/* A line to send, with its line break; the caller frees it. `id` is borrowed, NULL for null;
 * `result` is taken. */
char *message_result(const cJSON *id, cJSON *result) CHECKED;
char *message_failure(const cJSON *id, enum message_error error, const char *why) CHECKED;

/* What tools/call results in: one text; `is_error` for a call that failed. */
cJSON *message_tool_result(const char *text, bool is_error) CHECKED;
#endif
