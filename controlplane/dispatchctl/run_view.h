/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_RUN_VIEW_H
#define DISPATCHCTL_RUN_VIEW_H
#include "dispatchctl/client.h"

/*
 * One run as people see it. It is shown as the agents' face has it, which knows most about runs
 * of every face, and waited for as a task.
 */
#define FACE_TASKS "/api/tasks/"
#define FACE_AGENTS "/api/v1/agents/"

/* "/api/tasks/ID/status" and so on, for the caller to free. */
char *run_view_path(const char *face, const char *id, const char *what) CHECKED;
/* The caller's; NULL with an error. */
cJSON *run_view_load(struct client *client, const char *id, struct err *err) CHECKED;
/* With all there is to say about it, in the form that was asked for. */
void run_view_print(const struct invocation *call, const cJSON *run);
#endif
