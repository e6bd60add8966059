/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/subagent.h"

#include <string.h>

#define NAME_MAX_BYTES 64
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

static const struct jfield fields[] = {
    JFIELD(struct subagent, name, J_REQUIRED),
    JFIELD(struct subagent, description, J_REQUIRED),
    JFIELD(struct subagent, prompt, J_REQUIRED),
    JFIELD(struct subagent, tools, J_OPTIONAL),
    JFIELD(struct subagent, max_turns, J_OPTIONAL),
};

int subagent_read(const cJSON *document, struct subagent *out, struct err *err)
{
    size_t length;

    *out = (struct subagent){0};
    if (json_read_open(document, fields, out, err) < 0)
        return err_wrap(err, "a subagent");
    length = strspn(out->name, NAME_CHARACTERS);
    if (!length || length > NAME_MAX_BYTES || out->name[length])
        return err_set(err, ERR_INVALID, "a subagent can't be called \"%.80s\"", out->name);
    if (out->max_turns < 0)
        return err_set(err, ERR_INVALID, "subagent %s: max_turns can't be negative", out->name);
    return 0;
}

/* --- Names -------------------------------------------------------------------------------- */

static bool holds(const struct text_list *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->all[i], text) == 0)
            return true;
    return false;
}

static void add_once(struct text_list *list, const char *prefix, const char *name)
{
    char full[256];

    if (snprintf(full, sizeof(full), "%s%s", prefix, name) < (int)sizeof(full)
        && !holds(list, full))
        text_list_add(list, "%s", full);
}

/* A pattern ends in a star. */
static bool fits(const char *pattern, const char *name)
{
    size_t length = strlen(pattern);

    if (length && pattern[length - 1] == '*')
        return strncmp(pattern, name, length - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static bool fits_tool(const char *pattern, const struct tool_name *tool)
{
    return fits(pattern, tool->common) || (tool->own && fits(pattern, tool->own));
}

static bool fits_external(const char *pattern, const struct tool_names *names, const char *name)
{
    size_t prefix = strlen(names->external_prefix);

    if (strncmp(pattern, names->external_prefix, prefix) == 0)
        return fits(pattern + prefix, name);
    return fits(pattern, name);
}

/* Is there an entry for it with this value? */
static bool ruled(const cJSON *rules, bool value, const struct tool_names *names,
                  const struct tool_name *tool, const char *external)
{
    const cJSON *rule;

    cJSON_ArrayForEach(rule, rules)
    {
        if (cJSON_IsTrue(rule) == value
            && (tool ? fits_tool(rule->string, tool)
                     : fits_external(rule->string, names, external)))
            return true;
    }
    return false;
}

void tool_names_reading(const struct tool_names *names, struct text_list *out)
{
    for (size_t i = 0; i < names->n; i++)
        if (names->all[i].own && names->all[i].reads)
            add_once(out, "", names->all[i].own);
}

void tool_names_external(const struct tool_names *names, const struct assignment *assignment,
                         struct text_list *out)
{
    const cJSON *tool;

    cJSON_ArrayForEach(tool, assignment->tools)
    {
        const char *name = json_get_str(tool, "name");

        if (name)
            add_once(out, names->external_prefix, name);
    }
}

/* --- What one may use --------------------------------------------------------------------- */

static size_t count_rules(const cJSON *rules, bool value)
{
    const cJSON *rule;
    size_t count = 0;

    cJSON_ArrayForEach(rule, rules)
    {
        count += cJSON_IsTrue(rule) == value;
    }
    return count;
}

static bool allowed(const cJSON *rules, bool named_only, const struct tool_names *names,
                    const struct tool_name *tool, const char *external)
{
    return (!named_only || ruled(rules, true, names, tool, external))
           && !ruled(rules, false, names, tool, external);
}

/* A name that no table has is the agent's own business. */
static bool known(const char *pattern, const struct tool_names *names,
                  const struct assignment *assignment)
{
    const cJSON *tool;

    for (size_t i = 0; i < names->n; i++)
        if (fits_tool(pattern, &names->all[i]))
            return true;
    cJSON_ArrayForEach(tool, assignment->tools)
    {
        const char *name = json_get_str(tool, "name");

        if (name && fits_external(pattern, names, name))
            return true;
    }
    return false;
}

bool subagent_tools(const struct subagent *subagent, const struct assignment *assignment,
                    const struct tool_names *names, bool only_reading, struct text_list *out)
{
    const cJSON *rules = cJSON_IsObject(subagent->tools) ? subagent->tools : NULL;
    bool named_only = count_rules(rules, true) > 0;
    const cJSON *one;

    if (!only_reading && !named_only && !count_rules(rules, false))
        return false;
    for (size_t i = 0; i < names->n; i++) {
        const struct tool_name *tool = &names->all[i];

        if (tool->own && (tool->reads || !only_reading)
            && allowed(rules, named_only, names, tool, NULL))
            add_once(out, "", tool->own);
    }
    cJSON_ArrayForEach(one, assignment->tools)
    {
        const char *name = json_get_str(one, "name");

        if (name && allowed(rules, named_only, names, NULL, name))
            add_once(out, names->external_prefix, name);
    }
    cJSON_ArrayForEach(one, rules)
    {
        if (!only_reading && cJSON_IsTrue(one) && !strchr(one->string, '*')
            && !known(one->string, names, assignment))
            add_once(out, "", one->string);
    }
    return true;
}
