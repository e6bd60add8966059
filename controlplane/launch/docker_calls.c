/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_calls.h"

#include <string.h>

#include "base/alloc.h"

static int post(struct docker_api *api, const char *id, const char *what, struct err *err)
{
    scoped_str path = xasprintf("/containers/%s/%s", id, what);

    return docker_api_call(api, &(struct docker_request){.method = "POST", .path = path}, NULL,
                           err);
}

int docker_calls_inspect(struct docker_api *api, const char *which, bool patient, cJSON **out,
                         struct err *err)
{
    scoped_str path = xasprintf("/containers/%s/json", which);

    return docker_api_json(
        api, &(struct docker_request){.method = "GET", .path = path, .patient = patient}, out,
        err);
}

/* What an engine refused to do to a container: does that matter? 0 when it isn't `state` (any
 * more). */
static int unless_moot(struct docker_api *api, const char *id, const char *state,
                       const struct err *refusal, struct err *err)
{
    scoped_json container = NULL;
    struct err unseen = {0};

    if (refusal->kind == ERR_NOT_FOUND)
        return 0;
    if (refusal->kind != ERR_UNAVAILABLE && refusal->kind != ERR_TIMEOUT) {
        if (docker_calls_inspect(api, id, false, &container, &unseen) < 0
                ? unseen.kind == ERR_NOT_FOUND
                : !json_get_bool(json_get(container, "State"), state, false))
            return 0;
    }
    *err = *refusal;
    return -1;
}

int docker_calls_signal(struct docker_api *api, const char *id, const char *signal,
                        struct err *err)
{
    scoped_str what = xasprintf("kill?signal=%s", signal);
    struct err refusal = {0};

    return post(api, id, what, &refusal) == 0 ? 0
                                              : unless_moot(api, id, "Running", &refusal, err);
}

int docker_calls_resume(struct docker_api *api, const char *id, struct err *err)
{
    struct err refusal = {0};

    return post(api, id, "unpause", &refusal) == 0
               ? 0
               : unless_moot(api, id, "Paused", &refusal, err);
}

int docker_calls_remove(struct docker_api *api, const char *id, struct err *err)
{
    scoped_str path = xasprintf("/containers/%s?v=1", id);
    struct err failure = {0};

    if (docker_api_call(api, &(struct docker_request){.method = "DELETE", .path = path}, NULL,
                        &failure)
            == 0
        || failure.kind == ERR_NOT_FOUND)
        return 0;
    *err = failure;
    return -1;
}
