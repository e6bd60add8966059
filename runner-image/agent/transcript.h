/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_TRANSCRIPT_H
#define RUNNER_TRANSCRIPT_H
#include "agent/partial_marker.h"
#include "home/events.h"

/*
 * What an agent says and does, as its own events tell it: each agent's file reads its events
 * and says here what they mean. Messages and uses of tools become events of the run, up to a
 * total; the partial marker is looked for in the words of the agent itself; its last words are
 * its answer; and how it says that it went is what it is judged by. Memory stays the same
 * whatever comes. One thread.
 */
#define MESSAGE_MAX_BYTES (16 * 1024)
#define ANSWER_MAX_BYTES (256 * 1024)
#define ARGUMENT_MAX_BYTES 200
#define PROBLEM_MAX_BYTES 500
/* Home keeps 20,000 events of a run, and up to 15,000 of them are lines of output. */
#define TRANSCRIPT_MAX_EVENTS 3500
#define TRANSCRIPT_MAX_BYTES (4 * 1024 * 1024)

struct transcript;

enum transcript_verdict {
    VERDICT_NONE, /* it never said */
    VERDICT_SUCCESS,
    VERDICT_FAILURE,
};

/* Whose words: those of a subagent are told, and are neither marker nor answer. */
enum transcript_voice { VOICE_AGENT, VOICE_SUBAGENT };

/* Both must outlive it. `metered`: somebody else tells what the model's answers used up. */
struct transcript *transcript_new(struct events *events, struct redaction *redaction,
                                  bool metered) CHECKED;
void transcript_free(struct transcript *transcript);
DEFINE_SCOPED(transcript)

/* --- For those who read an agent's events; NULL for a text is no text. --- */

void transcript_message(struct transcript *transcript, enum transcript_voice voice,
                        const char *text);
/* A part of the message that is under way; whatever else is told ends it. */
void transcript_message_part(struct transcript *transcript, const char *text);
/* `arguments`: what the tool was called with; the most telling one is shown. */
void transcript_tool_use(struct transcript *transcript, enum transcript_voice voice,
                         const char *name, const cJSON *arguments);
void transcript_warning(struct transcript *transcript, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Of the whole run, or of a part that wasn't told before; cost 0: not known. */
void transcript_usage(struct transcript *transcript, int64_t input_tokens,
                      int64_t output_tokens, double cost_usd);

/* How it went; said again, the last counts. `answer`: NULL for its last words. */
void transcript_success(struct transcript *transcript, const char *answer);
void transcript_failure(struct transcript *transcript, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* --- For those who want to know --- */

/* There is no more. The questions below are for after it. */
void transcript_end(struct transcript *transcript);

enum transcript_verdict transcript_verdict(const struct transcript *transcript);
/* A sentence of one line, redacted; "" for none. */
const char *transcript_problem(const struct transcript *transcript);
/* Its answer, redacted, at most ANSWER_MAX_BYTES; "" for none. */
const char *transcript_answer(const struct transcript *transcript);
/* NULL when there was no partial marker; redacted. */
const char *transcript_partial_reason(const struct transcript *transcript);
#endif
