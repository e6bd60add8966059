/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/kubernetes_facts.h"

#include <string.h>

#include "base/clock.h"
#include "launch/job_ref.h"
#include "launch/outcome.h"

#define SIGNALS_MAX 64

const char *const kubernetes_facts_not_of_job[] = {"managedFields", "template", NULL};
const char *const kubernetes_facts_not_of_pod[] = {"managedFields", "spec", NULL};

/* --- Reading -------------------------------------------------------------------------- */

static void keep(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text ? text : "");
}

#define KEEP(array, text) keep((array), sizeof(array), (text))

static void keep_sentence(char *out, const char *sentence)
{
    struct job_view view;

    outcome_set_detail(&view, sentence ? sentence : "");
    memcpy(out, view.detail, sizeof(view.detail));
}

static bool is_text(const char *text, const char *wanted)
{
    return text && strcmp(text, wanted) == 0;
}

static bool is_one_of(const char *text, const char *const *wanted, size_t n_wanted)
{
    for (size_t i = 0; i < n_wanted; i++)
        if (is_text(text, wanted[i]))
            return true;
    return false;
}

#define IS_ONE_OF(text, ...)                                                                   \
    is_one_of((text), (const char *const[]){__VA_ARGS__},                                      \
              sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* The condition of this type, when it holds. */
static const cJSON *condition_of(const cJSON *status, const char *type)
{
    const cJSON *condition;

    cJSON_ArrayForEach(condition, json_get(status, "conditions"))
    {
        if (is_text(json_get_str(condition, "type"), type))
            return condition;
    }
    return NULL;
}

static bool holds(const cJSON *condition)
{
    return is_text(json_get_str(condition, "status"), "True");
}

static bool read_stopped(const cJSON *object, enum failure_code *out)
{
    const char *why =
        json_get_str(json_get(json_get(object, "metadata"), "annotations"), ANNOTATION_STOPPED);

    if (why && !failure_code_parse(why, out))
        *out = FAILURE_NONE;
    return why != NULL;
}

/* --- Whose ---------------------------------------------------------------------------- */

static bool attempt_of(const char *text, int *out)
{
    char *end;
    long number;

    if (!text || *text < '1' || *text > '9')
        return false;
    number = strtol(text, &end, 10);
    if (*end || number > JOB_ATTEMPT_MAX)
        return false;
    *out = (int)number;
    return true;
}

bool kubernetes_facts_ours(const cJSON *object, struct id *out_run, int *out_attempt)
{
    const cJSON *labels = json_get(json_get(object, "metadata"), "labels");
    const char *run = json_get_str(labels, LABEL_RUN_ID);

    return is_text(json_get_str(labels, LABEL_MANAGED_BY), OUR_MANAGER) && run
           && id_parse(run, out_run)
           && attempt_of(json_get_str(labels, LABEL_ATTEMPT), out_attempt);
}

/* --- A Job ---------------------------------------------------------------------------- */

static void read_failed(const cJSON *condition, struct kubernetes_job_facts *out)
{
    out->state = KUBERNETES_JOB_FAILED;
    out->late = is_text(json_get_str(condition, "reason"), "DeadlineExceeded");
    keep_sentence(out->detail, json_get_str(condition, "message"));
}

void kubernetes_facts_of_job(const cJSON *job, struct kubernetes_job_facts *out)
{
    const cJSON *metadata = json_get(job, "metadata");
    const cJSON *status = json_get(job, "status");
    const cJSON *failed = condition_of(status, "Failed");
    const cJSON *failing = condition_of(status, "FailureTarget");

    *out = (struct kubernetes_job_facts){
        .state = KUBERNETES_JOB_OPEN,
        .suspended = json_get_bool(json_get(job, "spec"), "suspend", false),
    };
    KEEP(out->uid, json_get_str(metadata, "uid"));
    KEEP(out->queue, json_get_str(json_get(metadata, "labels"), LABEL_QUEUE));
    out->stopped = read_stopped(job, &out->stopped_for);
    if (holds(condition_of(status, "Complete")))
        out->state = KUBERNETES_JOB_COMPLETE;
    else if (holds(failed))
        read_failed(failed, out);
    else if (holds(failing))
        read_failed(failing, out);
    if (out->stopped)
        keep_sentence(out->detail,
                      json_get_str(json_get(metadata, "annotations"), ANNOTATION_WHY));
}

/* --- A pod: before it runs ---------------------------------------------------------------
 */

static const cJSON *status_named(const cJSON *statuses, const char *name)
{
    const cJSON *status;

    cJSON_ArrayForEach(status, statuses)
    {
        if (is_text(json_get_str(status, "name"), name))
            return status;
    }
    return NULL;
}

/* Why a container that waits, waits: by the kubelet's word for it. */
static enum kubernetes_pod_state waiting_state(const char *reason, bool *out_hopeless)
{
    *out_hopeless = IS_ONE_OF(reason, "InvalidImageName", "ErrImageNeverPull");
    if (*out_hopeless
        || IS_ONE_OF(reason, "ErrImagePull", "ImagePullBackOff", "ImageInspectError",
                     "RegistryUnavailable", "SignatureValidationFailed"))
        return KUBERNETES_POD_PULL_FAILS;
    if (IS_ONE_OF(reason, "CreateContainerConfigError", "CreateContainerError",
                  "RunContainerError", "PreCreateHookError", "PreStartHookError",
                  "PostStartHookError"))
        return KUBERNETES_POD_CONFIG_FAILS;
    return KUBERNETES_POD_CREATING;
}

/* Any of the pod's containers may be what holds it up. */
static void read_waiting(const cJSON *statuses, struct kubernetes_pod_facts *out)
{
    const cJSON *status;

    cJSON_ArrayForEach(status, statuses)
    {
        const cJSON *waiting = json_get(json_get(status, "state"), "waiting");
        const char *message = json_get_str(waiting, "message");
        const char *reason = json_get_str(waiting, "reason");
        bool hopeless;
        enum kubernetes_pod_state state = waiting_state(reason, &hopeless);
        char sentence[KUBERNETES_DETAIL_SIZE];

        if (!waiting || state == KUBERNETES_POD_CREATING)
            continue;
        out->state = state;
        out->hopeless = hopeless;
        (void)snprintf(sentence, sizeof(sentence), "%s%s%.200s", reason, message ? ": " : "",
                       message ? message : "");
        keep_sentence(out->detail, sentence);
    }
}

static void read_beginning(const cJSON *status, struct kubernetes_pod_facts *out)
{
    const cJSON *scheduled = condition_of(status, "PodScheduled");

    if (!holds(scheduled)) {
        out->state = KUBERNETES_POD_HOMELESS;
        keep_sentence(out->detail, json_get_str(scheduled, "message"));
        return;
    }
    out->state = KUBERNETES_POD_CREATING;
    read_waiting(json_get(status, "initContainerStatuses"), out);
    read_waiting(json_get(status, "containerStatuses"), out);
}

/* --- A pod: its end ---------------------------------------------------------------------- */

static void set_end(struct kubernetes_pod_facts *out, enum failure_code reason,
                    const char *sentence)
{
    out->reason = reason;
    keep_sentence(out->detail, sentence);
}

/* What the container says of itself; 128 and some is how a signal looks from outside. */
static void read_exit(const cJSON *ended, struct kubernetes_pod_facts *out)
{
    int64_t code = json_get_int(ended, "exitCode", -1);
    const char *message = json_get_str(ended, "message");
    struct job_view view = {.exit_code = -1};
    char sentence[64];

    out->exit_code = code >= 0 && code <= 128 ? (int)code : -1;
    if (code > 128 && code <= 128 + SIGNALS_MAX) {
        (void)snprintf(sentence, sizeof(sentence), "the runner was ended by signal %d",
                       (int)code - 128);
        set_end(out, FAILURE_NONE, sentence);
    }
    if (message && outcome_read(message, strlen(message), &view)) {
        out->exit_code = view.exit_code;
        out->reason = view.reason;
        memcpy(out->detail, view.detail, sizeof(out->detail));
    }
}

/* The cluster took the pod from us: the words of the kubelet, the eviction API, the scheduler,
 * the taint manager and the pod garbage collector. */
static bool was_taken(const cJSON *status, const char **out_why)
{
    const cJSON *disrupted = condition_of(status, "DisruptionTarget");
    const char *reason = json_get_str(status, "reason");

    *out_why = json_get_str(status, "message");
    if (holds(disrupted)) {
        if (!*out_why)
            *out_why = json_get_str(disrupted, "message");
        return true;
    }
    return IS_ONE_OF(reason, "Evicted", "Preempting", "Preempted", "NodeLost", "NodeShutdown",
                     "Terminated", "Shutdown", "NodeAffinity", "UnexpectedAdmissionError")
           || (reason && strncmp(reason, "OutOf", 5) == 0);
}

/* When was it told to go? The timestamp is when it must be gone. */
static int64_t told_to_go_ms(const cJSON *metadata)
{
    const char *text = json_get_str(metadata, "deletionTimestamp");
    int64_t gone_ms;

    if (!text || !clock_parse(text, &gone_ms))
        return 0;
    return gone_ms - json_get_int(metadata, "deletionGracePeriodSeconds", 0) * 1000;
}

/* Deleting a pod that has ended already takes nothing from anybody. */
static bool was_deleted(const cJSON *metadata, const cJSON *ended)
{
    const char *text = json_get_str(ended, "finishedAt");
    int64_t told_ms = told_to_go_ms(metadata);
    int64_t finished_ms;

    return told_ms && (!text || !clock_parse(text, &finished_ms) || finished_ms >= told_ms);
}

/* The cluster's word goes before the runner's, which an agent may have forged; but a runner
 * that said it was done and exited 0 was done. */
static void read_end(const cJSON *pod, const cJSON *ended, struct kubernetes_pod_facts *out)
{
    const cJSON *status = json_get(pod, "status");
    const char *word = json_get_str(ended, "reason");
    const char *pod_reason = json_get_str(status, "reason");
    enum failure_code stopped_for;
    const char *why;

    out->state = KUBERNETES_POD_ENDED;
    read_exit(ended, out);
    if (read_stopped(pod, &stopped_for))
        out->reason = stopped_for;
    else if (out->exit_code == 0)
        return;
    else if (is_text(word, "OOMKilled"))
        set_end(out, FAILURE_OUT_OF_MEMORY, "the runner took more memory than its limit");
    else if (was_taken(status, &why))
        set_end(out, FAILURE_EVICTED, why ? why : "its pod was evicted");
    else if (is_text(pod_reason, "DeadlineExceeded"))
        set_end(out, FAILURE_DEADLINE, json_get_str(status, "message"));
    else if (IS_ONE_OF(word, "StartError", "ContainerCannotRun"))
        set_end(out, FAILURE_LAUNCH_FAILED, json_get_str(ended, "message"));
    else if (is_text(word, "ContainerStatusUnknown"))
        set_end(out, FAILURE_EVICTED, "its node lost track of it");
    else if (was_deleted(json_get(pod, "metadata"), ended))
        set_end(out, FAILURE_EVICTED, "its pod was deleted");
    else if (!out->detail[0] && !ended)
        keep_sentence(out->detail, json_get_str(status, "message"));
}

void kubernetes_facts_pod_after(const struct kubernetes_pod_facts *before,
                                struct kubernetes_pod_facts *now)
{
    if (now->state != KUBERNETES_POD_ENDED || now->reason != FAILURE_NONE)
        return;
    if (before->state == KUBERNETES_POD_ENDED && before->reason != FAILURE_NONE)
        set_end(now, before->reason, before->detail);
    else if (before->leaving && now->exit_code != 0)
        set_end(now, FAILURE_EVICTED, "its pod was deleted");
}

void kubernetes_facts_pod_gone(struct kubernetes_pod_facts *pod)
{
    if (pod->state == KUBERNETES_POD_NONE || pod->state == KUBERNETES_POD_ENDED)
        return;
    pod->state = KUBERNETES_POD_ENDED;
    pod->exit_code = -1;
    set_end(pod, FAILURE_EVICTED, "its pod was deleted");
}

/* --- A pod ---------------------------------------------------------------------------- */

static void read_names(const cJSON *metadata, struct kubernetes_pod_facts *out)
{
    const char *created = json_get_str(metadata, "creationTimestamp");
    const cJSON *owner;

    KEEP(out->name, json_get_str(metadata, "name"));
    KEEP(out->uid, json_get_str(metadata, "uid"));
    if (created && !clock_parse(created, &out->created_ms))
        out->created_ms = 0;
    cJSON_ArrayForEach(owner, json_get(metadata, "ownerReferences"))
    {
        if (is_text(json_get_str(owner, "kind"), "Job"))
            KEEP(out->owner, json_get_str(owner, "uid"));
    }
}

void kubernetes_facts_of_pod(const cJSON *pod, const char *container,
                             struct kubernetes_pod_facts *out)
{
    const cJSON *metadata = json_get(pod, "metadata");
    const cJSON *status = json_get(pod, "status");
    const char *phase = json_get_str(status, "phase");
    const cJSON *runner =
        json_get(status_named(json_get(status, "containerStatuses"), container), "state");
    const cJSON *ended = json_get(runner, "terminated");
    enum failure_code stopped_for;

    *out = (struct kubernetes_pod_facts){.exit_code = -1};
    read_names(metadata, out);
    if (ended || IS_ONE_OF(phase, "Succeeded", "Failed"))
        read_end(pod, ended, out);
    else if (json_get(runner, "running"))
        out->state = KUBERNETES_POD_RUNNING;
    else
        read_beginning(status, out);
    out->leaving = out->state != KUBERNETES_POD_ENDED && told_to_go_ms(metadata)
                   && !read_stopped(pod, &stopped_for);
}
