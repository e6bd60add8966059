/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_VERDICT_H
#define RUNNER_VERDICT_H
#include "agent/agent_output.h"

/*
 * The judgement on an agent that says itself how it went: by what it said, and by how it ended
 * only where it said nothing; exit codes of agents lie both ways. As in struct agent_kind.
 */
int verdict_judge(const struct process_end *end, const struct agent_output *output,
                  struct err *err);

/* The sentence for an agent that ended by itself without saying so: exit code or signal, and
 * the last line of text. Always -1. */
int verdict_ended(const struct process_end *end, const struct agent_output *output,
                  const char *what, struct err *err);
#endif
