/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_TARGET_H
#define DISPATCHCTL_TARGET_H
#include "base/secret.h"
#include "dispatchctl/commands.h"

/*
 * Where dispatchd is and what we are let in with, as flags, environment and configuration file
 * say. Plain text so far: nothing is connected to.
 */
struct target {
    char *server;         /* without a slash at its end; NULL: through kubectl */
    struct secret *token; /* NULL: none was found */
    char *ca_file;
    char *github_url;
};

#define scoped_target __attribute__((cleanup(target_done))) struct target
#define TARGET_SERVER_USUAL "http://127.0.0.1:5000"
#define TARGET_TOKEN_MAX_BYTES 16384

/* `kube_context` is kubectl's, for kubectl-dispatch without --server; NULL otherwise.
 * ERR_INVALID. */
int target_find(const struct invocation *call, const char *kube_context, struct target *out,
                struct err *err) CHECKED;
void target_done(struct target *target);

/* ERR_INVALID when the credential would cross a network in the clear. */
int target_check_transport(const char *server, bool insecure_http, struct err *err) CHECKED;

/* One token: the text without the blanks around it. ERR_INVALID about `what`. */
struct secret *target_token(const char *what, const char *text, size_t size,
                            struct err *err) CHECKED;
#endif
