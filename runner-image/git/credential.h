/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_CREDENTIAL_H
#define RUNNER_CREDENTIAL_H
#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"

/*
 * How git gets the token without it ever being in an argument, the environment, a
 * configuration or a file: git asks its credential helper, which is this program again
 * (`dispatch-runner git-credential PROTOCOL HOST FD`), and that reads the token from a sealed
 * memfd which git inherited from us. The helper answers for the one protocol and host[:port]
 * of the clone URL and is silent about any other: a redirect or an insteadOf gets nothing.
 */

/* A sealed memfd with the token, close-on-exec, for the caller to close; -1. */
int credential_open(const struct secret *token, struct err *err) CHECKED;

/* The token as git sends it ("Authorization: Basic ..."), which a server may say back to us. */
struct secret *credential_in_header(const struct secret *token) CHECKED;

/* The value for git's credential.helper, for the caller to free. git runs it through sh, so
 * the program's path is quoted; `protocol` and `host` must have passed
 * credential_host_valid. */
char *credential_helper_command(const char *program, const char *protocol, const char *host,
                                int fd) CHECKED;
bool credential_host_valid(const char *host);

/*
 * The helper itself: the arguments after "git-credential" (PROTOCOL HOST FD OPERATION), the
 * request of git-credential(1) on `in`, the answer on `out`. Returns the exit code.
 */
int credential_helper_main(int argc, char *const *argv, FILE *in, FILE *out);
#endif
