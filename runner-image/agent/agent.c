/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "agent/aside.h"
#include "agent/walled.h"
#include "base/alloc.h"
#include "base/log.h"

static const struct agent_kind *const kinds[] = {
    &claude_code_agent,
    &gemini_code_agent,
    &opencode_agent,
    &command_agent,
};

const struct agent_kind *agent_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    }
    return NULL;
}

enum agent_task agent_task_of(const struct agent_job *job)
{
    if (job->turn == AGENT_TURN_DESCRIBE)
        return AGENT_ANSWER;
    return job->assignment->mode && strcmp(job->assignment->mode, "plan") == 0 ? AGENT_PLAN
                                                                               : AGENT_WORK;
}

char *agent_tool_server(const struct agent_job *job)
{
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (!job->tool_socket || job->turn != AGENT_TURN_WORK || size <= 0)
        return NULL;
    return xstrndup(self, (size_t)size);
}

/* --- Running it --------------------------------------------------------------------------- */

static void hear(void *ctx, enum process_stream stream, const char *data, size_t size)
{
    agent_output_feed(ctx, stream, data, size);
}

static int judge(const struct agent_job *job, const struct process_end *end, struct err *err)
{
    if (end->stopped)
        return err_set(err, ERR_UNAVAILABLE, "the agent was stopped");
    if (end->timed_out)
        return err_set(err, ERR_TIMEOUT, "the agent didn't finish within %d s", job->timeout_s);
    return job->kind->judge(end, job->output, err);
}

static bool hides_configuration(const struct agent_job *job)
{
    return job->kind->obeyed && !job->assignment->honour_repository_agent_config
           && !job->assignment->blank_workspace;
}

static int hide_configuration(const struct agent_job *job, struct err *err)
{
    int moved = 0;

    if (!hides_configuration(job))
        return 0;
    if (aside_put(job->workspace, job->kind->obeyed, &moved, err) < 0) {
        err->kind = ERR_INTERNAL;
        return -1;
    }
    if (moved)
        events_warn(job->events, "the repository's own configuration of %s is out of its sight",
                    job->kind->name);
    return 0;
}

/* Not while processes of it may be alive: then nobody touches the tree. */
static int show_configuration(const struct agent_job *job, int result, struct err *err)
{
    struct err problem = {0};

    if (!hides_configuration(job) || (result < 0 && err->kind == ERR_INTERNAL))
        return result;
    if (aside_put_back(job->workspace, &problem) == 0)
        return result;
    *err = problem;
    err->kind = ERR_INTERNAL;
    return -1;
}

static int run_prepared(const struct agent_job *job, const struct agent_start *start,
                        struct err *err)
{
    struct process_end end = {0};
    struct walled walled = {
        .assignment = job->assignment,
        .workspace = job->workspace,
        .settings = job->settings,
        .events = job->events,
        .argv = text_list_view(&start->argv),
        .env = text_list_view(&start->env),
        .input = start->input,
        .timeout_s = job->timeout_s,
        .stop = job->stop,
        .on_output = hear,
        .ctx = job->output,
    };
    int result;

    if (job->kind->read_event)
        agent_output_read_events(job->output, job->kind->read_event,
                                 job->access && job->access->key);
    if (hide_configuration(job, err) < 0)
        return -1;
    result = show_configuration(job, walled_run(&walled, &end, err), err);
    agent_output_end(job->output);
    if (result < 0)
        return err_wrap(err, "the agent");
    log_info("agent ended", KV("exit_code", end.exit_code), KV("signal", end.signal),
             KV("took_ms", end.took_ms), KV("output_bytes", end.output_bytes));
    return judge(job, &end, err);
}

static void warn_of_options(const struct agent_job *job)
{
    const struct assignment *a = job->assignment;
    int subagents = cJSON_GetArraySize(a->agents);
    int tools = cJSON_GetArraySize(a->tools);

    if (job->kind->takes_options || job->turn != AGENT_TURN_WORK)
        return;
    if (subagents)
        events_warn(job->events,
                    "agent %s has no subagents: the %d that were asked for are left out",
                    job->kind->name, subagents);
    if (tools)
        events_warn(job->events,
                    "agent %s can't be given tools: the %d that were asked for are left out",
                    job->kind->name, tools);
}

int agent_run(const struct agent_job *job, struct err *err)
{
    struct agent_start start = {0};
    int result = job->kind->prepare(job, &start, err);

    if (result == 0)
        warn_of_options(job);
    if (result == 0)
        result = run_prepared(job, &start, err);
    text_list_done(&start.argv);
    text_list_done(&start.env);
    free(start.own_input);
    return result;
}
