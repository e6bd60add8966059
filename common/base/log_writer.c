/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"
#include "base/log.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gathered = PTHREAD_COND_INITIALIZER;
static pthread_cond_t taken = PTHREAD_COND_INITIALIZER;
static struct buf waiting;
static bool running;
static bool stopping;
static bool ended;     /* the thread writes no more */
static bool resting;   /* the thread lets lines gather */
static bool stuck;     /* nothing was taken for LOG_PATIENCE_MS */
static int64_t n_lost; /* since it is */
static pthread_t thread;

static struct timespec in_ms(int ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    return until;
}

/* Where stderr is gone there is nobody to tell. */
static void write_all(const char *text, size_t size)
{
    while (size) {
        ssize_t wrote = write(STDERR_FILENO, text, size);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return;
        text += wrote;
        size -= (size_t)wrote;
    }
}

/* A line that follows another soon waits for more of them: waking this thread for each costs
 * whoever logs more than the line does. */
static void rest(void)
{
    struct timespec until = in_ms(LOG_REST_MS);

    resting = true;
    while (!stopping && waiting.size < LOG_GATHERED_MAX / 2
           && pthread_cond_clockwait(&gathered, &lock, CLOCK_MONOTONIC, &until) == 0)
        ;
    resting = false;
}

static void *write_gathered(void *unused)
{
    struct buf mine = {0};

    (void)unused;
    (void)pthread_mutex_lock(&lock);
    while (!stopping || waiting.size) {
        struct buf swap = waiting;
        int64_t lost = n_lost;

        if (!waiting.size) {
            (void)pthread_cond_wait(&gathered, &lock);
            continue;
        }
        waiting = mine;
        mine = swap;
        stuck = false;
        n_lost = 0;
        (void)pthread_cond_broadcast(&taken);
        (void)pthread_mutex_unlock(&lock);
        if (lost)
            log_warn("nobody read the log, lines were dropped", KV("lines", lost));
        write_all(mine.data, mine.size);
        buf_clear(&mine);
        (void)pthread_mutex_lock(&lock);
        rest();
    }
    ended = true;
    (void)pthread_cond_broadcast(&taken);
    (void)pthread_mutex_unlock(&lock);
    buf_done(&mine);
    return NULL;
}

void log_writer_start(void)
{
    static bool at_exit;

    (void)pthread_mutex_lock(&lock);
    if (!running) {
        stopping = ended = false;
        running = pthread_create(&thread, NULL, write_gathered, NULL) == 0;
        if (!at_exit)
            at_exit = atexit(log_writer_stop) == 0;
    }
    (void)pthread_mutex_unlock(&lock);
}

void log_writer_stop(void)
{
    struct timespec until = in_ms(LOG_PATIENCE_MS);
    bool was;
    bool late;

    (void)pthread_mutex_lock(&lock);
    was = running && !stopping;
    stopping = true;
    (void)pthread_cond_signal(&gathered);
    while (was && !ended && pthread_cond_clockwait(&taken, &lock, CLOCK_MONOTONIC, &until) == 0)
        ;
    late = !ended; /* it waits for a reader that doesn't come: we go without it */
    (void)pthread_mutex_unlock(&lock);
    if (!was || late)
        return;
    (void)pthread_join(thread, NULL);
    (void)pthread_mutex_lock(&lock);
    running = false;
    buf_done(&waiting);
    (void)pthread_mutex_unlock(&lock);
}

static bool is_full(size_t size)
{
    return running && !ended && waiting.size + size > LOG_GATHERED_MAX;
}

static void wait_for_room(size_t size)
{
    struct timespec until = in_ms(LOG_PATIENCE_MS);

    while (!stuck && is_full(size))
        stuck = pthread_equal(pthread_self(), thread)
                || pthread_cond_clockwait(&taken, &lock, CLOCK_MONOTONIC, &until) != 0;
}

void log_writer_put(const char *line, size_t size)
{
    bool ours;

    (void)pthread_mutex_lock(&lock);
    if (is_full(size))
        wait_for_room(size);
    ours = running && !ended;
    if (is_full(size)) {
        n_lost++;
    } else if (ours) {
        buf_append(&waiting, line, size);
        if (waiting.size == size ? !resting : waiting.size >= LOG_GATHERED_MAX / 2)
            (void)pthread_cond_signal(&gathered);
    }
    (void)pthread_mutex_unlock(&lock);
    if (!ours)
        write_all(line, size);
}
