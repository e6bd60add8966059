/* SPDX-License-Identifier: Apache-2.0 */
/* watch: one run until its end, or all runs until Ctrl-C. */
#include <string.h>

#include "base/clock.h"
#include "dispatchctl/clean.h"
#include "dispatchctl/client.h"
#include "dispatchctl/event_stream.h"
#include "dispatchctl/event_words.h"
#include "dispatchctl/exits.h"
#include "dispatchctl/interrupt.h"
#include "dispatchctl/output.h"
#include "dispatchctl/waiting.h"

#define LOOK_EVERY_MS 200
#define AGAIN_MS 1000

struct watch {
    const struct invocation *call;
    struct event_stream *stream;
    int64_t until_ms; /* 0: for ever */
    int64_t away_ms;  /* since when the server is away; 0: it isn't */
    int64_t again_ms; /* not to connect before */
};

static void print_event(const struct invocation *call, const struct event *event)
{
    struct err unread = {0};
    scoped_json data = json_parse(event->data, strlen(event->data), &unread);
    enum output_form form = output_form(call);
    scoped_str text = NULL;
    scoped_str line = NULL;
    scoped_str id = NULL;

    if (!data)
        return;
    if (form == OUTPUT_JSON) { /* one a line, as they come */
        text = json_text(data);
        line = clean_json(text);
        printf("%s\n", line);
        return;
    }
    id = clean_line(json_get_str(data, "task_id") ? json_get_str(data, "task_id")
                                                  : json_get_str(data, "id"));
    text = event_words(event->type, data);
    line = clean_line(text);
    if (text)
        printf("%s  %s\n", id, line);
}

/* An error that may pass is borne for --patience. */
static int bear(struct watch *watch, const struct err *err)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t patience_ms =
        watch->call->options.patience_ms ? watch->call->options.patience_ms : PATIENCE_USUAL_MS;

    watch->away_ms = watch->away_ms ? watch->away_ms : now_ms;
    watch->again_ms = now_ms + (err->retry_after_s ? err->retry_after_s * 1000LL : AGAIN_MS);
    if (exits_for_error(err) == EXIT_SERVER && now_ms - watch->away_ms <= patience_ms)
        return EXIT_DONE;
    return output_fail(err);
}

/* The exit code; EXIT_DONE: go on. */
static int look_once(struct watch *watch)
{
    struct err err = {0};
    struct event event;

    if (clock_monotonic_ms() < watch->again_ms) {
        (void)usleep(LOOK_EVERY_MS * 1000);
        return EXIT_DONE;
    }
    switch (event_stream_next(watch->stream, LOOK_EVERY_MS, &event, &err)) {
    case STREAM_EVENT:
        watch->away_ms = 0;
        print_event(watch->call, &event);
        return EXIT_DONE;
    case STREAM_QUIET:
        if (event_stream_is_open(watch->stream))
            watch->away_ms = 0;
        (void)fflush(stdout);
        return EXIT_DONE;
    case STREAM_OVER:
    case STREAM_CLOSED:
        (void)err_set(&err, ERR_UNAVAILABLE, "the server ended the stream");
        return bear(watch, &err);
    case STREAM_BROKEN:
        break;
    }
    return bear(watch, &err);
}

static int watch_all(const struct invocation *call, struct client *client)
{
    int64_t timeout_ms = call->options.timeout_ms;
    scoped(event_stream) stream = event_stream_new(client, "/api/events");
    struct watch watch = {
        .call = call,
        .stream = stream,
        .until_ms = timeout_ms ? clock_monotonic_ms() + timeout_ms : 0,
    };
    int code = EXIT_DONE;

    interrupt_watch();
    while (code == EXIT_DONE && !ferror(stdout)) {
        if (interrupt_came())
            code = EXIT_INTERRUPTED;
        else if (watch.until_ms && clock_monotonic_ms() > watch.until_ms)
            code = EXIT_TIMED_OUT;
        else
            code = look_once(&watch);
    }
    return code;
}

int command_watch(const struct invocation *call)
{
    struct err err = {0};
    scoped(client) client = client_open(call, CLIENT_WATCHES, &err);
    enum output_form form = output_form(call);

    if (!client)
        return output_fail(&err);
    if (!call->n_words)
        return output_end(watch_all(call, client));
    return output_end(
        waiting_for_run(call, client, call->words[0],
                        form == OUTPUT_TABLE || form == OUTPUT_WIDE ? stdout : stderr));
}
