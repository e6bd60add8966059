/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_OUTCOME_H
#define LAUNCH_OUTCOME_H
#include "launch/launcher.h"

/*
 * The one line of JSON that a runner leaves at its end, where DISPATCH_TERMINATION_LOG says:
 * {"status": "completed|failed|stopped", "error"?, "error_code"?, "summary"?, ...}. An agent
 * may have written it instead, so it is read as a stranger's word about exit code and
 * sentence; what became of the run is decided by the runner's report and nothing else.
 */
#define OUTCOME_MAX_BYTES 65536

#define OUTCOME_EXIT_COMPLETED 0
#define OUTCOME_EXIT_FAILED 1
#define OUTCOME_EXIT_STOPPED 4

/* Fills exit_code, reason and detail. False, with nothing changed, when it isn't such a line.
 */
bool outcome_read(const char *text, size_t size, struct job_view *out);

/* A sentence cut to the view's detail: whole characters, on one line. */
void outcome_set_detail(struct job_view *view, const char *sentence);
#endif
