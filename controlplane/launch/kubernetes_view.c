/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/kubernetes_view.h"

#include <string.h>

#include "launch/outcome.h"

enum kubernetes_stage kubernetes_view_stage(const struct kubernetes_job_facts *job,
                                            const struct kubernetes_pod_facts *pod)
{
    if (job->state == KUBERNETES_JOB_NONE)
        return KUBERNETES_STAGE_GONE;
    if (job->state != KUBERNETES_JOB_OPEN || pod->state == KUBERNETES_POD_ENDED)
        return KUBERNETES_STAGE_ENDED;
    if (pod->leaving)
        return KUBERNETES_STAGE_LEAVING;
    switch (pod->state) {
    case KUBERNETES_POD_HOMELESS:
        return KUBERNETES_STAGE_NO_NODE;
    case KUBERNETES_POD_CREATING:
        return KUBERNETES_STAGE_CREATING;
    case KUBERNETES_POD_PULL_FAILS:
        return KUBERNETES_STAGE_PULL_FAILS;
    case KUBERNETES_POD_CONFIG_FAILS:
        return KUBERNETES_STAGE_CONFIG_FAILS;
    case KUBERNETES_POD_RUNNING:
        return KUBERNETES_STAGE_RUNNING;
    default:
        return job->suspended ? KUBERNETES_STAGE_SUSPENDED : KUBERNETES_STAGE_NO_POD;
    }
}

bool kubernetes_view_refused_for_now(const char *message)
{
    return strstr(message, "exceeded quota") != NULL;
}

/* --- Verdicts ------------------------------------------------------------------------- */

static struct kubernetes_verdict starting(bool waiting, const char *before, const char *why)
{
    struct kubernetes_verdict verdict = {
        .view = {.phase = JOB_STARTING, .exit_code = -1, .waiting = waiting}};
    char sentence[KUBERNETES_DETAIL_SIZE];

    (void)snprintf(sentence, sizeof(sentence), "%s%s%.200s", before, *why ? ": " : "", why);
    outcome_set_detail(&verdict.view, sentence);
    return verdict;
}

static struct kubernetes_verdict ended(int exit_code, enum failure_code reason,
                                       const char *sentence)
{
    struct kubernetes_verdict verdict = {
        .view = {.phase = JOB_ENDED, .exit_code = exit_code, .reason = reason}};

    outcome_set_detail(&verdict.view, sentence);
    return verdict;
}

static struct kubernetes_verdict given_up(enum failure_code reason, const char *before,
                                          const char *why)
{
    struct kubernetes_verdict verdict = starting(false, before, why);

    verdict.view.phase = JOB_ENDED;
    verdict.view.reason = reason;
    verdict.give_up = true;
    return verdict;
}

/* --- Each stage ----------------------------------------------------------------------- */

static struct kubernetes_verdict view_suspended(const struct kubernetes_job_facts *job)
{
    if (!job->queue[0])
        return starting(true, "its Job is suspended", "");
    return starting(true, "waits for admission to queue", job->queue);
}

static struct kubernetes_verdict view_no_pod(const struct kubernetes_state *state,
                                             const struct kubernetes_patience *patience)
{
    struct kubernetes_verdict verdict;

    if (state->refusal[0] && !state->refused_for_now)
        return given_up(FAILURE_LAUNCH_FAILED, "its pod is refused", state->refusal);
    if (state->stage_ms >= patience->schedule_ms) {
        verdict = given_up(FAILURE_LAUNCH_FAILED, "no pod was made for its Job in time",
                           state->refusal);
        verdict.ask_events = !state->refusal[0];
        return verdict;
    }
    verdict = starting(true, "waits for a pod", state->refusal);
    verdict.ask_events = state->stage_ms >= KUBERNETES_POD_PATIENCE_MS;
    return verdict;
}

static struct kubernetes_verdict view_no_node(const struct kubernetes_state *state,
                                              const struct kubernetes_patience *patience)
{
    if (state->stage_ms >= patience->schedule_ms)
        return given_up(FAILURE_LAUNCH_FAILED, "no node had room for its pod in time",
                        state->pod.detail);
    return starting(true, "waits for a node", state->pod.detail);
}

static struct kubernetes_verdict view_creating(const struct kubernetes_state *state,
                                               const struct kubernetes_patience *patience)
{
    if (state->node_ms >= patience->start_ms)
        return given_up(FAILURE_LAUNCH_FAILED, "its container wasn't started in time", "");
    return starting(true, "waits for its container", "");
}

static struct kubernetes_verdict view_pull_fails(const struct kubernetes_state *state,
                                                 const struct kubernetes_patience *patience)
{
    if (state->pod.hopeless || state->stage_ms >= KUBERNETES_PULL_PATIENCE_MS
        || state->node_ms >= patience->start_ms)
        return given_up(FAILURE_IMAGE_PULL, "its image can't be pulled", state->pod.detail);
    return starting(true, "waits for its image", state->pod.detail);
}

static struct kubernetes_verdict view_config_fails(const struct kubernetes_state *state,
                                                   const struct kubernetes_patience *patience)
{
    if (state->stage_ms >= KUBERNETES_CONFIG_PATIENCE_MS
        || state->node_ms >= patience->start_ms)
        return given_up(FAILURE_LAUNCH_FAILED, "its container can't be made",
                        state->pod.detail);
    return starting(true, "waits for its container", state->pod.detail);
}

static struct kubernetes_verdict running(const char *sentence)
{
    struct kubernetes_verdict verdict = {.view = {.phase = JOB_RUNNING, .exit_code = -1}};

    outcome_set_detail(&verdict.view, sentence);
    return verdict;
}

static struct kubernetes_verdict view_leaving(const struct kubernetes_state *state,
                                              const struct kubernetes_patience *patience)
{
    if (state->stage_ms >= patience->leave_ms)
        return given_up(FAILURE_EVICTED, "its pod was told to go and its node doesn't answer",
                        "");
    return running("its pod was told to go");
}

/* The pod knows best; where there is none to ask, the Job does. */
static struct kubernetes_verdict view_ended(const struct kubernetes_state *state)
{
    const struct kubernetes_job_facts *job = &state->job;
    const struct kubernetes_pod_facts *pod = &state->pod;
    bool known = pod->state == KUBERNETES_POD_ENDED;
    bool open = job->state == KUBERNETES_JOB_OPEN;
    struct kubernetes_verdict verdict;

    if (known && open && pod->reason == FAILURE_EVICTED
        && state->stage_ms < KUBERNETES_SETTLE_PATIENCE_MS)
        return running(pod->detail);
    if (job->stopped && job->stopped_for)
        return ended(-1, job->stopped_for, job->detail);
    if (job->stopped)
        return ended(known ? pod->exit_code : -1, FAILURE_NONE, "it was stopped");
    if (job->state == KUBERNETES_JOB_FAILED && job->late)
        return ended(-1, FAILURE_DEADLINE,
                     job->detail[0] ? job->detail : "its Job took longer than it may");
    if (known) {
        verdict = ended(pod->exit_code, pod->reason, pod->detail);
        /* A queue that took the pod back would give it another one. */
        verdict.give_up = open && job->suspended;
        return verdict;
    }
    if (job->state == KUBERNETES_JOB_COMPLETE)
        verdict = ended(0, FAILURE_NONE, "");
    else if (pod->state == KUBERNETES_POD_NONE)
        verdict = ended(-1, FAILURE_EVICTED, "its pod is gone");
    else
        verdict = ended(-1, FAILURE_NONE, job->detail);
    verdict.ask_pod = true;
    return verdict;
}

struct kubernetes_verdict kubernetes_view(const struct kubernetes_state *state,
                                          const struct kubernetes_patience *patience)
{
    switch (kubernetes_view_stage(&state->job, &state->pod)) {
    case KUBERNETES_STAGE_SUSPENDED:
        return view_suspended(&state->job);
    case KUBERNETES_STAGE_NO_POD:
        return view_no_pod(state, patience);
    case KUBERNETES_STAGE_NO_NODE:
        return view_no_node(state, patience);
    case KUBERNETES_STAGE_CREATING:
        return view_creating(state, patience);
    case KUBERNETES_STAGE_PULL_FAILS:
        return view_pull_fails(state, patience);
    case KUBERNETES_STAGE_CONFIG_FAILS:
        return view_config_fails(state, patience);
    case KUBERNETES_STAGE_RUNNING:
        return running("");
    case KUBERNETES_STAGE_LEAVING:
        return view_leaving(state, patience);
    case KUBERNETES_STAGE_ENDED:
        return view_ended(state);
    case KUBERNETES_STAGE_GONE:
        break;
    }
    return (struct kubernetes_verdict){.view = {.phase = JOB_LOST, .exit_code = -1}};
}
