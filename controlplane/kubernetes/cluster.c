/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/cluster.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "crypto/random.h"
#include "kubernetes/credentials.h"
#include "kubernetes/status.h"
#include "kubernetes/transport.h"
#include "net/budget.h"
#include "net/retry.h"

/*
 * A call goes through three gates: a turn from the budget, an identity that is fresh, a pool
 * of connections that belongs to it. Each try goes through all three. Whether there is another
 * one is net/retry.h's rule, as everywhere; it is made here and not by net_call, because a
 * repeat costs a turn as well.
 */
#define QPS 50.0
#define BURST 100
#define TIMEOUT_MS 15000
#define TRIES_MAX 4
#define ANSWER_MAX_BYTES ((size_t)32 * 1024 * 1024)
#define SILENCE_MS 300000
#define STREAM_TURN_MAX_MS 30000 /* how long a stream waits to begin */
#define CANCEL_LOOK_MS 50
/* After a 429 nobody calls for as long as it says, a second when it says nothing. */
#define HOLD_MS 1000
#define HOLD_MAX_MS 30000

struct cluster {
    struct access *access;
    struct credentials *credentials;
    struct transport *transport;
    volatile bool stopping;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* stopping has begun, or a caller has left */
    struct budget budget;
    struct cluster_counts counts;
    int callers;
};

/* One call as it is sent, whatever it is for. */
struct sending {
    const char *method;
    const char *path;
    char *url;
    char *body;
    const char *content_type;
    const char *const *headers;
    int64_t deadline_ms; /* for its turn; and but for streams for the whole */
    int silence_ms;      /* of a stream; 0: not one */
    size_t answer_max_bytes;
    enum net_retry rule;
    int (*on_data)(void *ctx, const char *data, size_t size);
    void *ctx;
    const volatile bool *cancel;
};

/* How far it has come. */
struct progress {
    bool renewed; /* the identity was made anew for this call already */
    bool sent;    /* the last try got as far as the network */
};

/* --- Waiting -------------------------------------------------------------------------- */

static bool is_set(const volatile bool *flag)
{
    return flag && __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static int say_stopped(const struct sending *sending, struct err *err)
{
    return err_set(err, ERR_UNAVAILABLE, "%s %s: stopped", sending->method, sending->path);
}

/* Under the lock. */
static int wait_until(struct cluster *cluster, const struct sending *sending, int64_t until_ms,
                      struct err *err)
{
    for (;;) {
        int64_t now_ms = clock_monotonic_ms();
        int64_t next_ms = until_ms;
        struct timespec next;

        if (is_set(&cluster->stopping) || is_set(sending->cancel))
            return say_stopped(sending, err);
        if (now_ms >= until_ms)
            return 0;
        if (sending->cancel && next_ms > now_ms + CANCEL_LOOK_MS)
            next_ms = now_ms + CANCEL_LOOK_MS;
        next = (struct timespec){.tv_sec = next_ms / 1000, .tv_nsec = next_ms % 1000 * 1000000};
        (void)pthread_cond_timedwait(&cluster->changed, &cluster->lock, &next);
    }
}

static int say_no_turn(const struct sending *sending, int64_t wait_ms, struct err *err)
{
    (void)err_set(err, ERR_UNAVAILABLE, "%s %s: too many calls to the cluster for now",
                  sending->method, sending->path);
    err->retry_after_s = (int)((wait_ms + 999) / 1000);
    return -1;
}

/* Under the lock: what budget_take says, waited for. */
static int take_turn(struct cluster *cluster, const struct sending *sending, struct err *err)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t wait_ms;
    bool in_time =
        budget_take(&cluster->budget, now_ms, sending->deadline_ms - now_ms, &wait_ms);

    cluster->counts.throttled += wait_ms > 0;
    if (!in_time)
        return say_no_turn(sending, wait_ms, err);
    if (wait_until(cluster, sending, now_ms + wait_ms, err) < 0) {
        budget_return(&cluster->budget);
        return -1;
    }
    cluster->counts.calls++;
    return 0;
}

static int wait_for_turn(struct cluster *cluster, const struct sending *sending,
                         struct err *err)
{
    int result;

    (void)pthread_mutex_lock(&cluster->lock);
    result = take_turn(cluster, sending, err);
    (void)pthread_mutex_unlock(&cluster->lock);
    return result;
}

static int pause_for(struct cluster *cluster, const struct sending *sending, int64_t wait_ms,
                     struct err *err)
{
    int result;

    (void)pthread_mutex_lock(&cluster->lock);
    result = wait_until(cluster, sending, clock_monotonic_ms() + wait_ms, err);
    (void)pthread_mutex_unlock(&cluster->lock);
    return result;
}

/* --- One try -------------------------------------------------------------------------- */

/* The words of net_call for what a caller of ours can do about it. */
static int translate(const struct net_answer *answer, struct err *err)
{
    switch (err->kind) {
    case ERR_INVALID:
    case ERR_TOO_LARGE:
    case ERR_UNAVAILABLE:
        break;
    default:
        err->kind = answer->unsent ? ERR_UNAVAILABLE : ERR_TIMEOUT;
    }
    return -1;
}

static int send_as(struct cluster *cluster, const struct sending *sending,
                   const struct identity *identity, struct net_answer *answer, struct err *err)
{
    int64_t left_ms = sending->deadline_ms - clock_monotonic_ms();
    struct net_request request = {
        .method = sending->method,
        .url = sending->url,
        .headers = sending->headers,
        .bearer = identity->token,
        .body = sending->body,
        .body_size = sending->body ? strlen(sending->body) : 0,
        .content_type = sending->content_type,
        .timeout_ms =
            sending->silence_ms ? sending->silence_ms : (int)(left_ms > 0 ? left_ms : 1),
        .answer_max_bytes = sending->answer_max_bytes,
        .on_data = sending->on_data,
        .ctx = sending->ctx,
        .cancel = sending->cancel,
    };
    struct transport_pool *pool = transport_use(cluster->transport, identity, err);
    int result;

    if (!pool)
        return -1;
    result = net_call(sending->on_data ? pool->streams : pool->calls, &request, answer, err);
    transport_release(cluster->transport, pool);
    return result < 0 ? translate(answer, err) : 0;
}

static void note(struct cluster *cluster, const struct sending *sending, int result,
                 const struct net_answer *answer)
{
    int64_t hold_ms = (int64_t)net_answer_retry_after_s(answer) * 1000;

    if (!hold_ms)
        hold_ms = HOLD_MS;
    (void)pthread_mutex_lock(&cluster->lock);
    cluster->counts.failures +=
        (result < 0 && !is_set(sending->cancel) && !is_set(&cluster->stopping))
        || answer->status >= 500;
    if (answer->status == 429) {
        cluster->counts.throttled++;
        budget_hold(&cluster->budget, clock_monotonic_ms(),
                    hold_ms < HOLD_MAX_MS ? hold_ms : HOLD_MAX_MS);
    }
    (void)pthread_mutex_unlock(&cluster->lock);
}

/* 1: it should be sent again at once, as somebody newer. */
static int send_as_somebody(struct cluster *cluster, const struct sending *sending,
                            struct progress *progress, struct net_answer *answer,
                            struct err *err)
{
    scoped(identity) identity = credentials_get(cluster->credentials, err);
    int result;

    if (!identity)
        return err_wrap(err, "%s %s", sending->method, sending->path);
    result = send_as(cluster, sending, identity, answer, err);
    progress->sent = true;
    note(cluster, sending, result, answer);
    if (result < 0 || answer->status != 401 || progress->renewed)
        return result;
    progress->renewed = true;
    return credentials_renew(cluster->credentials, identity) ? 1 : 0;
}

/* 0 with an answer of any status. */
static int try_once(struct cluster *cluster, const struct sending *sending,
                    struct progress *progress, struct net_answer *answer, struct err *err)
{
    for (;;) {
        int result;

        net_answer_done(answer);
        progress->sent = false;
        if (wait_for_turn(cluster, sending, err) < 0)
            return -1;
        result = send_as_somebody(cluster, sending, progress, answer, err);
        if (result != 1)
            return result;
    }
}

/* --- All tries ------------------------------------------------------------------------ */

static struct net_try what_came(const struct progress *progress, int result,
                                const struct net_answer *answer, const struct err *err)
{
    bool broken = result < 0 && progress->sent
                  && (err->kind == ERR_TIMEOUT || err->kind == ERR_UNAVAILABLE);

    return (struct net_try){
        .status = answer->status,
        .retry_after_s = answer->status ? net_answer_retry_after_s(answer) : 0,
        .broken = broken,
        .unsent = broken && answer->unsent,
    };
}

static int judge(const struct sending *sending, const struct net_answer *answer, int result,
                 struct err *err)
{
    scoped_str what = xasprintf("%s %s", sending->method, sending->path);

    if (result < 0)
        return -1;
    return answer->status / 100 == 2 ? 0 : status_from_answer(answer, what, err);
}

static int try_until_done(struct cluster *cluster, const struct sending *sending,
                          struct net_answer *answer, struct err *err)
{
    struct progress progress = {0};

    for (int number = 1;; number++) {
        struct err failed = {0};
        int result = try_once(cluster, sending, &progress, answer, &failed);
        struct net_try tried = what_came(&progress, result, answer, &failed);
        int64_t wait_ms = retry_wait_ms(&tried, number + 1, random_u64());

        result = judge(sending, answer, result, &failed);
        if (result == 0)
            return 0;
        if (number >= TRIES_MAX || !retry_allowed(sending->rule, &tried)
            || is_set(sending->cancel) || is_set(&cluster->stopping)
            || clock_monotonic_ms() + wait_ms >= sending->deadline_ms) {
            *err = failed;
            return -1;
        }
        if (pause_for(cluster, sending, wait_ms, err) < 0)
            return -1;
    }
}

/* --- Calls ---------------------------------------------------------------------------- */

static int enter(struct cluster *cluster, struct err *err)
{
    bool stopping;

    (void)pthread_mutex_lock(&cluster->lock);
    stopping = cluster->stopping;
    cluster->callers += !stopping;
    (void)pthread_mutex_unlock(&cluster->lock);
    return stopping ? err_set(err, ERR_UNAVAILABLE, "calls to the cluster are stopping") : 0;
}

static void leave(struct cluster *cluster)
{
    (void)pthread_mutex_lock(&cluster->lock);
    cluster->callers--;
    (void)pthread_cond_broadcast(&cluster->changed);
    (void)pthread_mutex_unlock(&cluster->lock);
}

static char *url_of(const struct cluster *cluster, const char *path, const char *query)
{
    return xasprintf("%s%s%s%s", cluster->access->server, path, query ? "?" : "",
                     query ? query : "");
}

/* A body, and the answer that repeats it, may be a Secret's. */
static void wipe(char *text)
{
    if (text)
        secret_wipe(text, strlen(text));
    free(text);
}

static int read_answer(const struct cluster_request *request, const struct net_answer *answer,
                       cJSON **out, struct err *err)
{
    if (!out)
        return 0;
    *out = net_answer_json_without(answer, request->left_out, err);
    if (*out)
        return 0;
    (void)err_wrap(err, "%s %s", request->method, request->path);
    err->kind = ERR_TIMEOUT;
    return -1;
}

int cluster_call(struct cluster *cluster, const struct cluster_request *request, cJSON **out,
                 struct err *err)
{
    scoped_str accept =
        xasprintf("Accept: %s", request->accept ? request->accept : "application/json");
    const char *const headers[] = {accept, NULL};
    int timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : TIMEOUT_MS;
    struct sending sending = {
        .method = request->method,
        .path = request->path,
        .url = url_of(cluster, request->path, request->query),
        .body = request->body ? json_text(request->body) : NULL,
        .content_type = request->content_type,
        .headers = headers,
        .deadline_ms = clock_monotonic_ms() + timeout_ms,
        .answer_max_bytes =
            request->answer_max_bytes ? request->answer_max_bytes : ANSWER_MAX_BYTES,
        .rule = strcmp(request->method, "GET") == 0 ? NET_IDEMPOTENT : NET_UNSENT,
        .cancel = request->cancel,
    };
    scoped_net_answer answer = {0};
    int result = enter(cluster, err);

    if (result == 0) {
        result = try_until_done(cluster, &sending, &answer, err);
        if (result == 0)
            result = read_answer(request, &answer, out, err);
        leave(cluster);
    }
    if (sending.body && answer.body.data)
        secret_wipe(answer.body.data, answer.body.size);
    wipe(sending.body);
    free(sending.url);
    return result;
}

int cluster_stream(struct cluster *cluster, const char *path, const char *query, int silence_ms,
                   int (*on_data)(void *ctx, const char *data, size_t size), void *ctx,
                   const volatile bool *cancel, struct err *err)
{
    scoped_str url = url_of(cluster, path, query);
    struct sending sending = {
        .method = "GET",
        .path = path,
        .url = url,
        .deadline_ms = clock_monotonic_ms() + STREAM_TURN_MAX_MS,
        .silence_ms = silence_ms > 0 ? silence_ms : SILENCE_MS,
        .rule = NET_ONCE,
        .on_data = on_data,
        .ctx = ctx,
        .cancel = cancel,
    };
    scoped_net_answer answer = {0};
    int result = enter(cluster, err);

    if (result == 0) {
        result = try_until_done(cluster, &sending, &answer, err);
        leave(cluster);
    }
    return result;
}

/* --- Life ----------------------------------------------------------------------------- */

static void init_lock(struct cluster *cluster)
{
    pthread_condattr_t monotonic;

    (void)pthread_mutex_init(&cluster->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&cluster->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

struct cluster *cluster_open(const struct cluster_options *options, struct err *err)
{
    scoped(cluster) cluster = xcalloc(1, sizeof(*cluster));

    init_lock(cluster);
    budget_init(&cluster->budget, options->qps > 0 ? options->qps : QPS,
                options->burst > 0 ? options->burst : BURST, clock_monotonic_ms());
    cluster->access =
        access_find(options->kubeconfig, options->context, options->service_account, err);
    if (!cluster->access)
        return NULL;
    cluster->credentials = credentials_new(cluster->access, &cluster->stopping, err);
    if (!cluster->credentials)
        return NULL;
    cluster->transport = transport_new(cluster->access, options->connections);
    return TAKE(cluster);
}

void cluster_free(struct cluster *cluster)
{
    if (!cluster)
        return;
    (void)pthread_mutex_lock(&cluster->lock);
    __atomic_store_n(&cluster->stopping, true, __ATOMIC_RELEASE);
    (void)pthread_cond_broadcast(&cluster->changed);
    (void)pthread_mutex_unlock(&cluster->lock);
    if (cluster->transport)
        transport_stop(cluster->transport);
    (void)pthread_mutex_lock(&cluster->lock);
    while (cluster->callers > 0)
        (void)pthread_cond_wait(&cluster->changed, &cluster->lock);
    (void)pthread_mutex_unlock(&cluster->lock);

    transport_free(cluster->transport);
    credentials_free(cluster->credentials);
    access_free(cluster->access);
    (void)pthread_cond_destroy(&cluster->changed);
    (void)pthread_mutex_destroy(&cluster->lock);
    free(cluster);
}

const char *cluster_server(const struct cluster *cluster)
{
    return cluster->access->server;
}

const char *cluster_namespace(const struct cluster *cluster)
{
    return cluster->access->name_space;
}

void cluster_counts(struct cluster *cluster, struct cluster_counts *out)
{
    (void)pthread_mutex_lock(&cluster->lock);
    *out = cluster->counts;
    (void)pthread_mutex_unlock(&cluster->lock);
}
