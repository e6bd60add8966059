/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_seen.h"

#include <string.h>

#include "base/alloc.h"
#include "launch/kubernetes_facts.h"
#include "net/net.h"

/* --- Asking for them --------------------------------------------------------------------- */

static char *with_labels(const char *before, const char *namespace)
{
    scoped_str last = xasprintf(LABEL_NAMESPACE "=%s", namespace);
    scoped_json filters = jobj({"label", jarr(jstr(LABEL_MANAGED_BY "=" OUR_MANAGER),
                                              jstr(LABEL_NAME "=" OUR_NAME), jstr(last))});
    scoped_str text = json_text(filters);
    scoped_str escaped = net_escape(text);

    return xasprintf("%sfilters=%s", before, escaped);
}

char *docker_seen_list_path(const char *namespace)
{
    return with_labels("/containers/json?all=1&", namespace);
}

char *docker_seen_events_path(const char *namespace)
{
    return with_labels("/events?", namespace);
}

/* --- One list ---------------------------------------------------------------------------- */

static int by_job(const void *left, const void *right)
{
    const struct docker_facts *a = &((const struct docker_seen *)left)->facts;
    const struct docker_facts *b = &((const struct docker_seen *)right)->facts;
    char first[ID_TEXT_SIZE];
    char second[ID_TEXT_SIZE];
    int order;

    id_text(a->run, first);
    id_text(b->run, second);
    order = strcmp(first, second);
    return order ? order : a->attempt - b->attempt;
}

void docker_seen_read(const cJSON *answer, const char *namespace, struct docker_seen_list *out)
{
    const cJSON *item;

    *out = (struct docker_seen_list){
        .all = xcalloc((size_t)cJSON_GetArraySize(answer) + 1, sizeof(*out->all))};
    cJSON_ArrayForEach(item, answer)
    {
        struct docker_seen seen = {0};

        docker_facts_of_listed(item, namespace, &seen.facts);
        if (seen.facts.state != DOCKER_NONE)
            out->all[out->count++] = seen;
    }
    qsort(out->all, out->count, sizeof(*out->all), by_job);
}

void docker_seen_done(struct docker_seen_list *list)
{
    free(list->all);
    *list = (struct docker_seen_list){0};
}

/* --- Two of them ------------------------------------------------------------------------- */

static void tell(const struct docker_seen *seen, launcher_changed_fn changed, void *ctx)
{
    if (changed)
        changed(ctx, seen->facts.run, seen->facts.attempt);
}

void docker_seen_compare(const struct docker_seen_list *before, struct docker_seen_list *now,
                         launcher_changed_fn changed, void *ctx)
{
    size_t i = 0;
    size_t j = 0;

    while (i < before->count && j < now->count) {
        const struct docker_seen *old = &before->all[i];
        struct docker_seen *new = &now->all[j];
        int order = by_job(old, new);

        if (order == 0)
            new->told = old->told &&strcmp(old->facts.id, new->facts.id) == 0;
        if (order != 0 || old->facts.state != new->facts.state)
            tell(order < 0 ? old : new, changed, ctx);
        i += order <= 0;
        j += order >= 0;
    }
    for (; i < before->count; i++)
        tell(&before->all[i], changed, ctx);
    for (; j < now->count; j++)
        tell(&now->all[j], changed, ctx);
}
