/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/watch.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "kubernetes/feed.h"
#include "kubernetes/status.h"
#include "kubernetes/watch_event.h"
#include "net/retry.h"

/*
 * The thread does one of two things: without a resourceVersion it lists, with one it watches
 * from there. Whoever loses the thread (410, a list that is due, a stream that fails again and
 * again) forgets the version.
 *
 *            +------ list ------+            version forgotten
 *            |                  v          +-------------------+
 *     (no version)        (a version) --- watch                |
 *            ^                  ^          |                    |
 *            +------------------|----------+--------------------+
 *                               +--- stream ended: from the last version on
 *
 * Whatever fails is followed by a pause with full jitter that doubles up to some seconds; only
 * a stream that lasted makes it short again.
 */
#define RELIST_EVERY_S 300
#define PAGE_LIMIT "500"
#define PAGES_MAX 2000
#define LIST_TIMEOUT_MS 60000
/* The API server sends a bookmark about every minute. */
#define WATCH_SILENCE_MS 180000
/* The server ends a watch after this much more than the next list. */
#define WATCH_LONGER_S 60
#define STREAM_SHORT_MS 1000
#define FAILURES_BEFORE_LIST 3
#define DOUBLINGS_MAX 6 /* up to 6.4 s */
#define RETRY_AFTER_MAX_S 30

struct watch {
    struct watch_options options;
    char *path;
    char *selector; /* escaped; NULL */
    pthread_t thread;
    bool started;
    _Atomic bool listed;
    _Atomic int64_t heard_ms;

    /* The thread's. */
    char *version;
    int64_t relist_ms;
    int failures; /* in a row */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    volatile bool stopping;
    struct feed *feed;
};

static bool is_stopping(const struct watch *watch)
{
    return __atomic_load_n(&watch->stopping, __ATOMIC_ACQUIRE);
}

static void heard(void *ctx)
{
    struct watch *watch = ctx;

    atomic_store_explicit(&watch->heard_ms, clock_monotonic_ms(), memory_order_relaxed);
}

static void set_version(struct watch *watch, const char *version)
{
    free(watch->version);
    watch->version = xstrdup(version);
}

/* --- Listing -------------------------------------------------------------------------- */

static cJSON *read_page(struct watch *watch, const char *go_on, struct err *err)
{
    scoped_str token = go_on ? net_escape(go_on) : NULL;
    scoped_str query = xasprintf(
        "limit=" PAGE_LIMIT "%s%s%s%s", watch->selector ? "&labelSelector=" : "",
        watch->selector ? watch->selector : "", token ? "&continue=" : "", token ? token : "");
    struct cluster_request request = {
        .method = "GET",
        .path = watch->path,
        .query = query,
        .timeout_ms = LIST_TIMEOUT_MS,
        .left_out = watch->options.left_out,
        .cancel = &watch->stopping,
    };
    scoped_json page = NULL;

    if (cluster_call(watch->options.cluster, &request, &page, err) < 0)
        return NULL;
    heard(watch);
    if (!cJSON_IsArray(json_get(page, "items")) || !resource_version_of(page)) {
        (void)err_set(err, ERR_UPSTREAM, "GET %s: the answer is no list", watch->path);
        return NULL;
    }
    return TAKE(page);
}

static void set_all(struct watch *watch, const cJSON *page)
{
    const cJSON *object;

    cJSON_ArrayForEach(object, json_get(page, "items"))
    {
        if (is_stopping(watch))
            return;
        if (cJSON_IsObject(object))
            watch->options.on_set(watch->options.ctx, object);
    }
}

/* One page; *go_on is where the next begins, NULL after the last. The version of the first is
 * where the watch begins: nothing that happened while we turned pages may be missed. */
static int list_page(struct watch *watch, char **version, char **go_on, struct err *err)
{
    scoped_json page = read_page(watch, *go_on, err);
    const char *next;

    if (!page)
        return -1;
    if (!*version) {
        *version = xstrdup(resource_version_of(page));
        watch->options.on_listing(watch->options.ctx);
    }
    set_all(watch, page);
    next = json_get_str(json_get(page, "metadata"), "continue");
    free(*go_on);
    *go_on = next && *next ? xstrdup(next) : NULL;
    return 0;
}

static int list(struct watch *watch, struct err *err)
{
    scoped_str version = NULL;
    scoped_str go_on = NULL;
    int every_s = watch->options.relist_every_s;

    for (int pages = 0; pages == 0 || go_on; pages++) {
        if (pages == PAGES_MAX)
            return err_set(err, ERR_TOO_LARGE, "GET %s: more than %d pages", watch->path,
                           PAGES_MAX);
        if (list_page(watch, &version, &go_on, err) < 0)
            return -1;
        if (is_stopping(watch))
            return err_set(err, ERR_UNAVAILABLE, "stopped");
    }
    watch->options.on_listed(watch->options.ctx);
    set_version(watch, version);
    watch->relist_ms =
        clock_monotonic_ms() + (int64_t)(every_s > 0 ? every_s : RELIST_EVERY_S) * 1000;
    atomic_store(&watch->listed, true);
    return 0;
}

/* --- Watching ------------------------------------------------------------------------- */

static struct feed *open_feed(struct watch *watch, struct err *err)
{
    scoped_str version = net_escape(watch->version);
    int64_t left_s = (watch->relist_ms - clock_monotonic_ms()) / 1000 + WATCH_LONGER_S;
    scoped_str query = xasprintf(
        "watch=true&allowWatchBookmarks=true&timeoutSeconds=%lld&resourceVersion=%s%s%s",
        (long long)left_s, version, watch->selector ? "&labelSelector=" : "",
        watch->selector ? watch->selector : "");
    struct feed_options options = {
        .cluster = watch->options.cluster,
        .path = watch->path,
        .query = query,
        .silence_ms = WATCH_SILENCE_MS,
        .on_heard = heard,
        .ctx = watch,
    };

    return feed_open(&options, err);
}

/* watch_free must be able to stop it. */
static void show_feed(struct watch *watch, struct feed *feed)
{
    (void)pthread_mutex_lock(&watch->lock);
    watch->feed = feed;
    if (feed && watch->stopping)
        feed_stop(feed);
    (void)pthread_mutex_unlock(&watch->lock);
}

static int take_event(struct watch *watch, const struct watch_event *event, struct err *err)
{
    switch (event->type) {
    case WATCH_SET:
        watch->options.on_set(watch->options.ctx, event->object);
        break;
    case WATCH_DELETED:
        watch->options.on_deleted(watch->options.ctx, event->object);
        break;
    case WATCH_ERROR:
        return status_from_object(event->object, "an event of the watch", err);
    case WATCH_BOOKMARK:
        break;
    case WATCH_UNKNOWN:
    default:
        log_debug("the cluster sent an event of a type we don't know, ignoring it",
                  KV("path", watch->path));
        return 0;
    }
    set_version(watch, event->resource_version);
    return 0;
}

/* Until the stream ends (0), fails (-1), or a list is due (0, without a version). */
static int follow(struct watch *watch, struct feed *feed, int *events, struct err *err)
{
    for (;;) {
        scoped_watch_event event = {0};
        const char *line;
        size_t size;
        int result = feed_next(feed, watch->relist_ms, &line, &size, err);

        if (result < 0 && err->code && strcmp(err->code, FEED_NOT_YET) == 0) {
            set_version(watch, NULL);
            return 0;
        }
        if (result <= 0)
            return result;
        if (size == 0)
            continue;
        if (watch_event_read(line, size, watch->options.left_out, &event, err) < 0
            || take_event(watch, &event, err) < 0)
            return -1;
        (*events)++;
    }
}

static int follow_once(struct watch *watch, struct err *err)
{
    int64_t began_ms = clock_monotonic_ms();
    scoped(feed) feed = open_feed(watch, err);
    int events = 0;
    int result;
    bool lasted;

    if (!feed)
        return -1;
    show_feed(watch, feed);
    result = follow(watch, feed, &events, err);
    show_feed(watch, NULL);
    lasted = clock_monotonic_ms() - began_ms >= STREAM_SHORT_MS && (events || result == 0);
    if (lasted)
        watch->failures = 0;
    if (result == 0 && !lasted && watch->version)
        return err_set(err, ERR_UPSTREAM, "GET %s: the watch ended at once", watch->path);
    return result;
}

/* --- The thread ----------------------------------------------------------------------- */

static void pause_for(struct watch *watch, int64_t wait_ms)
{
    int64_t until_ms = clock_monotonic_ms() + wait_ms;
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};

    (void)pthread_mutex_lock(&watch->lock);
    while (!watch->stopping && clock_monotonic_ms() < until_ms)
        (void)pthread_cond_timedwait(&watch->changed, &watch->lock, &until);
    (void)pthread_mutex_unlock(&watch->lock);
}

static void note_failure(struct watch *watch, const struct err *err)
{
    bool expired = err->code && strcmp(err->code, "Expired") == 0;

    watch->failures++;
    if (expired || err->kind == ERR_TOO_LARGE || watch->failures >= FAILURES_BEFORE_LIST)
        set_version(watch, NULL);
    /* The first, the second, the fourth...: an API server can be away for long. */
    if ((watch->failures & (watch->failures - 1)) == 0 && !expired)
        log_warn("watching the cluster failed, will retry", KV("path", watch->path),
                 KV("failures", watch->failures), KV("error", err->text));
}

static void *keep_up(void *ctx)
{
    struct watch *watch = ctx;

    while (!is_stopping(watch)) {
        struct err err = {0};
        struct net_try tried;
        int doublings;

        if ((watch->version ? follow_once(watch, &err) : list(watch, &err)) == 0)
            continue;
        if (is_stopping(watch))
            break;
        note_failure(watch, &err);
        doublings = watch->failures < DOUBLINGS_MAX ? watch->failures : DOUBLINGS_MAX;
        tried = (struct net_try){.retry_after_s = err.retry_after_s < RETRY_AFTER_MAX_S
                                                      ? err.retry_after_s
                                                      : RETRY_AFTER_MAX_S};
        pause_for(watch, retry_wait_ms(&tried, doublings + 1, random_u64()));
    }
    return NULL;
}

static int start_thread(struct watch *watch, struct err *err)
{
    sigset_t all;
    sigset_t before;
    int failed;

    sigfillset(&all); /* signals are for the threads that expect them */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&watch->thread, NULL, keep_up, watch);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return err_set_errno(err, failed, "starting a thread for a watch");
    watch->started = true;
    return 0;
}

struct watch *watch_start(const struct watch_options *options, struct err *err)
{
    scoped(watch) watch = xcalloc(1, sizeof(*watch));
    pthread_condattr_t monotonic;

    watch->options = *options;
    watch->path = xstrdup(options->path);
    watch->selector = options->label_selector ? net_escape(options->label_selector) : NULL;
    (void)pthread_mutex_init(&watch->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&watch->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    heard(watch);
    if (start_thread(watch, err) < 0)
        return NULL;
    return TAKE(watch);
}

void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    (void)pthread_mutex_lock(&watch->lock);
    __atomic_store_n(&watch->stopping, true, __ATOMIC_RELEASE);
    if (watch->feed)
        feed_stop(watch->feed);
    (void)pthread_cond_broadcast(&watch->changed);
    (void)pthread_mutex_unlock(&watch->lock);
    if (watch->started)
        (void)pthread_join(watch->thread, NULL);
    (void)pthread_cond_destroy(&watch->changed);
    (void)pthread_mutex_destroy(&watch->lock);
    free(watch->version);
    free(watch->selector);
    free(watch->path);
    free(watch);
}

bool watch_has_listed(const struct watch *watch)
{
    return atomic_load(&watch->listed);
}

int64_t watch_silent_ms(const struct watch *watch)
{
    return clock_monotonic_ms() - atomic_load_explicit(&watch->heard_ms, memory_order_relaxed);
}
