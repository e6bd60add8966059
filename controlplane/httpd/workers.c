/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/workers.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "httpd/handling.h"
#include "httpd/loop.h"

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    bool quit;
    size_t first; /* of the ring */
    size_t count;
    struct request *queue[WORKERS_QUEUE_MAX];
    int n_threads;
    pthread_t threads[];
};

/* NULL: there is nothing more to do. */
static struct request *next_request(struct workers *workers)
{
    struct request *req = NULL;

    (void)pthread_mutex_lock(&workers->lock);
    while (!workers->count && !workers->quit)
        (void)pthread_cond_wait(&workers->arrived, &workers->lock);
    if (workers->count) {
        req = workers->queue[workers->first];
        workers->first = (workers->first + 1) % WORKERS_QUEUE_MAX;
        workers->count--;
    }
    (void)pthread_mutex_unlock(&workers->lock);
    return req;
}

static void *work(void *arg)
{
    struct workers *workers = arg;
    struct request *req;

    (void)pthread_setname_np(pthread_self(), "http-worker");
    while ((req = next_request(workers))) {
        (void)handling_run(req);
        loop_finished(req);
    }
    return NULL;
}

struct workers *workers_new(int count, struct err *err)
{
    struct workers *workers =
        xcalloc(1, sizeof(*workers) + (size_t)count * sizeof(workers->threads[0]));
    int failed = 0;

    (void)pthread_mutex_init(&workers->lock, NULL);
    (void)pthread_cond_init(&workers->arrived, NULL);
    while (workers->n_threads < count && !failed) {
        failed = pthread_create(&workers->threads[workers->n_threads], NULL, work, workers);
        workers->n_threads += !failed;
    }
    if (!failed)
        return workers;
    workers_free(workers);
    (void)err_set_errno(err, failed, "starting HTTP workers");
    return NULL;
}

bool workers_push(struct workers *workers, struct request *req)
{
    bool fits;

    (void)pthread_mutex_lock(&workers->lock);
    fits = workers->count < WORKERS_QUEUE_MAX;
    if (fits) {
        workers->queue[(workers->first + workers->count) % WORKERS_QUEUE_MAX] = req;
        workers->count++;
        (void)pthread_cond_signal(&workers->arrived);
    }
    (void)pthread_mutex_unlock(&workers->lock);
    return fits;
}

void workers_free(struct workers *workers)
{
    if (!workers)
        return;
    (void)pthread_mutex_lock(&workers->lock);
    workers->quit = true;
    (void)pthread_cond_broadcast(&workers->arrived);
    (void)pthread_mutex_unlock(&workers->lock);
    for (int i = 0; i < workers->n_threads; i++)
        (void)pthread_join(workers->threads[i], NULL);
    (void)pthread_cond_destroy(&workers->arrived);
    (void)pthread_mutex_destroy(&workers->lock);
    free(workers);
}
