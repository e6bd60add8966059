/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/walled.h"

#include <string.h>

#include "agent/agent_sandbox.h"
#include "base/log.h"

/* Together well under what launchers give a runner between TERM and KILL (15 s). */
#define TERM_GRACE_MS 5000
#define LEFTOVER_GRACE_MS 1000
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *usual_path(void)
{
    const char *path = getenv("PATH");

    return path && path[0] ? path : DEFAULT_PATH;
}

/* All of it: nothing is handed on from ours but the PATH, so nothing of ours can leak. */
static void add_environment(const struct walled *walled, struct text_list *env)
{
    text_list_add(env, "PATH=%s", usual_path());
    text_list_add(env, "HOME=%s", workspace_agent_home(walled->workspace));
    text_list_add(env, "TMPDIR=%s", workspace_agent_tmp(walled->workspace));
    text_list_add(env, "PWD=%s", workspace_checkout(walled->workspace));
    text_list_add(env, "USER=dispatch");
    text_list_add(env, "LOGNAME=dispatch");
    text_list_add(env, "LANG=C.UTF-8");
    text_list_add(env, "TERM=dumb");
    text_list_add(env, "CI=true");
    text_list_add(env, "DISPATCH_RUN_ID=%s", walled->assignment->run_id);
    if (walled->env)
        text_list_add_all(env, walled->env);
}

static int run_in(struct sandbox *sandbox, const struct walled *walled, struct process_end *out,
                  struct err *err)
{
    scoped_text_list env = {0};
    struct err leftover = {0};
    struct process_run run = {
        .spec = PROCESS_SPEC_DEFAULTS,
        .input = walled->input,
        .input_size = walled->input ? strlen(walled->input) : 0,
        .wall_clock_ms = walled->timeout_s * 1000,
        .term_grace_ms = TERM_GRACE_MS,
        .stop = walled->stop,
        .on_output = walled->on_output,
        .ctx = walled->ctx,
    };
    int result;

    add_environment(walled, &env);
    run.spec.argv = walled->argv;
    run.spec.env = text_list_view(&env);
    run.spec.cwd = workspace_checkout(walled->workspace);
    run.spec.before_exec = sandbox_enter;
    run.spec.before_exec_ctx = sandbox;
    result = process_run(&run, out, err);
    if (process_end_descendants(LEFTOVER_GRACE_MS, &leftover) < 0)
        return err_set(err, ERR_INTERNAL, "processes outlived it: %s", leftover.text);
    if (result < 0)
        err->kind = ERR_UPSTREAM;
    return result;
}

int walled_run(const struct walled *walled, struct process_end *out, struct err *err)
{
    struct sandbox sandbox;
    int result;

    if (agent_sandbox_init(&sandbox, walled->assignment, walled->workspace, walled->settings,
                           walled->argv, usual_path(), err)
        < 0) {
        err->kind = ERR_INTERNAL;
        return err_wrap(err, "the sandbox");
    }
    events_add(walled->events, "step",
               jobj({"name", jstr("sandboxed")}, {"sandbox", sandbox_to_json(&sandbox)}));
    result = run_in(&sandbox, walled, out, err);
    sandbox_done(&sandbox);
    return result;
}
