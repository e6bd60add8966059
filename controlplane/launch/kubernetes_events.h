/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_KUBERNETES_EVENTS_H
#define LAUNCH_KUBERNETES_EVENTS_H
#include "kubernetes/cluster.h"

/*
 * Events on Jobs, for whoever looks with kubectl describe: written by a thread of its own from
 * a queue with an end. What doesn't fit, or can't be written at the first try, is lost, and the
 * number of those is logged: no run depends on them. Safe from any thread.
 */
#define KUBERNETES_EVENTS_MAX 512

struct kubernetes_events;

/* `cluster` outlives it; `namespace` is copied. */
struct kubernetes_events *kubernetes_events_new(struct cluster *cluster, const char *namespace,
                                                struct err *err) CHECKED;
/* Ends the thread after the Event that it is writing. */
void kubernetes_events_free(struct kubernetes_events *events);
DEFINE_SCOPED(kubernetes_events)

/* Never waits. */
void kubernetes_events_add(struct kubernetes_events *events, const char *job, const char *uid,
                           const char *reason, const char *sentence);
#endif
