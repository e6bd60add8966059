/* SPDX-License-Identifier: Apache-2.0 */
#include "mcp/tool_call.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "mcp/message.h"
#include "mcp/schema.h"
#include "mcp/tool_request.h"
#include "net/stream.h"

#define CANCEL_LOOK_MS 50 /* how soon *cancel is noticed */
#define PIECE_BYTES 16384
#define ARGUMENT_SHOWN_BYTES 200
#define ACCEPT "Accept: application/json, text/*;q=0.9, */*;q=0.1"

/* So much more is read than is handed on that no secret is cut in two and so overlooked. */
#define OVERLAP_BYTES ((size_t)16384)

struct attempt {
    struct tool_caller *caller;
    const struct tool *tool;
    const volatile bool *cancel;
    int64_t until_ms;
    int status; /* of the answer; 0: none */
    char *type; /* its Content-Type; NULL: it didn't say */
    struct buf body;
    bool cut; /* there is more than `body` */
    struct err err;
};

/* --- Calling ------------------------------------------------------------------------------ */

static bool is_cancelled(const struct attempt *attempt)
{
    return __atomic_load_n(attempt->cancel, __ATOMIC_ACQUIRE);
}

/* How long to listen before looking up; negative, with the error, when there is no more time.
 */
static int patience_ms(struct attempt *attempt)
{
    int64_t left_ms = attempt->until_ms - clock_monotonic_ms();

    if (is_cancelled(attempt))
        return err_set(&attempt->err, ERR_UNAVAILABLE, "cancelled");
    if (left_ms <= 0)
        return err_set(&attempt->err, ERR_TIMEOUT, "%s %s gave no answer in time",
                       attempt->tool->method, attempt->tool->name);
    return left_ms < CANCEL_LOOK_MS ? (int)left_ms : CANCEL_LOOK_MS;
}

static int read_head(struct attempt *attempt, struct net_stream *stream)
{
    const struct net_answer *head = NULL;
    enum net_heard heard;

    do {
        int wait_ms = patience_ms(attempt);

        if (wait_ms < 0)
            return -1;
        heard = net_stream_head(stream, wait_ms, &head, &attempt->err);
    } while (heard == NET_HEARD_NOTHING);
    if (heard != NET_HEARD_MORE)
        return -1;
    attempt->status = head->status;
    attempt->type = net_answer_header(head, "content-type");
    return 0;
}

static int read_body(struct attempt *attempt, struct net_stream *stream)
{
    char piece[PIECE_BYTES];
    size_t most = TOOL_ANSWER_MAX_BYTES + OVERLAP_BYTES;

    for (;;) {
        int wait_ms = patience_ms(attempt);
        size_t size = 0;
        size_t room = most - attempt->body.size;
        enum net_heard heard;

        if (wait_ms < 0)
            return -1;
        heard = net_stream_read(stream, wait_ms, piece, sizeof(piece), &size, &attempt->err);
        if (heard == NET_HEARD_FAILED)
            return -1;
        if (heard == NET_HEARD_END)
            return 0;
        buf_append(&attempt->body, piece, size < room ? size : room);
        attempt->cut = size > room;
        if (attempt->cut)
            return 0;
    }
}

static bool has_own(const struct tool *tool, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < tool->n_headers; i++) {
        const char *line = secret_reveal(tool->headers[i]);

        if (strncasecmp(line, name, length) == 0 && line[length] == ':')
            return true;
    }
    return false;
}

static int call(struct attempt *attempt, const cJSON *arguments)
{
    const struct tool *tool = attempt->tool;
    const char *headers[TOOL_HEADERS_MAX + 2] = {NULL};
    scoped_tool_request made = {0};
    struct net_stream *stream;
    int result;

    for (size_t i = 0; i < tool->n_headers; i++)
        headers[i] = secret_reveal(tool->headers[i]);
    if (!has_own(tool, "accept"))
        headers[tool->n_headers] = ACCEPT;
    tool_request_make(&made, tool->method, tool->url, arguments);
    struct net_request request = {
        .method = tool->method,
        .url = made.url,
        .headers = headers,
        .body = made.body,
        .body_size = made.body ? strlen(made.body) : 0,
        .public_only = true,
    };

    stream = net_stream_open(attempt->caller->net, &request, &attempt->err);
    if (!stream)
        return -1;
    result = read_head(attempt, stream);
    if (result == 0)
        result = read_body(attempt, stream);
    net_stream_close(stream);
    return result;
}

/* --- Telling the agent -------------------------------------------------------------------- */

/* Is what a Content-Type names made to be read? */
static bool is_text_type(const char *type)
{
    static const char *const known[] = {
        "application/json",       "application/xml",
        "application/yaml",       "application/x-yaml",
        "application/javascript", "application/x-ndjson",
        "application/graphql",    "application/x-www-form-urlencoded",
    };
    size_t length;

    if (!type)
        return true;
    length = strcspn(type, "; \t");
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strlen(known[i]) == length && strncasecmp(type, known[i], length) == 0)
            return true;
    return strncasecmp(type, "text/", 5) == 0
           || (length > 5
               && (strncasecmp(type + length - 5, "+json", 5) == 0
                   || strncasecmp(type + length - 4, "+xml", 4) == 0));
}

static void cut_text(char *text, size_t size)
{
    while (size && ((unsigned char)text[size] & 0xc0) == 0x80)
        size--;
    text[size] = '\0';
}

/* The answer's body for people and models; the caller frees it. */
static char *show_body(struct attempt *attempt)
{
    size_t size = attempt->body.size;
    scoped_str text = buf_take(&attempt->body);

    if (!size)
        return xasprintf("(an empty answer, HTTP status %d)", attempt->status);
    if (!is_text_type(attempt->type) || strlen(text) != size) {
        free(text);
        text = xasprintf("(%s%zu bytes of %.100s, which isn't text)",
                         attempt->cut ? "more than " : "", size,
                         attempt->type ? attempt->type : "no known type");
        attempt->cut = false;
    }
    redaction_apply(attempt->caller->redaction, text);
    size = strlen(text);
    if (attempt->cut)
        size -= size < OVERLAP_BYTES ? size : OVERLAP_BYTES;
    if (size > TOOL_ANSWER_MAX_BYTES)
        size = TOOL_ANSWER_MAX_BYTES;
    if (attempt->cut || size < strlen(text)) {
        cut_text(text, size);
        return xasprintf("%s\n[cut here: the answer is longer than %zu KiB]", text,
                         TOOL_ANSWER_MAX_BYTES / 1024);
    }
    return TAKE(text);
}

static cJSON *show_answer(struct attempt *attempt)
{
    scoped_str text = show_body(attempt);
    scoped_str failure = NULL;

    if (attempt->status < 300)
        return message_tool_result(text, false);
    failure = xasprintf("HTTP status %d%s\n%s", attempt->status,
                        attempt->status < 400 ? ": redirects aren't followed" : "", text);
    return message_tool_result(failure, true);
}

/* --- Telling home ------------------------------------------------------------------------- */

static void tell(struct attempt *attempt, const cJSON *arguments, const char *error,
                 int64_t began_ms)
{
    struct tool_caller *caller = attempt->caller;
    int told = atomic_fetch_add(&caller->told, 1);
    scoped_str argument = arguments && arguments->child ? json_text(arguments) : NULL;

    if (!caller->events || told > TOOL_EVENTS_MAX)
        return;
    if (told == TOOL_EVENTS_MAX) {
        events_warn(caller->events, "tools were called more than %d times, the rest isn't told",
                    TOOL_EVENTS_MAX);
        return;
    }
    if (argument) {
        redaction_apply(caller->redaction, argument);
        if (strlen(argument) > ARGUMENT_SHOWN_BYTES)
            cut_text(argument, ARGUMENT_SHOWN_BYTES);
    }
    events_add(caller->events, "tool_use",
               jobj({"name", jstr(attempt->tool->name)}, {"argument", jstr(argument)},
                    {"source", jstr("tool")},
                    {"status", attempt->status ? jint(attempt->status) : NULL},
                    {"error", jstr(error)},
                    {"took_ms", jint(clock_monotonic_ms() - began_ms)}));
}

/* --------------------------------------------------------------------------------------------
 */

cJSON *tool_call(struct tool_caller *caller, const struct tool *tool, const cJSON *arguments,
                 const volatile bool *cancel)
{
    int64_t began_ms = clock_monotonic_ms();
    int timeout_ms = caller->timeout_ms > 0 ? caller->timeout_ms : TOOL_CALL_TIMEOUT_MS;
    struct attempt attempt = {
        .caller = caller, .tool = tool, .cancel = cancel, .until_ms = began_ms + timeout_ms};
    cJSON *result;

    if (schema_check(tool->parameters, arguments, &attempt.err) < 0
        || call(&attempt, arguments) < 0) {
        redaction_apply(caller->redaction, attempt.err.text);
        result = is_cancelled(&attempt) ? NULL : message_tool_result(attempt.err.text, true);
        tell(&attempt, arguments, result ? attempt.err.text : "cancelled", began_ms);
    } else {
        result = show_answer(&attempt);
        tell(&attempt, arguments, NULL, began_ms);
    }
    free(attempt.type);
    buf_done(&attempt.body);
    return result;
}
