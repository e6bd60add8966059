/* SPDX-License-Identifier: Apache-2.0 */
/* logs: a run's log as text, so far or until its end. */
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "dispatchctl/clean.h"
#include "dispatchctl/client.h"
#include "dispatchctl/exits.h"
#include "dispatchctl/interrupt.h"
#include "dispatchctl/output.h"
#include "dispatchctl/run_view.h"

#define LOOK_EVERY_MS 200
#define SILENCE_MS 120000 /* of a log that isn't followed */
#define LINE_MAX_BYTES 65536
#define REFUSAL_MAX_BYTES 65536

struct log {
    struct net_stream *stream;
    bool follows;
    bool cleans; /* for a terminal */
    int64_t heard_ms;
    struct buf line; /* not ended yet */
};

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

static int copy(struct log *log, struct err *err)
{
    char piece[16384];
    size_t size = 0;

    for (;;) {
        if (interrupt_came())
            return EXIT_INTERRUPTED;
        switch (read_piece(log, piece, sizeof(piece), &size, err)) {
        case NET_HEARD_MORE:
            put(log, piece, size);
            break;
        case NET_HEARD_NOTHING:
            (void)fflush(stdout);
            break;
        case NET_HEARD_END:
            if (log->line.size)
                put_cleaned(log, log->line.size);
            return EXIT_DONE;
        case NET_HEARD_FAILED:
            return output_fail(err);
        }
        if (ferror(stdout))
            return EXIT_FAILED;
    }
}

static int refused(struct log *log, const struct net_answer *answer, struct err *err)
{
    scoped_buf body = {0};
    char piece[4096];
    size_t size = 0;

    while (read_piece(log, piece, sizeof(piece), &size, err) == NET_HEARD_MORE
           && buf_append_within(&body, piece, size, REFUSAL_MAX_BYTES))
        ;
    (void)client_refused(answer, body.data, body.size, err);
    return output_fail(err);
}

static int show(struct log *log, struct err *err)
{
    const struct net_answer *answer;
    enum net_heard heard;

    log->heard_ms = clock_monotonic_ms();
    do {
        heard = net_stream_head(log->stream, LOOK_EVERY_MS, &answer, err);
        if (interrupt_came())
            return EXIT_INTERRUPTED;
    } while (heard == NET_HEARD_NOTHING && clock_monotonic_ms() - log->heard_ms < SILENCE_MS);
    if (heard == NET_HEARD_NOTHING)
        (void)err_set(err, ERR_TIMEOUT, "the server doesn't answer");
    if (heard == NET_HEARD_NOTHING || heard == NET_HEARD_FAILED)
        return output_fail(err);
    if (answer->status == 204)
        return EXIT_DONE;
    return answer->status == 200 ? copy(log, err) : refused(log, answer, err);
}

int command_logs(const struct invocation *call)
{
    struct err err = {0};
    bool follows = call->options.follow;
    scoped(client) client = client_open(call, CLIENT_WATCHES, &err);
    scoped_str path =
        run_view_path(FACE_TASKS, call->words[0], follows ? "/logs?follow=1" : "/logs");
    struct log log = {.follows = follows, .cleans = isatty(STDOUT_FILENO)};
    int code;

    if (!client)
        return output_fail(&err);
    interrupt_watch();
    log.stream = client_stream(client, path, "text/plain", NULL, &err);
    if (!log.stream)
        return output_fail(&err);
    code = show(&log, &err);
    net_stream_close(log.stream);
    buf_done(&log.line);
    return output_end(code);
}
