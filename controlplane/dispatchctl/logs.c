/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs: a run's log as text, so far or until its end.
 *
 * A log that is followed outlives its connections. The text has no marks to go on from, but it
 * only ever grows: it is asked for from its beginning again, and what was shown is passed over,
 * after a look that it is still the same. A server that goes down ends its answers as if the
 * log were over; so an end counts when the run had ended before that connection was made.
 */
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "dispatchctl/clean.h"
#include "dispatchctl/client.h"
#include "dispatchctl/exits.h"
#include "dispatchctl/interrupt.h"
#include "dispatchctl/output.h"
#include "dispatchctl/run_view.h"
#include "dispatchctl/waiting.h"

#define LOOK_EVERY_MS 200
#define SILENCE_MS 120000 /* of a log that isn't followed */
#define AGAIN_MS 500
#define LINE_MAX_BYTES 65536
#define REFUSAL_MAX_BYTES 65536
#define TAIL_BYTES 4096

struct log {
    const struct invocation *call;
    struct client *client;
    bool follows;
    bool cleans;     /* for a terminal */
    struct buf line; /* not ended yet */

    struct net_stream *stream;
    int64_t heard_ms;
    size_t at;       /* how far into the log this connection has come */
    size_t shown;    /* the same of all connections */
    struct buf tail; /* the last of what was shown */
    bool begun;      /* a connection has begun to tell */
    bool over;       /* the run had ended before this connection was made */
    int64_t away_ms; /* since when the log is broken off; 0: it isn't */
};

/* What one connection comes to. */
enum news {
    NEWS_END,    /* the answer is whole */
    NEWS_BROKEN, /* `err` says why */
    NEWS_LEAVE,  /* Ctrl-C, or nobody takes what we write */
};

/* --- Showing ------------------------------------------------------------------------------ */

static void put_cleaned(struct log *log, size_t size)
{
    scoped_str cleaned = clean_text(log->line.data, size);

    (void)fputs(cleaned, stdout);
    buf_drop_front(&log->line, size);
}

/* Whole lines, as a character may be cut anywhere else. */
static void put(struct log *log, const char *piece, size_t size)
{
    const char *end;

    if (!log->cleans) {
        (void)fwrite(piece, 1, size, stdout);
        return;
    }
    buf_append(&log->line, piece, size);
    end = memrchr(log->line.data, '\n', log->line.size);
    if (end)
        put_cleaned(log, (size_t)(end + 1 - log->line.data));
    else if (log->line.size > LINE_MAX_BYTES)
        put_cleaned(log, log->line.size);
}

static void remember(struct log *log, const char *piece, size_t size)
{
    log->at += size;
    log->shown += size;
    if (size > TAIL_BYTES) {
        piece += size - TAIL_BYTES;
        size = TAIL_BYTES;
    }
    buf_append(&log->tail, piece, size);
    if (log->tail.size > TAIL_BYTES)
        buf_drop_front(&log->tail, log->tail.size - TAIL_BYTES);
}

/* How many bytes of the piece were shown before; -1: something else was. */
static ssize_t pass_over(struct log *log, const char *piece, size_t size, struct err *err)
{
    size_t tail_from = log->shown - log->tail.size;
    size_t known = log->shown - log->at;

    if (known > size)
        known = size;
    for (size_t i = 0; i < known; i++)
        if (log->at + i >= tail_from && piece[i] != log->tail.data[log->at + i - tail_from])
            return err_set(err, ERR_CONFLICT, "the log isn't the one that was followed so far");
    log->at += known;
    return (ssize_t)known;
}

static int take(struct log *log, const char *piece, size_t size, struct err *err)
{
    ssize_t known = pass_over(log, piece, size, err);

    if (known < 0)
        return -1;
    if (size > (size_t)known) {
        put(log, piece + known, size - (size_t)known);
        remember(log, piece + known, size - (size_t)known);
    }
    if (log->at == log->shown)
        log->away_ms = 0;
    return 0;
}

/* --- One connection ----------------------------------------------------------------------- */

static enum net_heard read_piece(struct log *log, char *piece, size_t room, size_t *out_size,
                                 struct err *err)
{
    enum net_heard heard =
        net_stream_read(log->stream, LOOK_EVERY_MS, piece, room, out_size, err);

    if (heard == NET_HEARD_MORE)
        log->heard_ms = clock_monotonic_ms();
    if (heard != NET_HEARD_NOTHING || log->follows
        || clock_monotonic_ms() - log->heard_ms < SILENCE_MS)
        return heard;
    (void)err_set(err, ERR_TIMEOUT, "the server has said nothing for %d s", SILENCE_MS / 1000);
    return NET_HEARD_FAILED;
}

static enum news copy(struct log *log, struct err *err)
{
    char piece[16384];
    size_t size = 0;

    for (;;) {
        if (interrupt_came())
            return NEWS_LEAVE;
        switch (read_piece(log, piece, sizeof(piece), &size, err)) {
        case NET_HEARD_MORE:
            if (take(log, piece, size, err) < 0)
                return NEWS_BROKEN;
            break;
        case NET_HEARD_NOTHING:
            (void)fflush(stdout);
            break;
        case NET_HEARD_END:
            return NEWS_END;
        case NET_HEARD_FAILED:
            return NEWS_BROKEN;
        }
        if (ferror(stdout))
            return NEWS_LEAVE;
    }
}

static enum news refused(struct log *log, const struct net_answer *answer, struct err *err)
{
    scoped_buf body = {0};
    struct err unread = {0};
    char piece[4096];
    size_t size = 0;

    while (read_piece(log, piece, sizeof(piece), &size, &unread) == NET_HEARD_MORE
           && buf_append_within(&body, piece, size, REFUSAL_MAX_BYTES))
        ;
    (void)client_refused(answer, body.data, body.size, err);
    return NEWS_BROKEN;
}

static enum news hear(struct log *log, struct err *err)
{
    const struct net_answer *answer;
    enum net_heard heard;

    log->heard_ms = clock_monotonic_ms();
    do {
        heard = net_stream_head(log->stream, LOOK_EVERY_MS, &answer, err);
        if (interrupt_came())
            return NEWS_LEAVE;
    } while (heard == NET_HEARD_NOTHING && clock_monotonic_ms() - log->heard_ms < SILENCE_MS);
    if (heard == NET_HEARD_NOTHING)
        (void)err_set(err, ERR_TIMEOUT, "the server doesn't answer");
    if (heard == NET_HEARD_NOTHING || heard == NET_HEARD_FAILED)
        return NEWS_BROKEN;
    if (answer->status == 204)
        return NEWS_END;
    if (answer->status != 200)
        return refused(log, answer, err);
    log->begun = true;
    return copy(log, err);
}

static enum news listen_once(struct log *log, struct err *err)
{
    scoped_str path = run_view_path(FACE_TASKS, log->call->words[0],
                                    log->follows ? "/logs?follow=1" : "/logs");
    enum news news;

    log->at = 0;
    log->stream = client_stream(log->client, path, "text/plain", NULL, err);
    if (!log->stream)
        return NEWS_BROKEN;
    news = hear(log, err);
    net_stream_close(log->stream);
    return news;
}

/* --- All of them -------------------------------------------------------------------------- */

/* Was that the log's end? ERR_UNAVAILABLE: no; ERR_NONE: there may be more. */
static bool is_over(struct log *log, struct err *err)
{
    scoped_str path = run_view_path(FACE_TASKS, log->call->words[0], "/status");
    scoped_json task = NULL;

    if (!log->follows)
        return true;
    if (log->over && log->at == log->shown)
        return true;
    task = client_get(log->client, path, err);
    log->over = task && exits_status_ended(json_get_str(task, "status"));
    if (task && (!log->over || log->at < log->shown))
        (void)err_set(err, ERR_UNAVAILABLE, "the server ended the log too soon");
    return false;
}

/* An error that may pass, once there was a log, is borne for --patience. */
static bool may_go_on(struct log *log, const struct err *err)
{
    int64_t patience_ms =
        log->call->options.patience_ms ? log->call->options.patience_ms : PATIENCE_USUAL_MS;
    int64_t now_ms = clock_monotonic_ms();

    if (!log->follows || !log->begun || exits_for_error(err) != EXIT_SERVER)
        return false;
    if (!log->away_ms) {
        log->away_ms = now_ms;
        (void)fflush(stdout);
        output_remark(log->call, "The log broke off, going on: %s", err->text);
    }
    return now_ms - log->away_ms <= patience_ms;
}

/* False: Ctrl-C. */
static bool wait_a_little(const struct err *err)
{
    int64_t until_ms =
        clock_monotonic_ms() + (err->retry_after_s ? err->retry_after_s * 1000LL : AGAIN_MS);

    while (!interrupt_came() && clock_monotonic_ms() < until_ms)
        (void)usleep(LOOK_EVERY_MS * 1000);
    return !interrupt_came();
}

static int show(struct log *log)
{
    for (;;) {
        struct err err = {0};
        enum news news = listen_once(log, &err);

        if (news == NEWS_LEAVE)
            return interrupt_came() ? EXIT_INTERRUPTED : EXIT_FAILED;
        if (news == NEWS_END && is_over(log, &err)) {
            if (log->line.size)
                put_cleaned(log, log->line.size);
            return EXIT_DONE;
        }
        if (err.kind == ERR_NONE)
            continue; /* the run has ended: what is left of its log */
        if (!may_go_on(log, &err))
            return output_fail(&err);
        if (!wait_a_little(&err))
            return EXIT_INTERRUPTED;
    }
}

int command_logs(const struct invocation *call)
{
    struct err err = {0};
    scoped(client) client = client_open(call, CLIENT_WATCHES, &err);
    struct log log = {
        .call = call,
        .client = client,
        .follows = call->options.follow,
        .cleans = isatty(STDOUT_FILENO),
    };
    int code;

    if (!client)
        return output_fail(&err);
    interrupt_watch();
    code = show(&log);
    buf_done(&log.line);
    buf_done(&log.tail);
    return output_end(code);
}
