/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/cloudrun_facts.h"

#include <string.h>

#include "base/clock.h"
#include "launch/job_ref.h"
#include "launch/outcome.h"

#define EXIT_KILLED 137
#define SIGNAL_KILL 9

bool cloudrun_name_of(const char *full, char out[CLOUDRUN_NAME_SIZE])
{
    const char *slash = full ? strrchr(full, '/') : NULL;
    const char *name = slash ? slash + 1 : full;
    size_t length = name ? strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;

    if (!length || name[length] || length >= CLOUDRUN_NAME_SIZE)
        return false;
    memcpy(out, name, length + 1);
    return true;
}

/* --- Whose it is -------------------------------------------------------------------------- */

static const char *variable_of(const cJSON *container, const char *name)
{
    const cJSON *variable;

    cJSON_ArrayForEach(variable, json_get(container, "env"))
    {
        const char *its_name = json_get_str(variable, "name");

        if (its_name && strcmp(its_name, name) == 0)
            return json_get_str(variable, "value");
    }
    return NULL;
}

static bool owner_of(const cJSON *execution, struct id *out_run, int *out_attempt)
{
    const cJSON *container;

    cJSON_ArrayForEach(container, json_get(json_get(execution, "template"), "containers"))
    {
        const char *run = variable_of(container, CLOUDRUN_ENV_RUN);
        const char *attempt = variable_of(container, CLOUDRUN_ENV_ATTEMPT);
        char ref[JOB_REF_SIZE];

        if (run && attempt
            && snprintf(ref, sizeof(ref), "run-%s-%s", run, attempt) < (int)sizeof(ref)
            && job_ref_parse(ref, out_run, out_attempt))
            return true;
    }
    return false;
}

/* --- How it is ---------------------------------------------------------------------------- */

static const cJSON *condition_of(const cJSON *execution, const char *type)
{
    const cJSON *condition;

    cJSON_ArrayForEach(condition, json_get(execution, "conditions"))
    {
        const char *its_type = json_get_str(condition, "type");

        if (its_type && strcmp(its_type, type) == 0)
            return condition;
    }
    return NULL;
}

static bool is(const cJSON *object, const char *key, const char *word)
{
    const char *text = json_get_str(object, key);

    return text && strcmp(text, word) == 0;
}

static int64_t time_of(const cJSON *object, const char *key)
{
    const char *text = json_get_str(object, key);
    int64_t wall_ms;

    return text && clock_parse(text, &wall_ms) ? wall_ms : 0;
}

/* What the container's image had to do with it. */
static bool is_about_image(const cJSON *condition)
{
    static const char *const reasons[] = {
        "CONTAINER_MISSING",
        "CONTAINER_PERMISSION_DENIED",
        "CONTAINER_IMAGE_UNAUTHORIZED",
        "CONTAINER_IMAGE_AUTHORIZATION_CHECK_FAILED",
    };

    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (is(condition, "reason", reasons[i]))
            return true;
    return false;
}

/* The two ends that Cloud Run has no code for, only its sentence. */
static enum failure_code reason_in(const char *message)
{
    if (!message)
        return FAILURE_NONE;
    if (strcasestr(message, "memory limit"))
        return FAILURE_OUT_OF_MEMORY;
    if (strcasestr(message, "timeout was reached"))
        return FAILURE_DEADLINE;
    return FAILURE_NONE;
}

static void read_failure(struct cloudrun_facts *facts, const cJSON *completed)
{
    const char *message = json_get_str(completed, "message");

    facts->view.phase = JOB_ENDED;
    outcome_set_detail(&facts->view, message ? message : "the execution failed");
    if (is(completed, "executionReason", "CANCELLED")
        || is(completed, "executionReason", "DELETED"))
        return;
    if (is_about_image(completed)) {
        facts->view.reason = FAILURE_IMAGE_PULL;
        return;
    }
    facts->view.reason = reason_in(message);
    if (!facts->view.reason && !facts->started_ms)
        facts->view.reason = FAILURE_LAUNCH_FAILED;
    facts->ask_task = facts->started_ms != 0;
}

/* What it still waits for: the first condition that isn't met. */
static void read_waiting(struct cloudrun_facts *facts, const cJSON *execution)
{
    static const char *const types[] = {"ResourcesAvailable", "ContainerReady", "Started"};

    facts->view.waiting = true;
    outcome_set_detail(&facts->view, "it waits for Cloud Run to start it");
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        const cJSON *condition = condition_of(execution, types[i]);
        const char *message = json_get_str(condition, "message");

        if (condition && message && !is(condition, "state", "CONDITION_SUCCEEDED")) {
            outcome_set_detail(&facts->view, message);
            return;
        }
    }
}

static void read_view(struct cloudrun_facts *facts, const cJSON *execution)
{
    const cJSON *completed = condition_of(execution, "Completed");
    bool failed = is(completed, "state", "CONDITION_FAILED")
                  || json_get_int(execution, "failedCount", 0) > 0
                  || json_get_int(execution, "cancelledCount", 0) > 0;
    bool over = time_of(execution, "completionTime") != 0
                || is(completed, "state", "CONDITION_FAILED")
                || is(completed, "state", "CONDITION_SUCCEEDED");

    facts->view = (struct job_view){.phase = JOB_STARTING, .exit_code = -1};
    if (over && failed) {
        read_failure(facts, completed);
    } else if (over) {
        facts->view.phase = JOB_ENDED;
        facts->view.exit_code = 0;
    } else if (json_get_int(execution, "runningCount", 0) > 0) {
        facts->view.phase = JOB_RUNNING;
    } else {
        read_waiting(facts, execution);
    }
}

bool cloudrun_facts_read_ours(const cJSON *execution, struct id run, int attempt,
                              struct cloudrun_facts *out)
{
    struct cloudrun_facts facts = {.run = run, .attempt = attempt};

    if (!cloudrun_name_of(json_get_str(execution, "name"), facts.name))
        return false;
    facts.created_ms = time_of(execution, "createTime");
    facts.started_ms = time_of(execution, "startTime");
    if (!facts.started_ms && json_get_int(execution, "runningCount", 0) > 0)
        facts.started_ms = facts.created_ms ? facts.created_ms : 1;
    read_view(&facts, execution);
    *out = facts;
    return true;
}

bool cloudrun_facts_read(const cJSON *execution, struct cloudrun_facts *out)
{
    struct id run;
    int attempt;

    return owner_of(execution, &run, &attempt)
           && cloudrun_facts_read_ours(execution, run, attempt, out);
}

void cloudrun_facts_add_task(struct cloudrun_facts *facts, const cJSON *task)
{
    const cJSON *result = json_get(task, "lastAttemptResult");
    const char *message = json_get_str(json_get(result, "status"), "message");
    int64_t exit_code = json_get_int(result, "exitCode", 0);
    int64_t term_signal = json_get_int(result, "termSignal", 0);
    enum failure_code reason = reason_in(message);

    facts->ask_task = false;
    if (reason)
        facts->view.reason = reason;
    else if ((term_signal == SIGNAL_KILL || exit_code == EXIT_KILLED) && !facts->view.reason)
        facts->view.reason = FAILURE_OUT_OF_MEMORY; /* nothing else kills there */
    /* Zero stands for "none" as well, in a task that failed. */
    if (exit_code > 0 && exit_code < 256)
        facts->view.exit_code = (int)exit_code;
    if (message && *message)
        outcome_set_detail(&facts->view, message);
}
