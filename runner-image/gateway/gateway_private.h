/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_GATEWAY_PRIVATE_H
#define RUNNER_GATEWAY_PRIVATE_H
#include <microhttpd.h>
#include <stdatomic.h>

#include "gateway/gateway.h"
#include "gateway/meter.h"
#include "gateway/provider.h"
#include "net/net.h"

/* The gateway from the inside: between gateway.c and exchange.c only. */

/* A prompt with some pictures is a few MiB. */
#define GATEWAY_BODY_MAX_BYTES ((size_t)64 * 1024 * 1024)
/* Of all requests at one time: what the agent can make this process hold. */
#define GATEWAY_BODIES_MAX_BYTES ((size_t)96 * 1024 * 1024)
/* Of one request, its first line included; more is 431. */
#define GATEWAY_HEADERS_MAX_BYTES ((size_t)32 * 1024)
/* At one time: an agent with a few subagents has about ten. */
#define GATEWAY_REQUESTS_MAX 32
#define GATEWAY_CONNECTIONS_MAX 64
#define GATEWAY_IDLE_S 120 /* a connection between requests, or that stops in one */
#define GATEWAY_SILENCE_MS (10 * 60 * 1000)

struct gateway {
    struct events *events;
    void (*on_budget)(void *ctx);
    void *ctx;
    int silence_ms;
    size_t body_max_bytes;
    struct configured_provider providers[PROVIDERS_MAX]; /* as in `providers` */
    char *urls[PROVIDERS_MAX];
    struct secret *key;
    struct meter *meter;
    struct net *net;
    struct MHD_Daemon *daemon;
    int port;

    _Atomic size_t body_bytes; /* held at this time, of all requests */
    _Atomic int requests;      /* on their way at this time */
    _Atomic bool stopping;
    _Atomic bool warned_of_upstream;
    _Atomic bool warned_of_key;
};
#endif
