/* SPDX-License-Identifier: Apache-2.0 */
#include "service/live.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "service/live_state.h"

/* --- Life ----------------------------------------------------------------------------------
 */

/* On the database's writer thread. */
static void heard_of_news(void *ctx)
{
    struct live *live = ctx;

    (void)pthread_mutex_lock(&live->lock);
    live->news = true;
    if (live->stats.streams)
        (void)pthread_cond_signal(&live->work);
    (void)pthread_mutex_unlock(&live->lock);
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

struct live *live_new(struct db *db, struct err *err)
{
    scoped(live) live = xcalloc(1, sizeof(*live));
    int failed;

    live->db = db;
    live->last_hungry = &live->first_hungry;
    (void)pthread_mutex_init(&live->lock, NULL);
    init_condition(&live->work);
    failed = pthread_create(&live->thread, NULL, live_feed_thread, live);
    if (failed) {
        (void)err_set_errno(err, failed, "starting the thread of the live streams");
        return NULL;
    }
    live->thread_runs = true;
    db_watch(db, heard_of_news, live);
    return TAKE(live);
}

void live_free(struct live *live)
{
    if (!live)
        return;
    if (live->thread_runs) {
        db_watch(live->db, NULL, NULL);
        (void)pthread_mutex_lock(&live->lock);
        live->quit = true;
        (void)pthread_cond_signal(&live->work);
        (void)pthread_mutex_unlock(&live->lock);
        (void)pthread_join(live->thread, NULL);
    }
    (void)pthread_cond_destroy(&live->work);
    (void)pthread_mutex_destroy(&live->lock);
    free(live);
}

void live_stats(struct live *live, struct live_stats *out)
{
    (void)pthread_mutex_lock(&live->lock);
    *out = live->stats;
    (void)pthread_mutex_unlock(&live->lock);
}

/* --- Queues --------------------------------------------------------------------------------
 */

struct live_text *live_text_new(char *taken)
{
    scoped_str bytes = taken;
    size_t size = strlen(bytes);
    struct live_text *text = xcalloc(1, sizeof(*text) + size);

    text->size = size;
    memcpy(text->bytes, bytes, size);
    return text;
}

void live_text_drop(struct live_text *text)
{
    if (text && (text->refs == 0 || --text->refs == 0))
        free(text);
}

bool live_queue_push(struct live_stream *stream, struct live_text *text)
{
    if (stream->count == LIVE_QUEUE_TEXTS
        || (stream->count > 0 && stream->bytes + text->size > LIVE_QUEUE_BYTES))
        return false;
    stream->queue[(stream->first + stream->count++) % LIVE_QUEUE_TEXTS] = text;
    stream->bytes += text->size;
    text->refs++;
    return true;
}

static void queue_pop(struct live_stream *stream)
{
    struct live_text *text = stream->queue[stream->first];

    stream->first = (stream->first + 1) % LIVE_QUEUE_TEXTS;
    stream->count--;
    stream->bytes -= text->size;
    stream->taken = 0;
    live_text_drop(text);
}

/* Its queue is empty and the store has more for it. */
void live_stream_hunger(struct live_stream *stream)
{
    struct live *live = stream->live;

    if (stream->is_hungry || stream->in_hand || stream->ended)
        return;
    stream->is_hungry = true;
    stream->next_hungry = NULL;
    *live->last_hungry = stream;
    live->last_hungry = &stream->next_hungry;
    (void)pthread_cond_signal(&live->work);
}

static void leave_hungry(struct live_stream *stream)
{
    struct live *live = stream->live;
    struct live_stream **at = &live->first_hungry;

    if (!stream->is_hungry)
        return;
    while (*at != stream)
        at = &(*at)->next_hungry;
    *at = stream->next_hungry;
    if (live->last_hungry == &stream->next_hungry)
        live->last_hungry = at;
    stream->is_hungry = false;
}

/* --- Streams -------------------------------------------------------------------------------
 */

struct live_stream **live_bucket(struct live *live, const struct journal_query *query)
{
    uint64_t key = (uint64_t)query->run.key * 0x9e3779b97f4a7c15u;

    return &live->streams[query->run.key ? key >> 56 : LIVE_WIDE];
}

static void enter(struct live *live, struct live_stream *stream)
{
    struct live_stream **bucket = live_bucket(live, &stream->wish.query);

    stream->next = *bucket;
    if (stream->next)
        stream->next->previous = stream;
    *bucket = stream;
    live->stats.streams++;
}

static void leave(struct live *live, struct live_stream *stream)
{
    leave_hungry(stream);
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        *live_bucket(live, &stream->wish.query) = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    live->n_fed -= stream->is_fed;
    live->stats.streams--;
}

static size_t count_of(struct live *live, const char *actor)
{
    size_t count = 0;

    for (size_t i = 0; i <= LIVE_BUCKETS; i++)
        for (const struct live_stream *s = live->streams[i]; s; s = s->next)
            count += s->actor && strcmp(s->actor, actor) == 0;
    return count;
}

struct live_stream *live_open(struct live *live, const struct live_wish *wish, struct err *err)
{
    struct live_stream *stream = xcalloc(1, sizeof(*stream));
    bool fits;

    stream->live = live;
    stream->wish = *wish;
    stream->actor = xstrdup(wish->actor);
    stream->wish.actor = NULL;
    (void)pthread_mutex_lock(&live->lock);
    fits = !stream->actor || count_of(live, stream->actor) < LIVE_STREAMS_PER_ACTOR_MAX;
    if (fits) {
        enter(live, stream);
        live_stream_hunger(stream);
    }
    (void)pthread_mutex_unlock(&live->lock);
    if (fits)
        return stream;
    live_stream_free(stream);
    (void)err_set_code(err, ERR_LIMITED, "too_many_streams",
                       "this credential has %d streams open", LIVE_STREAMS_PER_ACTOR_MAX);
    err->retry_after_s = LIVE_RETRY_AFTER_S;
    return NULL;
}

void live_stream_free(struct live_stream *stream)
{
    while (stream->count)
        queue_pop(stream);
    free(stream->actor);
    free(stream);
}

void live_close(struct live_stream *stream)
{
    struct live *live = stream->live;
    bool in_hand;

    (void)pthread_mutex_lock(&live->lock);
    leave(live, stream);
    in_hand = stream->in_hand;
    stream->closed = true;
    if (!in_hand)
        live_stream_free(stream);
    (void)pthread_mutex_unlock(&live->lock);
}

static size_t take(struct live_stream *stream, char *out, size_t room)
{
    size_t taken = 0;

    while (stream->count && taken < room) {
        const struct live_text *text = stream->queue[stream->first];
        size_t left = text->size - stream->taken;
        size_t size = left < room - taken ? left : room - taken;

        memcpy(out + taken, text->bytes + stream->taken, size);
        taken += size;
        stream->taken += size;
        if (size == left)
            queue_pop(stream);
    }
    return taken;
}

ssize_t live_read(struct live_stream *stream, char *out, size_t room)
{
    struct live *live = stream->live;
    ssize_t result;

    (void)pthread_mutex_lock(&live->lock);
    result = (ssize_t)take(stream, out, room);
    if (!stream->count && !stream->is_fed)
        live_stream_hunger(stream);
    if (result == 0 && stream->ended && !stream->count)
        result = LIVE_END;
    (void)pthread_mutex_unlock(&live->lock);
    return result;
}
