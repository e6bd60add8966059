/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_PROMPT_H
#define DISPATCHCTL_PROMPT_H
#include "dispatchctl/commands.h"

/* What is to be done: --prompt or the one word, as it is, from @FILE, or "-" for standard
 * input. The caller frees it. ERR_INVALID. */
#define PROMPT_MAX_BYTES 65536 /* as the server takes it */
char *prompt_read(const struct invocation *call, struct err *err) CHECKED;
#endif
