/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_TASK_JSON_H
#define API_TASK_JSON_H
#include "config/config.h"
#include "model/run.h"
#include "json/json.h"

/* A run as seeds 003 and 002 show a task: its status document, and with `listed` the
 * repository and description that an entry of the list has beside. */
cJSON *task_json(const struct config *config, const struct run *run, bool listed) CHECKED;
#endif
