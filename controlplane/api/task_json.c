/* SPDX-License-Identifier: Apache-2.0 */
#include "api/task_json.h"

#include "base/alloc.h"

static cJSON *result_json(const struct run *run)
{
    if (run->status != RUN_COMPLETED && !run->pr_url && !run->branch_name)
        return NULL;
    return jobj({"pr_url", jstr(run->pr_url)}, {"branch_name", jstr(run->branch_name)},
                {"draft", jtrue(run->draft)}, {"partial", jtrue(run->partial)},
                {"summary", jstr(run->summary)});
}

static const char *error_of(const struct run *run)
{
    if (run->status != RUN_FAILED)
        return NULL; /* a failed launch that will be retried is no error of the task */
    return run->error ? run->error : "the run failed";
}

static char *url_of(const struct config *config, const struct run *run)
{
    return xasprintf("%s/%s.git", config->github_server_url, run->repo);
}

cJSON *task_json(const struct config *config, const struct run *run, bool listed)
{
    scoped_str repository_url = listed ? url_of(config, run) : NULL;
    char id[ID_TEXT_SIZE];
    int64_t created_ms = id_created_ms(run->id);
    bool failed = run->status == RUN_FAILED;

    id_text(run->id, id);
    return jobj({"task_id", jstr(id)}, {"status", jstr(run_status_public_name(run->status))},
                {"submitted_at", jtime(created_ms)}, {"queued_at", jtime(created_ms)},
                {"started_at", jtime(run->started_ms)}, {"completed_at", jtime(run->ended_ms)},
                {"repository_url", jstr(repository_url)},
                {"description", listed ? jstr(run->prompt) : NULL},
                {"result", result_json(run)}, {"error", jstr(error_of(run))},
                {"error_code", failed ? jstr(failure_code_name(run->error_code)) : NULL});
}
