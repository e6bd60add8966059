/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/job_explain.h"

#include <string.h>

#include "base/alloc.h"
#include "launch/explain.h"
#include "launch/job_child.h"
#include "launch/job_env.h"

/* A descriptor's number isn't known before it is open. */
#define TOKEN_FILE "DISPATCH_TASK_TOKEN_FILE"
#define TOKEN_FILE_SHOWN "/proc/self/fd/<n>"

/* What we set ourselves is shown; of what is handed on from our environment, only the names
 * that say nothing of keys. */
static cJSON *variable_json(const char *text)
{
    const char *equals = strchr(text, '=');
    scoped_str name = xstrndup(text, (size_t)(equals - text));
    const char *value = equals + 1;

    if (strcmp(name, TOKEN_FILE) == 0)
        value = TOKEN_FILE_SHOWN;
    else if (explain_is_secret(name, value))
        value = EXPLAIN_SECRET;
    return jobj({"name", jstr(name)}, {"value", jstr(value)});
}

cJSON *job_explain(const char *runner, const char *ca_file, const struct job_spec *spec,
                   const char *job_dir)
{
    cJSON *environment = json_array(NULL, 0);
    scoped_str log = xasprintf("%s/" JOB_CHILD_LOG, job_dir);
    scoped_job_env env = {0};

    job_env_make(&env, spec, job_dir, ca_file, 0);
    for (size_t i = 0; i < env.count; i++)
        cJSON_AddItemToArray(environment, variable_json(env.values[i]));
    return jobj({"argv", jarr(jstr(runner))}, {"cwd", jstr(job_dir)},
                {"environment", environment}, {"log", jstr(log)},
                {"timeout_s", jint(spec->timeout_s)});
}
