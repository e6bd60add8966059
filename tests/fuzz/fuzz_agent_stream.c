/* SPDX-License-Identifier: Apache-2.0 */
/* What a coding agent prints, read as the events of each of them: however the stream is cut,
 * the same verdict, answer and marker come out, and nothing passes its limit. The first byte
 * says which agent, the second where to cut. */
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "fuzz.h"

/* What the readers need of the rest of the runner. */
static size_t n_told;

void events_add(struct events *events, const char *type, cJSON *fields)
{
    (void)events;
    (void)type;
    n_told++;
    cJSON_Delete(fields);
}

void events_warn(struct events *events, const char *fmt, ...)
{
    (void)events;
    (void)fmt;
    n_told++;
}

const char *workspace_agent_home(const struct workspace *workspace)
{
    (void)workspace;
    return "/nowhere";
}

enum agent_task agent_task_of(const struct agent_job *job)
{
    (void)job;
    return AGENT_WORK;
}

char *agent_tool_server(const struct agent_job *job)
{
    (void)job;
    return NULL;
}

static struct agent_output *read_in_pieces(const struct agent_kind *kind,
                                           struct redaction *redaction, const char *data,
                                           size_t size, size_t piece)
{
    struct agent_output *output = agent_output_new(NULL, redaction);

    agent_output_read_events(output, kind->read_event, false);
    for (size_t at = 0; at < size; at += piece)
        agent_output_feed(output, PROCESS_STDOUT, data + at,
                          piece < size - at ? piece : size - at);
    agent_output_end(output);
    return output;
}

static bool same(const char *a, const char *b)
{
    return (a == NULL) == (b == NULL) && (!a || strcmp(a, b) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct agent_kind *const kinds[] = {&claude_code_agent, &gemini_code_agent,
                                                     &opencode_agent};
    const struct process_end end = {0};
    struct err whole_err = {0};
    struct err cut_err = {0};

    if (size < 3)
        return 0;
    json_setup();
    n_told = 0;
    scoped(redaction) redaction = redaction_new();
    const struct agent_kind *kind = kinds[data[0] % ARRAY_SIZE(kinds)];
    const char *text = (const char *)data + 2;
    scoped(agent_output) whole = read_in_pieces(kind, redaction, text, size - 2, size);
    if (n_told > TRANSCRIPT_MAX_EVENTS + OUTPUT_TOTAL_MAX_LINES + 3)
        abort();
    scoped(agent_output) cut =
        read_in_pieces(kind, redaction, text, size - 2, 1 + data[1] % 64U);
    (void)kind->judge(&end, whole, &whole_err);
    (void)kind->judge(&end, cut, &cut_err);
    if (!same(agent_output_answer(whole), agent_output_answer(cut))
        || !same(agent_output_partial_reason(whole), agent_output_partial_reason(cut))
        || strcmp(whole_err.text, cut_err.text) != 0
        || strlen(agent_output_answer(whole)) > ANSWER_MAX_BYTES)
        abort();
    return 0;
}
