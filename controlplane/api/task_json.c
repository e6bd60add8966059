/* SPDX-License-Identifier: Apache-2.0 */
#include "api/task_json.h"

#include "base/alloc.h"
#include "model/run_json.h"

static char *url_of(const struct config *config, const struct run *run)
{
    return run->repo ? xasprintf("%s/%s.git", config->github_server_url, run->repo) : NULL;
}

cJSON *task_json(const struct config *config, const struct run *run,
                 const struct run_details *details)
{
    bool listed = details == NULL;
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
                {"retry_of", jstr(run->retry_of)},
                {"launcher", listed ? NULL : jstr(run_launched_by(run))},
                {"result", run_result_json(run, listed ? NULL : details->result)},
                {"error", jstr(run_error_sentence(run))},
                {"error_code", failed ? jstr(failure_code_name(run->error_code)) : NULL});
}
