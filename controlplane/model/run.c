/* SPDX-License-Identifier: Apache-2.0 */
#include "model/run.h"

#include <string.h>

static const struct {
    const char *name;
    const char *public_name;
    unsigned next; /* a bit for each state that may follow */
} states[RUN_STATUS_COUNT] = {
    [RUN_PENDING] = {"pending", "pending",
                     1U << RUN_LAUNCHING | 1U << RUN_FAILED | 1U << RUN_STOPPED},
    [RUN_LAUNCHING] = {"launching", "pending",
                       1U << RUN_PENDING | 1U << RUN_RUNNING | 1U << RUN_FAILED
                           | 1U << RUN_STOPPED},
    [RUN_RUNNING] = {"running", "running",
                     1U << RUN_COMPLETED | 1U << RUN_FAILED | 1U << RUN_STOPPED},
    [RUN_COMPLETED] = {"completed", "completed", 0},
    [RUN_FAILED] = {"failed", "failed", 0},
    [RUN_STOPPED] = {"stopped", "stopped", 0},
};

static bool is_state(enum run_status status)
{
    return (unsigned)status < RUN_STATUS_COUNT;
}

const char *run_status_name(enum run_status status)
{
    return is_state(status) ? states[status].name : "unknown";
}

const char *run_status_public_name(enum run_status status)
{
    return is_state(status) ? states[status].public_name : "unknown";
}

bool run_status_parse(const char *name, enum run_status *out)
{
    for (unsigned i = 0; name && i < RUN_STATUS_COUNT; i++) {
        if (strcmp(states[i].name, name) == 0) {
            *out = (enum run_status)i;
            return true;
        }
    }
    return false;
}

bool run_status_is_terminal(enum run_status status)
{
    return is_state(status) && !states[status].next;
}

bool run_may_move(enum run_status from, enum run_status to)
{
    return is_state(from) && is_state(to) && (states[from].next >> to & 1U);
}

static const char *const failure_names[] = {
    [FAILURE_LAUNCH_FAILED] = "launch_failed",
    [FAILURE_IMAGE_PULL] = "image_pull",
    [FAILURE_CLONE_FAILED] = "clone_failed",
    [FAILURE_AUTH_EXPIRED] = "auth_expired",
    [FAILURE_AGENT_FAILED] = "agent_failed",
    [FAILURE_AGENT_TIMEOUT] = "agent_timeout",
    [FAILURE_OUT_OF_MEMORY] = "out_of_memory",
    [FAILURE_EVICTED] = "evicted",
    [FAILURE_DEADLINE] = "deadline",
    [FAILURE_PUSH_REJECTED] = "push_rejected",
    [FAILURE_PR_FAILED] = "pr_failed",
    [FAILURE_TESTS_FAILED] = "tests_failed",
    [FAILURE_BUDGET_EXCEEDED] = "budget_exceeded",
    [FAILURE_LOST] = "lost",
    [FAILURE_INTERNAL] = "internal",
};

const char *failure_code_name(enum failure_code code)
{
    return (size_t)code < ARRAY_SIZE(failure_names) ? failure_names[code] : NULL;
}

bool failure_code_parse(const char *name, enum failure_code *out)
{
    for (size_t i = 0; name && i < ARRAY_SIZE(failure_names); i++) {
        if (failure_names[i] && strcmp(failure_names[i], name) == 0) {
            *out = (enum failure_code)i;
            return true;
        }
    }
    return false;
}

void run_free(struct run *run)
{
    if (!run)
        return;
    free(run->repo);
    free(run->agent);
    free(run->model);
    free(run->provider);
    free(run->mode);
    free(run->base_branch);
    free(run->title);
    free(run->prompt);
    free(run->ticket_id);
    free(run->requester);
    free(run->webhook_url);
    free(run->ticket_summary);
    free(run->test_command);
    free(run->retry_of);
    free(run->options);
    free(run->wanted_launcher);
    free(run->launcher);
    free(run->job_ref);
    free(run->runner_id);
    free(run->pr_url);
    free(run->branch_name);
    free(run->summary);
    free(run->error);
    free(run->usage);
    free(run);
}
