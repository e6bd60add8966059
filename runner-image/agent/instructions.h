/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_INSTRUCTIONS_H
#define RUNNER_INSTRUCTIONS_H
#include "agent/agent.h"

/*
 * What an agent is told beside the prompt: that nobody can be asked, what to leave alone, how
 * to say that it isn't done. The caller frees it; a few lines of plain text.
 */
char *agent_instructions(const struct agent_job *job) CHECKED;
#endif
