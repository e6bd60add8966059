/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_CLOUDRUN_FACTS_H
#define LAUNCH_CLOUDRUN_FACTS_H
#include "launch/launcher.h"
#include "json/json.h"

/*
 * What an Execution of Cloud Run (google.cloud.run.v2) says of one of our jobs. It shows the
 * environment it was started with, and so whose it is. Plain values, no I/O.
 */
#define CLOUDRUN_NAME_SIZE 64 /* a DNS label */

#define CLOUDRUN_ENV_RUN "DISPATCH_RUN_ID"
#define CLOUDRUN_ENV_ATTEMPT "DISPATCH_ATTEMPT"

struct cloudrun_facts {
    char name[CLOUDRUN_NAME_SIZE]; /* the last part: "dispatch-runner-x7k2p" */
    struct id run;
    int attempt;
    int64_t created_ms;
    int64_t started_ms; /* its container runs, or ran, since; 0: not yet */
    struct job_view view;
    bool ask_task; /* it has failed, and only its task says how */
};

/* False when it isn't of one of our runs. */
bool cloudrun_facts_read(const cJSON *execution, struct cloudrun_facts *out);

/* The same of the Execution that our own call made for this attempt: it needn't say so. */
bool cloudrun_facts_read_ours(const cJSON *execution, struct id run, int attempt,
                              struct cloudrun_facts *out);

/* How its only task ended: exit code, signal, what Cloud Run says. */
void cloudrun_facts_add_task(struct cloudrun_facts *facts, const cJSON *task);

/* "projects/p/locations/r/jobs/j/executions/NAME" -> NAME; false when that can't be one. */
bool cloudrun_name_of(const char *full, char out[CLOUDRUN_NAME_SIZE]);
#endif
