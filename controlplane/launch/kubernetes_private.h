/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_KUBERNETES_PRIVATE_H
#define LAUNCH_KUBERNETES_PRIVATE_H
#include "launch/job_ref.h"
#include "launch/kubernetes_api.h"
#include "launch/kubernetes_cache.h"
#include "launch/kubernetes_events.h"
#include "launch/kubernetes_job.h"

/* What the files of the backend share; nobody else includes it. kubernetes.c has the story. */
struct kubernetes {
    struct cluster *cluster;
    struct kubernetes_api api;
    struct kubernetes_template *template;
    struct kubernetes_cache *cache;
    struct kubernetes_events *events;
    struct watch *jobs;
    struct watch *pods;
    struct kubernetes_patience patience;
};

/* Which job a caller means. */
struct kubernetes_target {
    struct job_ref ref;
    struct id run;
    int attempt;
};

/* False when it isn't the name of a job. */
bool kubernetes_target_of(const char *name, struct kubernetes_target *out);
int kubernetes_refuse_ref(const char *ref, struct err *err);
bool kubernetes_has_listed(const struct kubernetes *kubernetes);

/* What the cache knows of it or, where it knows nothing, the API server; a Job that there isn't
 * is an answer. */
int kubernetes_state_of(const struct kubernetes *kubernetes,
                        const struct kubernetes_target *target, struct kubernetes_state *out,
                        struct err *err) CHECKED;

/* Refused for reasons that pass becomes ERR_UNAVAILABLE. Always -1. */
int kubernetes_refused(struct err *err);

/* Ends the job, in whatever way keeps most of it for people to look at. */
int kubernetes_stop_as(const struct kubernetes *kubernetes,
                       const struct kubernetes_target *target,
                       const struct kubernetes_state *state, enum failure_code why,
                       const char *sentence, struct err *err) CHECKED;

/* The backend's calls (launcher.h). */
int kubernetes_start(void *self, const struct job_spec *spec, char **out_ref, struct err *err);
int kubernetes_poll(void *self, const char *name, struct job_view *out, struct err *err);
int kubernetes_logs(void *self, const char *name, size_t limit_bytes, struct buf *out,
                    struct err *err);
int kubernetes_stop(void *self, const char *name, struct err *err);
int kubernetes_forget(void *self, const char *name, struct err *err);
int kubernetes_explain(void *self, const struct job_spec *spec, cJSON **out, struct err *err);
#endif
