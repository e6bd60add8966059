/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_KUBERNETES_API_H
#define LAUNCH_KUBERNETES_API_H
#include "kubernetes/cluster.h"
#include "launch/job_ref.h"
#include "launch/kubernetes_facts.h"

/*
 * The calls that a launcher makes, each a line in the Role that dispatchd needs in the
 * namespace of its runs:
 *
 *   jobs      create get list watch delete patch
 *   pods      list watch patch      (patch: to end one and keep its log)
 *   pods/log  get
 *   secrets   create                (never get or list)
 *   events    create list           (list: why a Job gets no pod)
 *
 * Errors are cluster.h's. Answers are the caller's. Safe from any thread.
 *
 * Whoever looks at jobs or ends them does so one after the other, for thousands. When the
 * server doesn't answer one call, the others are refused at once for KUBERNETES_API_PAUSE_MS,
 * with ERR_UNAVAILABLE. Not so what starts a job: that is paced by its caller.
 */
#define KUBERNETES_API_PAUSE_MS 5000

struct kubernetes_api {
    struct cluster *cluster; /* borrowed */
    char *jobs;              /* paths of the collections */
    char *pods;
    char *secrets;
    char *events;
    _Atomic int64_t *away_until_ms;
};

void kubernetes_api_init(struct kubernetes_api *api, struct cluster *cluster,
                         const char *namespace);
void kubernetes_api_done(struct kubernetes_api *api);

/* May we look at Jobs at all? */
int kubernetes_api_probe(const struct kubernetes_api *api, struct err *err) CHECKED;

/* Jobs and pods come without what kubernetes_facts.h doesn't look at; a Job made with its
 * metadata and no more of its spec than `suspend`. */
int kubernetes_api_create_job(const struct kubernetes_api *api, const cJSON *job, cJSON **out,
                              struct err *err) CHECKED;
int kubernetes_api_get_job(const struct kubernetes_api *api, const char *ref, cJSON **out,
                           struct err *err) CHECKED;
int kubernetes_api_patch_job(const struct kubernetes_api *api, const char *ref,
                             const cJSON *patch, cJSON **out, struct err *err) CHECKED;
int kubernetes_api_delete_job(const struct kubernetes_api *api, const char *ref,
                              const char *uid, struct err *err) CHECKED;

int kubernetes_api_create_secret(const struct kubernetes_api *api, const cJSON *secret,
                                 struct err *err) CHECKED;

int kubernetes_api_list_pods(const struct kubernetes_api *api, struct id run, int attempt,
                             cJSON **out, struct err *err) CHECKED;
int kubernetes_api_patch_pod(const struct kubernetes_api *api, const char *name,
                             const cJSON *patch, cJSON **out, struct err *err) CHECKED;
/* The end of what a container wrote, at most limit_bytes. Nothing while it waits to start. */
int kubernetes_api_pod_log(const struct kubernetes_api *api, const char *name,
                           const char *container, size_t limit_bytes, struct buf *out,
                           struct err *err) CHECKED;

/* Why the Job of this uid gets no pod: what its newest FailedCreate Event says, for the caller
 * to free; NULL when there is none. */
int kubernetes_api_refusal(const struct kubernetes_api *api, const char *job_uid,
                           char **out_message, struct err *err) CHECKED;
#endif
