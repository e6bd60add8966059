/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/headers.h"

#include <string.h>
#include <strings.h>

/* A dash at the end: all that begin so. (anthropic-beta has its own way, below.) */
static const char *const outgoing[] = {
    "accept",
    "accept-language",
    "anthropic-dangerous-direct-browser-access",
    "anthropic-version",
    "content-type",
    "conversation_id",
    "http-referer",
    "idempotency-key",
    "openai-beta",
    "originator",
    "session_id",
    "user-agent",
    "version",
    "x-anthropic-",
    "x-app",
    "x-claude-",
    "x-client-request-id",
    "x-goog-api-client",
    "x-opencode-",
    "x-request-id",
    "x-session-affinity",
    "x-stainless-",
    "x-title",
};

static const char *const kept_back[] = {
    "alt-svc",    "connection",  "content-length",
    "keep-alive", "location",    "proxy-",
    "set-cookie", "set-cookie2", "strict-transport-security",
    "te",         "trailer",     "transfer-encoding",
    "upgrade",
};

#define OAUTH_BETA "oauth-2025-04-20"

static bool is_among(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(list[i]);

        if (list[i][length - 1] == '-' ? strncasecmp(name, list[i], length) == 0
                                       : strcasecmp(name, list[i]) == 0)
            return true;
    }
    return false;
}

bool header_goes_out(const char *name)
{
    return is_among(name, outgoing, ARRAY_SIZE(outgoing));
}

bool header_comes_back(const char *name)
{
    return !is_among(name, kept_back, ARRAY_SIZE(kept_back));
}

/* One line for both: not every server joins two. */
static void add_beta(struct text_list *headers, const char *beta, bool oauth)
{
    if (oauth && beta && !strstr(beta, OAUTH_BETA))
        text_list_add(headers, "anthropic-beta: %s," OAUTH_BETA, beta);
    else if (beta)
        text_list_add(headers, "anthropic-beta: %s", beta);
    else if (oauth)
        text_list_add(headers, "anthropic-beta: " OAUTH_BETA);
}

void headers_add_own(struct text_list *headers, const struct configured_provider *configured,
                     const char *beta)
{
    const char *key = secret_reveal(configured->key);

    text_list_add(headers, "Accept-Encoding: identity");
    add_beta(headers, beta, configured->style == KEY_OAUTH);
    switch (configured->style) {
    case KEY_X_API_KEY:
        text_list_add(headers, "x-api-key: %s", key);
        break;
    case KEY_OAUTH:
    case KEY_BEARER:
        text_list_add(headers, "Authorization: Bearer %s", key);
        break;
    case KEY_GOOGLE:
        text_list_add(headers, "x-goog-api-key: %s", key);
        break;
    case KEY_NONE:
    default:
        break;
    }
}

void headers_wipe(struct text_list *headers)
{
    for (size_t i = 0; i < headers->n; i++)
        secret_wipe(headers->all[i], strlen(headers->all[i]));
    text_list_done(headers);
}
