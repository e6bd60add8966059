/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_HELP_H
#define DISPATCHCTL_HELP_H
#include "dispatchctl/commands.h"

/* Help, made from the table of commands. `program` is what people type: "kubectl dispatch". */
const char *program_name(const struct invocation *call);
void help_overview(const char *program, FILE *out);
void help_command(const char *program, const struct command *command, FILE *out);
/* The commands whose name begins with this word: "token". False: there are none. */
bool help_group(const char *program, const char *word, FILE *out);
#endif
