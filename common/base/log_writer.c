/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/buf.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gathered = PTHREAD_COND_INITIALIZER;
static pthread_cond_t taken = PTHREAD_COND_INITIALIZER;
static struct buf waiting;
static bool running;
static bool stopping;
static pthread_t thread;

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

static void *write_gathered(void *unused)
{
    struct buf mine = {0};

    (void)unused;
    (void)pthread_mutex_lock(&lock);
    while (!stopping || waiting.size) {
        struct buf swap = waiting;

        if (!waiting.size) {
            (void)pthread_cond_wait(&gathered, &lock);
            continue;
        }
        waiting = mine;
        mine = swap;
        (void)pthread_cond_broadcast(&taken);
        (void)pthread_mutex_unlock(&lock);
        write_all(mine.data, mine.size);
        buf_clear(&mine);
        (void)pthread_mutex_lock(&lock);
    }
    (void)pthread_mutex_unlock(&lock);
    buf_done(&mine);
    return NULL;
}

void log_writer_start(void)
{
    static bool at_exit;

    (void)pthread_mutex_lock(&lock);
    if (!running) {
        stopping = false;
        running = pthread_create(&thread, NULL, write_gathered, NULL) == 0;
        if (!at_exit)
            at_exit = atexit(log_writer_stop) == 0;
    }
    (void)pthread_mutex_unlock(&lock);
}

void log_writer_stop(void)
{
    bool was;

    (void)pthread_mutex_lock(&lock);
    was = running && !stopping;
    stopping = true;
    (void)pthread_cond_signal(&gathered);
    (void)pthread_mutex_unlock(&lock);
    if (!was)
        return;
    (void)pthread_join(thread, NULL);
    (void)pthread_mutex_lock(&lock);
    running = false;
    buf_done(&waiting);
    (void)pthread_mutex_unlock(&lock);
}

void log_writer_put(const char *line, size_t size)
{
    bool ours;

    (void)pthread_mutex_lock(&lock);
    while (running && !stopping && waiting.size + size > LOG_GATHERED_MAX)
        (void)pthread_cond_wait(&taken, &lock);
    ours = running && !stopping;
    if (ours) {
        if (!waiting.size)
            (void)pthread_cond_signal(&gathered);
        buf_append(&waiting, line, size);
    }
    (void)pthread_mutex_unlock(&lock);
    if (!ours)
        write_all(line, size);
}
