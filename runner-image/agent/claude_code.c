/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <string.h>
#include <unistd.h>

#include "agent/home_files.h"
#include "agent/instructions.h"
#include "agent/subagent_files.h"
#include "agent/verdict.h"
#include "base/alloc.h"
#include "base/buf.h"

/*
 * The agent `claude-code` (npm @anthropic-ai/claude-code, seen with 2.1.197).
 *
 *     claude -p --output-format stream-json --verbose ...      prompt on stdin
 *
 * What the repository says about it (.claude, .mcp.json, CLAUDE.md) is left alone with
 * `--setting-sources user --strict-mcp-config`; --bare and --safe-mode don't do that, they
 * still take a base URL and run a key helper from .claude/settings.json. A plan is made by
 * offering tools that read and no others (`--tools`), which holds for subagents too.
 *
 * Its exit code is 0 after refused tools and 1 after a failed model call, both with subtype
 * "success": what counts is the result event's is_error.
 */
#define TOOL_SERVER_FILE ".dispatch/claude-mcp.json"
/* It would wait minutes for a model that refuses; the gateway tries nothing again either. */
#define RETRIES_MAX 4

/* Tools that lead away from the checkout, or past the end of the run. */
#define UNWANTED                                                                               \
    "EnterWorktree,ExitWorktree,CronCreate,CronDelete,CronList,ScheduleWakeup,"                \
    "AskUserQuestion"

static const struct tool_name tools[] = {
    {"read", "Read", true},
    {"grep", "Grep", true},
    {"glob", "Glob", true},
    {"list", "Glob", true},
    {"webfetch", "WebFetch", true},
    {"websearch", "WebSearch", true},
    {"task", "Agent", true},
    {"write", "Write", false},
    {"edit", "Edit", false},
    {"bash", "Bash", false},
    {"notebook", "NotebookEdit", false},
    {"skill", "Skill", false},
    {"todowrite", "TaskCreate", false},
    {"todowrite", "TaskUpdate", false},
};
static const struct tool_names names = {tools, ARRAY_SIZE(tools),
                                        "mcp__" AGENT_TOOL_SERVER_NAME "__"};
static const struct subagent_files subagent_files = {
    .folder = ".claude/agents",
    .turns_key = "maxTurns",
    .names = &names,
};

/* --- What it finds in its HOME ------------------------------------------------------------ */

static int add_tool_server(const struct agent_job *job, struct text_list *argv, struct err *err)
{
    scoped_str server = agent_tool_server(job);

    if (!server)
        return 0;
    text_list_add(argv, "--mcp-config");
    text_list_add(argv, "%s/" TOOL_SERVER_FILE, workspace_agent_home(job->workspace));
    return home_file_write_json(
        job->workspace, TOOL_SERVER_FILE,
        jobj({"mcpServers",
              jobj({AGENT_TOOL_SERVER_NAME, jobj({"command", jstr(server)},
                                                 {"args", jarr(jstr(AGENT_TOOL_SERVER_COMMAND),
                                                               jstr(job->tool_socket))})})}),
        err);
}

/* --- How it is started -------------------------------------------------------------------- */

static int add_model(const struct agent_job *job, struct agent_start *out, struct err *err)
{
    const struct assignment *a = job->assignment;

    if (a->provider && strcmp(a->provider, "anthropic") != 0)
        return err_set(err, ERR_INVALID,
                       "claude-code speaks to provider anthropic only, not to %.60s",
                       a->provider);
    if (a->model) {
        text_list_add(&out->argv, "--model");
        text_list_add(&out->argv, "%s", a->model);
    }
    if (!job->access || !job->access->key)
        return 0;
    if (!job->access->anthropic_url)
        return err_set(err, ERR_INVALID,
                       "claude-code needs a key for Anthropic, and this runner has none");
    text_list_add(&out->env, "ANTHROPIC_BASE_URL=%s", job->access->anthropic_url);
    text_list_add(&out->env, "ANTHROPIC_API_KEY=%s", job->access->key);
    return 0;
}

/* Nothing but the tools of this list, which are then asked nobody for. */
static void add_only_tools(const struct agent_job *job, struct text_list *argv)
{
    scoped_text_list list = {0};
    scoped_buf joined = {0};

    if (agent_task_of(job) == AGENT_PLAN)
        tool_names_reading(&names, &list);
    for (size_t i = 0; i < list.n; i++)
        buf_printf(&joined, "%s%s", i ? "," : "", list.all[i]);
    text_list_add(argv, "--permission-mode");
    text_list_add(argv, "dontAsk");
    text_list_add(argv, "--tools");
    text_list_add(argv, "%s", joined.data ? joined.data : "");
    if (!list.n)
        return;
    text_list_add(argv, "--allowedTools");
    text_list_add(argv, "%s,mcp__" AGENT_TOOL_SERVER_NAME, joined.data);
}

static void add_permissions(const struct agent_job *job, struct agent_start *out)
{
    int turns = agent_task_of(job) == AGENT_ANSWER ? 1 : job->assignment->max_turns;

    if (agent_task_of(job) == AGENT_WORK) {
        text_list_add(&out->argv, "--dangerously-skip-permissions");
        text_list_add(&out->argv, "--disallowedTools");
        text_list_add(&out->argv, UNWANTED);
    } else {
        add_only_tools(job, &out->argv);
    }
    if (turns) {
        text_list_add(&out->argv, "--max-turns");
        text_list_add(&out->argv, "%d", turns);
    }
    if (job->turn == AGENT_TURN_DESCRIBE || !job->assignment->honour_repository_agent_config) {
        text_list_add(&out->argv, "--setting-sources");
        text_list_add(&out->argv, "user");
        text_list_add(&out->argv, "--strict-mcp-config");
    }
    if (geteuid() == 0) /* root may skip permissions only where it says that it is walled in */
        text_list_add(&out->env, "IS_SANDBOX=1");
}

/* A prompt that starts with a slash would be a command to it. */
static void set_input(const struct agent_job *job, struct agent_start *out)
{
    out->input = job->prompt;
    if (job->prompt[strspn(job->prompt, " \t\r\n")] != '/')
        return;
    out->own_input = xasprintf("The task:\n\n%s", job->prompt);
    out->input = out->own_input;
}

static int claude_prepare(const struct agent_job *job, struct agent_start *out, struct err *err)
{
    static const char *const argv[] = {"claude",
                                       "-p",
                                       "--output-format",
                                       "stream-json",
                                       "--verbose",
                                       "--no-session-persistence",
                                       "--append-system-prompt",
                                       NULL};
    static const char *const env[] = {"DISABLE_AUTOUPDATER=1", "DISABLE_TELEMETRY=1",
                                      "DISABLE_ERROR_REPORTING=1",
                                      "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", NULL};
    scoped_str instructions = agent_instructions(job);

    text_list_add_all(&out->argv, argv);
    text_list_add(&out->argv, "%s", instructions);
    text_list_add_all(&out->env, env);
    text_list_add(&out->env, "CLAUDE_CODE_MAX_RETRIES=%d", RETRIES_MAX);
    if (add_model(job, out, err) < 0)
        return -1;
    add_permissions(job, out);
    set_input(job, out);
    if (job->turn != AGENT_TURN_WORK)
        return 0;
    if (subagent_files_write(&subagent_files, job, err) < 0)
        return -1;
    return add_tool_server(job, &out->argv, err);
}

/* --- What it says ------------------------------------------------------------------------- */

static void read_message(struct transcript *transcript, const cJSON *event)
{
    const cJSON *message = json_get(event, "message");
    enum transcript_voice voice =
        json_get_str(event, "parent_tool_use_id") ? VOICE_SUBAGENT : VOICE_AGENT;
    const char *model = json_get_str(message, "model");
    const cJSON *block;

    if (model && strcmp(model, "<synthetic>") == 0)
        return; /* its own words for a failure, which the result has too */
    cJSON_ArrayForEach(block, json_get(message, "content"))
    {
        const char *type = json_get_str(block, "type");

        if (type && strcmp(type, "text") == 0)
            transcript_message(transcript, voice, json_get_str(block, "text"));
        else if (type && strcmp(type, "tool_use") == 0)
            transcript_tool_use(transcript, voice, json_get_str(block, "name"),
                                json_get(block, "input"));
    }
}

static void read_system(struct transcript *transcript, const cJSON *event)
{
    const char *subtype = json_get_str(event, "subtype");
    const char *error = json_get_str(event, "error");

    if (subtype && strcmp(subtype, "api_retry") == 0)
        transcript_warning(transcript, "the model's answer was %d (%s), the agent tries again",
                           (int)json_get_int(event, "error_status", 0), error ? error : "");
}

static void read_refusals(struct transcript *transcript, const cJSON *refusals)
{
    const cJSON *refusal;

    cJSON_ArrayForEach(refusal, refusals)
    {
        const char *name = json_get_str(refusal, "tool_name");

        if (name)
            transcript_warning(transcript, "the agent was refused a use of %.60s", name);
    }
}

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *value = json_get(object, key);

    return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

static void read_result(struct transcript *transcript, const cJSON *event)
{
    const char *subtype = json_get_str(event, "subtype");
    const char *text = json_get_str(event, "result");
    const cJSON *errors = json_get(event, "errors");
    const cJSON *usage = json_get(event, "usage");

    transcript_usage(transcript,
                     json_get_int(usage, "input_tokens", 0)
                         + json_get_int(usage, "cache_creation_input_tokens", 0)
                         + json_get_int(usage, "cache_read_input_tokens", 0),
                     json_get_int(usage, "output_tokens", 0),
                     number_of(event, "total_cost_usd"));
    read_refusals(transcript, json_get(event, "permission_denials"));
    if (cJSON_IsArray(errors) && cJSON_IsString(errors->child))
        text = errors->child->valuestring;
    if (subtype && strcmp(subtype, "success") == 0
        && cJSON_IsFalse(json_get(event, "is_error")))
        transcript_success(transcript, text);
    else if (subtype && strcmp(subtype, "error_max_turns") == 0)
        transcript_failure(transcript, "it reached its limit of turns");
    else
        transcript_failure(transcript, "%s", text ? text : subtype ? subtype : "no reason");
}

static void claude_read(struct transcript *transcript, const cJSON *event)
{
    const char *type = json_get_str(event, "type");

    if (!type)
        return;
    if (strcmp(type, "assistant") == 0)
        read_message(transcript, event);
    else if (strcmp(type, "system") == 0)
        read_system(transcript, event);
    else if (strcmp(type, "result") == 0)
        read_result(transcript, event);
}

const struct agent_kind claude_code_agent = {
    .name = "claude-code",
    .prepare = claude_prepare,
    .judge = verdict_judge,
    .read_event = claude_read,
    .takes_options = true,
};
