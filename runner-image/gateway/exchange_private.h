/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_GATEWAY_EXCHANGE_PRIVATE_H
#define RUNNER_GATEWAY_EXCHANGE_PRIVATE_H
#include "gateway/exchange.h"
#include "gateway/key_mask.h"
#include "gateway/refusal.h"
#include "net/stream.h"

/* An exchange from the inside: between exchange.c, which has the agent's side, and relay.c,
 * which has the provider's. */
struct exchange {
    struct gateway *gateway;
    struct MHD_Connection *connection;
    bool begun;
    char *path; /* without the query */
    char *query;
    char *method;
    const struct provider *provider;
    const struct configured_provider *configured;
    const char *rest; /* of the path, as the provider sees it */
    enum call_kind kind;
    enum refusal refusal;

    struct buf body;
    size_t body_seen;
    bool counted; /* among gateway->requests */

    struct net_stream *stream;
    int64_t heard_ms;
    int status; /* of the provider's answer; 0: none yet */
    bool has_size;
    uint64_t size;
    uint64_t received;
    struct key_mask mask;
    struct usage_reader usage;
    bool settled;
    struct buf out; /* ready for the agent */
    size_t out_taken;
};

/* Sends the request on and hands the answer back, or refuses. */
enum MHD_Result relay(struct exchange *exchange);

/* The account of a call that is over, however it ended: once. */
void relay_settle(struct exchange *exchange);

/* Answers in the provider's words. */
enum MHD_Result exchange_refuse(struct exchange *exchange, enum refusal refusal);
#endif
