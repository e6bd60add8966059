/* SPDX-License-Identifier: Apache-2.0 */
#include "task/test_command.h"

#include <string.h>

#include "agent/agent_output.h"
#include "base/log.h"

struct listener {
    struct agent_output *output;
    struct buf tail;
};

void test_result_done(struct test_result *result)
{
    buf_done(&result->tail);
}

static void hear(void *ctx, enum process_stream stream, const char *data, size_t size)
{
    struct listener *listener = ctx;

    agent_output_feed(listener->output, stream, data, size);
    buf_append(&listener->tail, data, size);
    if (listener->tail.size > 2 * TEST_TAIL_BYTES)
        buf_drop_front(&listener->tail, listener->tail.size - TEST_TAIL_BYTES);
}

/* Whole lines, unless one alone is longer. */
static void keep_tail(struct buf *tail, struct redaction *redaction, struct buf *out)
{
    const char *line;

    if (tail->size > TEST_TAIL_BYTES) {
        buf_drop_front(tail, tail->size - TEST_TAIL_BYTES);
        line = memchr(tail->data, '\n', tail->size);
        if (line && line[1])
            buf_drop_front(tail, (size_t)(line + 1 - tail->data));
    }
    for (size_t i = 0; i < tail->size; i++)
        if (!tail->data[i])
            tail->data[i] = '?';
    buf_append_str(tail, "");
    redaction_apply(redaction, tail->data);
    buf_append_str(out, tail->data);
}

static void judge(const struct process_end *end, int timeout_s, struct test_result *out)
{
    out->passed = !end->timed_out && !end->signal && end->exit_code == 0;
    if (end->timed_out)
        (void)snprintf(out->sentence, sizeof(out->sentence),
                       "the tests didn't finish within %d s", timeout_s);
    else if (end->signal)
        (void)snprintf(out->sentence, sizeof(out->sentence),
                       "the tests were ended by signal %d", end->signal);
    else
        (void)snprintf(out->sentence, sizeof(out->sentence), "the tests %s with exit code %d",
                       out->passed ? "passed" : "failed", end->exit_code);
}

int test_command_run(const char *command, const struct walled *walled,
                     struct redaction *redaction, struct test_result *out, struct err *err)
{
    const char *argv[] = {"/bin/sh", "-c", command, NULL};
    struct listener listener = {.output = agent_output_new(walled->events, redaction)};
    struct process_end end = {0};
    struct walled tests = *walled;
    int result;

    *out = (struct test_result){0};
    tests.argv = argv;
    tests.on_output = hear;
    tests.ctx = &listener;
    result = walled_run(&tests, &end, err);
    agent_output_end(listener.output);
    agent_output_free(listener.output);
    if (result == 0 && end.stopped)
        result = err_set(err, ERR_UNAVAILABLE, "the tests were stopped");
    if (result == 0) {
        judge(&end, walled->timeout_s, out);
        keep_tail(&listener.tail, redaction, &out->tail);
        log_info("tests ended", KV("passed", out->passed), KV("took_ms", end.took_ms));
    } else {
        (void)err_wrap(err, "the test command");
    }
    buf_done(&listener.tail);
    return result;
}
