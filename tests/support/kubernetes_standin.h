/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_KUBERNETES_STANDIN_H
#define SUPPORT_KUBERNETES_STANDIN_H
#include "standin.h"

/*
 * The stand-in for a Kubernetes API server (kubernetes-standin/README.md) as a child of a test
 * program, with a kubeconfig that leads to it: a small Kubernetes, or a layer of faults in
 * front of the real one that answers at the socket (of `kubectl proxy`) which TEST_CLUSTER
 * names. Functions fail the test when something goes wrong.
 */
struct kubernetes_standin {
    struct standin standin;
    char *kubeconfig; /* a path */
    char *namespace;  /* that it names; on a real cluster made for this and removed after it */
};

/* The socket of a real cluster, or NULL. */
const char *kubernetes_standin_real(void);

/* In a directory that exists. `flags` end with NULL and may be NULL; without a real cluster
 * they count. */
void kubernetes_standin_start(struct kubernetes_standin *out, const char *dir,
                              const char *const *flags);
void kubernetes_standin_stop(struct kubernetes_standin *standin);

/* Its own entrance: POST of a JSON text, GET; the answer, for the caller to free, may be NULL.
 */
void kubernetes_standin_post(struct kubernetes_standin *standin, const char *path,
                             const char *json);
/* For so long it refuses connections; it does when this returns. */
void kubernetes_standin_down(struct kubernetes_standin *standin, int for_ms);
cJSON *kubernetes_standin_get(struct kubernetes_standin *standin, const char *path);
/* Any call of the Kubernetes API; the answer is the caller's. */
cJSON *kubernetes_standin_call(struct kubernetes_standin *standin, const char *method,
                               const char *path, const char *json);
#endif
