/* SPDX-License-Identifier: Apache-2.0 */
#include "text/redaction.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"

/* A task token, a git token for each hour of a day, the headers of many tools. */
#define SECRETS_MAX 4096
#define SECRET_MIN_BYTES 8
#define MASK "***"

struct redaction {
    pthread_mutex_t lock;
    struct secret **secrets;
    size_t n_secrets;
};

struct redaction *redaction_new(void)
{
    struct redaction *redaction = xcalloc(1, sizeof(*redaction));

    (void)pthread_mutex_init(&redaction->lock, NULL);
    return redaction;
}

void redaction_free(struct redaction *redaction)
{
    if (!redaction)
        return;
    for (size_t i = 0; i < redaction->n_secrets; i++)
        secret_free(redaction->secrets[i]);
    free(redaction->secrets);
    (void)pthread_mutex_destroy(&redaction->lock);
    free(redaction);
}

static bool known(const struct redaction *redaction, const struct secret *secret)
{
    for (size_t i = 0; i < redaction->n_secrets; i++) {
        if (strcmp(secret_reveal(redaction->secrets[i]), secret_reveal(secret)) == 0)
            return true;
    }
    return false;
}

static void keep(struct redaction *redaction, const struct secret *secret)
{
    size_t at = redaction->n_secrets;

    if (at == SECRETS_MAX) {
        secret_free(redaction->secrets[--at]);
    } else if (at % 32 == 0) {
        redaction->secrets = xrealloc(redaction->secrets, (at + 32) * sizeof(struct secret *));
    }
    redaction->secrets[at] = secret_new(secret_reveal(secret));
    redaction->n_secrets = at + 1;
}

void redaction_add(struct redaction *redaction, const struct secret *secret)
{
    if (strlen(secret_reveal(secret)) < SECRET_MIN_BYTES)
        return;
    (void)pthread_mutex_lock(&redaction->lock);
    if (!known(redaction, secret))
        keep(redaction, secret);
    (void)pthread_mutex_unlock(&redaction->lock);
}

static void mask(char *text, const char *secret)
{
    size_t length = strlen(secret);
    char *from = strstr(text, secret);
    char *to = from;

    while (from) {
        char *next = strstr(from + length, secret);
        const char *rest = from + length;
        size_t rest_length = next ? (size_t)(next - rest) : strlen(rest);

        memcpy(to, MASK, strlen(MASK));
        memmove(to + strlen(MASK), rest, rest_length);
        to += strlen(MASK) + rest_length;
        from = next;
        if (!next)
            *to = '\0';
    }
}

void redaction_apply(struct redaction *redaction, char *text)
{
    (void)pthread_mutex_lock(&redaction->lock);
    for (size_t i = 0; i < redaction->n_secrets; i++)
        mask(text, secret_reveal(redaction->secrets[i]));
    (void)pthread_mutex_unlock(&redaction->lock);
}

bool redaction_finds(struct redaction *redaction, const char *data, size_t size)
{
    bool found = false;

    (void)pthread_mutex_lock(&redaction->lock);
    for (size_t i = 0; i < redaction->n_secrets && !found; i++) {
        const char *secret = secret_reveal(redaction->secrets[i]);

        found = memmem(data, size, secret, strlen(secret)) != NULL;
    }
    (void)pthread_mutex_unlock(&redaction->lock);
    return found;
}
