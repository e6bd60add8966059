/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_AGENT_JSON_H
#define API_AGENT_JSON_H
#include "api/options.h"
#include "model/run_json.h"

/* With `options` the document of one; with NULL an entry of a list, without prompt and text. */
cJSON *agent_json(const struct run *run, const struct options *options,
                  const char *result) CHECKED;
#endif
