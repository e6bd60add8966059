/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/waiting.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "dispatchctl/clean.h"
#include "dispatchctl/event_stream.h"
#include "dispatchctl/event_words.h"
#include "dispatchctl/exits.h"
#include "dispatchctl/interrupt.h"
#include "dispatchctl/output.h"
#include "dispatchctl/progress.h"
#include "dispatchctl/run_view.h"

#define LOOK_EVERY_MS 100 /* at Ctrl-C, the clock and the spinner */
#define POLL_FIRST_MS 300
#define RECONNECT_MS 50
#define POLL_SLOWEST_MS 5000
#define STREAM_AGAIN_MS 30000 /* after there were too many */

struct wait {
    const struct invocation *call;
    struct client *client;
    const char *id;
    FILE *follow_to;
    struct event_stream *stream; /* NULL: not served here */
    struct progress progress;
    int64_t until_ms;     /* --timeout; 0: none */
    int64_t away_ms;      /* since when the server is away; 0: it isn't */
    int64_t next_poll_ms; /* also the next try to connect */
    int64_t pause_ms;
    bool polls; /* there is a stream, but not for now */
    bool heard; /* an event, on this connection */
    int64_t stream_again_ms;
    cJSON *ended; /* the run's document, once it has */
};

/* What is left to do after one look. */
enum verdict { GO_ON, ENDED, GIVE_UP };

/* --- What is heard ------------------------------------------------------------------------ */

static void follow(struct wait *wait, const char *type, const cJSON *data)
{
    scoped_str text = event_words(type, data);
    scoped_str cleaned = text ? clean_text(text, strlen(text)) : NULL;

    if (!cleaned)
        return;
    if (strcmp(type, "log") != 0)
        progress_say(&wait->progress, cleaned);
    if (!wait->follow_to)
        return;
    progress_clear(&wait->progress);
    (void)fprintf(wait->follow_to, "%s\n", cleaned);
    (void)fflush(wait->follow_to);
}

static bool is_the_end(const char *type, const cJSON *data)
{
    return strcmp(type, "status") == 0 && exits_status_ended(json_get_str(data, "status"));
}

/* --- Trouble ------------------------------------------------------------------------------ */

static bool may_pass(enum err_kind kind)
{
    return kind == ERR_UNAVAILABLE || kind == ERR_UPSTREAM || kind == ERR_TIMEOUT
           || kind == ERR_LIMITED;
}

static void pause_longer(struct wait *wait, int retry_after_s)
{
    int64_t pause_ms = wait->pause_ms;

    if (pause_ms < retry_after_s * 1000LL)
        pause_ms = retry_after_s * 1000LL;
    wait->next_poll_ms = clock_monotonic_ms() + pause_ms;
    wait->pause_ms += wait->pause_ms / 2;
    if (wait->pause_ms > POLL_SLOWEST_MS)
        wait->pause_ms = POLL_SLOWEST_MS;
}

static enum verdict bear(struct wait *wait, const struct err *err)
{
    int64_t patience_ms =
        wait->call->options.patience_ms ? wait->call->options.patience_ms : PATIENCE_USUAL_MS;
    int64_t now_ms = clock_monotonic_ms();

    if (!may_pass(err->kind))
        return GIVE_UP;
    if (err->kind != ERR_LIMITED) { /* who says 429 is there */
        wait->away_ms = wait->away_ms ? wait->away_ms : now_ms;
        if (now_ms - wait->away_ms > patience_ms)
            return GIVE_UP;
        progress_say(&wait->progress, "the server is away");
    }
    pause_longer(wait, err->retry_after_s);
    return GO_ON;
}

/* --- Asking ------------------------------------------------------------------------------- */

static void tell_status(struct wait *wait, const cJSON *task)
{
    const char *status = json_get_str(task, "status");
    const char *reason = json_get_str(task, "reason");
    scoped_str text =
        xasprintf("%s%s%s", status ? status : "?", reason ? ": " : "", reason ? reason : "");

    progress_say(&wait->progress, text);
}

static enum verdict poll_status(struct wait *wait, struct err *err)
{
    scoped_str path = run_view_path(FACE_TASKS, wait->id, "/status");
    scoped_json task = client_get(wait->client, path, err);

    if (!task)
        return bear(wait, err);
    wait->away_ms = 0;
    if (!exits_status_ended(json_get_str(task, "status"))) {
        tell_status(wait, task);
        pause_longer(wait, 0);
        return GO_ON;
    }
    wait->ended = run_view_load(wait->client, wait->id, err);
    return wait->ended ? ENDED : bear(wait, err);
}

static void pass_time(struct wait *wait)
{
    int64_t left_ms = wait->next_poll_ms - clock_monotonic_ms();

    if (left_ms > 0)
        (void)usleep((useconds_t)(left_ms < LOOK_EVERY_MS ? left_ms : LOOK_EVERY_MS) * 1000);
}

/* The stream didn't come to be, or broke. */
static enum verdict lost_stream(struct wait *wait, struct err *err)
{
    if (err->kind == ERR_NOT_FOUND || err->kind == ERR_UNSUPPORTED) {
        event_stream_free(wait->stream);
        wait->stream = NULL;
        return poll_status(wait, err); /* which knows whether it was the run */
    }
    if (err->kind == ERR_LIMITED) {
        wait->polls = true;
        wait->stream_again_ms = clock_monotonic_ms() + STREAM_AGAIN_MS;
        return poll_status(wait, err);
    }
    if (err->kind == ERR_TOO_LARGE) /* one event we can't read: the end can be asked for */
        wait->polls = true;
    return err->kind == ERR_TOO_LARGE ? GO_ON : bear(wait, err);
}

static enum verdict heard(struct wait *wait, const struct event *event, struct err *err)
{
    struct err unread = {0};
    scoped_json data = json_parse(event->data, strlen(event->data), &unread);
    bool end = data && is_the_end(event->type, data);

    wait->away_ms = 0;
    wait->pause_ms = POLL_FIRST_MS;
    wait->heard = true;
    if (data)
        follow(wait, event->type, data);
    return end ? poll_status(wait, err) : GO_ON;
}

/* There may be more to hear, also of a run that has ended: whoever ends a stream for good says
 * so. But a server that only ever ends them isn't asked for ever. */
static enum verdict closed(struct wait *wait, struct err *err)
{
    bool heard_any = wait->heard;

    wait->heard = false;
    if (!heard_any)
        return poll_status(wait, err);
    wait->next_poll_ms = clock_monotonic_ms() + RECONNECT_MS;
    return GO_ON;
}

static enum verdict listen_once(struct wait *wait, struct err *err)
{
    struct event event;

    switch (event_stream_next(wait->stream, LOOK_EVERY_MS, &event, err)) {
    case STREAM_EVENT:
        return heard(wait, &event, err);
    case STREAM_QUIET:
        return GO_ON;
    case STREAM_CLOSED:
        return closed(wait, err);
    case STREAM_OVER:
        return poll_status(wait, err);
    case STREAM_BROKEN:
        break;
    }
    return lost_stream(wait, err);
}

static enum verdict look_once(struct wait *wait, struct err *err)
{
    int64_t now_ms = clock_monotonic_ms();

    if (wait->polls && wait->stream_again_ms && now_ms > wait->stream_again_ms)
        wait->polls = false;
    if (now_ms < wait->next_poll_ms) {
        pass_time(wait);
        return GO_ON;
    }
    return wait->stream && !wait->polls ? listen_once(wait, err) : poll_status(wait, err);
}

/* --- The whole ---------------------------------------------------------------------------- */

static int left_alone(const struct wait *wait, const char *why, int code)
{
    const char *program = wait->call->as_plugin ? "kubectl dispatch" : "dispatchctl";

    (void)fprintf(stderr, "%s; run %s goes on: %s watch %s\n", why, wait->id, program,
                  wait->id);
    return code;
}

static int give_up(const struct wait *wait, const struct err *err)
{
    int code = output_fail(err);

    if (code == EXIT_SERVER)
        return left_alone(wait, "The server is away", code);
    return code;
}

static int wait_on(struct wait *wait)
{
    for (;;) {
        struct err err = {0};
        enum verdict verdict;

        if (interrupt_came()) {
            progress_clear(&wait->progress);
            return left_alone(wait, "Not waiting any longer", EXIT_INTERRUPTED);
        }
        if (wait->until_ms && clock_monotonic_ms() > wait->until_ms) {
            progress_clear(&wait->progress);
            return left_alone(wait, "Not ended within the time", EXIT_TIMED_OUT);
        }
        verdict = look_once(wait, &err);
        if (verdict == GO_ON) {
            progress_tick(&wait->progress);
            continue;
        }
        progress_clear(&wait->progress);
        return verdict == ENDED ? (int)exits_for_run(wait->ended) : give_up(wait, &err);
    }
}

int waiting_for_run(const struct invocation *call, struct client *client, const char *id,
                    FILE *follow_to)
{
    int64_t timeout_ms = call->options.timeout_ms;
    scoped_str path = run_view_path(FACE_TASKS, id, "/events");
    struct wait wait = {
        .call = call,
        .client = client,
        .id = id,
        .follow_to = follow_to,
        .stream = event_stream_new(client, path),
        .until_ms = timeout_ms ? clock_monotonic_ms() + timeout_ms : 0,
        .pause_ms = POLL_FIRST_MS,
    };
    int code;

    interrupt_watch();
    progress_init(&wait.progress, call);
    progress_say(&wait.progress, id);
    code = wait_on(&wait);
    progress_done(&wait.progress);
    event_stream_free(wait.stream);
    if (wait.ended)
        run_view_print(call, wait.ended);
    cJSON_Delete(wait.ended);
    return code;
}

/* Where a document will be on standard output, what happens goes beside it. */
static FILE *follow_to(const struct invocation *call)
{
    enum output_form form = output_form(call);

    if (!call->options.follow)
        return NULL;
    return form == OUTPUT_TABLE || form == OUTPUT_WIDE ? stdout : stderr;
}

int waiting_if_asked(const struct invocation *call, struct client *client, const cJSON *answer,
                     const char *id_key)
{
    scoped_str id = clean_line(json_get_str(answer, id_key));

    if (call->options.wait || call->options.follow) {
        output_remark(call, "Run %s is queued", id);
        return output_end(waiting_for_run(call, client, id, follow_to(call)));
    }
    if (!output_document(call, answer, id_key))
        printf("%s queued\n", id);
    return output_end(EXIT_DONE);
}
