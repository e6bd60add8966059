/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_PORT_FORWARD_H
#define DISPATCHCTL_PORT_FORWARD_H
#include "base/err.h"

/*
 * A way to dispatchd in a cluster: a kubectl port-forward as a child, on a free port of
 * 127.0.0.1, which ends with us.
 *
 * Why not the API server's service proxy: that takes Authorization for its own and removes it
 * before it calls the backend (WithAuthentication in k8s.io/apiserver), so that no bearer ever
 * reaches dispatchd. And a NetworkPolicy that lets in runners only keeps the API server out,
 * while a forwarded port begins inside of the pod. kubectl itself reads the kubeconfig, with
 * all its ways to log in.
 */
struct port_forward;

#define PORT_FORWARD_START_MS 30000

struct kubectl_flags {
    const char *kubeconfig; /* NULL: $KUBECONFIG and so on */
    const char *context;    /* NULL: the current one */
    const char *name_space; /* NULL: "dispatch" */
};

/* ERR_INVALID: there is no kubectl; ERR_UNAVAILABLE and what kubectl said; ERR_TIMEOUT. */
struct port_forward *port_forward_open(const struct kubectl_flags *flags,
                                       struct err *err) CHECKED;
void port_forward_free(struct port_forward *forward);
DEFINE_SCOPED(port_forward)

/* Of 127.0.0.1. */
int port_forward_port(const struct port_forward *forward);

/* From "Forwarding from 127.0.0.1:40001 -> 5000"; 0: another line. */
int port_forward_parse(const char *line);

/* The name of the context that counts, for the caller to free. */
char *port_forward_context(const struct kubectl_flags *flags, struct err *err) CHECKED;
#endif
