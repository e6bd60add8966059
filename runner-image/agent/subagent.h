/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_SUBAGENT_H
#define RUNNER_SUBAGENT_H
#include "home/assignment.h"
#include "text/text_list.h"

/*
 * The subagents of a run, and the names of tools. Who asks for a run names tools as they are
 * commonly called ("read", "bash") or as the agent calls them; an external tool by its own
 * name. Each agent brings a table of its names.
 */
struct subagent {
    const char *name; /* [A-Za-z0-9_-]+; borrowed from the assignment as all of these */
    const char *description;
    const char *prompt;
    const cJSON *tools; /* {name: bool} */
    int max_turns;      /* 0: the agent's own limit */
};

struct tool_name {
    const char *common;
    const char *own; /* NULL: the agent has no such tool */
    bool reads;      /* it changes nothing */
};

struct tool_names {
    const struct tool_name *all;
    size_t n;
    const char *external_prefix; /* "mcp__dispatch__" */
};

/* ERR_INVALID when it isn't what it should be. */
int subagent_read(const cJSON *document, struct subagent *out, struct err *err) CHECKED;

/*
 * What it may use, by the agent's names, each once. False when that is everything: it asked
 * for nothing and `only_reading` is off. Naming some allows those alone; ruling some out
 * leaves the others. `only_reading` takes away what changes things, but for external tools.
 */
bool subagent_tools(const struct subagent *subagent, const struct assignment *assignment,
                    const struct tool_names *names, bool only_reading, struct text_list *out);

/* Every tool that changes nothing, by the agent's names. */
void tool_names_reading(const struct tool_names *names, struct text_list *out);
/* The run's external tools, by the agent's names. */
void tool_names_external(const struct tool_names *names, const struct assignment *assignment,
                         struct text_list *out);
#endif
