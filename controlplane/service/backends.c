/* SPDX-License-Identifier: Apache-2.0 */
#include "service/backends.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "service/queue_rules.h"

/* --- Opening ------------------------------------------------------------------------------ */

struct opening {
    struct backends *backends;
    const struct config *config;
    launcher_changed_fn changed;
    void *changed_ctx;
};

static int index_of(const struct backends *backends, const char *name)
{
    for (size_t i = 0; name && i < backends->count; i++)
        if (strcmp(backends->all[i].name, name) == 0)
            return (int)i;
    return BACKEND_NONE;
}

static int open_one(const struct opening *opening, const char *name, struct err *err)
{
    struct backends *backends = opening->backends;
    struct backend *backend = &backends->all[backends->count];
    struct launcher *launcher;

    if (index_of(backends, name) != BACKEND_NONE)
        return 0;
    if (backends->count == BACKENDS_MAX)
        return err_set_field(err, "launcher", "more than %d launchers", BACKENDS_MAX);
    launcher =
        launcher_open(name, opening->config, opening->changed, opening->changed_ctx, err);
    if (!launcher)
        return -1;
    *backend = (struct backend){.launcher = launcher, .name = launcher_name(launcher)};
    launches_init(&backend->launches, backend->name);
    backends->count++;
    return 0;
}

/* `place`: where the name stood. */
static int open_named(const struct opening *opening, const char *name, const char *place,
                      struct err *err)
{
    if (!launcher_known(name))
        return err_set(err, ERR_INVALID, "%s: there is no launcher \"%.40s\"", place, name);
    return open_one(opening, name, err) < 0 ? err_wrap(err, "%s", place) : 0;
}

static int open_list(const struct opening *opening, const struct config_list *names,
                     const char *place, struct err *err)
{
    for (size_t i = 0; i < names->count; i++)
        if (open_named(opening, names->texts[i], place, err) < 0)
            return -1;
    return 0;
}

static int open_repositories(const struct opening *opening, struct err *err)
{
    const struct overrides *repositories = &opening->config->repositories;

    for (size_t i = 0; i < repositories->count; i++) {
        const struct override *one = &repositories->all[i];
        scoped_str place = xasprintf("repositories.%s.launcher", one->name);

        if (one->launcher && open_named(opening, one->launcher, place, err) < 0)
            return -1;
    }
    return 0;
}

static bool is_good(const struct integration_token *token)
{
    return !token->revoked_ms && (!token->expires_ms || token->expires_ms > clock_latest_ms());
}

static int open_tokens(const struct opening *opening, struct token_store *tokens,
                       struct err *err)
{
    struct integration_token **all = NULL;
    size_t count = 0;
    int status = 0;

    if (tokens && token_store_list(tokens, &all, &count, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        const struct integration_token *token = all[i];
        scoped_str place =
            xasprintf("the launcher of integration token %s", token->display_prefix);

        if (status == 0 && token->launcher && is_good(token))
            status = open_named(opening, token->launcher, place, err);
        integration_token_free(all[i]);
    }
    free(all);
    return status;
}

static void note_fallback(struct backends *backends, const struct config_list *names)
{
    for (size_t i = 0; i < names->count; i++) {
        int index = index_of(backends, names->texts[i]);
        bool known = false;

        for (size_t j = 0; j < backends->n_fallback; j++)
            known |= backends->fallback[j] == index;
        if (!known)
            backends->fallback[backends->n_fallback++] = index;
    }
}

int backends_open(struct backends *backends, const struct config *config,
                  struct token_store *tokens, launcher_changed_fn changed, void *changed_ctx,
                  struct err *err)
{
    struct opening opening = {backends, config, changed, changed_ctx};

    *backends = (struct backends){.fallback_after_ms = config->launcher_fallback_after_s * 1000,
                                  .rules = queue_rules_new(config)};
    if (open_one(&opening, config->launcher, err) < 0
        || open_list(&opening, &config->launcher_fallback, "launcher_fallback", err) < 0
        || open_list(&opening, &config->launchers, "launchers", err) < 0
        || open_repositories(&opening, err) < 0 || open_tokens(&opening, tokens, err) < 0)
        return -1;
    note_fallback(backends, &config->launcher_fallback);
    return 0;
}

void backends_done(struct backends *backends)
{
    for (size_t i = 0; i < backends->count; i++) {
        launcher_free(backends->all[i].launcher);
        launches_done(&backends->all[i].launches);
    }
    queue_rules_free(backends->rules);
    *backends = (struct backends){0};
}

struct backend *backends_find(struct backends *backends, const char *name)
{
    int index = index_of(backends, name);

    return index == BACKEND_NONE ? NULL : &backends->all[index];
}

/* --- Routes ------------------------------------------------------------------------------- */

struct backend_route backends_route(struct backends *backends, const char *wanted,
                                    const char *repo, const char *moved_to)
{
    const char *chosen = wanted ? wanted : queue_rules_launcher(backends->rules, repo);
    int at = index_of(backends, moved_to);
    struct backend_route route = {.chosen = chosen ? index_of(backends, chosen) : 0};

    route.at = at == BACKEND_NONE || route.chosen == BACKEND_NONE ? route.chosen : at;
    return route;
}

struct backend_route backends_route_of(struct backends *backends, const struct run *run)
{
    return backends_route(backends, run->wanted_launcher, run->repo, run->launcher);
}

/* The chosen one, then the fallbacks but that one: which is next after `at`? One that isn't
 * among these (the configuration has changed) is as good as the first. */
int backends_next(const struct backends *backends, struct backend_route route)
{
    bool passed = true;

    for (size_t i = 0; i < backends->n_fallback; i++)
        if (backends->fallback[i] == route.at && route.at != route.chosen)
            passed = false;
    for (size_t i = 0; i < backends->n_fallback; i++) {
        int index = backends->fallback[i];

        if (passed && index != route.chosen && index != route.at)
            return index;
        passed |= index == route.at;
    }
    return BACKEND_NONE;
}

int backends_refuge(struct backends *backends, struct backend_route route, int64_t now_ms)
{
    do {
        route.at = backends_next(backends, route);
    } while (route.at != BACKEND_NONE
             && launches_gone(&backends->all[route.at].launches, now_ms,
                              backends->fallback_after_ms, NULL));
    return route.at;
}

struct backend *backends_ready(struct backends *backends, struct backend_route route)
{
    while (route.at != BACKEND_NONE) {
        struct backend *backend = &backends->all[route.at];

        if (backend->ready)
            return backend;
        if (!backend->gone)
            return NULL;
        route.at = backends_next(backends, route);
    }
    return NULL;
}

struct backend *backends_likely(struct backends *backends, struct backend_route route)
{
    int64_t now_ms = clock_monotonic_ms();
    int at = route.at;

    if (at == BACKEND_NONE)
        return NULL;
    if (launches_gone(&backends->all[at].launches, now_ms, backends->fallback_after_ms, NULL))
        at = backends_refuge(backends, route, now_ms);
    return &backends->all[at == BACKEND_NONE ? route.at : at];
}

/* --- Silence ------------------------------------------------------------------------------ */

void backends_listen(struct backends *backends)
{
    for (size_t i = 0; i < backends->count; i++)
        backends->all[i].silent = false;
}

bool backends_any_silent(const struct backends *backends)
{
    for (size_t i = 0; i < backends->count; i++)
        if (backends->all[i].silent)
            return true;
    return false;
}
