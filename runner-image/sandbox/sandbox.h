/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_SANDBOX_H
#define RUNNER_SANDBOX_H
#include <stdbool.h>

#include "json/json.h"

/*
 * What the agent may no longer do. For now it keeps an agent away from the runner, even when
 * both are root: the runner isn't dumpable, so looking into it takes a capability, and the
 * agent gives up every one for good; and a Landlock domain closes ptrace, /proc, signals and
 * abstract sockets towards every process outside of it. Files are not restricted yet, but
 * that it can't make device nodes. A kernel without Landlock is no reason not to run: what is
 * in force is told in an event.
 */
struct sandbox {
    int ruleset_fd; /* -1: no Landlock */
    int landlock_abi;
};

/* Prepares what the child can't: call it before forking. Never fails. */
void sandbox_init(struct sandbox *sandbox);
void sandbox_done(struct sandbox *sandbox);

/* process_spec.before_exec, with a struct sandbox as its context. Async-signal-safe. */
int sandbox_enter(void *sandbox);
#define SANDBOX_EXIT_CODE 125 /* of a child that couldn't enter */

/* For an event: {no_new_privs, capabilities, landlock_abi}. */
cJSON *sandbox_to_json(const struct sandbox *sandbox);
#endif
