/* SPDX-License-Identifier: Apache-2.0 */
#include "home/heartbeat.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/log.h"
#include "home/stop.h"

struct heartbeat {
    struct home *home;
    int every_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ending; /* under the lock */
};

static void beat(struct heartbeat *heartbeat)
{
    struct err err = {0};
    bool stop = false;

    if (home_heartbeat(heartbeat->home, &stop, &err) == 0) {
        if (stop && !stop_requested())
            log_info("home asks us to stop");
    } else if (err.kind == ERR_CONFLICT || err.kind == ERR_UNAUTHENTICATED) {
        log_warn("the run isn't ours any more, stopping", KV("error", err.text));
        stop = true;
    } else {
        log_warn("heartbeat failed, will retry", KV("error", err.text));
    }
    if (stop)
        stop_request();
}

/* True when it is time for the next beat, false when there are none to come. */
static bool wait_for_next(struct heartbeat *heartbeat)
{
    struct timespec until;
    bool ending;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += heartbeat->every_ms / 1000;
    until.tv_nsec += (long)(heartbeat->every_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&heartbeat->lock);
    while (!heartbeat->ending) {
        if (pthread_cond_timedwait(&heartbeat->changed, &heartbeat->lock, &until) != 0)
            break;
    }
    ending = heartbeat->ending;
    (void)pthread_mutex_unlock(&heartbeat->lock);
    return !ending;
}

static void *keep_beating(void *arg)
{
    struct heartbeat *heartbeat = arg;

    while (wait_for_next(heartbeat))
        beat(heartbeat);
    return NULL;
}

struct heartbeat *heartbeat_new(struct home *home, int every_ms)
{
    struct heartbeat *heartbeat = xcalloc(1, sizeof(*heartbeat));
    pthread_condattr_t attributes;

    heartbeat->home = home;
    heartbeat->every_ms = every_ms;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&heartbeat->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&heartbeat->lock, NULL);
    if (pthread_create(&heartbeat->thread, NULL, keep_beating, heartbeat) != 0) {
        log_error("can't start a thread");
        abort();
    }
    return heartbeat;
}

void heartbeat_free(struct heartbeat *heartbeat)
{
    if (!heartbeat)
        return;
    (void)pthread_mutex_lock(&heartbeat->lock);
    heartbeat->ending = true;
    (void)pthread_cond_signal(&heartbeat->changed);
    (void)pthread_mutex_unlock(&heartbeat->lock);
    (void)pthread_join(heartbeat->thread, NULL);
    (void)pthread_cond_destroy(&heartbeat->changed);
    (void)pthread_mutex_destroy(&heartbeat->lock);
    free(heartbeat);
}
