/* SPDX-License-Identifier: Apache-2.0 */
#include "oidc/key_source.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"

#define DISCOVERY_PATH "/.well-known/openid-configuration"

/* How much of a URL is its scheme, host and port. */
static size_t origin_length(const char *url)
{
    const char *host = strstr(url, "://");

    return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
}

bool key_source_allowed(const char *issuer, const char *jwks_uri)
{
    size_t length = origin_length(issuer);

    if (strchr(jwks_uri, '@')) /* a user, or something that looks like a host and isn't */
        return false;
    if (strncasecmp(jwks_uri, "https://", 8) == 0)
        return true;
    return length && origin_length(jwks_uri) == length
           && strncasecmp(jwks_uri, issuer, length) == 0;
}

int64_t key_source_max_age_s(const char *cache_control)
{
    scoped_str copy = xstrdup(cache_control);
    char *rest = copy;
    int64_t age_s = -1;

    for (char *word = strsep(&rest, ","); word; word = strsep(&rest, ",")) {
        word += strspn(word, " \t");
        word[strcspn(word, " \t")] = '\0';
        if (strcasecmp(word, "no-store") == 0 || strcasecmp(word, "no-cache") == 0)
            return 0;
        if (strncasecmp(word, "max-age=", 8) == 0 && strspn(word + 8, "0123456789")
            && strlen(word + 8) < 10)
            age_s = strtoll(word + 8, NULL, 10);
    }
    return age_s;
}

static cJSON *get(struct net *net, const char *url, size_t max_bytes, int64_t *out_max_age_s,
                  struct err *err)
{
    static const char *const headers[] = {"Accept: application/json", NULL};
    struct net_request request = {
        .method = "GET",
        .url = url,
        .headers = headers,
        .timeout_ms = KEY_SOURCE_TIMEOUT_MS,
        .connect_timeout_ms = KEY_SOURCE_TIMEOUT_MS / 2,
        .answer_max_bytes = max_bytes,
        .retry = NET_IDEMPOTENT,
        .tries_max = 2,
    };
    scoped_net_answer answer = {0};
    scoped_str cache_control = NULL;

    if (net_call(net, &request, &answer, err) < 0)
        return NULL;
    if (answer.status != 200) {
        err_set(err, ERR_UPSTREAM, "%s answered %d", url, answer.status);
        return NULL;
    }
    cache_control = net_answer_header(&answer, "cache-control");
    *out_max_age_s = cache_control ? key_source_max_age_s(cache_control) : -1;
    return net_answer_json(&answer, err);
}

static char *discover(struct net *net, const char *issuer, struct err *err)
{
    size_t length = strlen(issuer);
    int64_t ignored;
    scoped_str url = NULL;
    const char *jwks_uri;

    while (length && issuer[length - 1] == '/')
        length--;
    url = xasprintf("%.*s%s", (int)length, issuer, DISCOVERY_PATH);
    scoped_json document = get(net, url, KEY_SOURCE_DISCOVERY_MAX_BYTES, &ignored, err);
    if (!document)
        return NULL;
    if (!json_get_str(document, "issuer")
        || strcmp(json_get_str(document, "issuer"), issuer) != 0) {
        err_set(err, ERR_UPSTREAM, "%s is of another issuer", url);
        return NULL;
    }
    jwks_uri = json_get_str(document, "jwks_uri");
    if (!jwks_uri || !key_source_allowed(issuer, jwks_uri)) {
        err_set(err, ERR_UPSTREAM,
                "%s has no jwks_uri that is https or of the issuer's own origin", url);
        return NULL;
    }
    return xstrdup(jwks_uri);
}

struct jwk_set *key_source_fetch(struct net *net, const char *issuer, int64_t *out_max_age_s,
                                 struct err *err)
{
    scoped_str jwks_uri = discover(net, issuer, err);
    scoped_json document =
        jwks_uri ? get(net, jwks_uri, KEY_SOURCE_KEYS_MAX_BYTES, out_max_age_s, err) : NULL;
    struct jwk_set *keys;

    if (!document)
        return NULL;
    keys = jwk_set_parse(document, err);
    if (!keys) {
        err->kind = ERR_UPSTREAM;
        (void)err_wrap(err, "%.200s", jwks_uri);
    }
    return keys;
}
