/* SPDX-License-Identifier: Apache-2.0 */
#include "api/event_text.h"

#include <inttypes.h>
#include <string.h>

#include "api/agent_json.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "json/json.h"

struct names {
    const char *id;
    const char *(*of_status)(enum run_status status);
};

/* --- Events --------------------------------------------------------------------------------
 */

static char *move_json(const struct journal_entry *entry, const struct names *names)
{
    bool failed = entry->status == RUN_FAILED;
    char id[ID_TEXT_SIZE];

    id_text(entry->run, id);
    scoped_json event = jobj(
        {names->id, jstr(id)}, {"attempt", jint(entry->attempt)}, {"at", jtime(entry->at_ms)},
        {"status", jstr(names->of_status(entry->status))}, {"reason", jstr(entry->reason)},
        {"error_code", failed ? jstr(entry->error_code) : NULL},
        {"error", failed ? jstr(entry->error ? entry->error : "the run failed") : NULL},
        {"pr_url", jstr(entry->pr_url)}, {"branch_name", jstr(entry->branch_name)},
        {"summary", jstr(entry->summary)}, {"draft", jtrue(entry->draft)},
        {"partial", jtrue(entry->partial)});
    return json_text(event);
}

/* The runner's own fields are JSON as we wrote it, on one line: no need to read it again. */
static char *event_json(const struct journal_entry *entry, const struct names *names)
{
    char id[ID_TEXT_SIZE];
    char at[CLOCK_TEXT_SIZE];

    id_text(entry->run, id);
    clock_text(entry->at_ms, at);
    return xasprintf(
        "{\"%s\":\"%s\",\"attempt\":%d,\"at\":\"%s\",\"seq\":%" PRId64 ",\"data\":%s}",
        names->id, id, entry->attempt, at, entry->seq, entry->data ? entry->data : "{}");
}

static char *event_of(const struct journal_entry *entry, const struct names *names)
{
    bool is_move = !entry->type;
    scoped_str data = is_move ? move_json(entry, names) : event_json(entry, names);

    return xasprintf("id: %" PRId64 "\nevent: %s\ndata: %s\n\n", entry->number,
                     is_move ? "status" : entry->type, data);
}

static char *task_event(const struct journal_entry *entry)
{
    static const struct names names = {"task_id", run_status_public_name};

    return event_of(entry, &names);
}

static char *agent_event(const struct journal_entry *entry)
{
    static const struct names names = {"id", agent_status_name};

    return event_of(entry, &names);
}

const struct live_face task_events = {.render = task_event};
const struct live_face agent_events = {.render = agent_event};

/* --- Lines ---------------------------------------------------------------------------------
 */

void event_text_tame(char *text, size_t size)
{
    unsigned char *bytes = (unsigned char *)text;

    for (size_t i = 0; i < size; i++) {
        /* U+0080 to U+009F are control characters too; in UTF-8 they begin with 0xc2. */
        bool is_c1 =
            bytes[i] == 0xc2 && i + 1 < size && bytes[i + 1] >= 0x80 && bytes[i + 1] <= 0x9f;

        if (is_c1)
            bytes[i + 1] = '?';
        if (is_c1 || bytes[i] == 0x7f
            || (bytes[i] < ' ' && bytes[i] != '\n' && bytes[i] != '\t'))
            bytes[i] = '?';
    }
}

/* "<time> <type> <line>" for each line of the text. */
static void add_lines(struct buf *out, int64_t at_ms, const char *type, const char *text)
{
    char at[CLOCK_TEXT_SIZE];

    clock_text(at_ms, at);
    do {
        size_t length = strcspn(text, "\n");
        size_t shown = length && text[length - 1] == '\r' ? length - 1 : length;

        buf_printf(out, "%s %s ", at, type);
        buf_append(out, text, shown);
        buf_append_str(out, "\n");
        text += length + (text[length] != '\0');
    } while (*text);
}

static void add_move(struct buf *out, const struct journal_entry *entry)
{
    scoped_buf text = {0};

    buf_append_str(&text, run_status_public_name(entry->status));
    if (entry->status == RUN_FAILED)
        buf_printf(&text, " (%s): %s", entry->error_code ? entry->error_code : "internal",
                   entry->error ? entry->error : "the run failed");
    if (entry->reason)
        buf_printf(&text, ": %s", entry->reason);
    if (entry->pr_url)
        buf_printf(&text, " %s", entry->pr_url);
    add_lines(out, entry->at_ms, "status", text.data);
}

static void add_tool(struct buf *out, const cJSON *data)
{
    static const char *const members[] = {"argument", "error"};

    buf_append_str(out, json_get_str(data, "name") ? json_get_str(data, "name") : "?");
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        if (json_get_str(data, members[i]))
            buf_printf(out, " %s", json_get_str(data, members[i]));
}

static const char *text_of(const char *type, const cJSON *data)
{
    if (strcmp(type, "log") == 0)
        return json_get_str(data, json_get_str(data, "line") ? "line" : "text");
    if (strcmp(type, "agent_message") == 0)
        return json_get_str(data, "text");
    if (strcmp(type, "warning") == 0)
        return json_get_str(data, "message");
    if (strcmp(type, "step") == 0)
        return json_get_str(data, "name");
    return NULL;
}

static void add_event(struct buf *out, const struct journal_entry *entry)
{
    const char *json = entry->data ? entry->data : "{}";
    struct err ignored;
    scoped_json data = json_parse(json, strlen(json), &ignored);
    scoped_buf tool = {0};
    const char *text = text_of(entry->type, data);

    if (strcmp(entry->type, "tool_use") == 0) {
        add_tool(&tool, data);
        text = tool.data;
    }
    if (text)
        add_lines(out, entry->at_ms, entry->type, text);
}

static char *lines_of(const struct journal_entry *entry)
{
    scoped_buf out = {0};

    if (entry->type)
        add_event(&out, entry);
    else
        add_move(&out, entry);
    if (!out.size)
        return NULL;
    event_text_tame(out.data, out.size);
    return buf_take(&out);
}

const struct live_face log_lines = {.render = lines_of};

/* --- Both ----------------------------------------------------------------------------------
 */

char *event_text_queued(const struct live_face *face, struct id run)
{
    struct journal_entry entry = {
        .run = run, .status = RUN_PENDING, .at_ms = id_created_ms(run)};

    /* cppcheck-suppress returnDanglingLifetime ; what is rendered is a text of its own */
    return face->render(&entry);
}
