/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMAND_COMMAND_H
#define COMMAND_COMMAND_H
#include "base/err.h"

#include <stdbool.h>

/*
 * The subcommands of dispatchd: each takes the arguments after its name (NULL at the end)
 * and returns the program's exit code. 0: done; 1: it couldn't, said in one line on stderr;
 * 2: it was called wrongly.
 */
int command_serve(char *const *argv);
int command_token(char *const *argv);
int command_cloudrun(char *const *argv);
int command_audit(char *const *argv);
int command_webhook_secret(char *const *argv);
int command_backup(char *const *argv);
int command_restore(char *const *argv);

/* Takes `flag VALUE` or `flag=VALUE` from the front of *argv. False: that isn't there. */
bool command_value(const char *flag, char *const **argv, const char **out);

/* "dispatchd: <what>: <sentence>" on stderr; returns 1. */
int command_quit(const char *what, const struct err *err);

/* Where a serving dispatchd listens for the other subcommands: "<database>.sock". The caller
 * frees it. */
char *control_socket_path(const char *database) CHECKED;
#endif
