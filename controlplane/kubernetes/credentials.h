/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBERNETES_CREDENTIALS_H
#define KUBERNETES_CREDENTIALS_H
#include <stdatomic.h>

#include "kubernetes/access.h"

/*
 * What a call is authorised with, kept fresh: files are read again once a minute (a projected
 * token changes every hour or so), a plugin is asked again shortly before its credential ends,
 * and both at once after the server didn't accept what we had. Where that fails we go on with
 * what we have and say so in the log. Safe from any thread.
 */
struct credentials;

#define CREDENTIALS_REREAD_MS 60000
/* A plugin's credential is renewed this much before its end. */
#define CREDENTIALS_LEEWAY_MS 10000
/* No plugin is asked more often, whatever it or the server says. */
#define CREDENTIALS_PLUGIN_PAUSE_MS 10000

/* A credential at one moment. Doesn't change; shared by those who hold it. */
struct identity {
    struct secret *token; /* NULL: none */
    char *ca_pem;         /* NULL: the system's */
    char *client_cert_pem;
    struct secret *client_key_pem;
    uint64_t serial;     /* of this identity, rising */
    uint64_t tls_serial; /* the same for two that differ in the token only */
    _Atomic int holders;
};

/* `access` is borrowed and outlives it. *stop ends a running plugin. ERR_INVALID,
 * ERR_NOT_FOUND, ERR_DENIED: a file that can't be used. No plugin is run yet. */
struct credentials *credentials_new(const struct access *access, const volatile bool *stop,
                                    struct err *err) CHECKED;
void credentials_free(struct credentials *credentials);
DEFINE_SCOPED(credentials)

/* What is valid now, for identity_free. ERR_UNAVAILABLE: nothing can be had. */
struct identity *credentials_get(struct credentials *credentials, struct err *err) CHECKED;
void identity_free(struct identity *identity);
DEFINE_SCOPED(identity)

/* The server didn't accept `refused`. True when another try is worth it: something newer was
 * there or could be read. */
bool credentials_renew(struct credentials *credentials, const struct identity *refused);
#endif
