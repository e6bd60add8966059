/* SPDX-License-Identifier: Apache-2.0 */
#include "model/run_json.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/utf8.h"

const char *agent_status_name(enum run_status status)
{
    const char *name = run_status_public_name(status);

    return strcmp(name, "pending") == 0 ? "queued" : name;
}

char *agent_title(const char *prompt)
{
    const char *at = prompt + strspn(prompt, " \t\r\n\f\v");
    size_t length = strcspn(at, "\r\n");
    scoped_buf title = {0};
    int characters = 0;

    while (length) {
        size_t size = utf8_first(at, length);

        if (!size || (unsigned char)*at < ' ') {
            size = 1;
            buf_append(&title, " ", 1);
        } else {
            buf_append(&title, at, size);
        }
        at += size;
        length -= size;
        if (++characters == AGENT_TITLE_MAX_CHARACTERS && length) {
            buf_append_str(&title, "\xe2\x80\xa6");
            break;
        }
    }
    return buf_take(&title);
}

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

const char *run_launched_by(const struct run *run)
{
    bool asked_only = run->status == RUN_LAUNCHING && !run->job_ref;

    return run->attempt > 0 && run->status != RUN_PENDING && !asked_only ? run->launcher : NULL;
}

cJSON *run_json(const struct run *run, const char *result)
{
    scoped_str title = run->title ? xstrdup(run->title) : agent_title(run->prompt);
    bool failed = run->status == RUN_FAILED;
    char id[ID_TEXT_SIZE];

    id_text(run->id, id);
    return jobj(
        {"id", jstr(id)}, {"title", jstr(title)},
        {"status", jstr(agent_status_name(run->status))}, {"repo", jstr(run->repo)},
        {"branch", jstr(run->base_branch)}, {"agent_provider", jstr(run->agent)},
        {"model", jstr(run->model)}, {"provider", jstr(run->provider)},
        {"mode", jstr(run->mode ? run->mode : "execute")},
        {"blank_workspace", jbool(!run->repo)}, {"created_at", jtime(id_created_ms(run->id))},
        {"started_at", jtime(run->started_ms)}, {"completed_at", jtime(run->ended_ms)},
        {"result", run_result_json(run, result)}, {"error", jstr(run_error_sentence(run))},
        {"error_code", failed ? jstr(failure_code_name(run->error_code)) : NULL});
}
