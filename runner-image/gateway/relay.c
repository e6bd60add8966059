/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/exchange_private.h"

#include <poll.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "gateway/headers.h"
#include "net/header.h"

#define LOOK_EVERY_MS 100 /* whether the agent is still there */
#define PIECE_BYTES ((size_t)16 * 1024)
#define CONNECT_TIMEOUT_MS 15000

/* --- The account -------------------------------------------------------------------------- */

/* Where the answer didn't name the model: what was asked for. */
static void take_model_asked_for(struct exchange *exchange)
{
    struct usage_reader *usage = &exchange->usage;
    const char *in_path = strstr(exchange->rest, "/models/");
    struct usage_reader asked;

    if (usage->protocol == PROTOCOL_GEMINI && in_path) {
        in_path += strlen("/models/");
        (void)snprintf(usage->model, sizeof(usage->model), "%.*s", (int)strcspn(in_path, ":"),
                       in_path);
        return;
    }
    usage_reader_init(&asked, usage->protocol, USAGE_JSON);
    usage_reader_feed(&asked, exchange->body.data, exchange->body.size);
    memcpy(usage->model, asked.model, sizeof(usage->model));
}

void relay_settle(struct exchange *exchange)
{
    struct meter *meter = exchange->gateway->meter;
    struct model_totals used;

    if (exchange->settled || !exchange->stream || exchange->kind != CALL_METERED)
        return;
    exchange->settled = true;
    if (exchange->status && exchange->status / 100 != 2) {
        meter_add_failed(meter);
        return;
    }
    if (!exchange->usage.model[0])
        take_model_asked_for(exchange);
    usage_reader_finish(&exchange->usage, exchange->body.size, &used);
    meter_add(meter, exchange->provider->name, exchange->usage.model, &used);
}

/* --- Sending on --------------------------------------------------------------------------- */

struct outgoing {
    struct text_list headers;
    const char *beta;
};

static enum MHD_Result take_header(void *ctx, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    struct outgoing *out = ctx;
    scoped_str header = NULL;

    (void)kind;
    header = xasprintf("%s: %s", name, value ? value : "");
    if (!header_valid(header))
        return MHD_YES;
    if (strcasecmp(name, "anthropic-beta") == 0)
        out->beta = value;
    else if (header_goes_out(name))
        text_list_add(&out->headers, "%s", header);
    return MHD_YES;
}

static int send_on(struct exchange *exchange, struct err *err)
{
    scoped_str url = provider_url(exchange->configured, exchange->rest, exchange->query);
    bool has_body = strcmp(exchange->method, "GET") != 0;
    struct outgoing out = {0};
    struct net_request request = {
        .method = exchange->method,
        .url = url,
        .body = has_body ? (exchange->body.data ? exchange->body.data : "") : NULL,
        .body_size = has_body ? exchange->body.size : 0,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
    };

    (void)MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, take_header, &out);
    headers_add_own(&out.headers, exchange->configured, out.beta);
    request.headers = text_list_view(&out.headers);
    key_mask_init(&exchange->mask, exchange->configured->key);
    usage_reader_init(&exchange->usage, exchange->provider->protocol, USAGE_OPAQUE);
    exchange->heard_ms = clock_monotonic_ms();
    exchange->stream = net_stream_open(exchange->gateway->net, &request, err);
    headers_wipe(&out.headers);
    return exchange->stream ? 0 : -1;
}

/* Nobody reads the answer any more? */
static bool agent_is_gone(const struct exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd fd = {.fd = info ? info->connect_fd : -1, .events = POLLRDHUP};

    return poll(&fd, 1, 0) > 0;
}

static bool is_silent(const struct exchange *exchange)
{
    return clock_monotonic_ms() - exchange->heard_ms >= exchange->gateway->silence_ms;
}

/* The operator hears of the first; the agent is told of each. */
static void warn_of_upstream(struct exchange *exchange, const char *why)
{
    struct gateway *gateway = exchange->gateway;

    log_debug("a model call failed", KV("provider", exchange->provider->name),
              KV("error", why));
    if (!gateway->events || atomic_load(&gateway->stopping)
        || atomic_exchange(&gateway->warned_of_upstream, true))
        return;
    events_warn(gateway->events, "a call of model provider %s failed: %s",
                exchange->provider->name, why);
}

static void warn_of_key(struct exchange *exchange)
{
    struct gateway *gateway = exchange->gateway;

    if (gateway->events && (exchange->status == 401 || exchange->status == 403)
        && !atomic_exchange(&gateway->warned_of_key, true))
        events_warn(gateway->events, "model provider %s answered %d: its key isn't accepted",
                    exchange->provider->name, exchange->status);
}

static enum refusal refusal_of(const struct exchange *exchange, const struct err *err)
{
    if (atomic_load(&exchange->gateway->stopping))
        return REFUSAL_STOPPING;
    return err->kind == ERR_TIMEOUT ? REFUSAL_SILENCE : REFUSAL_UPSTREAM;
}

/* --- The answer's body -------------------------------------------------------------------- */

/* Once the last byte is there: an agent that has it may look at once what is left. */
static bool is_whole(const struct exchange *exchange)
{
    return exchange->has_size && exchange->received >= exchange->size;
}

/* More for the agent into `out`. 1, 0 at the end, -1 when it breaks off. */
static int pull(struct exchange *exchange)
{
    char piece[PIECE_BYTES];
    struct err err = {0};
    size_t size = 0;

    switch (
        net_stream_read(exchange->stream, LOOK_EVERY_MS, piece, sizeof(piece), &size, &err)) {
    case NET_HEARD_MORE:
        exchange->heard_ms = clock_monotonic_ms();
        exchange->received += size;
        usage_reader_feed(&exchange->usage, piece, size);
        key_mask_feed(&exchange->mask, piece, size, &exchange->out);
        if (is_whole(exchange)) {
            key_mask_end(&exchange->mask, &exchange->out);
            relay_settle(exchange);
        }
        return 1;
    case NET_HEARD_END:
        key_mask_end(&exchange->mask, &exchange->out);
        relay_settle(exchange);
        return 0;
    case NET_HEARD_NOTHING:
        if (!agent_is_gone(exchange) && !is_silent(exchange))
            return 1;
        (void)err_set(&err, ERR_TIMEOUT, "the answer stopped in the middle");
        break;
    case NET_HEARD_FAILED:
    default:
        break;
    }
    if (!agent_is_gone(exchange))
        warn_of_upstream(exchange, err.text);
    relay_settle(exchange);
    return -1;
}

static ssize_t read_answer(void *ctx, uint64_t position, char *to, size_t room)
{
    struct exchange *exchange = ctx;
    size_t size;
    int more = 1;

    (void)position;
    while (more > 0 && exchange->out_taken == exchange->out.size) {
        buf_clear(&exchange->out);
        exchange->out_taken = 0;
        more = pull(exchange);
    }
    size = exchange->out.size - exchange->out_taken;
    if (!size)
        return more < 0 ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
    size = size < room ? size : room;
    memcpy(to, exchange->out.data + exchange->out_taken, size);
    exchange->out_taken += size;
    return (ssize_t)size;
}

/* --- The answer's head -------------------------------------------------------------------- */

static enum usage_form form_of(const struct net_answer *answer)
{
    scoped_str type = net_answer_header(answer, "content-type");
    scoped_str encoding = net_answer_header(answer, "content-encoding");

    if (!type || (encoding && strcasecmp(encoding, "identity") != 0))
        return USAGE_OPAQUE;
    if (strncasecmp(type, "text/event-stream", 17) == 0)
        return USAGE_SSE;
    return strncasecmp(type, "application/json", 16) == 0 ? USAGE_JSON : USAGE_OPAQUE;
}

static void take_size(struct exchange *exchange, const struct net_answer *answer)
{
    scoped_str text = net_answer_header(answer, "content-length");
    char *end;

    if (exchange->status == 204 || exchange->status == 304) {
        exchange->has_size = true;
    } else if (text && *text >= '0' && *text <= '9') {
        exchange->size = strtoull(text, &end, 10);
        exchange->has_size = !*end;
    }
}

static void copy_headers(struct exchange *exchange, const struct net_answer *answer,
                         struct MHD_Response *response)
{
    scoped_str all = xstrdup(answer->headers.data ? answer->headers.data : "");
    char *rest = NULL;

    key_mask_text(&exchange->mask, all);
    for (char *line = strtok_r(all, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *colon = strstr(line, ": ");

        if (!colon)
            continue;
        *colon = '\0';
        if (header_comes_back(line)) /* one that can't be sent is left out */
            (void)MHD_add_response_header(response, line, colon + 2);
    }
}

static enum MHD_Result hand_back(struct exchange *exchange, const struct net_answer *answer)
{
    struct MHD_Response *response;
    enum MHD_Result result;

    exchange->status = answer->status;
    exchange->usage.form = form_of(answer);
    exchange->heard_ms = clock_monotonic_ms();
    take_size(exchange, answer);
    warn_of_key(exchange);
    response = MHD_create_response_from_callback(exchange->has_size ? exchange->size
                                                                    : MHD_SIZE_UNKNOWN,
                                                 PIECE_BYTES, read_answer, exchange, NULL);
    if (!response)
        return MHD_NO;
    copy_headers(exchange, answer, response);
    result = MHD_queue_response(exchange->connection, (unsigned)exchange->status, response);
    MHD_destroy_response(response);
    return result;
}

/* Waits for the provider, as long as the agent does. */
static enum MHD_Result await_head(struct exchange *exchange)
{
    const struct net_answer *answer = NULL;
    struct err err = {0};

    for (;;) {
        switch (net_stream_head(exchange->stream, LOOK_EVERY_MS, &answer, &err)) {
        case NET_HEARD_MORE:
            return hand_back(exchange, answer);
        case NET_HEARD_NOTHING:
            if (agent_is_gone(exchange))
                return MHD_NO;
            if (!is_silent(exchange))
                continue;
            (void)err_set(&err, ERR_TIMEOUT, "no answer in time");
            break;
        case NET_HEARD_END:
        case NET_HEARD_FAILED:
        default:
            break;
        }
        warn_of_upstream(exchange, err.text);
        exchange->status = refusal_status(refusal_of(exchange, &err));
        relay_settle(exchange);
        return exchange_refuse(exchange, refusal_of(exchange, &err));
    }
}

/* --- All of it ------------------------------------------------------------------------------
 */

enum MHD_Result relay(struct exchange *exchange)
{
    struct err err = {0};

    /* The provider's time isn't the agent's silence: that is looked at in another way. */
    (void)MHD_set_connection_option(exchange->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
    if (send_on(exchange, &err) == 0)
        return await_head(exchange);
    warn_of_upstream(exchange, err.text);
    return exchange_refuse(exchange, refusal_of(exchange, &err));
}
