/* SPDX-License-Identifier: Apache-2.0 */
#include "github/github.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "github/github_private.h"

/* GitHub refuses more than ten minutes; the minute back is for clocks that differ. */
#define JWT_BACKDATE_S 60
#define JWT_LIFE_S 540
/* What a static token is said to live for, so that runners ask again. */
#define STATIC_TOKEN_LIFE_MS (55 * 60 * 1000)
#define ANSWER_MAX_BYTES (256 * 1024)
/* GitHub asks for a minute's pause when it limits us without saying for how long. */
#define LIMITED_DEFAULT_S 60

struct github *github_new(const struct config *config, struct net *net, struct err *err)
{
    struct github *github;
    scoped(jwt_key) key = NULL;

    if (config->github_app_id) {
        key = jwt_key_load(config->github_app_private_key_path, err);
        if (!key)
            return NULL;
    }
    github = xcalloc(1, sizeof(*github));
    github->config = config;
    github->net = net;
    github->key = TAKE(key);
    github->cache = token_cache_new();
    (void)pthread_mutex_init(&github->lock, NULL);
    (void)pthread_mutex_init(&github->limits_lock, NULL);
    return github;
}

void github_free(struct github *github)
{
    if (!github)
        return;
    (void)pthread_mutex_destroy(&github->lock);
    (void)pthread_mutex_destroy(&github->limits_lock);
    free(github->limits_repo);
    cJSON_Delete(github->limits);
    token_cache_free(github->cache);
    jwt_key_free(github->key);
    free(github);
}

bool github_configured(const struct github *github)
{
    return github->key || github->config->github_token;
}

void github_token_done(struct github_token *token)
{
    secret_free(token->token);
    *token = (struct github_token){0};
}

/* --- Talking to the API as the App ----------------------------------------------------------
 */

static struct secret *app_jwt(const struct github *github, struct err *err)
{
    int64_t now_s = clock_wall_ms() / 1000;
    scoped_str issuer = xasprintf("%lld", (long long)github->config->github_app_id);
    scoped_json claims = jobj({"iat", jint(now_s - JWT_BACKDATE_S)},
                              {"exp", jint(now_s + JWT_LIFE_S)}, {"iss", jstr(issuer)});

    return jwt_sign(github->key, claims, err);
}

/* How long GitHub wants to be left alone after this answer; 0: it doesn't say so.
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api */
static int limited_for_s(const struct net_answer *answer)
{
    scoped_str remaining = net_answer_header(answer, "x-ratelimit-remaining");
    scoped_str reset = net_answer_header(answer, "x-ratelimit-reset");
    int wait_s = net_answer_retry_after_s(answer);
    bool secondary = answer->body.data && strstr(answer->body.data, "secondary rate limit");

    if (answer->status != 403 && answer->status != 429)
        return 0;
    if (wait_s > 0)
        return wait_s;
    if (remaining && strcmp(remaining, "0") == 0 && reset) {
        int64_t left_s = strtoll(reset, NULL, 10) - clock_wall_ms() / 1000;

        return left_s < 1 ? 1 : left_s > 3600 ? 3600 : (int)left_s;
    }
    return answer->status == 429 || secondary ? LIMITED_DEFAULT_S : 0;
}

static int refuse_limited(struct err *err, int64_t wait_s)
{
    (void)err_set_code(err, ERR_UNAVAILABLE, "github_rate_limited",
                       "GitHub limits our requests: again in %lld s", (long long)wait_s);
    err->retry_after_s = (int)wait_s;
    return -1;
}

/* What GitHub says in "message", for the error's sentence. */
static void said(const struct net_answer *answer, char *out, size_t size)
{
    struct err ignored = {0};
    scoped_json body = net_answer_json(answer, &ignored);
    const char *message = json_get_str(body, "message");

    (void)snprintf(out, size, "%.160s", message ? message : "no message");
}

static int judge(struct github *github, const struct net_answer *answer, const char *what,
                 struct err *err)
{
    char message[164];
    int wait_s = limited_for_s(answer);

    if (answer->status >= 200 && answer->status < 300)
        return 0;
    if (wait_s > 0) {
        github->quiet_until_ms = clock_monotonic_ms() + (int64_t)wait_s * 1000;
        return refuse_limited(err, wait_s);
    }
    said(answer, message, sizeof(message));
    if (answer->status == 401 || answer->status == 403 || answer->status == 404
        || answer->status == 422)
        return err_set_code(err, ERR_DENIED, "auth_expired", "%s: GitHub answered %d: %s", what,
                            answer->status, message);
    return err_set_code(err, ERR_UNAVAILABLE, "github_unavailable",
                        "%s: GitHub answered %d: %s", what, answer->status, message);
}

cJSON *github_call(struct github *github, const struct secret *bearer, const char *method,
                   const char *path, const char *body, const char *what, struct err *err)
{
    static const char *const headers[] = {
        "Accept: application/vnd.github+json",
        "X-GitHub-Api-Version: 2022-11-28",
        NULL,
    };
    scoped_str url = xasprintf("%s%s", github->config->github_api_url, path);
    scoped_net_answer answer = {0};
    /* A token too many does no harm, so a lost answer is asked for again. */
    struct net_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .bearer = bearer,
        .body = body,
        .body_size = body ? strlen(body) : 0,
        .timeout_ms = 15000,
        .answer_max_bytes = ANSWER_MAX_BYTES,
        .retry = NET_IDEMPOTENT,
        .tries_max = 3,
    };
    int64_t quiet_ms = github->quiet_until_ms - clock_monotonic_ms();

    if (quiet_ms > 0) {
        (void)refuse_limited(err, quiet_ms / 1000 + 1);
        return NULL;
    }
    if (net_call(github->net, &request, &answer, err) < 0) {
        err->kind = ERR_UNAVAILABLE;
        err->code = "github_unavailable";
        (void)err_wrap(err, "%s", what);
        return NULL;
    }
    return judge(github, &answer, what, err) < 0 ? NULL : net_answer_json(&answer, err);
}

static cJSON *call_as_app(struct github *github, const char *method, const char *path,
                          const char *body, const char *what, struct err *err)
{
    scoped(secret) jwt = app_jwt(github, err);

    return jwt ? github_call(github, jwt, method, path, body, what, err) : NULL;
}

/* --- Tokens
 * ----------------------------------------------------------------------------------- */

static int find_installation(struct github *github, const char *repo, int64_t *out,
                             struct err *err)
{
    scoped_str path = xasprintf("/repos/%s/installation", repo);
    scoped_json answer =
        call_as_app(github, "GET", path, NULL, "finding the App's installation", err);

    if (!answer)
        return -1;
    *out = json_get_int(answer, "id", 0);
    if (*out <= 0)
        return err_set(err, ERR_UPSTREAM, "GitHub's installation has no id");
    return 0;
}

static char *narrowed_to(const char *repo)
{
    scoped_json body =
        jobj({"repositories", jarr(jstr(strchr(repo, '/') + 1))},
             {"permissions", jobj({"contents", jstr("write")}, {"pull_requests", jstr("write")},
                                  {"metadata", jstr("read")})});

    return json_text(body);
}

/* `body` is what the token is narrowed to. */
static int ask_token(struct github *github, const char *body, int64_t installation_id,
                     struct github_token *out, struct err *err)
{
    scoped_str path =
        xasprintf("/app/installations/%lld/access_tokens", (long long)installation_id);
    scoped_json answer =
        call_as_app(github, "POST", path, body, "asking for an installation token", err);
    const char *token = json_get_str(answer, "token");

    if (!answer)
        return -1;
    if (!token || !*token || strlen(token) > 1024
        || !clock_parse(json_get_str(answer, "expires_at"), &out->expires_ms))
        return err_set_code(err, ERR_UNAVAILABLE, "github_unavailable",
                            "GitHub's answer holds no token with an end");
    out->token = secret_new(token);
    return 0;
}

static int static_token(const struct github *github, struct github_token *out, struct err *err)
{
    if (!github->config->github_token)
        return err_set_code(err, ERR_DENIED, "auth_expired",
                            "neither a GitHub App nor GITHUB_TOKEN is configured");
    out->token = secret_new(secret_reveal(github->config->github_token));
    out->expires_ms = clock_wall_ms() + STATIC_TOKEN_LIFE_MS;
    return 0;
}

static int token_of_app(struct github *github, const char *repo, int64_t installation_id,
                        struct github_token *out, struct err *err)
{
    scoped_str body = NULL;

    if (token_cache_get(github->cache, repo, out))
        return 0;
    if (!installation_id)
        installation_id = github->config->github_app_installation_id;
    if (!installation_id && find_installation(github, repo, &installation_id, err) < 0)
        return -1;
    body = narrowed_to(repo);
    if (ask_token(github, body, installation_id, out, err) < 0)
        return -1;
    token_cache_put(github->cache, repo, out);
    return 0;
}

int github_token(struct github *github, const char *repo, int64_t installation_id,
                 struct github_token *out, struct err *err)
{
    int done;

    *out = (struct github_token){0};
    if (!github->key)
        return static_token(github, out, err);
    if (!strchr(repo, '/'))
        return err_set(err, ERR_INVALID, "a repository is OWNER/NAME");
    (void)pthread_mutex_lock(&github->lock);
    done = token_of_app(github, repo, installation_id, out, err);
    (void)pthread_mutex_unlock(&github->lock);
    return done;
}

int github_metadata_token(struct github *github, struct github_token *out, struct err *err)
{
    int done;

    *out = (struct github_token){0};
    (void)pthread_mutex_lock(&github->lock);
    done = ask_token(github, "{\"permissions\":{\"metadata\":\"read\"}}",
                     github->config->github_app_installation_id, out, err);
    (void)pthread_mutex_unlock(&github->lock);
    return done;
}
