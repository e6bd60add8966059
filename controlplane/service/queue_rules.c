/* SPDX-License-Identifier: Apache-2.0 */
#include "service/queue_rules.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"

struct queue_rules {
    int limit_of_all;
    bool has_limits;
    const struct override **all; /* those that say something of the queue, sorted by name */
    size_t count;
};

static int compare_to_name(const void *name, const void *rule)
{
    const struct override *const *other = rule;

    return strcasecmp(name, (*other)->name);
}

static int compare_rules(const void *rule, const void *other)
{
    const struct override *const *one = rule;

    return compare_to_name((*one)->name, other);
}

struct queue_rules *queue_rules_new(const struct config *config)
{
    const struct overrides *repositories = &config->repositories;
    struct queue_rules *rules = xcalloc(1, sizeof(*rules));

    rules->limit_of_all = config->max_in_flight;
    rules->has_limits = config->max_in_flight > 0;
    rules->all = xcalloc(repositories->count + 1, sizeof(const struct override *));
    for (size_t i = 0; i < repositories->count; i++) {
        const struct override *rule = &repositories->all[i];

        if (!rule->max_in_flight && rule->priority == RUN_PRIORITY_UNSAID && !rule->launcher)
            continue;
        rules->all[rules->count++] = rule;
        rules->has_limits |= rule->max_in_flight > 0;
    }
    qsort(rules->all, rules->count, sizeof(const struct override *), compare_rules);
    return rules;
}

void queue_rules_free(struct queue_rules *rules)
{
    if (!rules)
        return;
    free(rules->all);
    free(rules);
}

static const struct override *find(const struct queue_rules *rules, const char *repo)
{
    const struct override **found = NULL;

    if (repo && rules->count)
        found = bsearch(repo, rules->all, rules->count, sizeof(const struct override *),
                        compare_to_name);
    return found ? *found : NULL;
}

int queue_rules_limit(const struct queue_rules *rules, const char *repo)
{
    const struct override *rule = find(rules, repo);

    return rule && rule->max_in_flight ? rule->max_in_flight : rules->limit_of_all;
}

bool queue_rules_have_limits(const struct queue_rules *rules)
{
    return rules->has_limits;
}

int queue_rules_priority(const struct queue_rules *rules, const char *repo)
{
    const struct override *rule = find(rules, repo);

    return rule && rule->priority != RUN_PRIORITY_UNSAID ? rule->priority : RUN_PRIORITY_USUAL;
}

const char *queue_rules_launcher(const struct queue_rules *rules, const char *repo)
{
    const struct override *rule = find(rules, repo);

    return rule ? rule->launcher : NULL;
}
