/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_SUBAGENT_FILES_H
#define RUNNER_SUBAGENT_FILES_H
#include "agent/agent.h"
#include "agent/subagent.h"

/*
 * The run's subagents as files of the user's, for agents that read them so: Markdown whose
 * head, in YAML, says the rest. A file has no limit as an argument has.
 */
struct subagent_files {
    const char *folder;    /* below HOME */
    const char *turns_key; /* what the agent calls the limit of turns */
    const struct tool_names *names;
    bool lower_case; /* it knows no other names of subagents */
};

/* All of job->assignment->agents. ERR_INVALID for one that isn't what it should be. */
int subagent_files_write(const struct subagent_files *files, const struct agent_job *job,
                         struct err *err) CHECKED;
#endif
