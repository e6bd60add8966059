/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_AGENT_OUTPUT_H
#define RUNNER_AGENT_OUTPUT_H
#include "agent/partial_marker.h"
#include "agent/transcript.h"
#include "home/events.h"
#include "process/process.h"

/*
 * What the agent prints, as it arrives. Plain text: each line becomes a log event, cut when it
 * is long, up to a total; the partial marker is looked for in all of stdout however much there
 * is; and the last line is remembered for the sentence of a failure. Where the agent's stdout
 * is events of its own, they are read into a transcript, and only lines that are none are told
 * as text. Memory stays the same whatever comes. One thread.
 */
#define OUTPUT_LINE_MAX_BYTES 8192
/* Home keeps 20,000 events and 16 MiB of a run: the rest is for what the run itself tells. */
#define OUTPUT_TOTAL_MAX_BYTES (8 * 1024 * 1024)
#define OUTPUT_TOTAL_MAX_LINES 15000
#define OUTPUT_LAST_LINE_MAX 300

struct agent_output;

/* Both must outlive it. */
struct agent_output *agent_output_new(struct events *events,
                                      struct redaction *redaction) CHECKED;
void agent_output_free(struct agent_output *output);
DEFINE_SCOPED(agent_output)

/* Says what an agent's event means; `event` is an object. */
typedef void agent_event_reader(struct transcript *transcript, const cJSON *event);

/* From now on stdout is events, one a line. Once, before the first byte. `metered`: as in
 * transcript.h. */
void agent_output_read_events(struct agent_output *output, agent_event_reader *reader,
                              bool metered);

void agent_output_feed(struct agent_output *output, enum process_stream stream,
                       const char *data, size_t size);
/* There is no more: tells lines that ended without a line break. */
void agent_output_end(struct agent_output *output);

/* Borrowed. NULL when the agent gave no partial marker; redacted. */
const char *agent_output_partial_reason(const struct agent_output *output);
/* The agent's last words: the plan, or the answer to a question. "" for none; redacted, at
 * most ANSWER_MAX_BYTES. */
const char *agent_output_answer(const struct agent_output *output);
/* The last line of text that wasn't blank, redacted and cut; "" for none. */
const char *agent_output_last_line(const struct agent_output *output);
/* NULL when stdout was plain text. */
const struct transcript *agent_output_transcript(const struct agent_output *output);
#endif
