/* SPDX-License-Identifier: Apache-2.0 */
#include "api/agent_json.h"

cJSON *agent_json(const struct run *run, const struct options *options, const char *result)
{
    cJSON *document = run_json(run, result);

    if (options) {
        const char *launcher = run_launched_by(run);

        if (launcher)
            (void)cJSON_AddItemToObject(document, "launcher", jstr(launcher));
        (void)cJSON_AddItemToObject(document, "prompt", jstr(run->prompt));
        (void)cJSON_AddItemToObject(document, "auto_create_pr", jbool(options->auto_create_pr));
    }
    return document;
}
