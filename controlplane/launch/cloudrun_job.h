/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_CLOUDRUN_JOB_H
#define LAUNCH_CLOUDRUN_JOB_H
#include "launch/launcher.h"
#include "json/json.h"

/*
 * The Job of Cloud Run that runs are executions of, and what one execution is started with.
 * Plain documents of google.cloud.run.v2, no I/O.
 */

/* What Cloud Run lets a task take. */
#define CLOUDRUN_TIMEOUT_MAX_S 604800

/* ERR_INVALID unless the settings name a project, a region and a Job, by names that may stand
 * in a path, and a time that Cloud Run allows. */
int cloudrun_settings_check(const struct config *config, struct err *err) CHECKED;

/* ERR_INVALID with the path of what is wrong when runs can't be executions of this Job: it
 * would start a runner again, or is of another image or service account, or ends too early.
 * *out_container: the name of the runner's container, the caller's; "" when it has none. */
int cloudrun_job_check(const cJSON *job, const struct config *config, char **out_container,
                       struct err *err) CHECKED;

/* The Job as the settings want it. What `existing` (NULL: none) says besides stays. */
cJSON *cloudrun_job_make(const cJSON *existing, const struct config *config,
                         struct err *err) CHECKED;

/* The body of jobs.run. `secret` is the resource name of the secret with the task token; NULL:
 * the token itself goes along. */
cJSON *cloudrun_job_overrides(const struct job_spec *spec, const struct config *config,
                              const char *container, const char *secret) CHECKED;
#endif
