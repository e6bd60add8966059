/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include "agent/verdict.h"

/* The agent `command`: a program of the operator's choice, run in the checkout with the prompt
 * on its stdin. Its exit code is its word. */

static int command_prepare(const struct agent_job *job, struct agent_start *out,
                           struct err *err)
{
    const struct assignment *assignment = job->assignment;
    char **argv;

    if (job->turn != AGENT_TURN_WORK)
        return err_set(err, ERR_UNSUPPORTED, "a program of the operator's has one turn");
    if (!assignment->agent_command)
        return err_set(err, ERR_INVALID, "the operator named no program for agent command");
    argv = process_argv_parse(assignment->agent_command, err);
    if (!argv)
        return err_wrap(err, "the command line for agent command");
    text_list_add_all(&out->argv, (const char *const *)argv);
    process_argv_free(argv);
    out->input = job->prompt;
    return 0;
}

static int command_judge(const struct process_end *end, const struct agent_output *output,
                         struct err *err)
{
    if (!end->signal && end->exit_code == 0)
        return 0;
    return verdict_ended(end, output, "exited with", err);
}

const struct agent_kind command_agent = {
    .name = "command",
    .prepare = command_prepare,
    .judge = command_judge,
};
