/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/feed.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "kubernetes/lines.h"

struct feed {
    struct feed_options options;
    char *query;
    pthread_t thread;
    bool started;
    volatile bool cancel;

    struct lines lines; /* the reader's */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct buf waiting; /* from the stream's thread to the reader */
    bool ended;
    bool overflowed;
    bool failed;
    struct err why;
};

/* --- The stream's thread, and the net's ----------------------------------------------- */

static int take_data(void *ctx, const char *data, size_t size)
{
    struct feed *feed = ctx;
    bool fits;

    if (feed->options.on_heard)
        feed->options.on_heard(feed->options.ctx);
    (void)pthread_mutex_lock(&feed->lock);
    fits = buf_append_within(&feed->waiting, data, size, FEED_WAITING_MAX);
    feed->overflowed = !fits;
    (void)pthread_cond_signal(&feed->changed);
    (void)pthread_mutex_unlock(&feed->lock);
    return fits ? 0 : -1;
}

static void *stream(void *ctx)
{
    struct feed *feed = ctx;
    struct err err = {0};
    int result = cluster_stream(feed->options.cluster, feed->options.path, feed->query,
                                feed->options.silence_ms, take_data, feed, &feed->cancel, &err);

    (void)pthread_mutex_lock(&feed->lock);
    feed->ended = true;
    feed->failed = result < 0;
    feed->why = err;
    if (feed->overflowed)
        (void)err_set(&feed->why, ERR_UNAVAILABLE, "more than %zu bytes wait to be read",
                      FEED_WAITING_MAX);
    (void)pthread_cond_signal(&feed->changed);
    (void)pthread_mutex_unlock(&feed->lock);
    return NULL;
}

/* --- The reader ----------------------------------------------------------------------- */

/* Signals are for the threads that expect them. */
static int start_thread(struct feed *feed, struct err *err)
{
    sigset_t all;
    sigset_t before;
    int failed;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&feed->thread, NULL, stream, feed);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return err_set_errno(err, failed, "starting a thread for a stream");
    feed->started = true;
    return 0;
}

struct feed *feed_open(const struct feed_options *options, struct err *err)
{
    scoped(feed) feed = xcalloc(1, sizeof(*feed));
    pthread_condattr_t monotonic;

    feed->options = *options;
    feed->query = xstrdup(options->query);
    (void)pthread_mutex_init(&feed->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&feed->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (start_thread(feed, err) < 0)
        return NULL;
    return TAKE(feed);
}

void feed_stop(struct feed *feed)
{
    (void)pthread_mutex_lock(&feed->lock);
    __atomic_store_n(&feed->cancel, true, __ATOMIC_RELEASE); /* looked at without the lock */
    (void)pthread_cond_signal(&feed->changed);
    (void)pthread_mutex_unlock(&feed->lock);
}

void feed_free(struct feed *feed)
{
    if (!feed)
        return;
    feed_stop(feed);
    if (feed->started)
        (void)pthread_join(feed->thread, NULL);
    (void)pthread_cond_destroy(&feed->changed);
    (void)pthread_mutex_destroy(&feed->lock);
    lines_done(&feed->lines);
    buf_done(&feed->waiting);
    free(feed->query);
    free(feed);
}

/* Under the lock. */
static void wait_for_news(struct feed *feed, int64_t until_ms)
{
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};

    while (!feed->waiting.size && !feed->ended && !feed->cancel
           && clock_monotonic_ms() < until_ms)
        (void)pthread_cond_timedwait(&feed->changed, &feed->lock, &until);
}

/* Under the lock: 1 when there is something to take, or how feed_next ends. */
static int state(const struct feed *feed, struct err *err)
{
    if (feed->cancel)
        return err_set(err, ERR_UNAVAILABLE, "stopped");
    if (feed->waiting.size)
        return 1;
    if (!feed->ended)
        return err_set_code(err, ERR_TIMEOUT, FEED_NOT_YET, "nothing came in time");
    if (!feed->failed)
        return 0;
    *err = feed->why;
    return -1;
}

static int take_waiting(struct feed *feed, int64_t until_ms, struct err *err)
{
    scoped_buf taken = {0};
    int result;

    (void)pthread_mutex_lock(&feed->lock);
    wait_for_news(feed, until_ms);
    result = state(feed, err);
    taken = feed->waiting;
    feed->waiting = (struct buf){0};
    (void)pthread_mutex_unlock(&feed->lock);
    if (result == 1)
        lines_add(&feed->lines, taken.data, taken.size);
    return result;
}

int feed_next(struct feed *feed, int64_t until_ms, const char **out, size_t *out_size,
              struct err *err)
{
    for (;;) {
        int result = lines_next(&feed->lines, FEED_LINE_MAX, out, out_size, err);

        if (result != 0)
            return result;
        result = take_waiting(feed, until_ms, err);
        if (result != 1)
            return result;
    }
}
