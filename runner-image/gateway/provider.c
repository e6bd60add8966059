/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/provider.h"

#include <fnmatch.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "net/url.h"

#define PATH_MAX_BYTES 512

/* clang-format off */
const struct provider providers[] = {
    {"anthropic", "/anthropic", PROTOCOL_ANTHROPIC,
     "ANTHROPIC_BASE_URL", "https://api.anthropic.com",
     {{"ANTHROPIC_AUTH_TOKEN", KEY_BEARER}, {"ANTHROPIC_API_KEY", KEY_X_API_KEY},
      {"CLAUDE_CODE_OAUTH_TOKEN", KEY_OAUTH}}},
    {"openai", "/openai/v1", PROTOCOL_OPENAI,
     "OPENAI_BASE_URL", "https://api.openai.com/v1",
     {{"OPENAI_API_KEY", KEY_BEARER}}},
    {"gemini", "/gemini", PROTOCOL_GEMINI,
     "GOOGLE_GEMINI_BASE_URL", "https://generativelanguage.googleapis.com",
     {{"GEMINI_API_KEY", KEY_GOOGLE}, {"GOOGLE_API_KEY", KEY_GOOGLE}}},
    {"openrouter", "/openrouter/v1", PROTOCOL_OPENAI,
     "OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1",
     {{"OPENROUTER_API_KEY", KEY_BEARER}}},
    {"groq", "/groq/v1", PROTOCOL_OPENAI,
     "GROQ_BASE_URL", "https://api.groq.com/openai/v1",
     {{"GROQ_API_KEY", KEY_BEARER}}},
    {"mistral", "/mistral/v1", PROTOCOL_OPENAI,
     "MISTRAL_BASE_URL", "https://api.mistral.ai/v1",
     {{"MISTRAL_API_KEY", KEY_BEARER}}},
    {"deepseek", "/deepseek/v1", PROTOCOL_OPENAI,
     "DEEPSEEK_BASE_URL", "https://api.deepseek.com/v1",
     {{"DEEPSEEK_API_KEY", KEY_BEARER}}},
    {"xai", "/xai/v1", PROTOCOL_OPENAI,
     "XAI_BASE_URL", "https://api.x.ai/v1",
     {{"XAI_API_KEY", KEY_BEARER}}},
};
const size_t n_providers = ARRAY_SIZE(providers);
_Static_assert(ARRAY_SIZE(providers) <= PROVIDERS_MAX, "a larger PROVIDERS_MAX");

/* A star stands for anything but a slash. */
static const struct served {
    enum model_protocol protocol;
    const char *method;
    const char *pattern;
    enum call_kind kind;
} served[] = {
    {PROTOCOL_ANTHROPIC, "POST", "/v1/messages", CALL_METERED},
    {PROTOCOL_ANTHROPIC, "POST", "/v1/messages/count_tokens", CALL_FREE},
    {PROTOCOL_ANTHROPIC, "GET", "/v1/models", CALL_FREE},
    {PROTOCOL_ANTHROPIC, "GET", "/v1/models/*", CALL_FREE},
    {PROTOCOL_OPENAI, "POST", "/chat/completions", CALL_METERED},
    {PROTOCOL_OPENAI, "POST", "/responses", CALL_METERED},
    {PROTOCOL_OPENAI, "POST", "/completions", CALL_METERED},
    {PROTOCOL_OPENAI, "POST", "/embeddings", CALL_METERED},
    {PROTOCOL_OPENAI, "GET", "/models", CALL_FREE},
    {PROTOCOL_OPENAI, "GET", "/models/*", CALL_FREE},
    {PROTOCOL_GEMINI, "POST", "/v1*/models/*:generateContent", CALL_METERED},
    {PROTOCOL_GEMINI, "POST", "/v1*/models/*:streamGenerateContent", CALL_METERED},
    {PROTOCOL_GEMINI, "POST", "/v1*/models/*:embedContent", CALL_METERED},
    {PROTOCOL_GEMINI, "POST", "/v1*/models/*:batchEmbedContents", CALL_METERED},
    {PROTOCOL_GEMINI, "POST", "/v1*/models/*:countTokens", CALL_FREE},
    {PROTOCOL_GEMINI, "GET", "/v1*/models", CALL_FREE},
    {PROTOCOL_GEMINI, "GET", "/v1*/models/*", CALL_FREE},
};

/* Of a query. The others, a key among them, stay here: some name another account to bill, or
 * turn one call into another. */
static const char *const passed_parameters[] = {
    "alt", "beta", "api-version", "limit", "after", "before_id", "after_id", "order",
    "pageSize", "pageToken",
};
/* clang-format on */

/* --- Configuration ------------------------------------------------------------------------ */

static int take_url(struct configured_provider *out, const char *url, struct err *err)
{
    const char *variable = out->provider->url_variable;
    size_t length = strlen(url);
    scoped_str shown = NULL;

    if (url_check(url, &shown, err) < 0)
        return err_wrap(err, "%s", variable);
    if (strpbrk(url, "?#"))
        return err_set(err, ERR_INVALID, "%s: a base URL has no query", variable);
    while (length && url[length - 1] == '/')
        length--;
    out->base_url = xstrndup(url, length);
    return 0;
}

int provider_configure(struct configured_provider *out, const struct provider *provider,
                       const struct model_keys *keys, struct err *err)
{
    const char *url = model_keys_url(keys, provider->url_variable);

    *out = (struct configured_provider){.provider = provider};
    for (size_t i = 0; i < ARRAY_SIZE(provider->keys) && !out->key; i++) {
        const struct key_source *source = &provider->keys[i];

        out->key = source->variable ? model_keys_key(keys, source->variable) : NULL;
        out->style = out->key ? source->style : KEY_NONE;
    }
    if (!url && !out->key)
        return 0;
    return take_url(out, url ? url : provider->default_url, err);
}

void provider_done(struct configured_provider *configured)
{
    free(configured->base_url);
    *configured = (struct configured_provider){0};
}

/* --- What is asked for -------------------------------------------------------------------- */

const struct provider *provider_of_path(const char *path, const char **out_rest)
{
    for (size_t i = 0; i < n_providers; i++) {
        size_t length = strlen(providers[i].prefix);

        if (strncmp(path, providers[i].prefix, length) == 0 && path[length] == '/') {
            *out_rest = path + length;
            return &providers[i];
        }
    }
    return NULL;
}

/* Nothing that another server could read differently: no escapes, no empty or dotted segments.
 */
static bool is_plain(const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-._~:@/";
    size_t length = strlen(path);

    return length <= PATH_MAX_BYTES && strspn(path, plain) == length && !strstr(path, "//")
           && !strstr(path, "/.");
}

enum call_kind provider_call_kind(const struct provider *provider, const char *method,
                                  const char *path)
{
    if (!is_plain(path))
        return CALL_NOT_SERVED;
    for (size_t i = 0; i < ARRAY_SIZE(served); i++) {
        if (served[i].protocol == provider->protocol && strcmp(served[i].method, method) == 0
            && fnmatch(served[i].pattern, path, FNM_PATHNAME | FNM_NOESCAPE) == 0)
            return served[i].kind;
    }
    return CALL_NOT_SERVED;
}

static bool is_passed(const char *parameter, size_t size)
{
    size_t name = 0;

    while (name < size && parameter[name] != '=')
        name++;
    for (size_t i = 0; i < ARRAY_SIZE(passed_parameters); i++) {
        if (strlen(passed_parameters[i]) == name
            && memcmp(parameter, passed_parameters[i], name) == 0)
            return true;
    }
    return false;
}

char *provider_url(const struct configured_provider *configured, const char *path,
                   const char *query)
{
    struct buf url = {0};
    char before = '?';

    buf_append_str(&url, configured->base_url);
    buf_append_str(&url, path);
    while (query && *query) {
        size_t size = strcspn(query, "&");

        if (is_passed(query, size)) {
            buf_append(&url, &before, 1);
            buf_append(&url, query, size);
            before = '&';
        }
        query += size + (query[size] == '&');
    }
    return buf_take(&url);
}
