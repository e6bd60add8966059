/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/kubernetes_events.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "launch/kubernetes_job.h"

#define CALL_MAX_MS 5000

struct waiting {
    char *job;
    char *uid;
    char *reason;
    char *sentence;
    int64_t at_ms;
};

struct kubernetes_events {
    struct cluster *cluster;
    char *namespace;
    char *path;

    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t wake;
    struct waiting queue[KUBERNETES_EVENTS_MAX]; /* a ring */
    size_t first;
    size_t count;
    int64_t lost;
    bool stopping;
    pthread_t thread;
};

static void waiting_done(struct waiting *waiting)
{
    free(waiting->job);
    free(waiting->uid);
    free(waiting->reason);
    free(waiting->sentence);
}

/* --- The thread ------------------------------------------------------------------------- */

static void write_one(struct kubernetes_events *events, const struct waiting *waiting)
{
    const struct kubernetes_job_event event = {
        .namespace = events->namespace,
        .job = waiting->job,
        .uid = waiting->uid,
        .reason = waiting->reason,
        .sentence = waiting->sentence,
        .at_ms = waiting->at_ms,
        .number = random_u64(),
    };
    scoped_json body = kubernetes_job_event_make(&event);
    const struct cluster_request request = {
        .method = "POST",
        .path = events->path,
        .query = "fieldManager=dispatchd",
        .body = body,
        .timeout_ms = CALL_MAX_MS,
    };
    struct err err = {0};

    if (cluster_call(events->cluster, &request, NULL, &err) < 0)
        log_debug("an Event was not written, ignoring", KV("job", waiting->job),
                  KV("error", err.text));
}

/* False when it is time to stop. */
static bool next(struct kubernetes_events *events, struct waiting *out, int64_t *out_lost)
{
    bool stopping;

    (void)pthread_mutex_lock(&events->lock);
    while (!events->stopping && !events->count)
        (void)pthread_cond_wait(&events->wake, &events->lock);
    stopping = events->stopping;
    if (!stopping) {
        *out = events->queue[events->first];
        events->first = (events->first + 1) % KUBERNETES_EVENTS_MAX;
        events->count--;
        *out_lost = events->count ? 0 : events->lost;
        if (!events->count)
            events->lost = 0;
    }
    (void)pthread_mutex_unlock(&events->lock);
    return !stopping;
}

static void *run(void *ctx)
{
    struct kubernetes_events *events = ctx;
    struct waiting waiting;
    int64_t lost;

    while (next(events, &waiting, &lost)) {
        write_one(events, &waiting);
        waiting_done(&waiting);
        if (lost)
            log_warn("Events on Jobs were dropped, ignoring", KV("events", lost));
    }
    return NULL;
}

/* --- Outside ---------------------------------------------------------------------------- */

struct kubernetes_events *kubernetes_events_new(struct cluster *cluster, const char *namespace,
                                                struct err *err)
{
    struct kubernetes_events *events = xcalloc(1, sizeof(*events));
    int failed;

    events->cluster = cluster;
    events->namespace = xstrdup(namespace);
    events->path = xasprintf("/api/v1/namespaces/%s/events", namespace);
    (void)pthread_mutex_init(&events->lock, NULL);
    (void)pthread_cond_init(&events->wake, NULL);
    failed = pthread_create(&events->thread, NULL, run, events);
    if (failed) {
        (void)err_set_errno(err, failed, "starting the thread that writes Events");
        (void)pthread_mutex_destroy(&events->lock);
        (void)pthread_cond_destroy(&events->wake);
        free(events->namespace);
        free(events->path);
        free(events);
        return NULL;
    }
    return events;
}

void kubernetes_events_free(struct kubernetes_events *events)
{
    if (!events)
        return;
    (void)pthread_mutex_lock(&events->lock);
    events->stopping = true;
    (void)pthread_cond_signal(&events->wake);
    (void)pthread_mutex_unlock(&events->lock);
    (void)pthread_join(events->thread, NULL);
    for (size_t i = 0; i < events->count; i++)
        waiting_done(&events->queue[(events->first + i) % KUBERNETES_EVENTS_MAX]);
    (void)pthread_mutex_destroy(&events->lock);
    (void)pthread_cond_destroy(&events->wake);
    free(events->namespace);
    free(events->path);
    free(events);
}

void kubernetes_events_add(struct kubernetes_events *events, const char *job, const char *uid,
                           const char *reason, const char *sentence)
{
    (void)pthread_mutex_lock(&events->lock);
    if (events->count == KUBERNETES_EVENTS_MAX) {
        events->lost++;
    } else {
        size_t at = (events->first + events->count) % KUBERNETES_EVENTS_MAX;

        events->queue[at] = (struct waiting){
            .job = xstrdup(job),
            .uid = xstrdup(uid),
            .reason = xstrdup(reason),
            .sentence = xstrdup(sentence ? sentence : ""),
            .at_ms = clock_wall_ms(),
        };
        events->count++;
        (void)pthread_cond_signal(&events->wake);
    }
    (void)pthread_mutex_unlock(&events->lock);
}
