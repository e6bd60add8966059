/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_AGENT_H
#define RUNNER_AGENT_H
#include "agent/agent_output.h"
#include "git/workspace.h"
#include "home/assignment.h"
#include "sandbox/sandbox.h"
#include "text/text_list.h"

/*
 * The coding agents. Each is one file that ends with its struct agent_kind; adding one is that
 * file and a line in the table of agent.c. What is the same for all happens in agent_run:
 * an environment made from nothing, the sandbox, the clock, the output, and the end of every
 * process it started.
 */
struct agent_start {
    struct text_list argv;
    struct text_list env; /* beside what every agent gets */
    const char *input;    /* for its stdin; borrowed from the assignment */
};

struct agent_kind {
    const char *name; /* as the API says it */

    /* What to start. ERR_INVALID when it can't be started as asked. */
    int (*prepare)(const struct assignment *assignment, struct agent_start *out,
                   struct err *err);

    /* Did it do its job? 0, or -1 with a sentence. Never asked when time was up. */
    int (*judge)(const struct process_end *end, const struct agent_output *output,
                 struct err *err);
};

extern const struct agent_kind command_agent;

/* NULL when this runner has no such agent. */
const struct agent_kind *agent_find(const char *name);

struct agent_job {
    const struct agent_kind *kind;
    const struct assignment *assignment;
    const struct workspace *workspace;
    struct sandbox *sandbox;
    struct agent_output *output;
    const volatile bool *stop;
};

/*
 * Runs it until it and all it started have ended. 0 when it did its job; else `err` says why:
 * ERR_TIMEOUT its time was up, ERR_UNAVAILABLE it was stopped, ERR_UPSTREAM it failed,
 * ERR_INTERNAL processes of it couldn't be ended: its tree must not be touched.
 */
int agent_run(const struct agent_job *job, struct err *err) CHECKED;
#endif
