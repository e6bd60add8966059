/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/fields.h"
#include "api/tools.h"

struct subagent_body {
    const char *name;
    const char *description;
    const char *mode;
    const char *prompt;
    const cJSON *tools;
    int64_t max_turns;
};

static const struct jfield subagent_fields[] = {
    JFIELD(struct subagent_body, name, J_REQUIRED),
    JFIELD(struct subagent_body, description, J_REQUIRED),
    JFIELD(struct subagent_body, mode, J_REQUIRED),
    JFIELD(struct subagent_body, prompt, J_REQUIRED),
    JFIELD(struct subagent_body, tools, J_REQUIRED),
    JFIELD(struct subagent_body, max_turns, J_OPTIONAL),
};

static int check_subagent_tools(const char *path, const cJSON *tools, struct err *err)
{
    char field[FIELD_PATH_SIZE];
    const cJSON *tool;

    field_path(field, path, "tools");
    if (!cJSON_IsObject(tools))
        return err_set_field(err, field, "expected an object");
    if (cJSON_GetArraySize(tools) > SUBAGENT_TOOLS_MAX)
        return err_set_field(err, field, "more than %d", SUBAGENT_TOOLS_MAX);
    cJSON_ArrayForEach(tool, tools)
    {
        if (!cJSON_IsBool(tool))
            return err_set_field(err, field, "expected true or false for each");
        if (field_text(field, tool->string, SUBAGENT_TOOL_NAME_MAX, err) < 0)
            return -1;
    }
    return 0;
}

static int check_subagent(const char *path, const struct subagent_body *agent,
                          const cJSON *others, struct err *err)
{
    char field[FIELD_PATH_SIZE];

    field_path(field, path, "name");
    if (field_name(field, agent->name, others, err) < 0)
        return -1;
    field_path(field, path, "description");
    if (field_text(field, agent->description, TOOL_DESCRIPTION_MAX_BYTES, err) < 0)
        return -1;
    field_path(field, path, "prompt");
    if (field_text(field, agent->prompt, SUBAGENT_PROMPT_MAX_BYTES, err) < 0)
        return -1;
    field_path(field, path, "mode");
    if (strcmp(agent->mode, "subagent") != 0)
        return err_set_field(err, field, "expected subagent");
    field_path(field, path, "max_turns");
    if (agent->max_turns < 1 || agent->max_turns > SUBAGENT_TURNS_MAX)
        return err_set_field(err, field, "expected a whole number from 1 to %d",
                             SUBAGENT_TURNS_MAX);
    return check_subagent_tools(path, agent->tools, err);
}

static int add_subagent(const cJSON *given, cJSON *agents, struct err *err)
{
    struct subagent_body agent = {.max_turns = SUBAGENT_TURNS_MAX};
    bool bounded = json_get(given, "max_turns") && !cJSON_IsNull(json_get(given, "max_turns"));
    char path[32];

    (void)snprintf(path, sizeof(path), "agents[%d]", cJSON_GetArraySize(agents));
    if (json_read_fields(given, subagent_fields, ARRAY_SIZE(subagent_fields), true, path,
                         &agent, err)
            < 0
        || check_subagent(path, &agent, agents, err) < 0)
        return -1;
    cJSON_AddItemToArray(
        agents, jobj({"name", jstr(agent.name)}, {"description", jstr(agent.description)},
                     {"mode", jstr(agent.mode)}, {"prompt", jstr(agent.prompt)},
                     {"tools", cJSON_Duplicate(agent.tools, true)},
                     {"max_turns", bounded ? jint(agent.max_turns) : NULL}));
    return 0;
}

int subagents_read(const cJSON *list, cJSON **out_agents, struct err *err)
{
    scoped_json agents = json_array(NULL, 0);
    const cJSON *agent;

    if (field_array("agents", list, SUBAGENTS_MAX, err) < 0)
        return -1;
    cJSON_ArrayForEach(agent, list)
    {
        if (add_subagent(agent, agents, err) < 0)
            return -1;
    }
    *out_agents = TAKE(agents);
    return 0;
}
