/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TASK_WORK_H
#define TASK_WORK_H
#include "agent/agent_output.h"
#include "gateway/gateway.h"
#include "git/workspace.h"
#include "task/task.h"

/* What the files of this folder share while one task is done; nobody outside includes it. */

/* Why what there is gets published although the run has failed: as a draft that says so. */
struct shortfall {
    const char *code; /* NULL: none; a literal */
    char sentence[ERR_TEXT_MAX];
    char *quote; /* NULL: none; shown below the sentence */
};

struct tool_server;

struct work {
    const struct task *task;
    struct outcome *outcome;
    struct git *git; /* NULL in a blank workspace */
    struct git_token token;
    struct gateway *gateway;
    struct tool_server *tools; /* while the agent works; NULL: the run has none */
    struct agent_output *output;
    struct change change;
    struct buf diff;  /* the beginning of it, for the agent's description */
    size_t diff_size; /* all of it */
    char *title;
    struct shortfall shortfall;
    struct buf warnings; /* sentences for the draft's warning, one a line */
    int64_t began_ms;
    int64_t step_began_ms;
};

/* Takes `fields`. */
void work_tell_step(struct work *work, const char *name, cJSON *fields);
/* Always -1: the run has failed with `code`, or `internal` for what `err` says of ourselves. */
int work_fail(struct work *work, const char *code, const struct err *err);
/* A git token that lasts for a while yet. */
int work_fresh_token(struct work *work) CHECKED;
void work_fall_short(struct work *work, const char *code, const char *sentence,
                     const char *quote);
/* When a signal, and not home, ends us: puts the stop off for as long as saving may take. False
 * when the run is to stop as it is. */
bool work_may_save(struct work *work);

/* agent_step.c: the agent, then the tests. A shortfall is no failure of the step. */
int agent_step(struct work *work) CHECKED;
int test_step(struct work *work) CHECKED;
/* The agent's own words for the pull request; false when it has none. */
struct description;
bool describe_step(struct work *work, struct description *out);

/* publish.c: the change becomes a commit on a branch, and a pull request. */
int stage_step(struct work *work) CHECKED;
int push_step(struct work *work) CHECKED;
int open_step(struct work *work) CHECKED;
#endif
