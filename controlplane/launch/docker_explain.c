/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_private.h"

#include <string.h>

#include "base/alloc.h"
#include "launch/explain.h"

/* Where the token lies, and that it is for once: names that only sound secret. */
#define OPEN_PREFIX "DISPATCH_TASK_TOKEN_"

static cJSON *shown(const char *pair)
{
    size_t length = strcspn(pair, "=");
    scoped_str name = xstrndup(pair, length);
    scoped_str hidden = xasprintf("%s=%s", name, EXPLAIN_SECRET);
    bool open = strncmp(name, OPEN_PREFIX, strlen(OPEN_PREFIX)) == 0
                || !explain_is_secret(name, pair[length] ? pair + length + 1 : NULL);

    return jstr(open ? pair : hidden);
}

static cJSON *shown_environment(const cJSON *env)
{
    cJSON *all = cJSON_CreateArray();
    const cJSON *pair;

    cJSON_ArrayForEach(pair, env)
    {
        (void)cJSON_AddItemToArray(all, shown(pair->valuestring));
    }
    return all;
}

int docker_explain(void *self, const struct job_spec *spec, cJSON **out, struct err *err)
{
    const struct docker *docker = self;
    struct job_ref ref = job_ref_make(spec->run, spec->attempt);
    cJSON *container =
        docker_container_make(docker->template, spec, docker_api_is_podman(docker->api));

    (void)err;
    (void)cJSON_ReplaceItemInObjectCaseSensitive(container, "Env",
                                                 shown_environment(json_get(container, "Env")));
    (void)cJSON_AddItemToObject(container, "Name", jstr(ref.text));
    *out = container;
    return 0;
}
