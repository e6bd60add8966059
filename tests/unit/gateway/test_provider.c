/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/provider.h"

#include <string.h>

#include "test.h"

#include "gateway/headers.h"

static const struct provider *provider_named(const char *name)
{
    for (size_t i = 0; i < n_providers; i++) {
        if (strcmp(providers[i].name, name) == 0)
            return &providers[i];
    }
    fail_msg("no provider %s", name);
    return NULL;
}

/* The provider with this in the environment, and the header it adds. */
static void expect_header(const char *provider, const char *variable, const char *expected)
{
    struct configured_provider configured;
    struct model_keys keys;
    scoped_text_list headers = {0};
    bool found = false;
    struct err err = {0};

    (void)setenv(variable, "real-key", 1);
    assert_ok(model_keys_take(&keys, &err), err);
    assert_ok(provider_configure(&configured, provider_named(provider), &keys, &err), err);
    headers_add_own(&headers, &configured, NULL);
    for (size_t i = 0; i < headers.n; i++)
        found |= strcmp(headers.all[i], expected) == 0;
    if (!found)
        fail_msg("%s: no header %s", variable, expected);
    provider_done(&configured);
    model_keys_done(&keys);
}

static void test_each_key_goes_in_its_own_header(void **state)
{
    (void)state;
    expect_header("anthropic", "ANTHROPIC_API_KEY", "x-api-key: real-key");
    expect_header("anthropic", "ANTHROPIC_AUTH_TOKEN", "Authorization: Bearer real-key");
    expect_header("anthropic", "CLAUDE_CODE_OAUTH_TOKEN", "Authorization: Bearer real-key");
    expect_header("anthropic", "CLAUDE_CODE_OAUTH_TOKEN", "anthropic-beta: oauth-2025-04-20");
    expect_header("openai", "OPENAI_API_KEY", "Authorization: Bearer real-key");
    expect_header("gemini", "GEMINI_API_KEY", "x-goog-api-key: real-key");
    expect_header("gemini", "GOOGLE_API_KEY", "x-goog-api-key: real-key");
    expect_header("openrouter", "OPENROUTER_API_KEY", "Authorization: Bearer real-key");
    expect_header("groq", "GROQ_API_KEY", "Authorization: Bearer real-key");
    expect_header("mistral", "MISTRAL_API_KEY", "Authorization: Bearer real-key");
    expect_header("deepseek", "DEEPSEEK_API_KEY", "Authorization: Bearer real-key");
    expect_header("xai", "XAI_API_KEY", "Authorization: Bearer real-key");
}

static void test_agents_betas_are_kept_beside_ours(void **state)
{
    scoped(secret) key = secret_new("token");
    struct configured_provider configured = {.key = key, .style = KEY_OAUTH};
    scoped_text_list headers = {0};

    (void)state;
    headers_add_own(&headers, &configured, "one,two");
    assert_string_equal(headers.all[1], "anthropic-beta: one,two,oauth-2025-04-20");
    headers_wipe(&headers);
    headers_add_own(&headers, &configured, "oauth-2025-04-20,one");
    assert_string_equal(headers.all[1], "anthropic-beta: oauth-2025-04-20,one");
}

static void test_a_provider_is_there_with_a_key_or_a_base_url(void **state)
{
    struct configured_provider configured;
    struct model_keys keys;
    scoped_str url = NULL;
    struct err err = {0};

    (void)state;
    (void)setenv("GROQ_API_KEY", "k", 1);
    (void)setenv("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1//", 1);
    assert_ok(model_keys_take(&keys, &err), err);
    assert_ok(provider_configure(&configured, provider_named("groq"), &keys, &err), err);
    assert_string_equal(configured.base_url, "https://api.groq.com/openai/v1");
    provider_done(&configured);
    assert_ok(provider_configure(&configured, provider_named("openai"), &keys, &err), err);
    assert_int_equal(configured.style, KEY_NONE);
    url = provider_url(&configured, "/chat/completions", "");
    assert_string_equal(url, "http://127.0.0.1:11434/v1/chat/completions");
    provider_done(&configured);
    assert_ok(provider_configure(&configured, provider_named("xai"), &keys, &err), err);
    assert_null(configured.base_url);
    model_keys_done(&keys);
}

static void test_only_known_parameters_pass(void **state)
{
    char base[] = "https://p.example";
    struct configured_provider configured = {.base_url = base};
    static const char *const queries[][2] = {
        {"", "https://p.example/x"},
        {"alt=sse", "https://p.example/x?alt=sse"},
        {"key=secret&alt=sse", "https://p.example/x?alt=sse"},
        {"a=1&&beta=true&key=k&limit=5&", "https://p.example/x?beta=true&limit=5"},
        {"alternative=1&quotaUser=2&$httpMethod=DELETE", "https://p.example/x"},
        {"beta", "https://p.example/x?beta"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
        scoped_str url = provider_url(&configured, "/x", queries[i][0]);

        assert_string_equal(url, queries[i][1]);
    }
}

static void test_calls_are_told_apart(void **state)
{
    static const struct {
        const char *provider;
        const char *method;
        const char *path;
        enum call_kind kind;
    } calls[] = {
        {"anthropic", "POST", "/v1/messages", CALL_METERED},
        {"anthropic", "POST", "/v1/messages/count_tokens", CALL_FREE},
        {"anthropic", "GET", "/v1/models/claude-opus-4-5", CALL_FREE},
        {"anthropic", "GET", "/v1/models/a/b", CALL_NOT_SERVED},
        {"anthropic", "POST", "/v1/messages/", CALL_NOT_SERVED},
        {"openai", "POST", "/responses", CALL_METERED},
        {"openai", "POST", "/responses/r/cancel", CALL_NOT_SERVED},
        {"xai", "POST", "/chat/completions", CALL_METERED},
        {"gemini", "POST", "/v1beta/models/g-1.5:streamGenerateContent", CALL_METERED},
        {"gemini", "POST", "/v1alpha/models/g:countTokens", CALL_FREE},
        {"gemini", "POST", "/v1beta/models/a/b:generateContent", CALL_NOT_SERVED},
        {"gemini", "POST", "/v1beta/files", CALL_NOT_SERVED},
        {"gemini", "DELETE", "/v1beta/models/g", CALL_NOT_SERVED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        if (provider_call_kind(provider_named(calls[i].provider), calls[i].method,
                               calls[i].path)
            != calls[i].kind)
            fail_msg("%s %s", calls[i].method, calls[i].path);
    }
}

TEST_MAIN(cmocka_unit_test(test_each_key_goes_in_its_own_header),
          cmocka_unit_test(test_agents_betas_are_kept_beside_ours),
          cmocka_unit_test(test_a_provider_is_there_with_a_key_or_a_base_url),
          cmocka_unit_test(test_only_known_parameters_pass),
          cmocka_unit_test(test_calls_are_told_apart))
