/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBERNETES_EXEC_PLUGIN_H
#define KUBERNETES_EXEC_PLUGIN_H
#include "base/secret.h"
#include "json/json.h"

/*
 * A program that prints a credential (client.authentication.k8s.io/v1 or v1beta1). It gets
 * PATH, HOME and the like, the settings of the clouds' own tools, and what the kubeconfig says
 * under `env`; the rest of our environment is none of its business, as there may be secrets in
 * it. It has no terminal.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
 */
struct exec_plugin;

#define EXEC_PLUGIN_TIME_MAX_MS 20000
#define EXEC_PLUGIN_OUTPUT_MAX (256 * 1024)
#define EXEC_PLUGIN_WORDS_MAX 256 /* arguments, and variables */

/* `folder` is the kubeconfig's, for a command that is a relative path; `cluster` what a plugin
 * that asked for it is told (taken; NULL: nothing). ERR_INVALID. */
struct exec_plugin *exec_plugin_new(const cJSON *exec, const char *folder, cJSON *cluster,
                                    struct err *err) CHECKED;
void exec_plugin_free(struct exec_plugin *plugin);
DEFINE_SCOPED(exec_plugin)

struct exec_credential {
    struct secret *token;
    char *client_cert_pem; /* with its key, or neither */
    struct secret *client_key_pem;
    int64_t expires_ms; /* wall clock; 0: it doesn't say */
};

#define scoped_exec_credential                                                                 \
    __attribute__((cleanup(exec_credential_done))) struct exec_credential

void exec_credential_done(struct exec_credential *credential);

/* What it has printed. ERR_UNAVAILABLE, with a sentence that quotes nothing of it. */
int exec_plugin_read(const struct exec_plugin *plugin, const char *text, size_t size,
                     struct exec_credential *out, struct err *err) CHECKED;

/* Runs it once. ERR_UNAVAILABLE: it failed, took too long, printed something else. *stop ends
 * it early. */
int exec_plugin_run(const struct exec_plugin *plugin, const volatile bool *stop,
                    struct exec_credential *out, struct err *err) CHECKED;
#endif
