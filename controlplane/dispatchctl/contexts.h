/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_CONTEXTS_H
#define DISPATCHCTL_CONTEXTS_H
#include "base/secret.h"
#include "json/json.h"

/*
 * The configuration file: which servers there are and what to be let in with.
 *
 *     current_context: prod
 *     contexts:
 *       prod:
 *         server: https://dispatch.example.com
 *         token_file: /home/me/.config/dispatch/prod.token
 *
 * A context has `server`, or `kube_context` for kubectl-dispatch; `token` or `token_file`;
 * and may have `ca_file` and `github_url`. A file with a token in it that others may read is
 * refused.
 */
struct contexts;

struct context {
    const char *server;
    const char *kube_context;
    const char *token;
    const char *token_file;
    const char *ca_file;
    const char *github_url;
};

/* The path: `given`, $DISPATCH_CONFIG, or dispatch/config.yaml in $XDG_CONFIG_HOME or
 * ~/.config; NULL when there is no home. The caller frees it. */
char *contexts_path(const char *given) CHECKED;

/* A file that isn't there has no contexts, unless `must_exist`. ERR_INVALID names the file and
 * what is wrong; ERR_DENIED. `path` NULL: no contexts. */
struct contexts *contexts_read(const char *path, bool must_exist, struct err *err) CHECKED;
void contexts_free(struct contexts *contexts);
DEFINE_SCOPED(contexts)

/* NULL: none is. */
const char *contexts_current(const struct contexts *contexts);

/* Texts are borrowed. ERR_INVALID: there is no such context. */
int contexts_get(const struct contexts *contexts, const char *name, struct context *out,
                 struct err *err) CHECKED;
/* The one for this context of the kubeconfig. False: none is. */
bool contexts_for_kube(const struct contexts *contexts, const char *kube_context,
                       struct context *out);

/* [{name, current, server?, kube_context?, credential}], and the whole file without secrets;
 * the caller's. */
cJSON *contexts_list(const struct contexts *contexts) CHECKED;
cJSON *contexts_view(const struct contexts *contexts) CHECKED;

/* Change what was read. ERR_INVALID: no such context; set makes one, and a NULL member keeps
 * what there is. */
int contexts_use(struct contexts *contexts, const char *name, struct err *err) CHECKED;
void contexts_set(struct contexts *contexts, const char *name, const struct context *values);

/* Writes the whole file, for its owner's eyes only; folders are made. */
int contexts_write(const struct contexts *contexts, const char *path, struct err *err) CHECKED;
#endif
