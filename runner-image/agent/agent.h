/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_AGENT_H
#define RUNNER_AGENT_H
#include "agent/agent_output.h"
#include "gateway/gateway.h"
#include "git/workspace.h"
#include "home/assignment.h"
#include "home/settings.h"
#include "sandbox/sandbox.h"
#include "text/text_list.h"

/*
 * The coding agents. Each is one file that ends with its struct agent_kind; adding one is that
 * file and a line in the table of agent.c. What is the same for all happens in agent_run:
 * an environment made from nothing, the sandbox, the clock, the output, and the end of every
 * process it started.
 *
 * Prompts go in by stdin: no length is too much for it, and no prompt is taken for an option.
 */
struct agent_start {
    struct text_list argv;
    struct text_list env; /* beside what every agent gets */
    const char *input;    /* for its stdin; borrowed */
    char *own_input;      /* where that is no text of the job's, it belongs here */
};

struct agent_job;

struct agent_kind {
    const char *name; /* as the API says it */

    /* What to start; its settings are written into its HOME (home_files.h). ERR_INVALID when it
     * can't be started as asked, ERR_UNSUPPORTED when it has no such turn. */
    int (*prepare)(const struct agent_job *job, struct agent_start *out, struct err *err);

    /* Did it do its job? 0, or -1 with a sentence. Never asked when time was up. */
    int (*judge)(const struct process_end *end, const struct agent_output *output,
                 struct err *err);

    /* What its events say (one JSON object a line of stdout); NULL: it prints plain text. */
    agent_event_reader *read_event;

    /* It has subagents, and tools over MCP. A run that asks for them all the same is told. */
    bool takes_options;

    /* Entries at the top of a repository that it obeys and can't be told not to; NULL at the
     * end, or altogether. They are out of its sight, but where the operator says that a
     * repository may configure agents. */
    const char *const *obeyed;
};

extern const struct agent_kind command_agent;
extern const struct agent_kind claude_code_agent;
extern const struct agent_kind gemini_code_agent;
extern const struct agent_kind opencode_agent;

/* NULL when this runner has no such agent. */
const struct agent_kind *agent_find(const char *name);

/* A run asks its agent once to work, and perhaps once more to say what it did. */
enum agent_turn {
    AGENT_TURN_WORK,     /* with all its tools (mode plan: those that change nothing) */
    AGENT_TURN_DESCRIBE, /* without any: the answer is all that is wanted */
};

struct agent_job {
    const struct agent_kind *kind;
    enum agent_turn turn;
    const char *prompt; /* of this turn */
    int timeout_s;
    const struct assignment *assignment;
    const struct workspace *workspace;
    const struct settings *settings;
    const struct model_access *access; /* where its models are (gateway.h); NULL: nowhere */
    const char
        *provider_url; /* of assignment->provider, when it speaks as OpenAI does; or NULL */
    const char *tool_socket; /* where the run's tools are served (mcp/); NULL: it has none */
    struct events *events;
    struct agent_output *output; /* fresh for each turn */
    const volatile bool *stop;
};

/*
 * Runs it until it and all it started have ended. 0 when it did its job; else `err` says why:
 * ERR_TIMEOUT its time was up, ERR_UNAVAILABLE it was stopped, ERR_UPSTREAM it failed,
 * ERR_UNSUPPORTED it has no such turn, ERR_INTERNAL its sandbox can't be had, or processes of
 * it couldn't be ended: its tree must not be touched.
 */
int agent_run(const struct agent_job *job, struct err *err) CHECKED;

/* What this turn is for: work, a plan, or an answer without any tool. */
enum agent_task { AGENT_WORK, AGENT_PLAN, AGENT_ANSWER };
enum agent_task agent_task_of(const struct agent_job *job);

/* The program that serves the run's tools, to be started with this socket: our own, by its
 * absolute path; the caller frees it. NULL when this turn has no such tools. */
char *agent_tool_server(const struct agent_job *job);
#define AGENT_TOOL_SERVER_NAME "dispatch"
#define AGENT_TOOL_SERVER_COMMAND "mcp"
#endif
