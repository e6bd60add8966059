/* SPDX-License-Identifier: Apache-2.0 */
#include "service/delivery_call.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "crypto/digest.h"
#include "service/deliveries.h"

#define HTTP_GONE 410

int delivery_caller_open(struct delivery_caller *caller, const struct config *config,
                         struct err *err)
{
    struct net_options options = {
        .user_agent = "dispatchd/" DISPATCH_VERSION,
        .ca_file = config->ca_file,
        .allowed_private = (const char *const *)config->allow_private_urls.texts,
        .proxy = "",
        .connections_per_host = 2,
    };

    caller->config = config;
    caller->net = net_new(&options, err);
    return caller->net ? 0 : -1;
}

void delivery_caller_close(struct delivery_caller *caller)
{
    net_free(TAKE(caller->net));
    secret_free(TAKE(caller->secret));
}

void delivery_result_done(struct delivery_result *result)
{
    free(TAKE(result->error));
}

/* --- Signing ------------------------------------------------------------------------------ */

struct signatures {
    char body[SHA256_HEX_SIZE];
    char stamped[SHA256_HEX_SIZE];
};

static void sign_one(const struct secret *secret, const char *text, size_t size,
                     char out[SHA256_HEX_SIZE])
{
    const char *key = secret_reveal(secret);
    uint8_t mac[SHA256_SIZE];

    hmac_sha256(key, strlen(key), text, size, mac);
    hex_encode(mac, sizeof(mac), out);
}

static void sign(const struct secret *secret, int64_t now_ms, const char *body,
                 struct signatures *out)
{
    scoped_buf stamped = {0};

    buf_printf(&stamped, "%" PRId64 ".", now_ms);
    buf_append_str(&stamped, body);
    sign_one(secret, body, strlen(body), out->body);
    sign_one(secret, stamped.data, stamped.size, out->stamped);
}

/* NULL: the configuration has this receiver no more. */
static const struct secret *secret_for(const struct delivery_caller *caller,
                                       const struct delivery *delivery)
{
    const struct config_receivers *receivers = &caller->config->receivers;

    if (!delivery->configured)
        return caller->secret;
    for (size_t i = 0; i < receivers->count; i++)
        if (strcmp(receivers->all[i].url, delivery->url) == 0)
            return receivers->all[i].secret ? receivers->all[i].secret : caller->secret;
    return NULL;
}

/* --- What came of it ---------------------------------------------------------------------- */

/* The beginning of what the receiver said, made fit to be shown. */
static char *said(const struct buf *body)
{
    scoped_buf shown = {0};
    size_t left = body->size < DELIVERY_ERROR_MAX_BYTES ? body->size : DELIVERY_ERROR_MAX_BYTES;

    for (size_t at = 0; at < left;) {
        size_t size = utf8_first(body->data + at, left - at);
        bool is_shown = size && (unsigned char)body->data[at] >= ' ' && body->data[at] != 0x7f;

        if (is_shown)
            buf_append(&shown, body->data + at, size);
        else
            buf_append(&shown, " ", 1);
        at += size ? size : 1;
    }
    return buf_take(&shown);
}

static void refused(const struct net_answer *answer, struct delivery_result *out)
{
    scoped_str text = said(&answer->body);

    out->retry_after_s = net_answer_retry_after_s(answer);
    out->error =
        xasprintf("the receiver answered %d%s%s", answer->status, *text ? ": " : "", text);
    out->why = answer->status / 100 == 3 ? "redirects are not followed" : "not a 2xx";
    if (answer->status == HTTP_GONE) {
        out->attempt.status = DELIVERY_FAILED;
        out->why = "the receiver is gone";
    }
}

static bool is_stopping(const struct delivery_caller *caller)
{
    return __atomic_load_n(caller->stopping, __ATOMIC_ACQUIRE);
}

/* Whoever has answered 2xx has it, whatever else is said and however slowly. */
static bool judge(const struct delivery_caller *caller, int called,
                  const struct net_answer *answer, const struct err *err,
                  struct delivery_result *out)
{
    out->attempt.http_status = called < 0 ? answer->cut_status : answer->status;
    if (out->attempt.http_status / 100 == 2) {
        out->attempt.status = DELIVERY_DELIVERED;
    } else if (called == 0) {
        refused(answer, out);
    } else if (is_stopping(caller)) {
        return false;
    } else {
        out->error = xstrdup(err->text);
        out->why = err_kind_name(err->kind);
        if (err->kind == ERR_INVALID) /* it will never be a URL */
            out->attempt.status = DELIVERY_FAILED;
    }
    out->attempt.error = out->error;
    return true;
}

/* --- The call ----------------------------------------------------------------------------- */

static int call(const struct delivery_caller *caller, const struct delivery *delivery,
                const struct secret *secret, int64_t now_ms, struct net_answer *answer,
                struct err *err)
{
    struct signatures signatures;
    char id[ID_TEXT_SIZE];

    id_text(delivery->id, id);
    sign(secret, now_ms, delivery->payload, &signatures);
    scoped_str signature = xasprintf("X-Dispatch-Signature: %s", signatures.body);
    scoped_str stamped = xasprintf("X-Dispatch-Signature-V2: %s", signatures.stamped);
    scoped_str timestamp = xasprintf("X-Dispatch-Timestamp: %" PRId64, now_ms);
    scoped_str event = xasprintf("X-Dispatch-Event: %s", delivery->event);
    scoped_str number = xasprintf("X-Dispatch-Delivery: %s", id);
    const char *const headers[] = {signature, stamped, timestamp, event, number, NULL};
    struct net_request request = {
        .method = "POST",
        .url = delivery->url,
        .headers = headers,
        .body = delivery->payload,
        .body_size = strlen(delivery->payload),
        .timeout_ms = DELIVERY_TIMEOUT_MS,
        .answer_max_bytes = DELIVERY_ANSWER_MAX_BYTES,
        .retry = NET_ONCE,
        .cancel = caller->stopping,
        .public_only = !delivery->configured,
    };

    return net_call(caller->net, &request, answer, err);
}

bool delivery_call(const struct delivery_caller *caller, const struct delivery *delivery,
                   struct delivery_result *out)
{
    const struct secret *secret = secret_for(caller, delivery);
    int64_t now_ms = clock_wall_ms();
    scoped_net_answer answer = {0};
    struct err err = {0};
    bool known;

    *out = (struct delivery_result){
        .attempt = {.status = DELIVERY_PENDING, .at_ms = clock_steady_ms()}};
    if (!secret) {
        out->attempt.status = DELIVERY_FAILED;
        out->why = "the configuration has this receiver no more";
        out->error = xstrdup(out->why);
        out->attempt.error = out->error;
        return true;
    }
    known = judge(caller, call(caller, delivery, secret, now_ms, &answer, &err), &answer, &err,
                  out);
    return known;
}
