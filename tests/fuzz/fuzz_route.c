/* SPDX-License-Identifier: Apache-2.0 */
/* What each route reads, asked with the right credential: the first byte picks the route, the
 * first line is the query, the second Last-Event-ID or Idempotency-Key, the rest the body. The
 * reader of the document and the handler's table of fields are all that stands between. */
#include "served.h"

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

/* Up to the line's end, without what would begin another header. */
static size_t take_line(const char *text, size_t size, struct buf *out)
{
    const char *end = memchr(text, '\n', size);
    size_t length = end ? (size_t)(end - text) : size;

    for (size_t i = 0; i < length; i++)
        if (text[i] != '\r' && text[i])
            buf_append(out, text + i, 1);
    return end ? length + 1 : length;
}

static void put_path(struct buf *out, const struct route *route, const struct served *served)
{
    const char *open = strchr(route->path, '{');

    if (!open) {
        buf_append_str(out, route->path);
        return;
    }
    buf_printf(out, "%.*s%s%s", (int)(open - route->path), route->path, served->run.id_text,
               strchr(open, '}') + 1);
}

static const char *credential_for(const struct served *served, int scope)
{
    switch (scope) {
    case SCOPE_DISPATCH:
        return served->dispatch_token;
    case SCOPE_OPERATOR:
        return served->admin_token;
    case SCOPE_RUNNER:
        return served->run.task_token;
    default:
        return TEST_API_KEY;
    }
}

/* The run of the runner's routes has ended, or its runner was another one: the next one. */
static void renew(struct served *served, int scope, int status)
{
    if (scope != SCOPE_RUNNER || (status != 401 && status != 409))
        return;
    launched_done(&served->run);
    launch(&served->run, served->server, "Fix it");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct served *served = served_get();
    const char *text = (const char *)data + 1;
    scoped_buf query = {0};
    scoped_buf header = {0};
    scoped_buf said = {0};
    scoped_buf answer = {0};
    const struct route *route;
    size_t at;
    bool events;

    if (size < 2)
        return 0;
    size--;
    route = &public_routes[data[0] % n_public_routes];
    at = take_line(text, size, &query);
    at += take_line(text + at, size - at, &header);
    events = route->method == HTTP_GET;
    buf_printf(&said, "%s ", methods[route->method]);
    put_path(&said, route, served);
    buf_printf(&said, "%s%s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n",
               query.size ? "?" : "", query.size ? query.data : "",
               credential_for(served, route->scope));
    buf_printf(&said, "X-Dispatch-Attempt: %d\r\nContent-Type: application/json\r\n",
               served->run.attempt);
    if (header.size)
        buf_printf(&said, "%s: %s\r\n", events ? "Last-Event-ID" : "Idempotency-Key",
                   header.data);
    buf_printf(&said, "Content-Length: %zu\r\n\r\n", size - at);
    buf_append(&said, text + at, size - at);
    served_say(served, said.data, said.size, &answer);
    renew(served, route->scope, served_status(&answer));
    return 0;
}
