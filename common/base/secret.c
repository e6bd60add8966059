/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <string.h>

#include "base/alloc.h"

struct secret {
    size_t size;
    char text[];
};

struct secret *secret_new(const char *text)
{
    size_t size = text ? strlen(text) : 0;
    struct secret *secret;

    if (!size)
        return NULL;
    secret = xcalloc(1, sizeof(*secret) + size + 1);
    secret->size = size;
    memcpy(secret->text, text, size + 1);
    return secret;
}

void secret_free(struct secret *secret)
{
    if (!secret)
        return;
    secret_wipe(secret->text, secret->size);
    free(secret);
}

const char *secret_reveal(const struct secret *secret)
{
    return secret ? secret->text : "";
}

void secret_wipe(void *memory, size_t size)
{
    explicit_bzero(memory, size);
}
