/* SPDX-License-Identifier: Apache-2.0 */
#include "json/keys.h"

#include <string.h>

#include "base/alloc.h"

/* Up to here every pair is compared, which beats sorting for the objects people send. */
#define FEW_KEYS 16
#define SHOWN_LENGTH 40

void json_keys_done(struct json_keys *keys)
{
    free(keys->all);
    *keys = (struct json_keys){0};
}

void json_keys_add(struct json_keys *keys, const char *name, size_t at)
{
    if (keys->count == keys->room) {
        keys->room = keys->room ? keys->room * 2 : FEW_KEYS;
        keys->all = xrealloc(keys->all, keys->room * sizeof(*keys->all));
    }
    keys->all[keys->count++] = (struct json_key){.name = name, .at = at};
}

static int by_name_then_place(const void *a, const void *b)
{
    const struct json_key *left = a;
    const struct json_key *right = b;
    int order = strcmp(left->name, right->name);

    return order ? order : (left->at > right->at) - (left->at < right->at);
}

static const struct json_key *repeat_of_few(const struct json_key *all, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t earlier = 0; earlier < i; earlier++)
            if (strcmp(all[i].name, all[earlier].name) == 0)
                return &all[i];
    return NULL;
}

static const struct json_key *repeat_of_many(struct json_key *all, size_t count)
{
    const struct json_key *found = NULL;

    qsort(all, count, sizeof(*all), by_name_then_place);
    for (size_t i = 1; i < count; i++)
        if (strcmp(all[i].name, all[i - 1].name) == 0 && (!found || all[i].at < found->at))
            found = &all[i];
    return found;
}

const struct json_key *json_keys_close(struct json_keys *keys, size_t first)
{
    size_t count = keys->count - first;

    keys->count = first;
    if (count < 2)
        return NULL;
    return count <= FEW_KEYS ? repeat_of_few(keys->all + first, count)
                             : repeat_of_many(keys->all + first, count);
}

void json_show_key(const char *name, char out[JSON_SHOWN_SIZE])
{
    size_t length = 0;

    if (!*name)
        name = "\"\"";
    /* A character of several bytes becomes one mark: its first byte shows, the rest don't. */
    for (; *name && length < SHOWN_LENGTH; name++) {
        unsigned char byte = (unsigned char)*name;

        if ((byte & 0xc0) == 0x80)
            continue;
        out[length++] = byte > 0x1f && byte < 0x7f ? (char)byte : '?';
    }
    memcpy(out + length, *name ? "..." : "", *name ? 4 : 1);
}
