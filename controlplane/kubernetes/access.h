/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBERNETES_ACCESS_H
#define KUBERNETES_ACCESS_H
#include "base/secret.h"
#include "kubernetes/exec_plugin.h"

/*
 * Where an API server is and how we prove who we are, as a kubeconfig or a pod's service
 * account says it: text that stays, files that are read again, a plugin that is asked.
 * credentials.h makes of it what a call is sent with.
 */
struct access {
    char *source;     /* "kubeconfig.yaml, context dev", for complaints */
    char *server;     /* "https://10.96.0.1:443", without a slash at its end */
    char *name_space; /* never NULL */
    char *proxy;      /* a URL; "": from the environment; NULL: none */
    char *ca_pem;     /* before ca_file; both NULL: the system's */
    char *ca_file;
    char *client_cert_pem; /* before client_cert_file */
    char *client_cert_file;
    struct secret *client_key_pem; /* before client_key_file */
    char *client_key_file;
    char *token_file; /* before token */
    struct secret *token;
    struct exec_plugin *plugin; /* when there is no token */
};

/* The folder where a pod finds its service account. */
#define ACCESS_SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

/* In the order of cluster.h. `kubeconfig`, `context` and `service_account` (the folder) may be
 * NULL. ERR_INVALID, ERR_DENIED; ERR_NOT_FOUND: there is nothing. */
struct access *access_find(const char *kubeconfig, const char *context,
                           const char *service_account, struct err *err) CHECKED;
void access_free(struct access *access);
DEFINE_SCOPED(access)
#endif
