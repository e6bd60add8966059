/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_keys.h"

#include <string.h>

#include "base/alloc.h"

struct api_keys {
    struct api_key *all;
    size_t count;
};

static void digest(const char *text, struct api_key *out)
{
    char hex[SHA256_HEX_SIZE];

    sha256(text, strlen(text), out->hash);
    hex_encode(out->hash, sizeof(out->hash), hex);
    (void)snprintf(out->name, sizeof(out->name), "key:%.16s", hex);
}

struct api_keys *api_keys_new(const struct config *config, struct credential_store *credentials,
                              struct err *err)
{
    scoped(api_keys) keys = xcalloc(1, sizeof(*keys));

    keys->all = xcalloc(config->n_api_keys, sizeof(struct api_key));
    for (; keys->count < config->n_api_keys; keys->count++) {
        struct api_key *key = &keys->all[keys->count];

        digest(secret_reveal(config->api_keys[keys->count]), key);
        if (credential_store_number(credentials, key->name, &key->credential, err) < 0)
            return NULL;
    }
    return TAKE(keys);
}

void api_keys_free(struct api_keys *keys)
{
    if (keys)
        free(keys->all);
    free(keys);
}

const struct api_key *api_keys_find(const struct api_keys *keys, const char *text)
{
    const struct api_key *found = NULL;
    uint8_t given[SHA256_SIZE];

    sha256(text, strlen(text), given);
    for (size_t i = 0; i < keys->count; i++)
        if (bytes_equal(given, keys->all[i].hash, sizeof(given)))
            found = &keys->all[i];
    return found;
}
