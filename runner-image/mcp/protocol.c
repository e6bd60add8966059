/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/protocol.h"

#include <string.h>

#include "base/alloc.h"

static void send(struct protocol *protocol, char *line)
{
    protocol->owner.send(protocol->owner.ctx, line);
    free(line);
}

/* --- Methods ------------------------------------------------------------------------------ */

static void initialize(struct protocol *protocol, const struct message *message)
{
    static const char *const revisions[] = {"2024-11-05", "2025-03-26", PROTOCOL_LATEST};
    const char *wanted = json_get_str(message->params, "protocolVersion");
    const char *spoken = PROTOCOL_LATEST;

    if (!wanted) {
        send(protocol, message_failure(message->id, MESSAGE_BAD_PARAMS,
                                       "protocolVersion: expected a string"));
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(revisions); i++)
        if (strcmp(revisions[i], wanted) == 0)
            spoken = revisions[i];
    protocol->greeted = true;
    send(protocol,
         message_result(message->id,
                        jobj({"protocolVersion", jstr(spoken)},
                             {"capabilities", jobj({"tools", json_object(NULL, 0)})},
                             {"serverInfo", jobj({"name", jstr("dispatch")},
                                                 {"version", jstr(DISPATCH_VERSION)})})));
}

/* MCP wants the type, which a client of ours may leave out. */
static cJSON *input_schema(const cJSON *parameters)
{
    cJSON *schema = cJSON_Duplicate(parameters, true);

    if (!json_get(schema, "type"))
        cJSON_AddItemToObject(schema, "type", jstr("object"));
    return schema;
}

static void list_tools(struct protocol *protocol, const struct message *message)
{
    cJSON *tools = json_array(NULL, 0);

    for (size_t i = 0; i < protocol->tools->n; i++) {
        const struct tool *tool = &protocol->tools->all[i];

        cJSON_AddItemToArray(tools, jobj({"name", jstr(tool->name)},
                                         {"description", jstr(tool->description)},
                                         {"inputSchema", input_schema(tool->parameters)}));
    }
    send(protocol, message_result(message->id, jobj({"tools", tools})));
}

static void start_call(struct protocol *protocol, const struct message *message,
                       const struct tool *tool, const cJSON *arguments)
{
    cJSON *given = arguments ? cJSON_Duplicate(arguments, true) : json_object(NULL, 0);

    switch (protocol->owner.call(protocol->owner.ctx, message->id, tool, given)) {
    case PROTOCOL_BUSY:
        send(protocol,
             message_result(
                 message->id,
                 message_tool_result("too many calls are under way, try again later", true)));
        break;
    case PROTOCOL_SAME_ID:
        send(protocol,
             message_failure(message->id, MESSAGE_INVALID, "a call with this id is under way"));
        break;
    case PROTOCOL_STARTED:
    default:
        break;
    }
}

static void call_tool(struct protocol *protocol, const struct message *message)
{
    const char *name = json_get_str(message->params, "name");
    const cJSON *arguments = json_get(message->params, "arguments");
    const struct tool *tool = name ? tool_find(protocol->tools, name) : NULL;
    scoped_str why = NULL;

    if (tool && (!arguments || cJSON_IsObject(arguments))) {
        start_call(protocol, message, tool, arguments);
        return;
    }
    if (!name)
        why = xstrdup("name: expected a string");
    else
        why = tool ? xstrdup("arguments: expected an object")
                   : xasprintf("Unknown tool: %.64s", name);
    send(protocol, message_failure(message->id, MESSAGE_BAD_PARAMS, why));
}

/* --- Messages ----------------------------------------------------------------------------- */

static void take_request(struct protocol *protocol, const struct message *message)
{
    scoped_str why = NULL;

    if (strcmp(message->method, "initialize") == 0) {
        initialize(protocol, message);
    } else if (strcmp(message->method, "ping") == 0) {
        send(protocol, message_result(message->id, json_object(NULL, 0)));
    } else if (!protocol->greeted) {
        send(protocol,
             message_failure(message->id, MESSAGE_INVALID, "initialize must come first"));
    } else if (strcmp(message->method, "tools/list") == 0) {
        list_tools(protocol, message);
    } else if (strcmp(message->method, "tools/call") == 0) {
        call_tool(protocol, message);
    } else {
        why = xasprintf("Unknown method: %.100s", message->method);
        send(protocol, message_failure(message->id, MESSAGE_NO_METHOD, why));
    }
}

/* Those we don't know, and answers to what we never asked, are to be ignored. */
static void take_notification(struct protocol *protocol, const struct message *message)
{
    const cJSON *id = json_get(message->params, "requestId");

    if (strcmp(message->method, "notifications/cancelled") == 0 && id)
        protocol->owner.cancel(protocol->owner.ctx, id);
}

void protocol_take(struct protocol *protocol, const char *line, size_t size)
{
    scoped_message message = {0};

    while (size && strchr("\r \t", line[size - 1]))
        size--;
    if (!size)
        return;
    message_read(&message, line, size);
    if (message.kind == MESSAGE_REQUEST)
        take_request(protocol, &message);
    else if (message.kind == MESSAGE_NOTIFICATION)
        take_notification(protocol, &message);
    else if (message.kind == MESSAGE_BAD)
        send(protocol, message_failure(message.id, message.error, message.why));
}

void protocol_take_too_long(struct protocol *protocol)
{
    send(protocol, message_failure(NULL, MESSAGE_INVALID, "the line is too long"));
}

bool protocol_same_id(const cJSON *a, const cJSON *b)
{
    int64_t one;
    int64_t other;

    if (cJSON_IsString(a) && cJSON_IsString(b))
        return strcmp(a->valuestring, b->valuestring) == 0;
    return json_whole(a, &one) && json_whole(b, &other) && one == other;
}
