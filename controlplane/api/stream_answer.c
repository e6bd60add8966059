/* SPDX-License-Identifier: Apache-2.0 */
#include "api/stream_answer.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

/* Belongs to httpd's stream. */
struct source {
    struct live_stream *live;
    _Atomic(struct httpd_stream *) stream; /* NULL until the answer is one */
    const char *heartbeat;
    char *greeting; /* what is left to be sent of it is from greeting + sent */
    size_t sent;

    struct personal_token_store *tokens;
    struct secret *bearer; /* a personal token; NULL: of another kind, good until we restart */
    int64_t check_every_ms;
    int64_t checked_ms;
};

static void source_free(struct source *source)
{
    secret_free(source->bearer);
    free(source->greeting);
    free(source);
}

/* On live's thread. Before there is a stream nobody has to be told: it begins with a read. */
static void wake(void *ctx)
{
    struct source *source = ctx;
    struct httpd_stream *stream = atomic_load(&source->stream);

    if (stream)
        httpd_stream_wake(stream);
}

static ssize_t read_greeting(struct source *source, char *out, size_t room)
{
    size_t left = strlen(source->greeting + source->sent);
    size_t size = left < room ? left : room;

    memcpy(out, source->greeting + source->sent, size);
    source->sent += size;
    if (size == left)
        free(TAKE(source->greeting));
    return (ssize_t)size;
}

/* Is the credential that opened the stream one still? */
static bool is_allowed(struct source *source)
{
    int64_t now_ms = clock_monotonic_ms();
    struct personal_grant grant;

    if (!source->bearer || now_ms - source->checked_ms < source->check_every_ms)
        return true;
    source->checked_ms = now_ms;
    if (!personal_token_store_find(source->tokens, secret_reveal(source->bearer),
                                   clock_latest_ms(), &grant))
        return false;
    personal_grant_done(&grant);
    return true;
}

static ssize_t source_read(void *ctx, char *out, size_t room)
{
    struct source *source = ctx;

    if (!is_allowed(source))
        return HTTPD_STREAM_END;
    if (source->greeting)
        return read_greeting(source, out, room);
    return live_read(source->live, out, room);
}

static ssize_t source_idle(void *ctx, char *out, size_t room)
{
    const struct source *source = ctx;
    size_t size = source->heartbeat ? strlen(source->heartbeat) : 0;

    if (size > room)
        return 0;
    if (size)
        memcpy(out, source->heartbeat, size);
    return (ssize_t)size;
}

static void source_close(void *ctx)
{
    struct source *source = ctx;

    live_close(source->live);
    source_free(source);
}

static const struct httpd_stream_ops source_ops = {
    .read = source_read,
    .idle = source_idle,
    .close = source_close,
};

static void remember_token(struct source *source, const struct app *app,
                           const struct request *req)
{
    static const char personal[] = "personal:";

    if (strncmp(principal_of(req)->actor, personal, strlen(personal)) == 0)
        source->bearer = secret_new(request_bearer(req));
    source->tokens = app->personal_tokens;
    /* half of it, so that each time a quiet stream is asked it is looked at */
    source->check_every_ms = (int64_t)app->config->stream_heartbeat_s * 500;
    source->checked_ms = clock_monotonic_ms();
}

int stream_answer(struct app *app, struct request *req, const struct stream_answer *answer,
                  struct err *err)
{
    const struct principal *principal = principal_of(req);
    struct source *source = xcalloc(1, sizeof(*source));
    struct live_wish wish = {
        .face = answer->face,
        .actor = answer->once ? NULL : principal->actor,
        .query = answer->query,
        .once = answer->once,
        .wake = wake,
        .ctx = source,
    };

    source->heartbeat = answer->heartbeat;
    source->greeting = answer->greeting;
    /* An empty one would be read as "nothing yet", while live may have said already that there
     * is something, and says it once. */
    if (source->greeting && !*source->greeting)
        free(TAKE(source->greeting));
    remember_token(source, app, req);
    source->live = live_open(app->live, &wish, err);
    if (!source->live) {
        source_free(source);
        return -1;
    }
    atomic_store(&source->stream,
                 request_set_stream(req, answer->content_type, &source_ops, source));
    return 200;
}
