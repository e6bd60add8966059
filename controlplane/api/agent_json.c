/* SPDX-License-Identifier: Apache-2.0 */
#include "api/agent_json.h"

#include <string.h>

#include "api/task_json.h"
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

cJSON *agent_json(const struct run *run, const struct options *options, const char *result)
{
    scoped_str title = run->title ? xstrdup(run->title) : agent_title(run->prompt);
    bool failed = run->status == RUN_FAILED;
    char id[ID_TEXT_SIZE];

    id_text(run->id, id);
    return jobj(
        {"id", jstr(id)}, {"title", jstr(title)},
        {"status", jstr(agent_status_name(run->status))}, {"repo", jstr(run->repo)},
        {"branch", jstr(run->base_branch)}, {"prompt", options ? jstr(run->prompt) : NULL},
        {"agent_provider", jstr(run->agent)}, {"model", jstr(run->model)},
        {"provider", jstr(run->provider)}, {"mode", jstr(run->mode ? run->mode : "execute")},
        {"auto_create_pr", options ? jbool(options->auto_create_pr) : NULL},
        {"blank_workspace", jbool(!run->repo)}, {"created_at", jtime(id_created_ms(run->id))},
        {"started_at", jtime(run->started_ms)}, {"completed_at", jtime(run->ended_ms)},
        {"result", run_result_json(run, result)}, {"error", jstr(run_error_sentence(run))},
        {"error_code", failed ? jstr(failure_code_name(run->error_code)) : NULL});
}
