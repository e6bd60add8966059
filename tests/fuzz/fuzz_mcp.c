/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent says to the tool server, in pieces whose size the first byte says: whatever it
 * is, each line that goes back is one JSON object, and what a call would send is a URL of its
 * endpoint in visible ASCII and a body of JSON. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "mcp/message_lines.h"
#include "mcp/protocol.h"
#include "mcp/schema.h"
#include "mcp/tool_request.h"

#define URL "https://tools.example/find?v=1"

static const char parameters[] =
    "{\"type\": \"object\", \"required\": [\"q\"], \"properties\": {\"q\": {\"type\": "
    "\"string\","
    " \"pattern\": \"^(a|b)+\\\\d*$\", \"maxLength\": 8}, \"n\": {\"type\": [\"integer\", "
    "\"null\"],"
    " \"minimum\": 1}, \"l\": {\"type\": \"array\", \"maxItems\": 4, \"items\": {\"oneOf\":"
    " [{\"enum\": [\"x\", 1, {\"a\": []}]}, {\"type\": \"object\", \"additionalProperties\": "
    "false},"
    " {\"$ref\": \"#/x\"}]}}, \"o\": {\"not\": {\"const\": 5}, \"anyOf\": [{\"minProperties\": "
    "1},"
    " {\"type\": \"boolean\"}]}}, \"additionalProperties\": {\"nullable\": true,"
    " \"exclusiveMaximum\": 3}}";

static cJSON *parse(const char *text, size_t size)
{
    struct err err = {0};
    cJSON *value = json_parse(text, size, &err);

    if (!value)
        abort();
    return value;
}

static void send_line(void *ctx, const char *line)
{
    size_t size = strlen(line);
    cJSON *answer;

    (void)ctx;
    if (!size || line[size - 1] != '\n' || strcspn(line, "\n") != size - 1)
        abort();
    answer = parse(line, size - 1);
    if (!json_get(answer, "id") || !json_get(answer, "result") == !json_get(answer, "error"))
        abort();
    cJSON_Delete(answer);
}

static enum protocol_start start_call(void *ctx, const cJSON *id, const struct tool *tool,
                                      cJSON *arguments)
{
    scoped_tool_request made = {0};
    struct err err = {0};
    enum protocol_start result = PROTOCOL_STARTED;

    (void)ctx;
    if (schema_check(tool->parameters, arguments, &err) < 0) {
        if (err.kind == ERR_NONE || !err.text[0])
            abort();
        result = cJSON_IsString(id) ? PROTOCOL_BUSY : PROTOCOL_SAME_ID;
    }
    tool_request_make(&made, tool->method, tool->url, arguments);
    if (strncmp(made.url, URL, strlen(URL)) != 0)
        abort();
    for (const char *c = made.url; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '#')
            abort();
    if (made.body)
        cJSON_Delete(parse(made.body, strlen(made.body)));
    cJSON_Delete(arguments);
    return result;
}

static void cancel_call(void *ctx, const cJSON *id)
{
    (void)ctx;
    if (protocol_same_id(id, id) != (cJSON_IsString(id) || json_whole(id, &(int64_t){0})))
        abort();
}

static void take_line(void *ctx, const char *line, size_t size)
{
    protocol_take(ctx, line, size);
}

static void take_too_long(void *ctx)
{
    protocol_take_too_long(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static cJSON *schema;
    struct tool tools[] = {
        {.name = "find", .description = "Finds", .url = URL, .method = "GET"},
        {.name = "make", .description = "Makes", .url = URL, .method = "POST"},
    };
    const struct tool_list list = {tools, ARRAY_SIZE(tools)};
    struct protocol protocol = {.tools = &list,
                                .owner = {send_line, start_call, cancel_call, 0}};
    const struct message_line_taker taker = {take_line, take_too_long, &protocol};
    struct message_lines lines = {0};
    size_t piece = size ? 1 + data[0] : 1;

    json_setup();
    if (!schema)
        schema = parse(parameters, sizeof(parameters) - 1);
    tools[0].parameters = tools[1].parameters = schema;
    for (size_t at = 1; at < size; at += piece)
        message_lines_feed(&lines, (const char *)data + at,
                           piece < size - at ? piece : size - at, &taker);
    message_lines_done(&lines);
    return 0;
}
