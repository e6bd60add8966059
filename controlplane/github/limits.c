/* SPDX-License-Identifier: Apache-2.0 */
/* How far GitHub lets us go: https://docs.github.com/en/rest/rate-limit/rate-limit */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "github/github_private.h"

/* Asking costs none of the limit, but a call; whoever draws this asks every second. */
#define LIMITS_KEPT_MS 5000

static bool is_known(const struct github *github, const char *repo)
{
    const char *known = github->limits_repo;

    return github->limits && clock_monotonic_ms() < github->limits_until_ms
           && (repo ? known && strcmp(known, repo) == 0 : !known);
}

/* An installation's token; of which, its repository says, or the configuration. */
static int find_token(struct github *github, const char *repo, struct github_token *out,
                      struct err *err)
{
    if (github->key && !repo)
        return github_metadata_token(github, out, err);
    return github_token(github, repo ? repo : "", 0, out, err);
}

static int ask(struct github *github, const char *repo, struct err *err)
{
    struct github_token token = {0};
    scoped_json limits = NULL;
    int found = find_token(github, repo, &token, err);

    if (found == 0) {
        (void)pthread_mutex_lock(&github->lock);
        limits = github_call(github, token.token, "GET", "/rate_limit", NULL,
                             "asking for the rate limit", err);
        (void)pthread_mutex_unlock(&github->lock);
    }
    github_token_done(&token);
    if (!limits)
        return -1;
    if (!cJSON_IsObject(json_get(limits, "resources")))
        return err_set_code(err, ERR_UNAVAILABLE, "github_unavailable",
                            "GitHub's answer holds no limits");
    cJSON_Delete(github->limits);
    free(github->limits_repo);
    github->limits = TAKE(limits);
    github->limits_repo = xstrdup(repo);
    github->limits_until_ms = clock_monotonic_ms() + LIMITS_KEPT_MS;
    return 0;
}

int github_limits(struct github *github, const char *repo, cJSON **out, struct err *err)
{
    int done = 0;

    if (!github->key)
        repo = NULL; /* one token for all */
    else if (!repo && !github->config->github_app_installation_id)
        return err_set_field(err, "repo", "required, as no installation is configured");
    (void)pthread_mutex_lock(&github->limits_lock);
    if (!is_known(github, repo))
        done = ask(github, repo, err);
    if (done == 0)
        *out = cJSON_Duplicate(github->limits, true);
    (void)pthread_mutex_unlock(&github->limits_lock);
    return done;
}
