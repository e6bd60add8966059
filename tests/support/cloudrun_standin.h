/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_CLOUDRUN_STANDIN_H
#define SUPPORT_CLOUDRUN_STANDIN_H
#include "config/config.h"
#include "standin.h"

/*
 * The stand-in for Cloud Run (cloudrun-standin/README.md) as a child of a test program, with
 * settings that lead to it and a Job that runs can be executions of.
 */
#define CLOUDRUN_JOBS "/v2/projects/acme/locations/europe-west1/jobs"
#define CLOUDRUN_JOB CLOUDRUN_JOBS "/runner"
#define CLOUDRUN_IMAGE "example.com/runner:1"
#define CLOUDRUN_ACCESS_TOKEN "ya29.of-the-tests"

/* `runner` is run for each task; NULL: they only pretend. `flags` as in standin.h. */
void cloudrun_standin_start(struct standin *out, const char *dir, const char *runner,
                            const char *const *flags);
/* Settings as for a test: often asked, never held up. */
void cloudrun_standin_settings(const struct standin *standin, struct config *config);
void cloudrun_standin_settings_done(struct config *config);

/* POST, PATCH, GET or DELETE of Cloud Run's API or of the stand-in's own entrance. */
cJSON *cloudrun_standin_call(struct standin *standin, const char *method, const char *path,
                             const char *json);
/* The same where the answer doesn't matter. */
void cloudrun_standin_do(struct standin *standin, const char *method, const char *path,
                         const char *json);
/* One number of /standin/counts. */
int cloudrun_standin_count(struct standin *standin, const char *what);
#endif
