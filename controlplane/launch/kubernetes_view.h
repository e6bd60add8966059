/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_KUBERNETES_VIEW_H
#define LAUNCH_KUBERNETES_VIEW_H
#include "launch/kubernetes_facts.h"

/*
 * What a launcher says of a job, from the facts of its Job and its Pod and from how long they
 * have been what they are. Pure: no calls, no clock.
 *
 *   suspended (a queue, a person)  STARTING, waiting: as long as it takes
 *   no pod, no node                STARTING, waiting; a failed launch past schedule_ms
 *   on its node                    STARTING, waiting; a failed launch past start_ms, sooner
 *                                  where the image or the configuration is refused
 *   running                        RUNNING
 *   ended, taken, gone             ENDED, with what the cluster and the runner said
 */
struct kubernetes_patience {
    int64_t schedule_ms; /* no pod or no node */
    int64_t start_ms;    /* from the node to a running container */
    int64_t leave_ms;    /* told to go: past its grace no kubelet is there that ends it */
};

/* A pull that failed is tried again after 10 s and 20 s; a Secret that is only just being made
 * is there within moments, but the kubelet looks again after 10 s only. */
#define KUBERNETES_PULL_PATIENCE_MS 20000
#define KUBERNETES_CONFIG_PATIENCE_MS 30000
/* The Job controller makes a pod within moments, or says why not in an Event. */
#define KUBERNETES_POD_PATIENCE_MS 3000
/* A pod that was deleted may have been deleted by the Job controller, which says why moments
 * after. */
#define KUBERNETES_SETTLE_PATIENCE_MS 3000

/* Where the two stand together. */
enum kubernetes_stage {
    KUBERNETES_STAGE_GONE,
    KUBERNETES_STAGE_SUSPENDED,
    KUBERNETES_STAGE_NO_POD,
    KUBERNETES_STAGE_NO_NODE,
    KUBERNETES_STAGE_CREATING,
    KUBERNETES_STAGE_PULL_FAILS,
    KUBERNETES_STAGE_CONFIG_FAILS,
    KUBERNETES_STAGE_RUNNING,
    KUBERNETES_STAGE_LEAVING,
    KUBERNETES_STAGE_ENDED,
};

struct kubernetes_state {
    struct kubernetes_job_facts job;
    struct kubernetes_pod_facts pod;
    int64_t stage_ms;                     /* for how long it has been at this stage */
    int64_t node_ms;                      /* for how long it has had a node */
    char refusal[KUBERNETES_DETAIL_SIZE]; /* NO_POD: why, by an Event */
    bool refused_for_now;                 /* it may go away by itself: a quota */
};

struct kubernetes_verdict {
    struct job_view view;
    bool give_up;    /* ENDED for us, while the cluster would go on trying: end it there too */
    bool ask_pod;    /* the Job is over; how its pod ended isn't known here yet */
    bool ask_events; /* no pod comes: an Event of the Job may say why */
};

enum kubernetes_stage kubernetes_view_stage(const struct kubernetes_job_facts *job,
                                            const struct kubernetes_pod_facts *pod);
struct kubernetes_verdict kubernetes_view(const struct kubernetes_state *state,
                                          const struct kubernetes_patience *patience);

/* Is a pod that is refused with these words refused for now only? */
bool kubernetes_view_refused_for_now(const char *message);
#endif
