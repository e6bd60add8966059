/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/transport.h"

#include <pthread.h>

#include "base/alloc.h"

#define USER_AGENT "dispatchd/" DISPATCH_VERSION
#define CONNECTIONS 8
/* Streams at once over HTTP/1.1: watches, and logs that somebody follows. */
#define STREAM_CONNECTIONS 64

struct transport {
    const struct access *access;
    int connections;

    pthread_mutex_t lock;
    struct transport_pool *pools; /* the newest first; only that is given */
    bool stopped;
};

static void pool_free(struct transport_pool *pool)
{
    if (!pool)
        return;
    net_free(pool->calls);
    net_free(pool->streams);
    free(pool);
}

static void pools_free(struct transport_pool *pools)
{
    struct transport_pool *next;

    for (; pools; pools = next) {
        next = pools->next;
        pool_free(pools);
    }
}

static struct transport_pool *pool_new(const struct transport *transport,
                                       const struct identity *identity, struct err *err)
{
    struct transport_pool *pool = xcalloc(1, sizeof(*pool));
    struct net_options options = {
        .user_agent = USER_AGENT,
        .ca_pem = identity->ca_pem,
        .client_cert_pem = identity->client_cert_pem,
        .client_key_pem = identity->client_key_pem,
        .proxy = transport->access->proxy,
        .connections_per_host = transport->connections,
        .direct = true,
    };

    pool->tls_serial = identity->tls_serial;
    pool->calls = net_new(&options, err);
    options.connections_per_host = STREAM_CONNECTIONS;
    options.direct = false;
    if (pool->calls)
        pool->streams = net_new(&options, err);
    if (!pool->streams) {
        pool_free(pool);
        return NULL;
    }
    return pool;
}

struct transport *transport_new(const struct access *access, int connections)
{
    struct transport *transport = xcalloc(1, sizeof(*transport));

    (void)pthread_mutex_init(&transport->lock, NULL);
    transport->access = access;
    transport->connections = connections > 0 ? connections : CONNECTIONS;
    return transport;
}

void transport_stop(struct transport *transport)
{
    (void)pthread_mutex_lock(&transport->lock);
    transport->stopped = true;
    for (struct transport_pool *pool = transport->pools; pool; pool = pool->next) {
        net_stop(pool->calls);
        net_stop(pool->streams);
    }
    (void)pthread_mutex_unlock(&transport->lock);
}

void transport_free(struct transport *transport)
{
    if (!transport)
        return;
    pools_free(transport->pools);
    (void)pthread_mutex_destroy(&transport->lock);
    free(transport);
}

/* Under the lock: takes out of the list, to be freed outside, pools that nobody will ask for.
 */
static struct transport_pool *take_unused(struct transport *transport)
{
    struct transport_pool *unused = NULL;
    struct transport_pool **at = transport->pools ? &transport->pools->next : NULL;

    while (at && *at) {
        struct transport_pool *pool = *at;

        if (pool->users > 0) {
            at = &pool->next;
            continue;
        }
        *at = pool->next;
        pool->next = unused;
        unused = pool;
    }
    return unused;
}

/* Under the lock. A call with an older identity than the newest pool's takes that, too. */
static int add_pool(struct transport *transport, const struct identity *identity,
                    struct err *err)
{
    struct transport_pool *pool;

    if (transport->stopped)
        return err_set(err, ERR_UNAVAILABLE, "calls to the cluster are stopping");
    if (transport->pools && transport->pools->tls_serial >= identity->tls_serial)
        return 0;
    pool = pool_new(transport, identity, err);
    if (!pool)
        return -1;
    pool->next = transport->pools;
    transport->pools = pool;
    return 0;
}

struct transport_pool *transport_use(struct transport *transport,
                                     const struct identity *identity, struct err *err)
{
    struct transport_pool *pool = NULL;
    struct transport_pool *unused;

    (void)pthread_mutex_lock(&transport->lock);
    if (add_pool(transport, identity, err) == 0) {
        pool = transport->pools;
        pool->users++;
    }
    unused = take_unused(transport);
    (void)pthread_mutex_unlock(&transport->lock);
    pools_free(unused);
    return pool;
}

void transport_release(struct transport *transport, struct transport_pool *pool)
{
    struct transport_pool *unused;

    (void)pthread_mutex_lock(&transport->lock);
    pool->users--;
    unused = take_unused(transport);
    (void)pthread_mutex_unlock(&transport->lock);
    pools_free(unused);
}
