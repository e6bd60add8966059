/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_KUBERNETES_CACHE_H
#define LAUNCH_KUBERNETES_CACHE_H
#include "kubernetes/watch.h"
#include "launch/kubernetes_view.h"

/*
 * What we know of our Jobs and their Pods, by run and attempt: what the two watches tell, and
 * the answers to our own calls, which may come before the watch does. Of two words about the
 * same object the one with the later resourceVersion counts. Safe from any thread; `changed` is
 * called on the thread that brought the news, without locks held.
 */
struct kubernetes_cache;

/* `container`: the name of the runner's; copied. `changed` may be NULL. */
struct kubernetes_cache *kubernetes_cache_new(const char *container,
                                              launcher_changed_fn changed,
                                              void *changed_ctx) CHECKED;
/* After the watches that it hears from. */
void kubernetes_cache_free(struct kubernetes_cache *cache);
DEFINE_SCOPED(kubernetes_cache)

/* Fills the functions, their context and what they don't look at into a watch's options. */
void kubernetes_cache_hear_jobs(struct kubernetes_cache *cache, struct watch_options *out);
void kubernetes_cache_hear_pods(struct kubernetes_cache *cache, struct watch_options *out);

/* False when no such Job is known (*out then says so, too). */
bool kubernetes_cache_get(struct kubernetes_cache *cache, struct id run, int attempt,
                          struct kubernetes_state *out);
void kubernetes_cache_each(struct kubernetes_cache *cache, launcher_job_fn each, void *ctx);

/* --- Answers to our own calls ------------------------------------------------------------ */

void kubernetes_cache_put_job(struct kubernetes_cache *cache, const cJSON *job);
/* All pods of one Job: one that we knew and that isn't among them is gone. */
void kubernetes_cache_put_pods(struct kubernetes_cache *cache, struct id run, int attempt,
                               const cJSON *pod_list);
void kubernetes_cache_put_pod(struct kubernetes_cache *cache, const cJSON *pod);
/* The Job of this uid is deleted: nothing that is still under way about it counts. */
void kubernetes_cache_drop_job(struct kubernetes_cache *cache, struct id run, int attempt,
                               const char *uid);
/* Why no pod comes. */
void kubernetes_cache_put_refusal(struct kubernetes_cache *cache, struct id run, int attempt,
                                  const char *message);
/* May we ask the server about it (again)? Seldom, and never for thousands at once: whoever asks
 * has other jobs to look at. */
bool kubernetes_cache_may_ask(struct kubernetes_cache *cache, struct id run, int attempt);
#endif
