/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/verdict.h"

#include <string.h>

#include "sandbox/sandbox.h"

int verdict_ended(const struct process_end *end, const struct agent_output *output,
                  const char *what, struct err *err)
{
    const char *last = agent_output_last_line(output);
    const char *colon = last[0] ? ": " : "";

    if (end->signal)
        return err_set(err, ERR_UPSTREAM, "the agent was ended by signal %d (%s)%s%s",
                       end->signal, strsignal(end->signal), colon, last);
    if (end->exit_code == SANDBOX_EXIT_CODE && !last[0])
        return err_set(err, ERR_UPSTREAM, "the agent couldn't enter its sandbox");
    return err_set(err, ERR_UPSTREAM, "the agent %s code %d%s%s", what, end->exit_code, colon,
                   last);
}

int verdict_judge(const struct process_end *end, const struct agent_output *output,
                  struct err *err)
{
    const struct transcript *transcript = agent_output_transcript(output);

    switch (transcript_verdict(transcript)) {
    case VERDICT_SUCCESS:
        return end->signal ? verdict_ended(end, output, "exited with", err) : 0;
    case VERDICT_FAILURE:
        return err_set(err, ERR_UPSTREAM, "the agent failed: %s",
                       transcript_problem(transcript));
    default:
        return verdict_ended(end, output, "ended without a result, with exit", err);
    }
}
