/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_KUBERNETES_JOB_H
#define LAUNCH_KUBERNETES_JOB_H
#include "launch/kubernetes_facts.h"
#include "launch/kubernetes_template.h"

/*
 * The documents that we send about one run: its Job, the Secret with its task token, what stops
 * it, an Event. All are the caller's.
 *
 * The task token reaches the runner as an environment variable from the Secret, not as a file:
 * runner and agent are one user in the pod, who could read the file for as long as the pod
 * lives, while the runner wipes the variable out of its memory before it does anything else
 * (runner-image/home/settings.h).
 */
cJSON *kubernetes_job_make(const struct kubernetes_template *template,
                           const struct job_spec *spec) CHECKED;
/* Owned by the Job of this uid: it goes when the Job goes. */
cJSON *kubernetes_job_secret(const struct kubernetes_template *template,
                             const struct job_spec *spec, const char *job_uid) CHECKED;
/* The token's text is overwritten first. */
void kubernetes_job_secret_free(cJSON *secret);

/* Merge patches that make the cluster end a Job or a pod; with the uid it must have. `why`:
 * FAILURE_NONE when somebody asked for it; `sentence`: NULL for none. */
cJSON *kubernetes_job_stop_patch(const char *uid, enum failure_code why,
                                 const char *sentence) CHECKED;
cJSON *kubernetes_job_delete_options(const char *uid) CHECKED;

/* A core/v1 Event about a Job. */
struct kubernetes_job_event {
    const char *namespace;
    const char *job;
    const char *uid;
    const char *reason;
    const char *sentence;
    int64_t at_ms;
    uint64_t number; /* makes its name */
};
cJSON *kubernetes_job_event_make(const struct kubernetes_job_event *event) CHECKED;

/* A label's value from any text: lower case, what isn't allowed as '-', at most 63 characters.
 */
#define KUBERNETES_LABEL_SIZE 64
void kubernetes_job_label(const char *text, char out[KUBERNETES_LABEL_SIZE]);
#endif
