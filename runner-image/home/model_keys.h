/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_MODEL_KEYS_H
#define RUNNER_MODEL_KEYS_H
#include "base/err.h"
#include "base/secret.h"

/*
 * The keys and base URLs of model providers, by the names of the environment variables they
 * came in. Taking them removes them from the environment, and wipes the bytes that
 * /proc/<pid>/environ would show: nobody but the gateway has them afterwards. Embedded in the
 * settings; read from any thread once taken.
 */
#define MODEL_KEYS_MAX 16
#define MODEL_URLS_MAX 16

struct model_keys {
    struct secret *keys[MODEL_KEYS_MAX]; /* by the tables in model_keys.c; NULL: not set */
    char *urls[MODEL_URLS_MAX];
};

/* All of them leave the environment, even when one can't be used: ERR_INVALID names it. */
int model_keys_take(struct model_keys *out, struct err *err) CHECKED;
void model_keys_done(struct model_keys *keys);

/* "ANTHROPIC_API_KEY" and the like; NULL when it wasn't set. Borrowed. */
const struct secret *model_keys_key(const struct model_keys *keys, const char *variable);
/* "ANTHROPIC_BASE_URL" and the like. */
const char *model_keys_url(const struct model_keys *keys, const char *variable);
#endif
