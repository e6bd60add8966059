/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/message.h"

#include <string.h>

#include "base/alloc.h"

static void say_bad(struct message *out, enum message_error error, const char *why)
{
    out->kind = MESSAGE_BAD;
    out->error = error;
    (void)snprintf(out->why, sizeof(out->why), "%s", why);
}

static bool id_valid(const cJSON *id)
{
    int64_t number;

    return (cJSON_IsString(id) && strlen(id->valuestring) <= MESSAGE_ID_MAX_BYTES)
           || json_whole(id, &number);
}

static void classify(struct message *out)
{
    const cJSON *id = json_get(out->document, "id");
    const char *version = json_get_str(out->document, "jsonrpc");
    const cJSON *method = json_get(out->document, "method");
    const cJSON *params = json_get(out->document, "params");

    out->id = id_valid(id) ? id : NULL;
    if (cJSON_IsArray(out->document))
        say_bad(out, MESSAGE_INVALID, "batches aren't served, one message a line");
    else if (!cJSON_IsObject(out->document) || !version || strcmp(version, "2.0") != 0)
        say_bad(out, MESSAGE_INVALID, "not a message of JSON-RPC 2.0");
    else if (!method && (json_get(out->document, "result") || json_get(out->document, "error")))
        out->kind = MESSAGE_ANSWER;
    else if (!cJSON_IsString(method))
        say_bad(out, MESSAGE_INVALID, "method: expected a string");
    else if (id && !out->id)
        say_bad(out, MESSAGE_INVALID, "id: expected a string or a whole number");
    else if (id && params && !cJSON_IsObject(params))
        say_bad(out, MESSAGE_BAD_PARAMS, "params: expected an object");
    else
        out->kind = id ? MESSAGE_REQUEST : MESSAGE_NOTIFICATION;
    out->method = json_get_str(out->document, "method");
    out->params = cJSON_IsObject(params) ? params : NULL;
}

void message_read(struct message *out, const char *line, size_t size)
{
    struct err err = {0};

    *out = (struct message){.document = json_parse(line, size, &err)};
    if (out->document)
        classify(out);
    else
        say_bad(out, MESSAGE_PARSE_ERROR, err.text);
}

void message_done(struct message *message)
{
    cJSON_Delete(message->document);
    *message = (struct message){0};
}

/* Takes `member`. */
static char *answer(const cJSON *id, const char *name, cJSON *member)
{
    scoped_json whole =
        jobj({"jsonrpc", jstr("2.0")},
             {"id", id ? cJSON_Duplicate(id, false) : cJSON_CreateNull()}, {name, member});
    scoped_str text = json_text(whole);
    size_t size = strlen(text);
    char *line = xrealloc(TAKE(text), size + 2);

    memcpy(line + size, "\n", 2);
    return line;
}

char *message_result(const cJSON *id, cJSON *result)
{
    return answer(id, "result", result);
}

char *message_failure(const cJSON *id, enum message_error error, const char *why)
{
    return answer(id, "error", jobj({"code", jint(error)}, {"message", jstr(why)}));
}

cJSON *message_tool_result(const char *text, bool is_error)
{
    return jobj({"content", jarr(jobj({"type", jstr("text")}, {"text", jstr(text)}))},
                {"isError", jbool(is_error)});
}
