/* SPDX-License-Identifier: Apache-2.0 */
#include "api/task_json.h"

#include "base/alloc.h"

/* A failed run may have left something: a draft of what there was. */
cJSON *run_result_json(const struct run *run, const char *text)
{
    if (run->status != RUN_COMPLETED && !run->pr_url && !run->branch_name && !text)
        return NULL;
    return jobj({"pr_url", jstr(run->pr_url)}, {"branch_name", jstr(run->branch_name)},
                {"draft", jtrue(run->draft)}, {"partial", jtrue(run->partial)},
                {"summary", jstr(run->summary)}, {"text", jstr(text)});
}

const char *run_error_sentence(const struct run *run)
{
    if (run->status != RUN_FAILED)
        return NULL; /* a failed launch that will be retried is no error of the task */
    return run->error ? run->error : "the run failed";
}

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
                {"result", run_result_json(run, listed ? NULL : details->result)},
                {"error", jstr(run_error_sentence(run))},
                {"error_code", failed ? jstr(failure_code_name(run->error_code)) : NULL});
}
