/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_RUN_JSON_H
#define MODEL_RUN_JSON_H
#include "model/run.h"
#include "json/json.h"

/* A run as seed 004's surface shows an agent run, and as receivers are told of its end. */

/* The surface's word for a status: "queued" for what waits. */
const char *agent_status_name(enum run_status status);

/* A title made of the beginning of the prompt, on one line; the caller frees it. */
#define AGENT_TITLE_MAX_CHARACTERS 72
char *agent_title(const char *prompt) CHECKED;

/* What it left, NULL when that is nothing; `text` is its result or NULL. */
cJSON *run_result_json(const struct run *run, const char *text) CHECKED;
/* Why it failed, for people; NULL when it hasn't. */
const char *run_error_sentence(const struct run *run);
/* The launcher that has its job or was the last to be asked for it; NULL while none has. */
const char *run_launched_by(const struct run *run);

/* All but what it was asked: without its prompt and options. */
cJSON *run_json(const struct run *run, const char *result) CHECKED;
#endif
