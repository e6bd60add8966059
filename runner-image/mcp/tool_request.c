/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/tool_request.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "net/net.h"

static bool is_plain(const cJSON *value)
{
    return cJSON_IsString(value) || cJSON_IsNumber(value) || cJSON_IsBool(value);
}

static bool is_list_of_plain(const cJSON *value)
{
    const cJSON *item;

    if (!cJSON_IsArray(value))
        return false;
    cJSON_ArrayForEach(item, value)
    {
        if (!is_plain(item))
            return false;
    }
    return true;
}

/* The query grows by one; `*mark` is what comes before it. */
static void add_one(struct buf *url, char *mark, const char *name, const cJSON *value)
{
    scoped_str text = cJSON_IsString(value) ? xstrdup(value->valuestring) : json_text(value);
    scoped_str escaped_name = net_escape(name);
    scoped_str escaped = net_escape(text);

    buf_printf(url, "%c%s=%s", *mark, escaped_name, escaped);
    *mark = '&';
}

/* How much of a URL stands before what is added to its query: neither a fragment, which stays
 * with the caller, nor a mark that waits for more. */
static size_t query_end(const char *url)
{
    size_t size = strcspn(url, "#");

    while (size && strchr("?&", url[size - 1]))
        size--;
    return size;
}

static void add_query(struct buf *url, const cJSON *arguments)
{
    char mark = memchr(url->data, '?', url->size) ? '&' : '?';
    const cJSON *argument;
    const cJSON *item;

    cJSON_ArrayForEach(argument, arguments)
    {
        if (cJSON_IsNull(argument))
            continue;
        if (!is_list_of_plain(argument)) {
            add_one(url, &mark, argument->string, argument);
            continue;
        }
        cJSON_ArrayForEach(item, argument)
        {
            add_one(url, &mark, argument->string, item);
        }
    }
}

void tool_request_make(struct tool_request *out, const char *method, const char *url,
                       const cJSON *arguments)
{
    scoped_buf whole = {0};

    *out = (struct tool_request){0};
    if (strcmp(method, "GET") != 0 && strcmp(method, "DELETE") != 0) {
        out->url = xstrdup(url);
        out->body = json_text(arguments);
        return;
    }
    buf_append(&whole, url, query_end(url));
    add_query(&whole, arguments);
    out->url = buf_take(&whole);
}

void tool_request_done(struct tool_request *request)
{
    free(request->url);
    free(request->body);
    *request = (struct tool_request){0};
}
