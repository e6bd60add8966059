/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/event_stream.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

#define PIECE_BYTES 16384
#define REFUSAL_MAX_BYTES 65536

struct event_stream {
    struct client *client;
    char *path;
    struct event_reader reader;
    struct net_stream *open; /* NULL: not connected */
    bool answered;           /* with 200: what comes are events */
    int64_t heard_ms;
};

struct event_stream *event_stream_new(struct client *client, const char *path)
{
    struct event_stream *stream = xcalloc(1, sizeof(*stream));

    stream->client = client;
    stream->path = xstrdup(path);
    return stream;
}

static void hang_up(struct event_stream *stream)
{
    if (stream->open)
        net_stream_close(stream->open);
    stream->open = NULL;
    stream->answered = false;
}

void event_stream_free(struct event_stream *stream)
{
    if (!stream)
        return;
    hang_up(stream);
    event_reader_done(&stream->reader);
    free(stream->path);
    free(stream);
}

static int connect_again(struct event_stream *stream, struct err *err)
{
    scoped_str header =
        *stream->reader.last_id ? xasprintf("Last-Event-ID: %s", stream->reader.last_id) : NULL;

    event_reader_restart(&stream->reader);
    stream->heard_ms = clock_monotonic_ms();
    stream->open =
        client_stream(stream->client, stream->path, "text/event-stream", header, err);
    return stream->open ? 0 : -1;
}

static enum stream_news broken(struct event_stream *stream)
{
    hang_up(stream);
    return STREAM_BROKEN;
}

/* The whole of an answer that isn't a stream: an error document. */
static enum stream_news read_refusal(struct event_stream *stream,
                                     const struct net_answer *answer, struct err *err)
{
    scoped_buf body = {0};
    enum net_heard heard;

    do {
        char piece[4096];
        size_t got = 0;
        struct err unread = {0};

        heard = net_stream_read(stream->open, 5000, piece, sizeof(piece), &got, &unread);
        if (heard == NET_HEARD_MORE && !buf_append_within(&body, piece, got, REFUSAL_MAX_BYTES))
            break;
    } while (heard == NET_HEARD_MORE);
    (void)client_refused(answer, body.data, body.size, err);
    return broken(stream);
}

/* The silence that is too long is an error; a shorter one isn't. */
static enum stream_news quiet(struct event_stream *stream, struct err *err)
{
    if (clock_monotonic_ms() - stream->heard_ms < STREAM_SILENCE_MS)
        return STREAM_QUIET;
    (void)err_set(err, ERR_TIMEOUT, "the server has said nothing for %d s",
                  STREAM_SILENCE_MS / 1000);
    return broken(stream);
}

/* STREAM_EVENT here means: go on and read. */
static enum stream_news look_at_head(struct event_stream *stream, int wait_ms, struct err *err)
{
    const struct net_answer *answer;

    switch (net_stream_head(stream->open, wait_ms, &answer, err)) {
    case NET_HEARD_NOTHING:
        return quiet(stream, err);
    case NET_HEARD_FAILED:
        return broken(stream);
    case NET_HEARD_MORE:
    case NET_HEARD_END:
        break;
    }
    if (answer->status == 204) {
        hang_up(stream);
        return STREAM_OVER;
    }
    if (answer->status != 200)
        return read_refusal(stream, answer, err);
    stream->answered = true;
    return STREAM_EVENT;
}

bool event_stream_is_open(const struct event_stream *stream)
{
    return stream->answered;
}

enum stream_news event_stream_next(struct event_stream *stream, int wait_ms, struct event *out,
                                   struct err *err)
{
    char piece[PIECE_BYTES];
    size_t got = 0;
    enum stream_news head;

    if (event_reader_next(&stream->reader, out))
        return STREAM_EVENT;
    if (!stream->open && connect_again(stream, err) < 0)
        return STREAM_BROKEN;
    head = stream->answered ? STREAM_EVENT : look_at_head(stream, wait_ms, err);
    if (head != STREAM_EVENT)
        return head;
    switch (net_stream_read(stream->open, wait_ms, piece, sizeof(piece), &got, err)) {
    case NET_HEARD_FAILED:
        return broken(stream);
    case NET_HEARD_END:
        hang_up(stream);
        return STREAM_CLOSED;
    case NET_HEARD_NOTHING:
        return quiet(stream, err);
    case NET_HEARD_MORE:
        break;
    }
    stream->heard_ms = clock_monotonic_ms();
    if (event_reader_feed(&stream->reader, piece, got, err) < 0)
        return broken(stream);
    return event_reader_next(&stream->reader, out) ? STREAM_EVENT : STREAM_QUIET;
}
