/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <string.h>

#include "agent/home_files.h"
#include "agent/instructions.h"
#include "agent/subagent.h"
#include "agent/verdict.h"
#include "base/alloc.h"

/*
 * The agent `opencode` (npm opencode-ai, seen with 1.18.33).
 *
 *     opencode run --format json --title T -m PROVIDER/MODEL --auto      prompt on stdin
 *
 * What the repository says about it (.opencode, opencode.json, AGENTS.md) is left alone by
 * OPENCODE_DISABLE_PROJECT_CONFIG, but not by all of it: one of its two readers of
 * configuration knows neither that variable nor OPENCODE_PURE and runs the repository's
 * plugins. So those entries are out of its sight.
 *
 * A plan is made by denying every tool that doesn't read; a subagent's permissions would rule
 * over those, so they are given to each.
 *
 * It says nothing at its end: a run went well when the model's last answer ended by itself.
 * Its exit code is 0 after refused tools. A limit of steps is no hard stop: the clock and the
 * run's budget are.
 */
#define CONFIG_FILE ".config/opencode/opencode.json"
#define INSTRUCTIONS_FILE ".config/opencode/dispatch-run.md"

static const char *const obeyed[] = {".opencode", "opencode.json", "opencode.jsonc", NULL};

static const struct tool_name tools[] = {
    {"read", "read", true},         {"grep", "grep", true},
    {"glob", "glob", true},         {"list", "list", true},
    {"webfetch", "webfetch", true}, {"websearch", "websearch", true},
    {"task", "task", true},         {"write", "edit", false},
    {"edit", "edit", false},        {"patch", "edit", false},
    {"bash", "bash", false},        {"todowrite", "todowrite", false},
    {"skill", "skill", false},
};
static const struct tool_names names = {tools, ARRAY_SIZE(tools), AGENT_TOOL_SERVER_NAME "_"};

/* --- Models ------------------------------------------------------------------------------- */

/* A provider as it knows them, and where we have it. */
struct provider {
    const char *name;
    const char *package;
    const char *model; /* where none is asked for; NULL: one must be */
    char *url;         /* owned; NULL: the run has none */
};

static char *joined(const char *url, const char *path)
{
    return url ? xasprintf("%s%s", url, path) : NULL;
}

static bool is(const char *text, const char *one, const char *other)
{
    return strcmp(text, one) == 0 || strcmp(text, other) == 0;
}

static const char *first_provider(const struct model_access *access)
{
    if (access && access->openai_url && !access->anthropic_url)
        return "openai";
    if (access && access->gemini_url && !access->anthropic_url)
        return "google";
    return "anthropic";
}

static struct provider provider_of(const struct agent_job *job)
{
    static const struct model_access nowhere = {0};
    const struct model_access *access = job->access ? job->access : &nowhere;
    const char *wanted = job->assignment->provider;

    if (!wanted)
        wanted = first_provider(access);
    if (strcmp(wanted, "anthropic") == 0)
        return (struct provider){"anthropic", "@ai-sdk/anthropic", "claude-sonnet-4-5",
                                 joined(access->anthropic_url, "/v1")};
    if (strcmp(wanted, "openai") == 0)
        return (struct provider){"openai", "@ai-sdk/openai", "gpt-5",
                                 joined(access->openai_url, "")};
    if (is(wanted, "google", "gemini"))
        return (struct provider){"google", "@ai-sdk/google", "gemini-2.5-pro",
                                 joined(access->gemini_url, "/v1beta")};
    /* OpenAI's key and base URL for a server that knows chat completions only. */
    if (strcmp(wanted, "openai-compatible") == 0)
        return (struct provider){wanted, "@ai-sdk/openai-compatible", NULL,
                                 joined(access->openai_url, "")};
    return (struct provider){wanted, "@ai-sdk/openai-compatible", NULL,
                             joined(job->provider_url, "")};
}

/* The model by its name at the provider: "anthropic/x" is x where anthropic is meant. */
static const char *model_of(const struct agent_job *job, const struct provider *provider)
{
    const char *model = job->assignment->model;
    size_t length = strlen(provider->name);

    if (!model)
        return provider->model;
    if (strncmp(model, provider->name, length) == 0 && model[length] == '/')
        return model + length + 1;
    return model;
}

/* NULL: it goes without. */
static cJSON *provider_config(const struct agent_job *job, const struct provider *provider,
                              const char *model)
{
    if (!provider->url)
        return NULL;
    return jobj({provider->name, jobj({"npm", jstr(provider->package)},
                                      {"options", jobj({"baseURL", jstr(provider->url)},
                                                       {"apiKey", jstr(job->access->key)})},
                                      {"models", jobj({model, jobj({"name", jstr(model)})})})});
}

/* --- Permissions -------------------------------------------------------------------------- */

/* All that is in the list and nothing else: the last rule that fits is the one that counts. */
static cJSON *only(const struct text_list *list)
{
    cJSON *rules = jobj({"*", jstr("deny")});

    for (size_t i = 0; i < list->n; i++)
        cJSON_AddItemToObject(rules, list->all[i], jstr("allow"));
    return rules;
}

/* NULL: --auto allows what isn't ruled out. */
static cJSON *permissions(const struct agent_job *job)
{
    scoped_text_list list = {0};

    if (agent_task_of(job) == AGENT_WORK)
        return jobj({"question", jstr("deny")});
    if (agent_task_of(job) == AGENT_PLAN) {
        tool_names_reading(&names, &list);
        tool_names_external(&names, job->assignment, &list);
    }
    return only(&list);
}

static int add_subagent(const struct agent_job *job, const cJSON *document, cJSON *agents,
                        struct err *err)
{
    struct subagent subagent;
    scoped_text_list list = {0};
    bool some;

    if (subagent_read(document, &subagent, err) < 0)
        return -1;
    if (is(subagent.name, "build", "plan"))
        return err_set(err, ERR_INVALID, "opencode has an agent %s of its own", subagent.name);
    some = subagent_tools(&subagent, job->assignment, &names, agent_task_of(job) == AGENT_PLAN,
                          &list);
    cJSON_DeleteItemFromObjectCaseSensitive(agents, subagent.name); /* named twice */
    cJSON_AddItemToObject(
        agents, subagent.name,
        jobj({"description", jstr(subagent.description)}, {"mode", jstr("subagent")},
             {"prompt", jstr(subagent.prompt)}, {"permission", some ? only(&list) : NULL},
             {"steps", subagent.max_turns ? jint(subagent.max_turns) : NULL}));
    return 0;
}

/* The one that works, and those that help it. The caller's; NULL: an error. */
static cJSON *agents_config(const struct agent_job *job, struct err *err)
{
    int turns = agent_task_of(job) == AGENT_ANSWER ? 1 : job->assignment->max_turns;
    scoped_json agents = jobj({"build", turns ? jobj({"steps", jint(turns)}) : NULL});
    const cJSON *subagent;

    if (job->turn != AGENT_TURN_WORK)
        return TAKE(agents);
    cJSON_ArrayForEach(subagent, job->assignment->agents)
    {
        if (add_subagent(job, subagent, agents, err) < 0)
            return NULL;
    }
    return TAKE(agents);
}

/* --- How it is started -------------------------------------------------------------------- */

static cJSON *tool_servers(const struct agent_job *job)
{
    scoped_str server = agent_tool_server(job);

    if (!server)
        return NULL;
    return jobj({AGENT_TOOL_SERVER_NAME,
                 jobj({"type", jstr("local")}, {"enabled", jbool(true)},
                      {"command", jarr(jstr(server), jstr(AGENT_TOOL_SERVER_COMMAND),
                                       jstr(job->tool_socket))})});
}

/* Takes `agents`. */
static int write_home(const struct agent_job *job, const struct provider *provider,
                      const char *model, cJSON *agents, struct err *err)
{
    scoped_str instructions = agent_instructions(job);
    scoped_str path = xasprintf("%s/" INSTRUCTIONS_FILE, workspace_agent_home(job->workspace));
    scoped_str full = xasprintf("%s/%s", provider->name, model);
    cJSON *config = jobj(
        {"autoupdate", jbool(false)}, {"share", jstr("disabled")}, {"snapshot", jbool(false)},
        {"model", jstr(full)}, {"small_model", jstr(full)}, {"instructions", jarr(jstr(path))},
        {"provider", provider_config(job, provider, model)}, {"permission", permissions(job)},
        {"agent", agents}, {"mcp", tool_servers(job)});

    if (home_file_write(job->workspace, INSTRUCTIONS_FILE, instructions, err) < 0) {
        cJSON_Delete(config);
        return -1;
    }
    return home_file_write_json(job->workspace, CONFIG_FILE, config, err);
}

static void add_words(const struct agent_job *job, const struct provider *provider,
                      const char *model, struct agent_start *out)
{
    static const char *const argv[] = {"opencode", "run",      "--format", "json", "--auto",
                                       "--title",  "Dispatch", "-m",       NULL};
    static const char *const env[] = {
        "OPENCODE_DISABLE_AUTOUPDATE=1", "OPENCODE_DISABLE_MODELS_FETCH=1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD=1", "OPENCODE_DISABLE_DEFAULT_PLUGINS=1", NULL};
    static const char *const alone[] = {
        "OPENCODE_DISABLE_PROJECT_CONFIG=1", "OPENCODE_DISABLE_CLAUDE_CODE=1",
        "OPENCODE_DISABLE_EXTERNAL_SKILLS=1", "OPENCODE_PURE=1", NULL};

    text_list_add_all(&out->argv, argv);
    text_list_add(&out->argv, "%s/%s", provider->name, model);
    text_list_add_all(&out->env, env);
    if (!job->assignment->honour_repository_agent_config)
        text_list_add_all(&out->env, alone);
    out->input = job->prompt;
}

static int prepare_with(const struct agent_job *job, const struct provider *provider,
                        struct agent_start *out, struct err *err)
{
    const char *model = model_of(job, provider);
    cJSON *agents;

    if (!model)
        return err_set(err, ERR_INVALID, "provider %.60s needs a model", provider->name);
    if (job->access && job->access->key && !provider->url)
        return err_set(err, ERR_INVALID, "this runner has no key for provider %.60s",
                       provider->name);
    agents = agents_config(job, err);
    if (!agents)
        return -1;
    add_words(job, provider, model, out);
    return write_home(job, provider, model, agents, err);
}

static int opencode_prepare(const struct agent_job *job, struct agent_start *out,
                            struct err *err)
{
    struct provider provider = provider_of(job);
    int result = prepare_with(job, &provider, out, err);

    free(provider.url);
    return result;
}

/* --- What it says ------------------------------------------------------------------------- */

static void read_end_of_step(struct transcript *transcript, const cJSON *part)
{
    const char *reason = json_get_str(part, "reason");
    const cJSON *tokens = json_get(part, "tokens");
    const cJSON *cache = json_get(tokens, "cache");
    const cJSON *cost = json_get(part, "cost");

    transcript_usage(transcript,
                     json_get_int(tokens, "input", 0) + json_get_int(cache, "read", 0)
                         + json_get_int(cache, "write", 0),
                     json_get_int(tokens, "output", 0) + json_get_int(tokens, "reasoning", 0),
                     cJSON_IsNumber(cost) ? cost->valuedouble : 0);
    if (!reason || strcmp(reason, "tool-calls") == 0)
        return;
    if (is(reason, "error", "content-filter")) {
        transcript_failure(transcript, "the model's answer ended with %s", reason);
        return;
    }
    if (strcmp(reason, "length") == 0)
        transcript_warning(transcript, "the model's last answer was cut at its longest");
    transcript_success(transcript, NULL);
}

static void read_error(struct transcript *transcript, const cJSON *error)
{
    const char *name = json_get_str(error, "name");
    const cJSON *data = json_get(error, "data");
    const char *message = json_get_str(data, "message");
    int64_t status = json_get_int(data, "statusCode", 0);

    if (!message)
        message = json_get_str(error, "message");
    if (status)
        transcript_failure(transcript, "%s (%lld)", message ? message : "no reason",
                           (long long)status);
    else
        transcript_failure(transcript, "%s", message ? message : name ? name : "no reason");
}

static void opencode_read(struct transcript *transcript, const cJSON *event)
{
    const char *type = json_get_str(event, "type");
    const cJSON *part = json_get(event, "part");

    if (!type)
        return;
    if (strcmp(type, "text") == 0)
        transcript_message(transcript, VOICE_AGENT, json_get_str(part, "text"));
    else if (strcmp(type, "tool_use") == 0)
        transcript_tool_use(transcript, VOICE_AGENT, json_get_str(part, "tool"),
                            json_get(json_get(part, "state"), "input"));
    else if (strcmp(type, "step_finish") == 0)
        read_end_of_step(transcript, part);
    else if (strcmp(type, "error") == 0)
        read_error(transcript, json_get(event, "error"));
}

const struct agent_kind opencode_agent = {
    .name = "opencode",
    .prepare = opencode_prepare,
    .judge = verdict_judge,
    .read_event = opencode_read,
    .takes_options = true,
    .obeyed = obeyed,
};
