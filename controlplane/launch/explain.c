/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/explain.h"

#include <string.h>
#include <strings.h>

/* What follows the word is part of it: KEYS, TOKENS, ... TOKENIZERS_PARALLELISM is taken for
 * one too, which does no harm. */
static bool has_secret_name(const char *name)
{
    static const char *const words[] = {"KEY",    "TOKEN",      "SECRET", "PASSWORD",
                                        "PASSWD", "CREDENTIAL", "AUTH",   "PRIVATE"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcasestr(name, words[i]))
            return true;
    return false;
}

/* https://user:password@host */
static bool has_password(const char *value)
{
    const char *scheme = strstr(value, "://");
    const char *host = scheme ? scheme + strlen("://") : value;

    return memchr(host, '@', strcspn(host, "/")) != NULL;
}

bool explain_is_secret(const char *name, const char *value)
{
    return has_secret_name(name) || (value && has_password(value));
}

static void hide_in(const cJSON *container)
{
    cJSON *variable;

    cJSON_ArrayForEach(variable, json_get(container, "env"))
    {
        const char *name = json_get_str(variable, "name");
        const char *value = json_get_str(variable, "value");

        if (name && value && explain_is_secret(name, value))
            (void)cJSON_ReplaceItemInObjectCaseSensitive(variable, "value",
                                                         jstr(EXPLAIN_SECRET));
    }
}

void explain_hide_environment(cJSON *pod_spec)
{
    static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
    const cJSON *container;

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        cJSON_ArrayForEach(container, json_get(pod_spec, lists[i]))
        {
            hide_in(container);
        }
}
