/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_TASK_H
#define RUNNER_TASK_H
#include "git/workspace.h"
#include "home/assignment.h"
#include "home/events.h"
#include "home/outcome.h"

/*
 * The run itself, once it is ours: clone, let the agent work, stage, commit, push, open the
 * pull request. Everything here is borrowed.
 */
struct task {
    const struct settings *settings;
    const struct assignment *assignment;
    struct home *home;
    struct net *net;
    struct events *events;
    struct redaction *redaction;
    struct workspace *workspace; /* fresh */
};

/* Never fails: how it went is the outcome. */
void task_run(const struct task *task, struct outcome *out);
#endif
