/* SPDX-License-Identifier: Apache-2.0 */
#include "home/model_keys.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"

#define KEY_MAX_BYTES 8192
#define URL_MAX_BYTES 2048

static const char *const key_names[] = {
    "ANTHROPIC_API_KEY",  "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN",
    "OPENAI_API_KEY",     "GEMINI_API_KEY",       "GOOGLE_API_KEY",
    "OPENROUTER_API_KEY", "GROQ_API_KEY",         "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY",   "XAI_API_KEY",
};
static const char *const url_names[] = {
    "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL",  "GOOGLE_GEMINI_BASE_URL", "OPENROUTER_BASE_URL",
    "GROQ_BASE_URL",      "MISTRAL_BASE_URL", "DEEPSEEK_BASE_URL",      "XAI_BASE_URL",
};
_Static_assert(ARRAY_SIZE(key_names) <= MODEL_KEYS_MAX, "a longer MODEL_KEYS_MAX");
_Static_assert(ARRAY_SIZE(url_names) <= MODEL_URLS_MAX, "a longer MODEL_URLS_MAX");

static void wipe_text(char *text)
{
    if (text)
        secret_wipe(text, strlen(text));
    free(text);
}

/* Out of the environment, each time it stands there; a copy of the first, without white space
 * around it, for wipe_text. NULL when there is none or it is empty. */
static char *take(const char *name)
{
    size_t length = strlen(name);
    char *taken = NULL;

    for (char **entry = environ; entry && *entry; entry++) {
        char *value = *entry + length + 1;
        size_t size;

        if (strncmp(*entry, name, length) != 0 || (*entry)[length] != '=')
            continue;
        size = strlen(value);
        if (!taken && size) {
            const char *from = value + strspn(value, " \t\r\n");
            size_t left = strlen(from);

            while (left && strchr(" \t\r\n", from[left - 1]))
                left--;
            taken = left ? xstrndup(from, left) : NULL;
        }
        secret_wipe(value, size);
    }
    (void)unsetenv(name);
    return taken;
}

static bool is_visible(const char *text, size_t max_bytes)
{
    size_t length = strlen(text);

    for (const char *c = text; *c; c++) {
        if (*c <= ' ' || *c > '~')
            return false;
    }
    return length <= max_bytes;
}

int model_keys_take(struct model_keys *out, struct err *err)
{
    int result = 0;

    *out = (struct model_keys){0};
    for (size_t i = 0; i < ARRAY_SIZE(key_names); i++) {
        char *text = take(key_names[i]);

        if (text && !is_visible(text, KEY_MAX_BYTES))
            result = err_set(err, ERR_INVALID, "%s isn't %d or fewer visible characters",
                             key_names[i], KEY_MAX_BYTES);
        else
            out->keys[i] = secret_new(text);
        wipe_text(text);
    }
    for (size_t i = 0; i < ARRAY_SIZE(url_names); i++) {
        char *text = take(url_names[i]);

        if (text && !is_visible(text, URL_MAX_BYTES)) {
            result = err_set(err, ERR_INVALID, "%s isn't %d or fewer visible characters",
                             url_names[i], URL_MAX_BYTES);
            wipe_text(TAKE(text));
        }
        out->urls[i] = text;
    }
    return result;
}

void model_keys_done(struct model_keys *keys)
{
    for (size_t i = 0; i < MODEL_KEYS_MAX; i++)
        secret_free(keys->keys[i]);
    for (size_t i = 0; i < MODEL_URLS_MAX; i++)
        wipe_text(keys->urls[i]); /* it may name a user and a password */
    *keys = (struct model_keys){0};
}

const struct secret *model_keys_key(const struct model_keys *keys, const char *variable)
{
    for (size_t i = 0; i < ARRAY_SIZE(key_names); i++) {
        if (strcmp(key_names[i], variable) == 0)
            return keys->keys[i];
    }
    return NULL;
}

const char *model_keys_url(const struct model_keys *keys, const char *variable)
{
    for (size_t i = 0; i < ARRAY_SIZE(url_names); i++) {
        if (strcmp(url_names[i], variable) == 0)
            return keys->urls[i];
    }
    return NULL;
}
