/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_TASK_JSON_H
#define API_TASK_JSON_H
#include "config/config.h"
#include "model/run.h"
#include "store/run_details.h"
#include "json/json.h"

/* A run as seeds 003 and 002 show a task: its status document with `details`, and without them
 * an entry of the list, which has the repository and the description beside. */
cJSON *task_json(const struct config *config, const struct run *run,
                 const struct run_details *details) CHECKED;
#endif
