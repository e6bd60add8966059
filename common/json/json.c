/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json.h"

#include "base/alloc.h"
#include "base/utf8.h"

static void *allocate(size_t size)
{
    return xrealloc(NULL, size);
}

void json_setup(void)
{
    cJSON_Hooks hooks = {.malloc_fn = allocate, .free_fn = free};

    cJSON_InitHooks(&hooks);
}

const cJSON *json_get(const cJSON *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

const char *json_get_str(const cJSON *object, const char *key)
{
    const cJSON *value = json_get(object, key);

    return cJSON_IsString(value) ? value->valuestring : NULL;
}

bool json_whole(const cJSON *value, int64_t *out)
{
    double number = cJSON_IsNumber(value) ? value->valuedouble : JSON_WHOLE_LIMIT;

    if (!(number > -JSON_WHOLE_LIMIT && number < JSON_WHOLE_LIMIT)
        || number != (double)(int64_t)number)
        return false;
    *out = (int64_t)number;
    return true;
}

int64_t json_get_int(const cJSON *object, const char *key, int64_t fallback)
{
    int64_t number = fallback;

    return json_whole(json_get(object, key), &number) ? number : fallback;
}

bool json_get_bool(const cJSON *object, const char *key, bool fallback)
{
    const cJSON *value = json_get(object, key);

    return cJSON_IsBool(value) ? cJSON_IsTrue(value) : fallback;
}

bool json_utf8_valid(const char *text, size_t size)
{
    size_t at = 0;

    while (at < size) {
        size_t length = utf8_first(text + at, size - at);

        if (!length || !text[at])
            return false;
        at += length;
    }
    return true;
}
