/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/agent.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "home/stop.h"
#include "mcp/tool_server.h"
#include "sandbox/disk_full.h"
#include "sandbox/oom_kills.h"
#include "task/description.h"
#include "task/pull_request_text.h"
#include "task/test_command.h"
#include "task/work.h"

/* --- Models ------------------------------------------------------------------------------- */

static void budget_is_spent(void *ctx)
{
    (void)ctx;
    stop_agent();
}

static int start_gateway(struct work *work, struct err *err)
{
    const struct task *task = work->task;
    struct gateway_options options = {
        .keys = &task->settings->model_keys,
        .events = task->events,
        .redaction = task->redaction,
        .ca_file = task->settings->ca_file,
        .prices_file = task->settings->model_prices,
        .proxy = "",
        .max_tokens = task->assignment->max_tokens,
        .max_cost_usd = task->assignment->max_cost_usd,
        .on_budget = budget_is_spent,
    };

    work->gateway = gateway_start(&options, err);
    return work->gateway ? 0 : err_wrap(err, "the model gateway");
}

/* --- Tools -------------------------------------------------------------------------------- */

static bool has_headers(const cJSON *tools)
{
    const cJSON *tool;

    cJSON_ArrayForEach(tool, tools)
    {
        if (json_get_bool(json_get(tool, "endpoint"), "has_headers", false))
            return true;
    }
    return false;
}

static int start_tools(struct work *work, struct err *err)
{
    const struct task *task = work->task;
    const struct assignment *a = task->assignment;
    struct tool_server_options options = {
        .tools = a->tools,
        .directory = workspace_agent_tmp(task->workspace),
        .ca_file = task->settings->ca_file,
        .allowed_private = a->allow_private_urls,
        .events = task->events,
        .redaction = task->redaction,
    };

    if (cJSON_GetArraySize(a->tools) == 0)
        return 0;
    if (has_headers(a->tools)) {
        options.headers = home_tool_headers(task->home, err);
        if (!options.headers && (err->kind == ERR_CONFLICT || err->kind == ERR_UNAUTHENTICATED))
            stop_request(); /* the run isn't ours any more */
        if (!options.headers)
            return -1;
    }
    work->tools = tool_server_start(&options, err);
    return work->tools ? 0 : -1;
}

/* --- The work ----------------------------------------------------------------------------- */

static int run_turn(struct work *work, enum agent_turn turn, const char *prompt, int timeout_s,
                    struct agent_output *output, struct err *err)
{
    const struct task *task = work->task;
    struct model_access access = gateway_access(work->gateway);
    struct agent_job job = {
        .kind = agent_find(task->assignment->agent),
        .turn = turn,
        .prompt = prompt,
        .timeout_s = timeout_s,
        .assignment = task->assignment,
        .workspace = task->workspace,
        .settings = task->settings,
        .access = &access,
        .provider_url = task->assignment->provider
                            ? gateway_url(work->gateway, task->assignment->provider)
                            : NULL,
        .tool_socket = work->tools ? tool_server_socket(work->tools) : NULL,
        .events = task->events,
        .output = output,
        .stop = stop_agent_flag(),
    };

    return agent_run(&job, err);
}

static const char *code_of(const struct err *err)
{
    if (err->kind == ERR_TIMEOUT)
        return CODE_AGENT_TIMEOUT;
    return err->kind == ERR_INTERNAL ? CODE_INTERNAL : CODE_AGENT_FAILED;
}

/* What ended the agent early may leave something worth saving. 0 when there is a shortfall to
 * go on with. */
static int judge_failure(struct work *work, int64_t kills_before, const struct err *err)
{
    int64_t kills = oom_kills();
    struct err why = {.kind = err->kind};

    if (err->kind == ERR_INTERNAL)
        return work_fail(work, CODE_INTERNAL, err); /* its processes may still write */
    if (gateway_budget_exceeded(work->gateway)) {
        work_fall_short(work, CODE_BUDGET_EXCEEDED,
                        "the run's budget for model calls was spent before the agent was done",
                        NULL);
        return 0;
    }
    if (stop_requested() && work_may_save(work)) {
        work_fall_short(work, CODE_EVICTED, "the machine was taken away while the agent worked",
                        NULL);
        return 0;
    }
    if (kills_before >= 0 && kills > kills_before) {
        (void)err_set(&why, err->kind, "memory ran out while the agent worked: %s", err->text);
        return work_fail(work, CODE_OUT_OF_MEMORY, &why);
    }
    (void)snprintf(why.text, sizeof(why.text), "%s", err->text);
    if (disk_full(workspace_checkout(work->task->workspace)))
        (void)err_wrap(&why, "the disk is full");
    return work_fail(work, code_of(err), &why);
}

int agent_step(struct work *work)
{
    const struct assignment *a = work->task->assignment;
    int64_t kills_before = oom_kills();
    struct err err = {0};
    int result;

    work->output = agent_output_new(work->task->events, work->task->redaction);
    if (start_gateway(work, &err) < 0 || start_tools(work, &err) < 0)
        return work_fail(work, CODE_INTERNAL, &err);
    work_tell_step(work, "agent_started", jobj({"agent", jstr(a->agent)}));
    result = run_turn(work, AGENT_TURN_WORK, a->prompt, a->timeout_s, work->output, &err);
    tool_server_free(TAKE(work->tools));
    if (result < 0)
        result = judge_failure(work, kills_before, &err);
    else if (gateway_budget_exceeded(work->gateway))
        work_fall_short(work, CODE_BUDGET_EXCEEDED,
                        "the run's budget for model calls was spent", NULL);
    if (result < 0)
        return -1;
    work_tell_step(work, "agent_ended", jobj({"agent", jstr(a->agent)}));
    return 0;
}

/* --- The tests ---------------------------------------------------------------------------- */

/* What the agent left of the run's time. */
static int seconds_left(const struct work *work)
{
    int64_t left_s =
        work->task->assignment->timeout_s - (clock_monotonic_ms() - work->began_ms) / 1000;

    return left_s < 1 ? 1 : (int)left_s;
}

int test_step(struct work *work)
{
    const struct task *task = work->task;
    struct walled walled = {
        .assignment = task->assignment,
        .workspace = task->workspace,
        .settings = task->settings,
        .events = task->events,
        .timeout_s = seconds_left(work),
        .stop = stop_flag(),
    };
    scoped_test_result result = {0};
    struct err err = {0};

    work_tell_step(work, "tests_started",
                   jobj({"command", jstr(task->assignment->test_command)}));
    if (test_command_run(task->assignment->test_command, &walled, task->redaction, &result,
                         &err)
        < 0) {
        if (err.kind != ERR_INTERNAL && stop_requested() && work_may_save(work)) {
            work_fall_short(work, CODE_EVICTED,
                            "the machine was taken away while the tests ran", NULL);
            return 0;
        }
        return work_fail(work, CODE_INTERNAL, &err);
    }
    work_tell_step(work, "tests_ended",
                   jobj({"passed", jbool(result.passed)}, {"message", jstr(result.sentence)}));
    if (!result.passed)
        work_fall_short(work, CODE_TESTS_FAILED, result.sentence, result.tail.data);
    return 0;
}

/* --- The description ---------------------------------------------------------------------- */

bool describe_step(struct work *work, struct description *out)
{
    const struct task *task = work->task;
    scoped_str counts = pull_request_counts(&work->change);
    scoped_str question =
        description_question(task->assignment->prompt, counts, &work->diff, work->diff_size);
    scoped(agent_output) output = agent_output_new(task->events, task->redaction);
    struct err err = {0};

    *out = (struct description){0};
    if (work->shortfall.code || stop_requested())
        return false;
    if (run_turn(work, AGENT_TURN_DESCRIBE, question, DESCRIPTION_TIMEOUT_S, output, &err)
        < 0) {
        if (err.kind != ERR_UNSUPPORTED)
            log_warn("the agent gave no description, going on without", KV("error", err.text));
        return false;
    }
    return description_read(agent_output_answer(output), out);
}
