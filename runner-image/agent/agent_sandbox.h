/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_AGENT_SANDBOX_H
#define AGENT_AGENT_SANDBOX_H
#include "git/workspace.h"
#include "home/assignment.h"
#include "home/settings.h"
#include "sandbox/sandbox.h"

/*
 * The wall for one agent: what it may write (its checkout, HOME and TMPDIR), what it may read
 * beside the system (the folders of its PATH, the program and files of its command line, what
 * DISPATCH_SANDBOX_READABLE names), and who it is. Where the runner may change users the
 * agent becomes one of its own, as long as that one can reach all of this; its directories are
 * given to it, and stay so.
 *
 * ERR_UNAVAILABLE when a strict sandbox can't be had. sandbox_done after use.
 */
int agent_sandbox_init(struct sandbox *out, const struct assignment *assignment,
                       const struct workspace *workspace, const struct settings *settings,
                       const char *const *argv, const char *path, struct err *err) CHECKED;
#endif
