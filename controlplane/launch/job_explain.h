/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_JOB_EXPLAIN_H
#define LAUNCH_JOB_EXPLAIN_H
#include "launch/launcher.h"

/* {"argv", "cwd", "environment", "log", "timeout_s"} of the child that job_child_send would
 * send; `job_dir` as there. */
cJSON *job_explain(const char *runner, const char *ca_file, const struct job_spec *spec,
                   const char *job_dir) CHECKED;
#endif
