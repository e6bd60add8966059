/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/subagent_files.h"

#include <ctype.h>

#include "agent/home_files.h"
#include "base/alloc.h"
#include "base/buf.h"

/* Through JSON, whose strings YAML takes as they are. */
static void put_text(struct buf *out, const char *key, const char *text)
{
    scoped_json value = jstr(text);
    scoped_str quoted = json_text(value);

    buf_printf(out, "%s: %s\n", key, quoted);
}

static void put_tools(struct buf *out, const struct subagent_files *files,
                      const struct agent_job *job, const struct subagent *subagent)
{
    bool plans = agent_task_of(job) == AGENT_PLAN;
    scoped_text_list list = {0};

    if (!subagent_tools(subagent, job->assignment, files->names, plans, &list))
        return;
    buf_append_str(out, "tools: [");
    for (size_t i = 0; i < list.n; i++)
        buf_printf(out, "%s\"%s\"", i ? ", " : "", list.all[i]);
    buf_append_str(out, "]\n");
}

static int write_one(const struct subagent_files *files, const struct agent_job *job,
                     const cJSON *document, struct err *err)
{
    struct subagent subagent;
    scoped_buf text = {0};
    scoped_str path = NULL;
    scoped_str name = NULL;

    if (subagent_read(document, &subagent, err) < 0)
        return -1;
    name = xstrdup(subagent.name);
    for (char *c = name; files->lower_case && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    path = xasprintf("%s/%s.md", files->folder, name);
    buf_append_str(&text, "---\n");
    put_text(&text, "name", name);
    put_text(&text, "description", subagent.description);
    put_tools(&text, files, job, &subagent);
    if (subagent.max_turns)
        buf_printf(&text, "%s: %d\n", files->turns_key, subagent.max_turns);
    buf_printf(&text, "---\n%s\n", subagent.prompt);
    return home_file_write(job->workspace, path, text.data, err);
}

int subagent_files_write(const struct subagent_files *files, const struct agent_job *job,
                         struct err *err)
{
    const cJSON *document;

    cJSON_ArrayForEach(document, job->assignment->agents)
    {
        if (write_one(files, job, document, err) < 0)
            return -1;
    }
    return 0;
}
