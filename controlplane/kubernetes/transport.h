/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBERNETES_TRANSPORT_H
#define KUBERNETES_TRANSPORT_H
#include "kubernetes/credentials.h"
#include "net/net.h"

/*
 * The connections to one API server. Who we are by certificate belongs to a connection, so
 * that another certificate needs another pool: the old one goes when its last user has left.
 * Streams have a pool of their own: over HTTP/1.1 each holds a connection for as long as it
 * lasts, and calls must never wait for that. Safe from any thread.
 */
struct transport;

/* One pool, in use. */
struct transport_pool {
    struct net *calls;
    struct net *streams;
    uint64_t tls_serial;
    int users;
    struct transport_pool *next;
};

/* `access` is borrowed and outlives it. */
struct transport *transport_new(const struct access *access, int connections) CHECKED;
/* All calls end with ERR_UNAVAILABLE, and no pool is given any more. */
void transport_stop(struct transport *transport);
/* Nobody uses a pool any more. */
void transport_free(struct transport *transport);
DEFINE_SCOPED(transport)

/* The pool for this identity, for transport_release. ERR_UNAVAILABLE: stopped. */
struct transport_pool *transport_use(struct transport *transport,
                                     const struct identity *identity, struct err *err) CHECKED;
void transport_release(struct transport *transport, struct transport_pool *pool);
#endif
