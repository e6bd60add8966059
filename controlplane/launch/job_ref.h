/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_JOB_REF_H
#define LAUNCH_JOB_REF_H
#include "base/id.h"

/*
 * The name of a job: "run-<id>-<attempt>". It is a valid DNS label and a safe file name, and
 * it can be worked out again from the run alone, which is what lets a start that was cut
 * off half-way be repeated.
 */
#define JOB_REF_SIZE 40
#define JOB_ATTEMPT_MAX 999999

struct job_ref {
    char text[JOB_REF_SIZE];
};

struct job_ref job_ref_make(struct id run, int attempt);

/* False unless `text` is exactly such a name. */
bool job_ref_parse(const char *text, struct id *out_run, int *out_attempt);
#endif
