/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_API_KEYS_H
#define API_API_KEYS_H
#include "config/config.h"
#include "crypto/digest.h"
#include "store/credential_store.h"

/* The keys of CODEBOT_API_KEYS as digests, and which credential each is. Doesn't change, so any
 * thread may look. */
struct api_keys;

#define API_KEY_NAME_SIZE (sizeof("key:") + 16)

struct api_key {
    uint8_t hash[SHA256_SIZE];
    char name[API_KEY_NAME_SIZE]; /* "key:" and the first 16 hex digits of the hash */
    int64_t credential;
};

/* ERR_UNAVAILABLE when the credentials can't be written. */
struct api_keys *api_keys_new(const struct config *config, struct credential_store *credentials,
                              struct err *err) CHECKED;
void api_keys_free(struct api_keys *keys);
DEFINE_SCOPED(api_keys)

/* NULL when it is none. Digests are compared, all of them, so that the time tells neither
 * length nor place. */
const struct api_key *api_keys_find(const struct api_keys *keys, const char *text);
#endif
