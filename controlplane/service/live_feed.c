/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that feeds the live streams. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "service/live_state.h"

#define NEW_A_TURN 64       /* new entries that are handed out before others catch up */
#define CATCH_UPS_A_TURN 64 /* and pages before new ones are looked at again */
#define RETRY_S 1

/* What the faces in use make of one entry. */
struct rendered {
    const struct journal_entry *entry;
    const struct live_face *faces[LIVE_FACES_MAX];
    struct live_text *texts[LIVE_FACES_MAX]; /* NULL: not shown */
    size_t count;
};

struct page {
    const struct live_stream *stream;
    struct live_text *texts[LIVE_QUEUE_TEXTS];
    size_t count;
    size_t bytes;
    int64_t read;
    bool over; /* the run's end is in it */
};

/* --- What is new ---------------------------------------------------------------------------
 */

static struct live_text *text_for(struct rendered *rendered, const struct live_face *face)
{
    char *text;
    size_t i = 0;

    while (i < rendered->count && rendered->faces[i] != face)
        i++;
    if (i == rendered->count && i < LIVE_FACES_MAX) {
        text = face->render(rendered->entry);
        rendered->faces[i] = face;
        rendered->texts[i] = text ? live_text_new(text) : NULL;
        if (rendered->texts[i])
            rendered->texts[i]->refs = 1;
        rendered->count++;
    }
    return i < LIVE_FACES_MAX ? rendered->texts[i] : NULL;
}

static bool matches(const struct journal_query *query, const struct journal_entry *entry)
{
    if (query->run.key)
        return id_equal(query->run, entry->run);
    return query->all || (query->shared && !entry->owner)
           || (query->owner && query->owner == entry->owner);
}

static bool ends_run(const struct live_stream *stream, const struct journal_entry *entry)
{
    return stream->wish.query.run.key && !entry->type && run_status_is_terminal(entry->status);
}

static void feed_one(struct live_stream *stream, struct rendered *rendered)
{
    const struct journal_entry *entry = rendered->entry;
    struct live_text *text = text_for(rendered, stream->wish.face);

    if (text && !live_queue_push(stream, text)) {
        /* It isn't read fast enough: the store keeps its place from here on. */
        stream->is_fed = false;
        stream->live->n_fed--;
        stream->wish.query.after = entry->number - 1;
        return;
    }
    stream->ended = stream->ended || ends_run(stream, entry);
    if (text || stream->ended)
        stream->wish.wake(stream->wish.ctx);
}

static void feed_list(struct live_stream *first, struct rendered *rendered)
{
    for (struct live_stream *stream = first; stream; stream = stream->next)
        if (stream->is_fed && !stream->ended && matches(&stream->wish.query, rendered->entry))
            feed_one(stream, rendered);
}

static int hand_out(void *ctx, const struct journal_entry *entry)
{
    struct live *live = ctx;
    struct rendered rendered = {.entry = entry};
    struct journal_query of_run = {.run = entry->run};

    (void)pthread_mutex_lock(&live->lock);
    feed_list(*live_bucket(live, &of_run), &rendered);
    feed_list(live->streams[LIVE_WIDE], &rendered);
    for (size_t i = 0; i < rendered.count; i++)
        live_text_drop(rendered.texts[i]);
    live->stats.read++;
    (void)pthread_mutex_unlock(&live->lock);
    live->seen = entry->number; /* also if the walk fails later on */
    return 0;
}

/* Where nobody is fed, nothing has to be read: the next to be will have caught up with that. */
static int hand_out_news(struct live *live, struct err *err)
{
    struct journal_query query = {.all = true, .after = live->seen, .limit = NEW_A_TURN};
    bool anyone;

    (void)pthread_mutex_lock(&live->lock);
    live->news = false;
    anyone = live->n_fed > 0;
    (void)pthread_mutex_unlock(&live->lock);
    if (journal_newest(live->db, &query.until, err) < 0)
        return -1;
    if (!anyone) {
        live->seen = query.until;
        return 0;
    }
    if (query.until == live->seen)
        return 0;
    if (journal_each(live->db, &query, hand_out, live, &live->seen, err) < 0)
        return -1;
    if (live->seen < query.until) {
        (void)pthread_mutex_lock(&live->lock);
        live->news = true;
        (void)pthread_mutex_unlock(&live->lock);
    }
    return 0;
}

/* --- Catching up ---------------------------------------------------------------------------
 */

static int add_to_page(void *ctx, const struct journal_entry *entry)
{
    struct page *page = ctx;
    char *rendered = page->stream->wish.face->render(entry);
    struct live_text *text = rendered ? live_text_new(rendered) : NULL;

    if (text && page->count > 0 && page->bytes + text->size > LIVE_PAGE_BYTES) {
        live_text_drop(text);
        return 1;
    }
    page->read++;
    page->over = page->over || ends_run(page->stream, entry);
    if (text) {
        page->texts[page->count++] = text;
        page->bytes += text->size;
    }
    return 0;
}

/* The next stream that wants a page: nobody else touches its query until it is given back. */
static struct live_stream *next_hungry(struct live *live)
{
    struct live_stream *stream;

    (void)pthread_mutex_lock(&live->lock);
    stream = live->first_hungry;
    if (stream) {
        live->first_hungry = stream->next_hungry;
        if (!live->first_hungry)
            live->last_hungry = &live->first_hungry;
        stream->is_hungry = false;
        stream->in_hand = true;
    }
    (void)pthread_mutex_unlock(&live->lock);
    return stream;
}

/* With everything read: does nothing follow? A run's end is in the journal, but a run that is
 * gone has no end there. */
static int is_over(struct live *live, const struct live_stream *stream, int64_t seen, bool *out,
                   struct err *err)
{
    int64_t newest = 0;
    bool over = false;

    *out = stream->wish.once;
    if (*out || !stream->wish.query.run.key)
        return 0;
    if (journal_newest_of(live->db, stream->wish.query.run, &newest, &over, err) < 0)
        return -1;
    *out = over && newest <= seen;
    return 0;
}

static void give_back(struct live *live, struct live_stream *stream, struct page *page,
                      int64_t seen, bool failed)
{
    bool caught_up = !failed && seen >= live->seen;

    (void)pthread_mutex_lock(&live->lock);
    stream->in_hand = false;
    live->stats.caught += page->read;
    for (size_t i = 0; i < page->count; i++)
        if (failed || stream->closed || stream->ended
            || !live_queue_push(stream, page->texts[i]))
            live_text_drop(page->texts[i]);
    if (stream->closed) {
        live_stream_free(stream);
        (void)pthread_mutex_unlock(&live->lock);
        return;
    }
    if (!failed)
        stream->wish.query.after = seen;
    stream->ended = stream->ended || (page->over && !failed);
    if (caught_up && !stream->ended) {
        stream->is_fed = true;
        live->n_fed++;
    } else if (!stream->count) {
        live_stream_hunger(stream);
    }
    if (stream->count || stream->ended)
        stream->wish.wake(stream->wish.ctx);
    (void)pthread_mutex_unlock(&live->lock);
}

static int catch_up(struct live *live, struct live_stream *stream, struct err *err)
{
    struct page page = {.stream = stream};
    struct journal_query query = stream->wish.query;
    int64_t seen = query.after;
    int result = 0;

    query.limit = LIVE_QUEUE_TEXTS;
    query.until = live->seen;
    if (query.after < query.until)
        result = journal_each(live->db, &query, add_to_page, &page, &seen, err);
    if (result == 0 && seen >= live->seen && !page.over)
        result = is_over(live, stream, seen, &page.over, err);
    give_back(live, stream, &page, seen, result < 0);
    return result;
}

static int catch_up_some(struct live *live, struct err *err)
{
    struct live_stream *stream;

    for (int i = 0; i < CATCH_UPS_A_TURN && (stream = next_hungry(live)); i++)
        if (catch_up(live, stream, err) < 0)
            return -1;
    return 0;
}

/* --- The thread ----------------------------------------------------------------------------
 */

static bool wait_for_work(struct live *live)
{
    bool quit;

    (void)pthread_mutex_lock(&live->lock);
    while (!live->quit && !live->first_hungry && !(live->news && live->n_fed > 0))
        (void)pthread_cond_wait(&live->work, &live->lock);
    quit = live->quit;
    (void)pthread_mutex_unlock(&live->lock);
    return !quit;
}

/* The store has failed: what was under way is begun anew after a moment. */
static void pause_feeding(struct live *live)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_S;
    (void)pthread_mutex_lock(&live->lock);
    live->news = true;
    while (!live->quit && pthread_cond_timedwait(&live->work, &live->lock, &until) != ETIMEDOUT)
        ;
    (void)pthread_mutex_unlock(&live->lock);
}

void *live_feed_thread(void *arg)
{
    struct live *live = arg;
    struct err err = {0};

    (void)pthread_setname_np(pthread_self(), "live");
    while (wait_for_work(live)) {
        if (hand_out_news(live, &err) == 0 && catch_up_some(live, &err) == 0)
            continue;
        log_error("reading the journal for live streams failed, will retry",
                  KV("error", err.text));
        pause_feeding(live);
    }
    return NULL;
}
