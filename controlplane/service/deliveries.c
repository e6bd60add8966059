/* SPDX-License-Identifier: Apache-2.0 */
#include "service/deliveries.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "service/delivery_call.h"
#include "store/delivery_store.h"

/* Of the threads, those that may be at work on deliveries that failed before. */
#define RETRIES_MAX (DELIVERY_THREADS / 2)
/* The wall clock may be set while we wait for a moment on it. */
#define LOOK_AGAIN_MS 30000
#define PAUSE_MS 2000 /* after a failure of our own store */

struct deliveries {
    const struct config *config;
    struct db *db;
    struct delivery_caller caller;

    pthread_mutex_t take_lock; /* one thread at a time looks for the next */
    pthread_mutex_t lock;      /* for what follows */
    pthread_cond_t woken;
    uint64_t signals;
    volatile bool stopping;
    char *in_hand[DELIVERY_THREADS]; /* whose receiver each thread calls; NULL: none */
    bool retrying[DELIVERY_THREADS];

    pthread_t threads[DELIVERY_THREADS];
    size_t n_threads;

    _Atomic int64_t delivered;
    _Atomic int64_t failed;
    _Atomic int64_t attempts;
};

struct secret *deliveries_secret(const struct config *config, const struct vault *vault)
{
    uint8_t key[VAULT_KEY_SIZE];
    char text[2 * VAULT_KEY_SIZE + 1];
    struct secret *secret;

    if (config->webhook_secret)
        return secret_new(secret_reveal(config->webhook_secret));
    vault_derive(vault, "delivery-secret", key);
    hex_encode(key, sizeof(key), text);
    secret = secret_new(text);
    secret_wipe(key, sizeof(key));
    secret_wipe(text, sizeof(text));
    return secret;
}

int64_t deliveries_wait_ms(int tries, uint64_t random)
{
    int64_t wait_ms = DELIVERY_RETRY_FIRST_MS;

    for (int i = 1; i < tries && wait_ms < DELIVERY_RETRY_MAX_MS; i++)
        wait_ms *= 2;
    if (wait_ms > DELIVERY_RETRY_MAX_MS)
        wait_ms = DELIVERY_RETRY_MAX_MS;
    return wait_ms - (int64_t)(random % (uint64_t)(wait_ms / 5 + 1));
}

/* --- Waiting ------------------------------------------------------------------------------ */

void deliveries_wake(struct deliveries *deliveries)
{
    if (!deliveries)
        return;
    (void)pthread_mutex_lock(&deliveries->lock);
    deliveries->signals++;
    (void)pthread_cond_broadcast(&deliveries->woken);
    (void)pthread_mutex_unlock(&deliveries->lock);
}

static uint64_t signals_of(struct deliveries *deliveries)
{
    uint64_t signals;

    (void)pthread_mutex_lock(&deliveries->lock);
    signals = deliveries->signals;
    (void)pthread_mutex_unlock(&deliveries->lock);
    return signals;
}

/* Until there was a signal after those `seen`. False when it is time to stop. */
static bool wait_for(struct deliveries *deliveries, uint64_t seen, int64_t wait_ms)
{
    int64_t until_ms = clock_monotonic_ms() + wait_ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    bool stopping;
    int timed_out = 0;

    (void)pthread_mutex_lock(&deliveries->lock);
    while (!deliveries->stopping && deliveries->signals == seen && !timed_out)
        timed_out = pthread_cond_timedwait(&deliveries->woken, &deliveries->lock, &until);
    stopping = deliveries->stopping;
    (void)pthread_mutex_unlock(&deliveries->lock);
    return !stopping;
}

/* --- Taking the next ---------------------------------------------------------------------- */

/* Marks its receiver as in the hands of thread `self`; false when another one has it. */
static bool claim(struct deliveries *deliveries, size_t self, const struct delivery *delivery)
{
    bool retry = delivery->tries > 0;
    int retrying = 0;
    bool free_to_take = true;

    (void)pthread_mutex_lock(&deliveries->lock);
    for (size_t i = 0; i < DELIVERY_THREADS; i++) {
        const char *other = deliveries->in_hand[i];

        retrying += deliveries->retrying[i];
        if (other && strcmp(other, delivery->receiver) == 0)
            free_to_take = false;
    }
    free_to_take = free_to_take && (!retry || retrying < RETRIES_MAX);
    if (free_to_take) {
        deliveries->in_hand[self] = xstrdup(delivery->receiver);
        deliveries->retrying[self] = retry;
    }
    (void)pthread_mutex_unlock(&deliveries->lock);
    return free_to_take;
}

static void let_go(struct deliveries *deliveries, size_t self)
{
    (void)pthread_mutex_lock(&deliveries->lock);
    free(TAKE(deliveries->in_hand[self]));
    deliveries->retrying[self] = false;
    deliveries->signals++; /* the next in that line */
    (void)pthread_cond_broadcast(&deliveries->woken);
    (void)pthread_mutex_unlock(&deliveries->lock);
}

/* Those in hand are due as well: one more than them is enough to find a free one. */
static int pick_from(struct deliveries *deliveries, size_t self, bool tried, int64_t now_ms,
                     struct delivery **out, struct err *err)
{
    struct delivery_page page = {0};

    if (delivery_store_due(deliveries->db, tried, now_ms, DELIVERY_THREADS + 1, &page, err) < 0)
        return -1;
    for (size_t i = 0; i < page.count && !*out; i++)
        if (claim(deliveries, self, page.all[i]))
            *out = TAKE(page.all[i]);
    delivery_page_done(&page);
    return 0;
}

/* *out is NULL when nothing is due that may be taken: *out_wait_ms says when to look again. */
static int pick(struct deliveries *deliveries, size_t self, struct delivery **out,
                int64_t *out_wait_ms, struct err *err)
{
    int64_t now_ms = clock_steady_ms();
    int64_t next_ms = 0;

    *out = NULL;
    *out_wait_ms = LOOK_AGAIN_MS;
    if (pick_from(deliveries, self, false, now_ms, out, err) < 0
        || (!*out && pick_from(deliveries, self, true, now_ms, out, err) < 0))
        return -1;
    if (*out)
        return 0;
    if (delivery_store_next(deliveries->db, now_ms, &next_ms, err) < 0)
        return -1;
    if (next_ms && next_ms - now_ms < LOOK_AGAIN_MS)
        *out_wait_ms = next_ms - now_ms;
    return 0;
}

/* NULL when it is time to stop. */
static struct delivery *take_next(struct deliveries *deliveries, size_t self)
{
    struct delivery *taken = NULL;
    bool go_on;

    (void)pthread_mutex_lock(&deliveries->take_lock);
    go_on = !__atomic_load_n(&deliveries->stopping, __ATOMIC_ACQUIRE);
    while (go_on && !taken) {
        uint64_t seen = signals_of(deliveries);
        int64_t wait_ms = PAUSE_MS;
        struct err err = {0};

        if (pick(deliveries, self, &taken, &wait_ms, &err) < 0)
            log_error("reading the deliveries failed, will retry", KV("error", err.text));
        if (!taken)
            go_on = wait_for(deliveries, seen, wait_ms);
    }
    (void)pthread_mutex_unlock(&deliveries->take_lock);
    return taken;
}

/* --- One call ----------------------------------------------------------------------------- */

/* What is next, after what came of the call. */
static void settle(const struct delivery *delivery, struct delivery_result *result)
{
    struct delivery_attempt *attempt = &result->attempt;
    int64_t wait_ms = deliveries_wait_ms(delivery->tries + 1, random_u64());

    if (attempt->status != DELIVERY_PENDING)
        return;
    if (wait_ms < result->retry_after_s * 1000LL)
        wait_ms = result->retry_after_s * 1000LL;
    attempt->next_ms = attempt->at_ms + wait_ms;
    if (attempt->at_ms >= delivery->give_up_ms)
        attempt->status = DELIVERY_FAILED;
    else if (attempt->next_ms > delivery->give_up_ms)
        attempt->next_ms = delivery->give_up_ms; /* once more at the end */
}

/* A URL may be as good as a password: it isn't logged, and so isn't what net says. */
static void log_result(const struct delivery *delivery, const struct delivery_result *result)
{
    const struct delivery_attempt *attempt = &result->attempt;
    char id[ID_TEXT_SIZE];
    char run[ID_TEXT_SIZE];

    id_text(delivery->id, id);
    id_text(delivery->run, run);
    if (attempt->status == DELIVERY_DELIVERED)
        log_info("delivered", KV("delivery", id), KV("run", run),
                 KV("receiver", delivery->receiver), KV("status", attempt->http_status));
    else
        log_warn(attempt->status == DELIVERY_PENDING ? "delivery failed, will retry"
                                                     : "delivery failed, given up",
                 KV("delivery", id), KV("run", run), KV("receiver", delivery->receiver),
                 KV("status", attempt->http_status), KV("why", result->why),
                 KV("tries", delivery->tries + 1));
}

static void count(struct deliveries *deliveries, enum delivery_status status)
{
    atomic_fetch_add(&deliveries->attempts, 1);
    if (status == DELIVERY_DELIVERED)
        atomic_fetch_add(&deliveries->delivered, 1);
    else if (status == DELIVERY_FAILED)
        atomic_fetch_add(&deliveries->failed, 1);
}

static bool is_due(const struct delivery *delivery)
{
    return delivery->next_ms && delivery->next_ms <= clock_steady_ms();
}

/* False when the store didn't take it. */
static bool call_one(struct deliveries *deliveries, const struct delivery *due)
{
    struct err err = {0};
    scoped(delivery) delivery = delivery_store_load(deliveries->db, due->id, &err);
    struct delivery_result result = {0};

    if (!delivery)
        return err.kind == ERR_NOT_FOUND;
    if (!is_due(delivery)) /* another thread was at it between our look and our claim */
        return true;
    if (!delivery_call(&deliveries->caller, delivery, &result))
        return true; /* cut off by our own stop */
    settle(delivery, &result);
    if (delivery_store_note(deliveries->db, delivery, &result.attempt, &err) < 0) {
        log_error("noting a delivery failed, it will be made again", KV("error", err.text));
        delivery_result_done(&result);
        return false;
    }
    log_result(delivery, &result);
    count(deliveries, result.attempt.status);
    delivery_result_done(&result);
    return true;
}

struct worker {
    struct deliveries *deliveries;
    size_t self;
};

static void *worker_main(void *ctx)
{
    struct worker worker = *(struct worker *)ctx;
    struct deliveries *deliveries = worker.deliveries;
    struct delivery *due;

    free(ctx);
    while ((due = take_next(deliveries, worker.self))) {
        bool noted = call_one(deliveries, due);

        delivery_free(due);
        if (!noted)
            (void)wait_for(deliveries, signals_of(deliveries), PAUSE_MS);
        let_go(deliveries, worker.self);
    }
    return NULL;
}

/* --- Life --------------------------------------------------------------------------------- */

static int set_receivers(const struct config *config, struct db *db, struct err *err)
{
    const struct config_receivers *from = &config->receivers;
    struct delivery_receiver *receivers = xcalloc(from->count + 1, sizeof(*receivers));
    int result;

    for (size_t i = 0; i < from->count; i++)
        receivers[i] =
            (struct delivery_receiver){.url = from->all[i].url, .events = from->all[i].events};
    result = delivery_store_set_receivers(db, receivers, from->count, err);
    free(receivers);
    return result;
}

struct deliveries *deliveries_new(const struct deliveries_options *options, struct err *err)
{
    scoped(deliveries) deliveries = xcalloc(1, sizeof(*deliveries));
    pthread_condattr_t monotonic;

    deliveries->config = options->config;
    deliveries->db = options->db;
    (void)pthread_mutex_init(&deliveries->take_lock, NULL);
    (void)pthread_mutex_init(&deliveries->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&deliveries->woken, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    deliveries->caller.stopping = &deliveries->stopping;
    deliveries->caller.secret = deliveries_secret(options->config, options->vault);
    if (delivery_caller_open(&deliveries->caller, options->config, err) < 0
        || set_receivers(options->config, options->db, err) < 0)
        return NULL;
    return TAKE(deliveries);
}

int deliveries_start(struct deliveries *deliveries, struct err *err)
{
    int failed = 0;

    while (!failed && deliveries->n_threads < DELIVERY_THREADS) {
        struct worker *worker = xcalloc(1, sizeof(*worker));

        *worker = (struct worker){.deliveries = deliveries, .self = deliveries->n_threads};
        failed = pthread_create(&deliveries->threads[deliveries->n_threads], NULL, worker_main,
                                worker);
        if (failed)
            free(worker);
        else
            deliveries->n_threads++;
    }
    if (!failed)
        return 0;
    deliveries_stop(deliveries);
    return err_set_errno(err, failed, "starting the threads of deliveries");
}

void deliveries_stop(struct deliveries *deliveries)
{
    (void)pthread_mutex_lock(&deliveries->lock);
    __atomic_store_n(&deliveries->stopping, true, __ATOMIC_RELEASE);
    (void)pthread_cond_broadcast(&deliveries->woken);
    (void)pthread_mutex_unlock(&deliveries->lock);
    for (size_t i = 0; i < deliveries->n_threads; i++)
        (void)pthread_join(deliveries->threads[i], NULL);
    deliveries->n_threads = 0;
}

void deliveries_free(struct deliveries *deliveries)
{
    if (!deliveries)
        return;
    deliveries_stop(deliveries);
    delivery_caller_close(&deliveries->caller);
    (void)pthread_cond_destroy(&deliveries->woken);
    (void)pthread_mutex_destroy(&deliveries->lock);
    (void)pthread_mutex_destroy(&deliveries->take_lock);
    free(deliveries);
}

int deliveries_stats(struct deliveries *deliveries, struct deliveries_stats *out,
                     struct err *err)
{
    struct deliveries_stats stats = {
        .delivered = atomic_load(&deliveries->delivered),
        .failed = atomic_load(&deliveries->failed),
        .attempts = atomic_load(&deliveries->attempts),
    };

    if (delivery_store_count_pending(deliveries->db, &stats.pending, err) < 0)
        return -1;
    *out = stats;
    return 0;
}
