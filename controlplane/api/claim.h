/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_CLAIM_H
#define API_CLAIM_H
#include "api/options.h"
#include "config/config.h"
#include "model/run.h"

/* What a runner is told of its run: everything it needs, and no secret. `Assignment` in
 * openapi.yaml. */
cJSON *claim_json(const struct config *config, const struct run *run,
                  const struct options *options) CHECKED;
#endif
