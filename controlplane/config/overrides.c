/* SPDX-License-Identifier: Apache-2.0 */
#include "config/overrides.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "config/config.h"
#include "config/setting.h"

/* A hand-written file has a few; this bounds the search. */
#define OVERRIDES_MAX 10000

#define V(member) offsetof(struct override, values.member)
#define Q(member) offsetof(struct override, member)

/* clang-format off */
static const struct setting members[] = {
    {"model", NULL, NULL, SETTING_TEXT, V(model), 0, 0},
    {"provider", NULL, NULL, SETTING_TEXT, V(provider), 0, 0},
    {"max_tokens", NULL, NULL, SETTING_INT64, V(max_tokens), 1, RUN_TOKENS_MAX},
    {"max_cost_usd", NULL, NULL, SETTING_NUMBER, V(max_cost_usd), 0, RUN_COST_USD_MAX},
    {"max_turns", NULL, NULL, SETTING_INT, V(max_turns), 1, RUN_TURNS_MAX},
};

static const struct setting queue_members[] = {
    {"priority", NULL, NULL, SETTING_INT, Q(priority), RUN_PRIORITY_MIN, RUN_PRIORITY_MAX},
    {"max_in_flight", NULL, NULL, SETTING_INT, Q(max_in_flight), 1, MAX_IN_FLIGHT_MAX},
    {"launcher", NULL, NULL, SETTING_TEXT, Q(launcher), 0, 0},
};
/* clang-format on */

void run_defaults_done(struct run_defaults *defaults)
{
    free(defaults->model);
    free(defaults->provider);
    *defaults = (struct run_defaults){0};
}

void overrides_done(struct overrides *overrides)
{
    for (size_t i = 0; i < overrides->count; i++) {
        free(overrides->all[i].name);
        free(overrides->all[i].launcher);
        run_defaults_done(&overrides->all[i].values);
    }
    free(overrides->all);
    *overrides = (struct overrides){0};
}

/* --- Reading ------------------------------------------------------------------------------ */

static int complain(const struct yaml *yaml, const cJSON *node, const char *map,
                    const char *name, const char *member, struct err *err)
{
    return err_wrap(err, "%s:%d: %s%s%.100s%s%.40s", yaml_name(yaml), yaml_line(yaml, node),
                    map, *name ? "." : "", name, *member ? "." : "", member);
}

static int read_member(struct override *out, const cJSON *node, bool queue, struct err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        if (strcmp(members[i].yaml, node->string) == 0)
            return setting_from_json(&members[i], out, node, err);
    for (size_t i = 0; queue && i < ARRAY_SIZE(queue_members); i++)
        if (strcmp(queue_members[i].yaml, node->string) == 0)
            return setting_from_json(&queue_members[i], out, node, err);
    return err_set(err, ERR_INVALID, "there is no such setting");
}

static int read_members(struct override *out, const struct yaml *yaml, const char *map,
                        const cJSON *object, bool queue, struct err *err)
{
    const cJSON *node;

    cJSON_ArrayForEach(node, object)
    {
        if (read_member(out, node, queue, err) < 0)
            return complain(yaml, node, map, out->name, node->string, err);
    }
    return 0;
}

/* Repositories are the same whatever the case of their letters. */
static const struct override *find(const struct overrides *overrides, const char *name)
{
    for (size_t i = 0; name && i < overrides->count; i++)
        if (strcasecmp(overrides->all[i].name, name) == 0)
            return &overrides->all[i];
    return NULL;
}

static int check_name(const struct overrides *overrides, const cJSON *node,
                      bool (*name_valid)(const char *name), struct err *err)
{
    if (!name_valid(node->string))
        return err_set(err, ERR_INVALID, "there is no such name");
    if (find(overrides, node->string))
        return err_set(err, ERR_INVALID, "this name is here twice");
    if (overrides->count == OVERRIDES_MAX)
        return err_set(err, ERR_INVALID, "more than %d names", OVERRIDES_MAX);
    if (!cJSON_IsObject(node) && !cJSON_IsNull(node))
        return err_set(err, ERR_INVALID, "expected settings as `key: value`");
    return 0;
}

int overrides_read(struct overrides *out, const struct yaml *yaml, const cJSON *map,
                   bool (*name_valid)(const char *name), bool queue, struct err *err)
{
    const cJSON *node;

    if (cJSON_IsNull(map))
        return 0;
    if (!cJSON_IsObject(map)) {
        (void)err_set(err, ERR_INVALID, "expected a map of names");
        return complain(yaml, map, map->string, "", "", err);
    }
    cJSON_ArrayForEach(node, map)
    {
        struct override *one;

        if (check_name(out, node, name_valid, err) < 0)
            return complain(yaml, node, map->string, node->string, "", err);
        out->all = xrealloc(out->all, (out->count + 1) * sizeof(*out->all));
        one = &out->all[out->count++];
        *one =
            (struct override){.name = xstrdup(node->string), .priority = RUN_PRIORITY_UNSAID};
        if (read_members(one, yaml, map->string, node, queue, err) < 0)
            return -1;
    }
    return 0;
}

/* --- Looking ------------------------------------------------------------------------------ */

static void fill(struct run_defaults *out, const struct run_defaults *from)
{
    if (!out->model)
        out->model = from->model;
    if (!out->provider)
        out->provider = from->provider;
    if (!out->max_tokens)
        out->max_tokens = from->max_tokens;
    if (out->max_cost_usd <= 0)
        out->max_cost_usd = from->max_cost_usd;
    if (!out->max_turns)
        out->max_turns = from->max_turns;
}

void run_defaults_fill(struct run_defaults *out, const struct config *config, const char *repo,
                       const char *agent)
{
    const struct override *of_repo = find(&config->repositories, repo);
    const struct override *of_agent = find(&config->agents, agent);

    if (of_repo)
        fill(out, &of_repo->values);
    if (of_agent)
        fill(out, &of_agent->values);
    fill(out, &config->defaults);
}
