/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_AGENT_H
#define MODEL_AGENT_H
#include <stdbool.h>

/* The coding agents that a runner knows by name. `command` is whatever program the operator
 * put behind it, and is offered only where there is one. */
#define AGENT_COMMAND "command"
#define AGENT_NAMES "claude-code, gemini-code, opencode, command"

bool agent_name_valid(const char *name);
#endif
