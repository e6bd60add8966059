/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_watch.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "kubernetes/lines.h"
#include "launch/docker_calls.h"
#include "launch/docker_seen.h"

#define LOOK_EVERY_MS 500       /* how late a KILL may be */
#define EVENTS_AGAIN_MS 2000    /* after the stream broke */
#define LIST_AFTER_EVENT_MS 250 /* one list for many events */
#define HEAD_WAIT_MS 500
#define KILL_AGAIN_MS 5000 /* the engine didn't answer */
#define LINE_MAX_BYTES ((size_t)1024 * 1024)
#define LIST_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define PIECE_BYTES 8192

struct ending {
    char id[DOCKER_ID_SIZE];
    int64_t kill_at_ms; /* monotonic */
};

struct docker_watch {
    struct docker_api *api;
    char *namespace;
    int64_t grace_ms;
    launcher_changed_fn changed;
    void *changed_ctx;
    pthread_t thread;
    bool started;
    atomic_bool stopping;

    /* The thread's own: */
    struct net_stream *events;
    struct lines lines;
    struct docker_seen_list seen;
    int64_t events_at_ms; /* when to open the stream */
    int64_t list_at_ms;

    pthread_mutex_t lock; /* for what follows */
    struct ending *endings;
    size_t n_endings;
};

/* --- Ending ------------------------------------------------------------------------------ */

void docker_watch_told(struct docker_watch *watch, const char *id)
{
    struct ending *found = NULL;

    (void)pthread_mutex_lock(&watch->lock);
    for (size_t i = 0; i < watch->n_endings && !found; i++)
        if (strcmp(watch->endings[i].id, id) == 0)
            found = &watch->endings[i];
    if (!found) {
        watch->endings =
            xrealloc(watch->endings, (watch->n_endings + 1) * sizeof(*watch->endings));
        found = &watch->endings[watch->n_endings++];
        found->kill_at_ms = clock_monotonic_ms() + watch->grace_ms;
        (void)snprintf(found->id, sizeof(found->id), "%s", id);
    }
    (void)pthread_mutex_unlock(&watch->lock);
}

/* One that is due, out of the list. */
static bool take_due(struct docker_watch *watch, struct ending *out)
{
    int64_t now_ms = clock_monotonic_ms();
    bool found = false;

    (void)pthread_mutex_lock(&watch->lock);
    for (size_t i = 0; i < watch->n_endings && !found; i++) {
        if (watch->endings[i].kill_at_ms > now_ms)
            continue;
        found = true;
        *out = watch->endings[i];
        watch->endings[i] = watch->endings[--watch->n_endings];
    }
    (void)pthread_mutex_unlock(&watch->lock);
    return found;
}

static void put_off(struct docker_watch *watch, struct ending *ending)
{
    ending->kill_at_ms = clock_monotonic_ms() + KILL_AGAIN_MS;
    (void)pthread_mutex_lock(&watch->lock);
    watch->endings = xrealloc(watch->endings, (watch->n_endings + 1) * sizeof(*watch->endings));
    watch->endings[watch->n_endings++] = *ending;
    (void)pthread_mutex_unlock(&watch->lock);
}

static void kill_due(struct docker_watch *watch)
{
    struct ending ending;

    while (!atomic_load(&watch->stopping) && take_due(watch, &ending)) {
        struct err err = {0};

        if (docker_calls_signal(watch->api, ending.id, "SIGKILL", &err) == 0)
            continue;
        log_warn("killing a container failed, will retry",
                 KV("container", (const char *)ending.id), KV("error", err.text));
        put_off(watch, &ending);
        return;
    }
}

/* True when it needn't be told again. */
static bool end_late(struct docker_watch *watch, const struct docker_facts *facts)
{
    struct err err = {0};

    if (docker_calls_signal(watch->api, facts->id, "SIGTERM", &err) < 0) {
        log_warn("ending a container past its time failed, will retry",
                 KV("container", (const char *)facts->id), KV("error", err.text));
        return false;
    }
    log_info("a container is past its time and told to go",
             KV("container", (const char *)facts->id), KV("timeout_s", facts->timeout_s));
    docker_watch_told(watch, facts->id);
    return true;
}

static bool may_be_late(const struct docker_seen *seen)
{
    return !seen->told && seen->facts.state == DOCKER_RUNNING && seen->facts.timeout_s;
}

static void end_late_ones(struct docker_watch *watch)
{
    for (size_t i = 0; i < watch->seen.count && !atomic_load(&watch->stopping); i++) {
        struct docker_seen *seen = &watch->seen.all[i];

        if (may_be_late(seen) && docker_facts_late(&seen->facts, clock_earliest_ms()))
            seen->told = end_late(watch, &seen->facts);
    }
}

/* --- Listing ----------------------------------------------------------------------------- */

static void list(struct docker_watch *watch)
{
    scoped_str path = docker_seen_list_path(watch->namespace);
    const struct docker_request request = {
        .method = "GET", .path = path, .patient = true, .answer_max_bytes = LIST_MAX_BYTES};
    struct docker_seen_list now;
    struct err err = {0};
    scoped_json answer = NULL;

    watch->list_at_ms = clock_monotonic_ms() + DOCKER_WATCH_LIST_MS;
    if (docker_api_json(watch->api, &request, &answer, &err) < 0) {
        if (!atomic_load(&watch->stopping))
            log_debug("listing containers failed, will retry", KV("error", err.text));
        return;
    }
    docker_seen_read(answer, watch->namespace, &now);
    docker_seen_compare(&watch->seen, &now, watch->changed, watch->changed_ctx);
    docker_seen_done(&watch->seen);
    watch->seen = now;
}

/* --- Hearing ----------------------------------------------------------------------------- */

static void close_events(struct docker_watch *watch)
{
    if (watch->events)
        net_stream_close(TAKE(watch->events));
    lines_done(&watch->lines);
    watch->events_at_ms = clock_monotonic_ms() + EVENTS_AGAIN_MS;
}

/* What happened before we hear is in the list, which is asked for when the engine has begun to
 * answer. */
static void open_events(struct docker_watch *watch)
{
    scoped_str path = docker_seen_events_path(watch->namespace);
    const struct net_answer *head;
    struct err err = {0};

    watch->events = docker_api_stream(watch->api, path, &err);
    if (!watch->events) {
        close_events(watch);
        if (!atomic_load(&watch->stopping))
            log_debug("no events for now, will retry", KV("error", err.text));
        return;
    }
    if (net_stream_head(watch->events, HEAD_WAIT_MS, &head, &err) == NET_HEARD_FAILED)
        close_events(watch);
    watch->list_at_ms = 0;
}

static void hear(struct docker_watch *watch, const char *line, size_t size)
{
    struct err ignored = {0};
    scoped_json event = json_parse(line, size, &ignored);
    int64_t soon_ms = clock_monotonic_ms() + LIST_AFTER_EVENT_MS;
    struct id run;
    int attempt;

    if (!docker_facts_of_event(event, &run, &attempt))
        return;
    if (watch->list_at_ms > soon_ms)
        watch->list_at_ms = soon_ms;
    if (watch->changed)
        watch->changed(watch->changed_ctx, run, attempt);
}

static int hear_lines(struct docker_watch *watch, const char *data, size_t size,
                      struct err *err)
{
    const char *line;
    size_t length;
    int more;

    lines_add(&watch->lines, data, size);
    while ((more = lines_next(&watch->lines, LINE_MAX_BYTES, &line, &length, err)) == 1)
        hear(watch, line, length);
    return more;
}

/* Waits for events until there is something else to do. */
static void hear_some(struct docker_watch *watch, int wait_ms)
{
    char piece[PIECE_BYTES];
    struct err err = {0};
    size_t size = 0;

    if (!watch->events) {
        (void)usleep((useconds_t)wait_ms * 1000);
        return;
    }
    switch (net_stream_read(watch->events, wait_ms, piece, sizeof(piece), &size, &err)) {
    case NET_HEARD_NOTHING:
        return;
    case NET_HEARD_MORE:
        if (hear_lines(watch, piece, size, &err) == 0)
            return;
        break;
    case NET_HEARD_END:
        (void)err_set(&err, ERR_UPSTREAM, "the engine has ended them");
        break;
    case NET_HEARD_FAILED:
    default:
        break;
    }
    if (!atomic_load(&watch->stopping))
        log_debug("the engine's events broke off, will retry", KV("error", err.text));
    close_events(watch);
}

/* --- The thread -------------------------------------------------------------------------- */

static int until_next_ms(const struct docker_watch *watch)
{
    int64_t wait_ms = watch->list_at_ms - clock_monotonic_ms();

    return wait_ms > LOOK_EVERY_MS ? LOOK_EVERY_MS : wait_ms > 0 ? (int)wait_ms : 1;
}

static void *keep_watch(void *arg)
{
    struct docker_watch *watch = arg;

    while (!atomic_load(&watch->stopping)) {
        if (!watch->events && clock_monotonic_ms() >= watch->events_at_ms)
            open_events(watch);
        if (clock_monotonic_ms() >= watch->list_at_ms)
            list(watch);
        end_late_ones(watch);
        kill_due(watch);
        hear_some(watch, until_next_ms(watch));
    }
    close_events(watch);
    return NULL;
}

struct docker_watch *docker_watch_start(const struct docker_watch_options *options,
                                        struct err *err)
{
    scoped(docker_watch) watch = xcalloc(1, sizeof(*watch));
    sigset_t all;
    sigset_t before;
    int failed;

    *watch = (struct docker_watch){
        .api = options->api,
        .namespace = xstrdup(options->namespace),
        .grace_ms = options->grace_ms,
        .changed = options->changed,
        .changed_ctx = options->changed_ctx,
    };
    (void)pthread_mutex_init(&watch->lock, NULL);
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&watch->thread, NULL, keep_watch, watch);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        (void)err_set_errno(err, failed, "starting a thread");
        return NULL;
    }
    watch->started = true;
    return TAKE(watch);
}

void docker_watch_free(struct docker_watch *watch)
{
    if (!watch)
        return;
    atomic_store(&watch->stopping, true);
    docker_api_stop(watch->api);
    if (watch->started)
        (void)pthread_join(watch->thread, NULL);
    (void)pthread_mutex_destroy(&watch->lock);
    free(watch->namespace);
    docker_seen_done(&watch->seen);
    free(watch->endings);
    free(watch);
}
