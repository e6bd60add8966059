/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <string.h>

#include "agent/home_files.h"
#include "agent/instructions.h"
#include "agent/subagent_files.h"
#include "agent/verdict.h"
#include "base/alloc.h"
#include "base/buf.h"

/*
 * The agent `gemini-code` (npm @google/gemini-cli, seen with 0.61.0).
 *
 *     gemini -o stream-json --skip-trust --yolo ...      prompt on stdin
 *
 * What the repository says about it (.gemini) is left alone by folder trust, which --skip-trust
 * doesn't undo: the settings are read, as an untrusted folder's, before that option is.
 * GEMINI_CLI_TRUST_WORKSPACE=true in the environment does undo it. Skills and instruction files
 * come through all the same and are switched off by settings of the user's, .env files too.
 *
 * Its own plan mode is no wall: without a person it lets the model leave it, and then allows
 * everything. A plan is made by offering tools that read and no others (tools.core), which
 * holds for subagents and external tools too.
 *
 * Exit codes: 41 no key, 53 too many turns, 145 a 401 of the model; 0 after SIGTERM.
 */
#define SETTINGS_FILE ".gemini/settings.json"
#define POLICY_FILE ".gemini/policies/dispatch.toml"
#define INSTRUCTIONS_FILE "DISPATCH_RUN.md"
/* Of one call of the model; by itself it would go on for minutes. */
#define ATTEMPTS_MAX 4
/* Where none is asked for. Its own choice would be made by asking a model first, each turn. */
#define DEFAULT_MODEL "gemini-2.5-pro"

/* A run that works stays in its mode: plan mode ends in nothing, or in no mode at all. */
static const char policy[] = "[[rule]]\n"
                             "toolName = [\"enter_plan_mode\", \"exit_plan_mode\"]\n"
                             "decision = \"deny\"\n"
                             "priority = 999\n";

static const struct tool_name tools[] = {
    {"read", "read_file", true},
    {"read", "read_many_files", true},
    {"grep", "grep_search", true},
    {"glob", "glob", true},
    {"list", "list_directory", true},
    {"webfetch", "web_fetch", true},
    {"websearch", "google_web_search", true},
    {"write", "write_file", false},
    {"edit", "replace", false},
    {"bash", "run_shell_command", false},
    {"todowrite", "write_todos", false},
};
static const struct tool_names names = {tools, ARRAY_SIZE(tools),
                                        "mcp_" AGENT_TOOL_SERVER_NAME "_"};
static const struct subagent_files subagent_files = {
    .folder = ".gemini/agents",
    .turns_key = "max_turns",
    .names = &names,
    .lower_case = true,
};

static cJSON *list_to_json(const struct text_list *list)
{
    cJSON *array = cJSON_CreateArray();

    for (size_t i = 0; i < list->n; i++)
        cJSON_AddItemToArray(array, jstr(list->all[i]));
    return array;
}

/* --- What it finds in its HOME ------------------------------------------------------------ */

/* The tools of a turn that may not change anything; NULL: all. */
static cJSON *core_tools(const struct agent_job *job)
{
    scoped_text_list list = {0};

    if (agent_task_of(job) == AGENT_WORK)
        return NULL;
    if (agent_task_of(job) == AGENT_PLAN) {
        tool_names_reading(&names, &list);
        tool_names_external(&names, job->assignment, &list);
        text_list_add(&list, "invoke_agent");
        text_list_add(&list, "complete_task"); /* with which a subagent ends */
    }
    return jobj({"core", list_to_json(&list)});
}

static cJSON *tool_servers(const struct agent_job *job)
{
    scoped_str server = agent_tool_server(job);

    if (!server)
        return NULL;
    return jobj({AGENT_TOOL_SERVER_NAME,
                 jobj({"command", jstr(server)},
                      {"args", jarr(jstr(AGENT_TOOL_SERVER_COMMAND), jstr(job->tool_socket))},
                      {"trust", jbool(true)})});
}

static bool honours_repository(const struct agent_job *job)
{
    return job->turn == AGENT_TURN_WORK && job->assignment->honour_repository_agent_config;
}

static cJSON *settings(const struct agent_job *job)
{
    bool honours = honours_repository(job);
    int turns = agent_task_of(job) == AGENT_ANSWER ? 1 : job->assignment->max_turns;

    return jobj(
        {"security", jobj({"auth", jobj({"selectedType", jstr("gemini-api-key")})},
                          {"folderTrust", jobj({"enabled", jbool(true)})})},
        {"privacy", jobj({"usageStatisticsEnabled", jbool(false)})},
        {"general", jobj({"enableAutoUpdate", jbool(false)},
                         {"enableAutoUpdateNotification", jbool(false)},
                         {"maxAttempts", jint(ATTEMPTS_MAX)})},
        {"advanced", jobj({"ignoreLocalEnv", jbool(!honours)})},
        {"skills", jobj({"enabled", jbool(honours)})},
        {"hooksConfig", jobj({"enabled", jbool(honours)})},
        {"experimental",
         jobj({"enableAgents", jbool(honours
                                     || (job->turn == AGENT_TURN_WORK && job->assignment->agents
                                         && job->assignment->agents->child))})},
        {"context",
         jobj({"fileName", jarr(jstr(INSTRUCTIONS_FILE), honours ? jstr("GEMINI.md") : NULL)})},
        {"model", turns ? jobj({"maxSessionTurns", jint(turns)}) : NULL},
        {"tools", core_tools(job)}, {"mcpServers", tool_servers(job)});
}

static int write_home(const struct agent_job *job, struct err *err)
{
    scoped_str instructions = agent_instructions(job);

    if (home_file_write(job->workspace, ".gemini/" INSTRUCTIONS_FILE, instructions, err) < 0
        || home_file_write(job->workspace, POLICY_FILE, policy, err) < 0
        || home_file_write_json(job->workspace, SETTINGS_FILE, settings(job), err) < 0)
        return -1;
    return job->turn == AGENT_TURN_WORK ? subagent_files_write(&subagent_files, job, err) : 0;
}

/* --- How it is started -------------------------------------------------------------------- */

static int add_model(const struct agent_job *job, struct agent_start *out, struct err *err)
{
    const struct assignment *a = job->assignment;

    if (a->provider && strcmp(a->provider, "gemini") != 0 && strcmp(a->provider, "google") != 0)
        return err_set(err, ERR_INVALID,
                       "gemini-code speaks to provider gemini only, not to %.60s", a->provider);
    text_list_add(&out->argv, "-m");
    text_list_add(&out->argv, "%s", a->model ? a->model : DEFAULT_MODEL);
    if (!job->access || !job->access->key)
        return 0;
    if (!job->access->gemini_url)
        return err_set(err, ERR_INVALID,
                       "gemini-code needs a key for Gemini, and this runner has none");
    text_list_add(&out->env, "GOOGLE_GEMINI_BASE_URL=%s", job->access->gemini_url);
    text_list_add(&out->env, "GEMINI_API_KEY=%s", job->access->key);
    return 0;
}

static int gemini_prepare(const struct agent_job *job, struct agent_start *out, struct err *err)
{
    static const char *const argv[] = {"gemini", "-o", "stream-json", NULL};

    text_list_add_all(&out->argv, argv);
    text_list_add(&out->env, "GEMINI_TELEMETRY_ENABLED=false");
    text_list_add(&out->env, "NO_COLOR=1");
    if (honours_repository(job))
        text_list_add(&out->env, "GEMINI_CLI_TRUST_WORKSPACE=true");
    else
        text_list_add(&out->argv, "--skip-trust");
    text_list_add(&out->argv, "--approval-mode");
    text_list_add(&out->argv, "%s", agent_task_of(job) == AGENT_WORK ? "yolo" : "default");
    if (add_model(job, out, err) < 0)
        return -1;
    out->input = job->prompt;
    return write_home(job, err);
}

/* --- What it says ------------------------------------------------------------------------- */

static void read_message(struct transcript *transcript, const cJSON *event)
{
    const char *role = json_get_str(event, "role");
    const char *text = json_get_str(event, "content");

    if (!role || strcmp(role, "assistant") != 0)
        return; /* the prompt again */
    if (json_get_bool(event, "delta", false))
        transcript_message_part(transcript, text);
    else
        transcript_message(transcript, VOICE_AGENT, text);
}

static void read_error(struct transcript *transcript, const cJSON *event)
{
    const char *message = json_get_str(event, "message");

    if (message)
        transcript_warning(transcript, "the agent says: %s", message);
}

static void read_result(struct transcript *transcript, const cJSON *event)
{
    const char *status = json_get_str(event, "status");
    const cJSON *error = json_get(event, "error");
    const char *type = json_get_str(error, "type");
    const char *message = json_get_str(error, "message");
    const cJSON *stats = json_get(event, "stats");

    transcript_usage(transcript, json_get_int(stats, "input_tokens", 0),
                     json_get_int(stats, "output_tokens", 0), 0);
    if (status && strcmp(status, "success") == 0)
        transcript_success(transcript, NULL);
    else if (type && strcmp(type, "FatalTurnLimitedError") == 0)
        transcript_failure(transcript, "it reached its limit of turns");
    else
        transcript_failure(transcript, "%s", message ? message : "no reason");
}

static void gemini_read(struct transcript *transcript, const cJSON *event)
{
    const char *type = json_get_str(event, "type");

    if (!type)
        return;
    if (strcmp(type, "message") == 0)
        read_message(transcript, event);
    else if (strcmp(type, "tool_use") == 0)
        transcript_tool_use(transcript, VOICE_AGENT, json_get_str(event, "tool_name"),
                            json_get(event, "parameters"));
    else if (strcmp(type, "error") == 0)
        read_error(transcript, event);
    else if (strcmp(type, "result") == 0)
        read_result(transcript, event);
}

const struct agent_kind gemini_code_agent = {
    .name = "gemini-code",
    .prepare = gemini_prepare,
    .judge = verdict_judge,
    .read_event = gemini_read,
    .takes_options = true,
};
