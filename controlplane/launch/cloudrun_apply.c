/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/cloudrun_apply.h"

#include "base/alloc.h"
#include "launch/cloudrun_api.h"
#include "launch/cloudrun_job.h"

static int check(const struct cloudrun_api *api, const struct config *config, struct err *err)
{
    scoped_json job = NULL;
    scoped_str container = NULL;

    if (cloudrun_api_get_job(api, &job, err) < 0)
        return -1;
    return cloudrun_job_check(job, config, &container, err);
}

static int create(const struct cloudrun_api *api, const struct config *config,
                  const char **out_did, struct err *err)
{
    scoped_json wanted = cloudrun_job_make(NULL, config, err);

    if (!wanted || cloudrun_api_create_job(api, wanted, err) < 0)
        return -1;
    *out_did = "created";
    return check(api, config, err);
}

static int update(const struct cloudrun_api *api, const cJSON *job, const struct config *config,
                  const char **out_did, struct err *err)
{
    scoped_json wanted = cloudrun_job_make(job, config, err);

    if (!wanted)
        return -1;
    if (cJSON_Compare(json_get(job, "template"), json_get(wanted, "template"), true)) {
        *out_did = "unchanged";
        return 0;
    }
    if (cloudrun_api_update_job(api, wanted, err) < 0)
        return -1;
    *out_did = "updated";
    return check(api, config, err);
}

static int apply(const struct cloudrun_api *api, const struct config *config,
                 const char **out_did, struct err *err)
{
    struct err failed = {0};
    scoped_json job = NULL;

    if (cloudrun_api_get_job(api, &job, &failed) == 0)
        return update(api, job, config, out_did, err);
    if (failed.kind == ERR_NOT_FOUND)
        return create(api, config, out_did, err);
    *err = failed;
    return -1;
}

int cloudrun_apply(const struct config *config, const char **out_did, struct err *err)
{
    struct cloudrun_api api = {0};
    int result = cloudrun_settings_check(config, err);

    if (result == 0)
        result = cloudrun_api_open(&api, config, err);
    if (result == 0)
        result = apply(&api, config, out_did, err);
    cloudrun_api_done(&api);
    return result;
}
