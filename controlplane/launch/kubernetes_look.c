/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/kubernetes_private.h"

#include "base/alloc.h"
#include "base/log.h"

static int look_up_pods(const struct kubernetes *kubernetes,
                        const struct kubernetes_target *target, struct err *err)
{
    scoped_json pods = NULL;

    if (kubernetes_api_list_pods(&kubernetes->api, target->run, target->attempt, &pods, err)
        < 0)
        return -1;
    kubernetes_cache_put_pods(kubernetes->cache, target->run, target->attempt, pods);
    return 0;
}

/* Asks the API server itself. */
static int look_up(const struct kubernetes *kubernetes, const struct kubernetes_target *target,
                   struct kubernetes_state *out, struct err *err)
{
    struct err failure = {0};
    scoped_json job = NULL;

    if (kubernetes_api_get_job(&kubernetes->api, target->ref.text, &job, &failure) == 0) {
        kubernetes_cache_put_job(kubernetes->cache, job);
        if (look_up_pods(kubernetes, target, err) < 0)
            return -1;
        (void)kubernetes_cache_get(kubernetes->cache, target->run, target->attempt, out);
        return 0;
    }
    if (failure.kind != ERR_NOT_FOUND) {
        *err = failure;
        return -1;
    }
    if (kubernetes_cache_get(kubernetes->cache, target->run, target->attempt, out))
        kubernetes_cache_drop_job(kubernetes->cache, target->run, target->attempt,
                                  out->job.uid);
    *out = (struct kubernetes_state){0};
    return 0;
}

int kubernetes_state_of(const struct kubernetes *kubernetes,
                        const struct kubernetes_target *target, struct kubernetes_state *out,
                        struct err *err)
{
    if (kubernetes_cache_get(kubernetes->cache, target->run, target->attempt, out))
        return 0;
    return look_up(kubernetes, target, out, err);
}

/* No pod comes: does an Event say why? */
static void ask_events(const struct kubernetes *kubernetes,
                       const struct kubernetes_target *target,
                       const struct kubernetes_state *state)
{
    scoped_str message = NULL;
    struct err err = {0};

    if (!kubernetes_cache_may_ask(kubernetes->cache, target->run, target->attempt))
        return;
    if (kubernetes_api_refusal(&kubernetes->api, state->job.uid, &message, &err) < 0)
        log_warn("reading a Job's Events failed, will retry", KV("job", target->ref.text),
                 KV("error", err.text));
    else if (message)
        kubernetes_cache_put_refusal(kubernetes->cache, target->run, target->attempt, message);
}

/* What the verdict depends on is asked of the server, and the verdict made again. */
static int be_sure(const struct kubernetes *kubernetes, const struct kubernetes_target *target,
                   struct kubernetes_state *state, struct kubernetes_verdict *verdict,
                   struct err *err)
{
    if (verdict->ask_events) {
        ask_events(kubernetes, target, state);
        (void)kubernetes_cache_get(kubernetes->cache, target->run, target->attempt, state);
        *verdict = kubernetes_view(state, &kubernetes->patience);
    }
    if (verdict->ask_pod || verdict->give_up) {
        if (look_up(kubernetes, target, state, err) < 0)
            return -1;
        *verdict = kubernetes_view(state, &kubernetes->patience);
    }
    return 0;
}

int kubernetes_poll(void *self, const char *name, struct job_view *out, struct err *err)
{
    const struct kubernetes *kubernetes = self;
    struct kubernetes_verdict verdict;
    struct kubernetes_state state;
    struct err failure = {0};
    struct kubernetes_target target;

    *out = (struct job_view){.phase = JOB_LOST, .exit_code = -1};
    if (!kubernetes_target_of(name, &target))
        return 0;
    if (kubernetes_state_of(kubernetes, &target, &state, err) < 0)
        return -1;
    verdict = kubernetes_view(&state, &kubernetes->patience);
    if (be_sure(kubernetes, &target, &state, &verdict, err) < 0)
        return -1;
    if (verdict.give_up
        && kubernetes_stop_as(kubernetes, &target, &state, verdict.view.reason,
                              verdict.view.detail, &failure)
               < 0)
        log_warn("ending a job that failed to launch failed, its deadline will",
                 KV("job", (const char *)target.ref.text), KV("error", failure.text));
    *out = verdict.view;
    return 0;
}

int kubernetes_logs(void *self, const char *name, size_t limit_bytes, struct buf *out,
                    struct err *err)
{
    const struct kubernetes *kubernetes = self;
    struct kubernetes_state state;
    struct kubernetes_target target;
    struct err failure = {0};

    if (!kubernetes_target_of(name, &target))
        return kubernetes_refuse_ref(name, err);
    if (kubernetes_state_of(kubernetes, &target, &state, err) < 0)
        return -1;
    if (state.job.state != KUBERNETES_JOB_NONE && !state.pod.name[0]) {
        if (look_up_pods(kubernetes, &target, err) < 0)
            return -1;
        (void)kubernetes_cache_get(kubernetes->cache, target.run, target.attempt, &state);
    }
    if (state.job.state == KUBERNETES_JOB_NONE)
        return err_set(err, ERR_NOT_FOUND, "there is no such Job");
    if (!state.pod.name[0])
        return state.job.state == KUBERNETES_JOB_OPEN
                   ? 0
                   : err_set(err, ERR_NOT_FOUND, "its pod is gone");
    if (kubernetes_api_pod_log(&kubernetes->api, state.pod.name,
                               kubernetes_template_container(kubernetes->template), limit_bytes,
                               out, &failure)
        == 0)
        return 0;
    /* For a moment the API server knows of a pod that its node has not heard of. */
    if (failure.kind == ERR_NOT_FOUND && state.pod.state != KUBERNETES_POD_ENDED)
        return 0;
    *err = failure;
    return -1;
}
