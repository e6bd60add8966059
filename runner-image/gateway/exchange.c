/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/exchange_private.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "crypto/digest.h"

#define RETRY_AFTER_BUSY "1"

/* --- Life --------------------------------------------------------------------------------- */

struct exchange *exchange_new(struct gateway *gateway, const char *uri)
{
    struct exchange *exchange = xcalloc(1, sizeof(*exchange));
    size_t path = strcspn(uri, "?");

    exchange->gateway = gateway;
    exchange->path = xstrndup(uri, path);
    exchange->query = xstrdup(uri[path] ? uri + path + 1 : "");
    return exchange;
}

static void release_body(struct exchange *exchange)
{
    atomic_fetch_sub(&exchange->gateway->body_bytes, exchange->body.size);
    buf_done(&exchange->body);
}

void exchange_free(struct exchange *exchange)
{
    if (!exchange)
        return;
    relay_settle(exchange);
    net_stream_close(exchange->stream);
    release_body(exchange);
    if (exchange->counted)
        atomic_fetch_sub(&exchange->gateway->requests, 1);
    key_mask_done(&exchange->mask);
    buf_done(&exchange->out);
    free(exchange->path);
    free(exchange->query);
    free(exchange->method);
    free(exchange);
}

bool exchange_has_begun(const struct exchange *exchange)
{
    return exchange->begun;
}

/* --- The key ------------------------------------------------------------------------------ */

static bool is_key(const struct exchange *exchange, const char *text, size_t size)
{
    const char *key = secret_reveal(exchange->gateway->key);
    uint8_t theirs[SHA256_SIZE];
    uint8_t ours[SHA256_SIZE];

    sha256(text, size, theirs);
    sha256(key, strlen(key), ours);
    return bytes_equal(theirs, ours, sizeof(ours));
}

static bool key_in_header(const struct exchange *exchange, const char *name, const char *scheme)
{
    const char *value =
        MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
    size_t before = strlen(scheme);

    return value && strncasecmp(value, scheme, before) == 0
           && is_key(exchange, value + before, strlen(value + before));
}

static bool key_in_query(const struct exchange *exchange)
{
    for (const char *at = exchange->query; *at;) {
        size_t size = strcspn(at, "&");

        if (size > 4 && memcmp(at, "key=", 4) == 0 && is_key(exchange, at + 4, size - 4))
            return true;
        at += size + (at[size] == '&');
    }
    return false;
}

static bool has_key(const struct exchange *exchange)
{
    return key_in_header(exchange, "x-api-key", "")
           || key_in_header(exchange, "Authorization", "Bearer ")
           || key_in_header(exchange, "x-goog-api-key", "") || key_in_query(exchange);
}

/* --- Taking in ---------------------------------------------------------------------------- */

static enum refusal look_at(struct exchange *exchange)
{
    exchange->provider = provider_of_path(exchange->path, &exchange->rest);
    if (!has_key(exchange))
        return REFUSAL_KEY;
    if (!exchange->provider)
        return REFUSAL_NOT_SERVED;
    exchange->configured = &exchange->gateway->providers[exchange->provider - providers];
    exchange->kind = provider_call_kind(exchange->provider, exchange->method, exchange->rest);
    if (!exchange->configured->base_url || exchange->kind == CALL_NOT_SERVED)
        return REFUSAL_NOT_SERVED;
    return REFUSAL_NONE;
}

enum MHD_Result exchange_begin(struct exchange *exchange, struct MHD_Connection *connection,
                               const char *method)
{
    exchange->begun = true;
    exchange->connection = connection;
    exchange->method = xstrdup(method);
    exchange->refusal = look_at(exchange);
    return MHD_YES;
}

static void refuse_body(struct exchange *exchange, enum refusal refusal)
{
    exchange->refusal = refusal;
    release_body(exchange);
}

enum MHD_Result exchange_take(struct exchange *exchange, const char *data, size_t size)
{
    struct gateway *gateway = exchange->gateway;

    exchange->body_seen += size;
    if (exchange->body_seen > 2 * GATEWAY_BODY_MAX_BYTES)
        return MHD_NO; /* it has been refused for long, and goes on */
    if (exchange->refusal != REFUSAL_NONE)
        return MHD_YES;
    if (exchange->body_seen > gateway->body_max_bytes) {
        refuse_body(exchange, REFUSAL_TOO_LARGE);
    } else if (atomic_fetch_add(&gateway->body_bytes, size) + size > GATEWAY_BODIES_MAX_BYTES) {
        atomic_fetch_sub(&gateway->body_bytes, size);
        refuse_body(exchange, REFUSAL_BUSY);
    } else {
        buf_append(&exchange->body, data, size);
    }
    return MHD_YES;
}

/* --- Refusing ----------------------------------------------------------------------------- */

enum MHD_Result exchange_refuse(struct exchange *exchange, enum refusal refusal)
{
    enum model_protocol protocol =
        exchange->provider ? exchange->provider->protocol : PROTOCOL_OPENAI;
    scoped_str sentence =
        refusal == REFUSAL_BUDGET ? meter_sentence(exchange->gateway->meter) : NULL;
    char *body = refusal_body(refusal, protocol, sentence);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result;

    if (!response) {
        free(body);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    if (refusal == REFUSAL_BUSY)
        (void)MHD_add_response_header(response, "Retry-After", RETRY_AFTER_BUSY);
    if (refusal == REFUSAL_BUDGET)
        (void)MHD_add_response_header(response, "X-Should-Retry", "false");
    result =
        MHD_queue_response(exchange->connection, (unsigned)refusal_status(refusal), response);
    MHD_destroy_response(response);
    return result;
}

/* --- All of it ---------------------------------------------------------------------------- */

static enum refusal admit(struct exchange *exchange)
{
    struct gateway *gateway = exchange->gateway;
    bool first = false;

    if (atomic_load(&gateway->stopping))
        return REFUSAL_STOPPING;
    if (exchange->kind == CALL_METERED && !meter_admit(gateway->meter, &first)) {
        if (first && gateway->on_budget)
            gateway->on_budget(gateway->ctx);
        return REFUSAL_BUDGET;
    }
    exchange->counted = true;
    if (atomic_fetch_add(&gateway->requests, 1) >= GATEWAY_REQUESTS_MAX)
        return REFUSAL_BUSY;
    return REFUSAL_NONE;
}

enum MHD_Result exchange_answer(struct exchange *exchange)
{
    if (exchange->refusal == REFUSAL_NONE)
        exchange->refusal = admit(exchange);
    return exchange->refusal == REFUSAL_NONE ? relay(exchange)
                                             : exchange_refuse(exchange, exchange->refusal);
}
