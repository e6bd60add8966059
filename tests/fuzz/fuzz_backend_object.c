/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of the clusters that runs are executed on: a Job, a Pod, an Execution, a Task, what
 * they refused; and the line that a runner leaves at its end. Whatever they are, what is said
 * of a job is one clean sentence, and nobody's but ours is taken for ours. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "googleapis/rpc_status.h"
#include "kubernetes/status.h"
#include "launch/cloudrun_facts.h"
#include "launch/kubernetes_quantity.h"
#include "launch/kubernetes_view.h"
#include "launch/outcome.h"

static const struct kubernetes_patience patience = {
    .schedule_ms = 60000, .start_ms = 60000, .leave_ms = 60000};

static void check_view(const struct job_view *view)
{
    size_t length = strnlen(view->detail, sizeof(view->detail));

    if (length == sizeof(view->detail) || strpbrk(view->detail, "\r\n"))
        abort();
}

static void read_kubernetes(const cJSON *object)
{
    struct kubernetes_state state = {.stage_ms = 61000, .node_ms = 61000};
    struct kubernetes_pod_facts before;
    struct kubernetes_verdict verdict;
    struct id run;
    int attempt;

    kubernetes_facts_of_job(object, &state.job);
    kubernetes_facts_of_pod(object, "runner", &state.pod);
    before = state.pod;
    kubernetes_facts_pod_after(&before, &state.pod);
    for (int i = 0; i < 2; i++) {
        (void)kubernetes_view_stage(&state.job, &state.pod);
        verdict = kubernetes_view(&state, &patience);
        check_view(&verdict.view);
        kubernetes_facts_pod_gone(&state.pod);
    }
    if (kubernetes_facts_ours(object, &run, &attempt) && attempt < 1)
        abort();
}

static void read_cloudrun(const cJSON *object)
{
    struct cloudrun_facts facts = {0};
    char name[CLOUDRUN_NAME_SIZE];
    const char *full = json_get_str(object, "name");
    struct id run = {0};

    if (cloudrun_facts_read(object, &facts) && (facts.attempt < 1 || !facts.name[0]))
        abort();
    if (cloudrun_facts_read_ours(object, run, 1, &facts)) {
        cloudrun_facts_add_task(&facts, object);
        check_view(&facts.view);
    }
    if (full && cloudrun_name_of(full, name) && (!name[0] || strchr(name, '/')))
        abort();
}

static void read_refusal(const cJSON *object)
{
    const cJSON *operation = json_get(object, "error");
    struct err err = {0};

    if (status_from_object(object, "asking", &err) == 0 || err.kind == ERR_NONE)
        abort();
    err = (struct err){0};
    if (rpc_status_from_error(operation ? operation : object, "asking", &err) == 0
        || err.kind == ERR_NONE)
        abort();
    if (json_get_str(object, "message"))
        (void)kubernetes_view_refused_for_now(json_get_str(object, "message"));
}

static void read_outcome(const char *text, size_t size)
{
    struct job_view view = {0};

    if (outcome_read(text, size, &view))
        check_view(&view);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    scoped_json object = NULL;
    double amount;

    json_setup();
    read_outcome((const char *)data, size);
    object = json_parse((const char *)data, size, &err);
    if (!object)
        return 0;
    read_kubernetes(object);
    read_cloudrun(object);
    read_refusal(object);
    if (cJSON_IsString(object) && kubernetes_quantity_parse(object->valuestring, &amount)
        && (isnan(amount) || amount < 0))
        abort();
    return 0;
}
