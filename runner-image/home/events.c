/* SPDX-License-Identifier: Apache-2.0 */
#include "home/events.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "home/event_queue.h"
#include "home/stop.h"

#define COLLECT_FOR_MS 500
#define COLLECT_MAX_EVENTS 64
/* The protocol allows 256 events and 1 MiB a batch, and 64 KiB an event. */
#define BATCH_MAX_EVENTS 256
#define BATCH_MAX_BYTES (512 * 1024)
#define EVENT_MAX_BYTES (64 * 1024)
#define SEND_FOR_MS 20000
#define WAIT_AFTER_FAILURE_MS 2000
#define FLOOD_OVER_BYTES (EVENT_QUEUE_MAX_BYTES / 8)
#define OWN_UP_EVERY_MS 30000

struct events {
    struct home *home;
    struct redaction *redaction;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock: */
    struct event_queue queue;
    int64_t seq;
    bool finishing;
    bool refused; /* home takes no more: the run is not ours any longer */
    int64_t give_up_ms;
    int64_t next_own_up_ms;
    bool joined;
};

/* --- Adding ------------------------------------------------------------------------------ */

static bool must_see(const char *type)
{
    return strcmp(type, "log") != 0;
}

/* Under the lock. Takes `fields`. */
static void add(struct events *events, const char *type, cJSON *fields)
{
    scoped_json event = jobj({"seq", jint(events->seq + 1)}, {"at", jtime(clock_wall_ms())},
                             {"type", jstr(type)});
    scoped_json rest = fields;
    cJSON *field;
    char *text;

    while (rest && (field = rest->child)) {
        (void)cJSON_DetachItemViaPointer(rest, field);
        cJSON_AddItemToObject(event, field->string, field);
    }
    text = json_text(event);
    redaction_apply(events->redaction, text);
    if (events->refused || strlen(text) > EVENT_MAX_BYTES) {
        free(text);
        return;
    }
    events->seq++;
    (void)event_queue_add(&events->queue, text, must_see(type));
}

void events_add(struct events *events, const char *type, cJSON *fields)
{
    (void)pthread_mutex_lock(&events->lock);
    add(events, type, fields);
    (void)pthread_cond_signal(&events->changed);
    (void)pthread_mutex_unlock(&events->lock);
}

void events_warn(struct events *events, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    redaction_apply(events->redaction, text);
    log_warn("warning of the run", KV("message", (const char *)text));
    events_add(events, "warning", jobj({"message", jstr(text)}));
}

/* --- Sending ----------------------------------------------------------------------------- */

static struct timespec deadline(int64_t in_ms)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(in_ms / 1000);
    at.tv_nsec += (long)(in_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* Under the lock: until there is a batch worth sending, or none to come. */
static void wait_for_batch(struct events *events)
{
    struct timespec until;

    while (!events->queue.n_events && !events->finishing)
        (void)pthread_cond_wait(&events->changed, &events->lock);
    until = deadline(COLLECT_FOR_MS);
    while (events->queue.n_events < COLLECT_MAX_EVENTS && !events->finishing) {
        if (pthread_cond_timedwait(&events->changed, &events->lock, &until) != 0)
            break;
    }
}

/* Under the lock: until it is worth another try. */
static void wait_after_failure(struct events *events)
{
    struct timespec until = deadline(WAIT_AFTER_FAILURE_MS);

    while (!events->finishing) {
        if (pthread_cond_timedwait(&events->changed, &events->lock, &until) != 0)
            return;
    }
    /* Finishing: home may be back any moment, but don't hammer it. */
    (void)pthread_mutex_unlock(&events->lock);
    (void)usleep(COLLECT_FOR_MS * 1000);
    (void)pthread_mutex_lock(&events->lock);
}

/* Under the lock: says in one event how many are missing, once the flood is over. A flood that
 * comes in waves is told of now and then, and at the end. */
static void own_up(struct events *events)
{
    uint64_t dropped;
    char text[128];

    if (events->queue.size_bytes > FLOOD_OVER_BYTES
        || (clock_monotonic_ms() < events->next_own_up_ms && !events->finishing))
        return;
    dropped = event_queue_take_dropped(&events->queue);
    if (!dropped)
        return;
    events->next_own_up_ms = clock_monotonic_ms() + OWN_UP_EVERY_MS;
    (void)snprintf(text, sizeof(text),
                   "%llu events were left out: they came faster than they "
                   "could be sent",
                   (unsigned long long)dropped);
    log_warn("events were left out", KV("events", dropped));
    add(events, "warning", jobj({"message", jstr(text)}));
}

/* Under the lock, after home didn't take the first n events. */
static void sending_failed(struct events *events, size_t n, const struct err *err)
{
    switch (err->kind) {
    case ERR_CONFLICT:
    case ERR_UNAUTHENTICATED:
        log_warn("home takes no more events, stopping", KV("error", err->text));
        events->refused = true;
        event_queue_done(&events->queue);
        stop_request();
        break;
    case ERR_INVALID:
    case ERR_DENIED:
    case ERR_TOO_LARGE:
        log_warn("home refused events, ignoring", KV("events", n), KV("error", err->text));
        event_queue_drop_first(&events->queue, n);
        break;
    default:
        log_warn("sending events failed, will retry", KV("error", err->text));
        wait_after_failure(events);
        break;
    }
}

/* Under the lock, which is let go while home is called. Only this thread takes events out, so
 * the first n are the same ones afterwards. */
static void send_batch(struct events *events)
{
    scoped_buf batch = {0};
    struct err err = {0};
    size_t n = event_queue_peek(&events->queue, BATCH_MAX_EVENTS, BATCH_MAX_BYTES, &batch);
    int64_t left_ms =
        events->finishing ? events->give_up_ms - clock_monotonic_ms() : SEND_FOR_MS;
    int timeout_ms = (int)(left_ms < 1 ? 1 : left_ms > SEND_FOR_MS ? SEND_FOR_MS : left_ms);
    int sent;

    (void)pthread_mutex_unlock(&events->lock);
    sent = home_send_events(events->home, &batch, timeout_ms, &err);
    (void)pthread_mutex_lock(&events->lock);
    if (sent < 0) {
        sending_failed(events, n, &err);
        return;
    }
    event_queue_drop_first(&events->queue, n);
    own_up(events);
}

static bool more_to_do(const struct events *events)
{
    if (!events->finishing)
        return true;
    return events->queue.n_events && clock_monotonic_ms() < events->give_up_ms;
}

static void *tell(void *arg)
{
    struct events *events = arg;

    (void)pthread_mutex_lock(&events->lock);
    while (more_to_do(events)) {
        wait_for_batch(events);
        if (events->queue.n_events)
            send_batch(events);
    }
    (void)pthread_mutex_unlock(&events->lock);
    return NULL;
}

/* --- Life cycle -------------------------------------------------------------------------- */

struct events *events_new(struct home *home, struct redaction *redaction)
{
    struct events *events = xcalloc(1, sizeof(*events));
    pthread_condattr_t attributes;

    events->home = home;
    events->redaction = redaction;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&events->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&events->lock, NULL);
    if (pthread_create(&events->thread, NULL, tell, events) != 0) {
        log_error("can't start a thread");
        abort();
    }
    return events;
}

void events_finish(struct events *events, int wait_ms)
{
    size_t left;

    if (events->joined)
        return;
    (void)pthread_mutex_lock(&events->lock);
    events->finishing = true;
    own_up(events);
    events->give_up_ms = clock_monotonic_ms() + wait_ms;
    (void)pthread_cond_signal(&events->changed);
    (void)pthread_mutex_unlock(&events->lock);
    (void)pthread_join(events->thread, NULL);
    events->joined = true;
    left = events->queue.n_events;
    if (left)
        log_warn("home was away too long, events are lost", KV("events", left));
}

void events_free(struct events *events)
{
    if (!events)
        return;
    events_finish(events, 0);
    event_queue_done(&events->queue);
    (void)pthread_cond_destroy(&events->changed);
    (void)pthread_mutex_destroy(&events->lock);
    free(events);
}
