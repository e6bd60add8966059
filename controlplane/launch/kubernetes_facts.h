/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_KUBERNETES_FACTS_H
#define LAUNCH_KUBERNETES_FACTS_H
#include "launch/launcher.h"
#include "json/json.h"

/*
 * What matters of a Job and of its Pod, taken from the API server's answers once, so that the
 * documents needn't be kept: some hundred bytes instead of some ten thousand. Plain values, no
 * calls. A pod's termination message is a stranger's word (outcome.h).
 */
#define KUBERNETES_UID_SIZE 40
#define KUBERNETES_NAME_SIZE 64
#define KUBERNETES_DETAIL_SIZE sizeof(((struct job_view *)NULL)->detail)

/* Our labels and annotations (the contract's section 10). */
#define LABEL_NAME "app.kubernetes.io/name"
#define LABEL_MANAGED_BY "app.kubernetes.io/managed-by"
#define LABEL_RUN_ID "dispatch.dev/run-id"
#define LABEL_ATTEMPT "dispatch.dev/attempt"
#define LABEL_REPO "dispatch.dev/repo"
#define LABEL_AGENT "dispatch.dev/agent"
#define LABEL_QUEUE "kueue.x-k8s.io/queue-name"
#define ANNOTATION_REPOSITORY "dispatch.dev/repository"
/* We ended it: a failure code, or "asked" where a person or the service wanted that. */
#define ANNOTATION_STOPPED "dispatch.dev/stopped"
#define STOPPED_WHEN_ASKED "asked"
#define ANNOTATION_WHY "dispatch.dev/stopped-because"
#define OUR_NAME "dispatch-runner"
#define OUR_MANAGER "dispatchd"

enum kubernetes_job_state {
    KUBERNETES_JOB_NONE, /* we know of no such Job */
    KUBERNETES_JOB_OPEN,
    KUBERNETES_JOB_COMPLETE,
    KUBERNETES_JOB_FAILED, /* or about to: its pod is on its way out (FailureTarget) */
};

struct kubernetes_job_facts {
    enum kubernetes_job_state state;
    bool late; /* FAILED: it was its deadline */
    bool suspended;
    bool stopped;
    enum failure_code stopped_for;
    char uid[KUBERNETES_UID_SIZE];
    char queue[KUBERNETES_NAME_SIZE];
    char detail[KUBERNETES_DETAIL_SIZE];
};

enum kubernetes_pod_state {
    KUBERNETES_POD_NONE,
    KUBERNETES_POD_HOMELESS, /* no node has room for it */
    KUBERNETES_POD_CREATING, /* on its node; image, volumes, sandbox */
    KUBERNETES_POD_PULL_FAILS,
    KUBERNETES_POD_CONFIG_FAILS,
    KUBERNETES_POD_RUNNING,
    KUBERNETES_POD_ENDED,
};

struct kubernetes_pod_facts {
    enum kubernetes_pod_state state;
    bool hopeless; /* PULL_FAILS: it won't help to wait */
    bool leaving;  /* told to go, and not by us */
    int exit_code; /* ENDED: -1 when not known */
    enum failure_code reason;
    char name[KUBERNETES_NAME_SIZE];
    char uid[KUBERNETES_UID_SIZE];
    char owner[KUBERNETES_UID_SIZE]; /* its Job's */
    int64_t created_ms;
    char detail[KUBERNETES_DETAIL_SIZE];
};

/* Most of a Job's and of a pod's bytes, and nothing that is looked at here: for
 * json_parse_without. */
extern const char *const kubernetes_facts_not_of_job[];
extern const char *const kubernetes_facts_not_of_pod[];

void kubernetes_facts_of_job(const cJSON *job, struct kubernetes_job_facts *out);
/* `container`: the name of the runner's. */
void kubernetes_facts_of_pod(const cJSON *pod, const char *container,
                             struct kubernetes_pod_facts *out);

/* What a pod is now, given what it was: when it is taken away after its end, what is said of
 * its end fades. */
void kubernetes_facts_pod_after(const struct kubernetes_pod_facts *before,
                                struct kubernetes_pod_facts *now);
/* A pod of which nothing is left but what we knew. */
void kubernetes_facts_pod_gone(struct kubernetes_pod_facts *pod);

/* Is this an object of ours, by its labels? Then whose. */
bool kubernetes_facts_ours(const cJSON *object, struct id *out_run, int *out_attempt);
#endif
