/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GITHUB_GITHUB_H
#define GITHUB_GITHUB_H
#include "base/secret.h"
#include "config/config.h"
#include "net/net.h"
#include "json/json.h"

/*
 * GitHub as the control plane uses it: short-lived tokens for one repository.
 *
 * With a GitHub App configured, tokens are installation access tokens narrowed to the one
 * repository and to contents and pull requests (write) and metadata (read); they are cached
 * per repository and renewed before they end. Without an App, GITHUB_TOKEN itself is handed
 * out (development). Safe from any thread; two callers for one repository share one request.
 *
 * https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
 * https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
 */
struct github;

/* `config` and `net` are borrowed. ERR_INVALID, ERR_NOT_FOUND for the App's private key. */
struct github *github_new(const struct config *config, struct net *net,
                          struct err *err) CHECKED;
void github_free(struct github *github);
DEFINE_SCOPED(github)

/* Is there an App or a token at all? */
bool github_configured(const struct github *github);

struct github_token {
    struct secret *token;
    int64_t expires_ms; /* wall time */
};
void github_token_done(struct github_token *token);

/*
 * GitHub's own answer to GET /rate_limit, a few seconds old at most, for the installation that
 * `repo` is part of; NULL: the configured one. ERR_INVALID about "repo" where none is
 * configured; otherwise as github_token.
 */
int github_limits(struct github *github, const char *repo, cJSON **out,
                  struct err *err) CHECKED;

/*
 * A token for `repo` (OWNER/NAME) that is good for TOKEN_LEFT_MIN_MS at least.
 * `installation_id` 0: the configured one, or asked of GitHub. ERR_UNAVAILABLE with
 * retry_after_s while GitHub limits us or is away; ERR_DENIED (code "auth_expired") when the
 * App's key is refused, the installation is gone or the repository isn't part of it.
 */
int github_token(struct github *github, const char *repo, int64_t installation_id,
                 struct github_token *out, struct err *err) CHECKED;
#endif
