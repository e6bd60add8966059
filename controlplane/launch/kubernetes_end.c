/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/kubernetes_private.h"

/* Gone, or another one of that name by now: nothing is left to be ended. */
static bool is_moot(const struct err *err)
{
    return err->kind == ERR_NOT_FOUND || err->kind == ERR_CONFLICT;
}

/* A patch with another one's uid is 422 Invalid, not 409; nothing else of ours can be. */
static bool is_moot_patch(const struct err *err)
{
    return is_moot(err) || err->kind == ERR_INVALID;
}

static int delete_job(const struct kubernetes *kubernetes,
                      const struct kubernetes_target *target, const char *uid, struct err *err)
{
    struct err failure = {0};

    if (kubernetes_api_delete_job(&kubernetes->api, target->ref.text, uid, &failure) < 0
        && !is_moot(&failure)) {
        *err = failure;
        return -1;
    }
    kubernetes_cache_drop_job(kubernetes->cache, target->run, target->attempt, uid);
    return 0;
}

/* False with *err untouched when the pod isn't there to be ended. */
static int stop_pod(const struct kubernetes *kubernetes, const struct kubernetes_pod_facts *pod,
                    enum failure_code why, const char *sentence, bool *out_done,
                    struct err *err)
{
    scoped_json patch = kubernetes_job_stop_patch(pod->uid, why, sentence);
    struct err failure = {0};
    scoped_json answer = NULL;

    *out_done =
        kubernetes_api_patch_pod(&kubernetes->api, pod->name, patch, &answer, &failure) == 0;
    if (*out_done)
        kubernetes_cache_put_pod(kubernetes->cache, answer);
    else if (!is_moot_patch(&failure)) {
        *err = failure;
        return -1;
    }
    return 0;
}

static int stop_job(const struct kubernetes *kubernetes, const struct kubernetes_target *target,
                    const char *uid, enum failure_code why, const char *sentence,
                    struct err *err)
{
    scoped_json patch = kubernetes_job_stop_patch(uid, why, sentence);
    struct err failure = {0};
    scoped_json answer = NULL;

    if (kubernetes_api_patch_job(&kubernetes->api, target->ref.text, patch, &answer, &failure)
        == 0)
        kubernetes_cache_put_job(kubernetes->cache, answer);
    else if (!is_moot_patch(&failure)) {
        *err = failure;
        return -1;
    }
    return 0;
}

int kubernetes_stop_as(const struct kubernetes *kubernetes,
                       const struct kubernetes_target *target,
                       const struct kubernetes_state *state, enum failure_code why,
                       const char *sentence, struct err *err)
{
    bool done = false;

    if (state->job.state != KUBERNETES_JOB_OPEN)
        return 0;
    if (state->job.suspended)
        return delete_job(kubernetes, target, state->job.uid, err);
    if (state->pod.state == KUBERNETES_POD_ENDED)
        return 0;
    if (state->pod.state == KUBERNETES_POD_RUNNING && !state->pod.leaving
        && (stop_pod(kubernetes, &state->pod, why, sentence, &done, err) < 0 || done))
        return done ? 0 : -1;
    return stop_job(kubernetes, target, state->job.uid, why, sentence, err);
}

int kubernetes_stop(void *self, const char *name, struct err *err)
{
    const struct kubernetes *kubernetes = self;
    struct kubernetes_state state;
    struct kubernetes_target target;

    if (!kubernetes_target_of(name, &target))
        return kubernetes_refuse_ref(name, err);
    if (kubernetes_state_of(kubernetes, &target, &state, err) < 0)
        return -1;
    return kubernetes_stop_as(kubernetes, &target, &state, FAILURE_NONE, NULL, err);
}

int kubernetes_forget(void *self, const char *name, struct err *err)
{
    const struct kubernetes *kubernetes = self;
    struct kubernetes_state state;
    struct kubernetes_target target;

    if (!kubernetes_target_of(name, &target))
        return kubernetes_refuse_ref(name, err);
    /* Of every attempt that ever was: asking the server about each is not worth it. */
    if (!kubernetes_cache_get(kubernetes->cache, target.run, target.attempt, &state)
        && kubernetes_has_listed(kubernetes))
        return 0;
    if (kubernetes_state_of(kubernetes, &target, &state, err) < 0)
        return -1;
    if (state.job.state == KUBERNETES_JOB_NONE)
        return 0;
    if (kubernetes_view(&state, &kubernetes->patience).view.phase != JOB_ENDED)
        return err_set(err, ERR_CONFLICT, "it is still running");
    return delete_job(kubernetes, &target, state.job.uid, err);
}
