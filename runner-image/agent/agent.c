/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <string.h>

#include "base/log.h"

/* Together well under what launchers give a runner between TERM and KILL (15 s). */
#define TERM_GRACE_MS 5000
#define LEFTOVER_GRACE_MS 1000
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const struct agent_kind *const kinds[] = {
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

/* All of it: nothing is handed on from ours but the PATH, so nothing of ours can leak. */
static void add_environment(const struct agent_job *job, struct text_list *env)
{
    const char *path = getenv("PATH");

    text_list_add(env, "PATH=%s", path && path[0] ? path : DEFAULT_PATH);
    text_list_add(env, "HOME=%s", workspace_agent_home(job->workspace));
    text_list_add(env, "TMPDIR=%s", workspace_agent_tmp(job->workspace));
    text_list_add(env, "PWD=%s", workspace_checkout(job->workspace));
    text_list_add(env, "USER=dispatch");
    text_list_add(env, "LOGNAME=dispatch");
    text_list_add(env, "LANG=C.UTF-8");
    text_list_add(env, "TERM=dumb");
    text_list_add(env, "CI=true");
    text_list_add(env, "DISPATCH_RUN_ID=%s", job->assignment->run_id);
}

static void hear(void *ctx, enum process_stream stream, const char *data, size_t size)
{
    agent_output_feed(ctx, stream, data, size);
}

static int judge(const struct agent_job *job, const struct process_end *end, struct err *err)
{
    if (end->stopped)
        return err_set(err, ERR_UNAVAILABLE, "the agent was stopped");
    if (end->timed_out)
        return err_set(err, ERR_TIMEOUT, "the agent didn't finish within %d s",
                       job->assignment->timeout_s);
    return job->kind->judge(end, job->output, err);
}

static int run_prepared(const struct agent_job *job, const struct agent_start *start,
                        struct err *err)
{
    struct err leftover = {0};
    struct process_end end = {0};
    struct process_run run = {
        .spec = PROCESS_SPEC_DEFAULTS,
        .input = start->input,
        .input_size = start->input ? strlen(start->input) : 0,
        .wall_clock_ms = job->assignment->timeout_s * 1000,
        .term_grace_ms = TERM_GRACE_MS,
        .stop = job->stop,
        .on_output = hear,
        .ctx = job->output,
    };
    int result;

    run.spec.argv = text_list_view(&start->argv);
    run.spec.env = text_list_view(&start->env);
    run.spec.cwd = workspace_checkout(job->workspace);
    run.spec.before_exec = sandbox_enter;
    run.spec.before_exec_ctx = job->sandbox;
    result = process_run(&run, &end, err);
    agent_output_end(job->output);
    if (process_end_descendants(LEFTOVER_GRACE_MS, &leftover) < 0)
        return err_set(err, ERR_INTERNAL, "processes of the agent outlived it: %s",
                       leftover.text);
    if (result < 0) {
        err->kind = ERR_UPSTREAM;
        return err_wrap(err, "the agent");
    }
    log_info("agent ended", KV("exit_code", end.exit_code), KV("signal", end.signal),
             KV("took_ms", end.took_ms), KV("output_bytes", end.output_bytes));
    return judge(job, &end, err);
}

int agent_run(const struct agent_job *job, struct err *err)
{
    struct agent_start start = {0};
    int result = job->kind->prepare(job->assignment, &start, err);

    if (result == 0) {
        add_environment(job, &start.env);
        result = run_prepared(job, &start, err);
    }
    text_list_done(&start.argv);
    text_list_done(&start.env);
    return result;
}
