/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_AGENT_JSON_H
#define API_AGENT_JSON_H
#include "api/options.h"
#include "model/run.h"

/* A run as seed 004's surface shows an agent run. */

/* Its word for a status: "queued" for what waits. */
const char *agent_status_name(enum run_status status);

/* A title made of the beginning of the prompt, on one line; the caller frees it. */
#define AGENT_TITLE_MAX_CHARACTERS 72
char *agent_title(const char *prompt) CHECKED;

/* With `options` the document of one; with NULL an entry of a list, without prompt and text. */
cJSON *agent_json(const struct run *run, const struct options *options,
                  const char *result) CHECKED;
#endif
