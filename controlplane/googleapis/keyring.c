/* SPDX-License-Identifier: Apache-2.0 */
#include "googleapis/keyring.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

struct keyring {
    struct token_source *source;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a fetch has ended, or we stop */
    struct pass *current;   /* NULL: none yet */
    uint64_t last_serial;
    int64_t ends_ms; /* of `current`, monotonic; 0: never */
    int64_t next_ms; /* nobody is asked before */
    bool fetching;
    bool stopping;
    struct err failed; /* of the last fetch; kind ERR_NONE: it went well */
};

struct keyring *keyring_new(struct token_source *source)
{
    struct keyring *keyring = xcalloc(1, sizeof(*keyring));

    keyring->source = source;
    (void)pthread_mutex_init(&keyring->lock, NULL);
    (void)pthread_cond_init(&keyring->changed, NULL);
    return keyring;
}

void keyring_stop(struct keyring *keyring)
{
    (void)pthread_mutex_lock(&keyring->lock);
    keyring->stopping = true;
    (void)pthread_cond_broadcast(&keyring->changed);
    (void)pthread_mutex_unlock(&keyring->lock);
    token_source_stop(keyring->source);
}

void keyring_free(struct keyring *keyring)
{
    if (!keyring)
        return;
    pass_free(keyring->current);
    token_source_free(keyring->source);
    (void)pthread_cond_destroy(&keyring->changed);
    (void)pthread_mutex_destroy(&keyring->lock);
    free(keyring);
}

void pass_free(struct pass *pass)
{
    if (!pass || atomic_fetch_sub(&pass->holders, 1) > 1)
        return;
    secret_free(pass->token);
    free(pass);
}

/* --- Fetching ----------------------------------------------------------------------------- */

/* Under the lock. */
static void put(struct keyring *keyring, struct access_token *token, int64_t now_ms)
{
    struct pass *made = xcalloc(1, sizeof(*made));

    made->token = TAKE(token->secret);
    made->serial = ++keyring->last_serial;
    made->holders = 1;
    pass_free(keyring->current);
    keyring->current = made;
    keyring->ends_ms = token->life_ms ? now_ms + token->life_ms : 0;
}

/* Under the lock, which is let go meanwhile. */
static void fetch(struct keyring *keyring)
{
    struct access_token token = {0};
    struct err failed = {0};
    int result;

    keyring->fetching = true;
    (void)pthread_mutex_unlock(&keyring->lock);
    result = token_source_fetch(keyring->source, &token, &failed);
    (void)pthread_mutex_lock(&keyring->lock);
    keyring->fetching = false;
    keyring->failed = failed;
    keyring->next_ms = clock_monotonic_ms() + KEYRING_PAUSE_MS;
    if (result == 0)
        put(keyring, &token, clock_monotonic_ms());
    else if (keyring->current)
        log_warn("renewing an access token failed, will retry", KV("error", failed.text));
    (void)pthread_cond_broadcast(&keyring->changed);
}

/* --- Being asked -------------------------------------------------------------------------- */

/* Will the current one be good for so long? */
static bool is_good_for(const struct keyring *keyring, int64_t left_ms)
{
    return keyring->current
           && (!keyring->ends_ms || keyring->ends_ms - clock_monotonic_ms() >= left_ms);
}

static bool may_ask(const struct keyring *keyring)
{
    return !keyring->fetching && clock_monotonic_ms() >= keyring->next_ms;
}

/* Under the lock: until there is one, or nobody is there to bring one. */
static int await_good(struct keyring *keyring, struct err *err)
{
    while (!keyring->stopping && !is_good_for(keyring, KEYRING_LEFT_MIN_MS)) {
        if (keyring->fetching) {
            (void)pthread_cond_wait(&keyring->changed, &keyring->lock);
            continue;
        }
        if (keyring->failed.kind && !may_ask(keyring)) {
            *err = keyring->failed;
            return -1;
        }
        fetch(keyring);
    }
    return keyring->stopping ? err_set(err, ERR_UNAVAILABLE, "calls to Google are stopping")
                             : 0;
}

struct pass *keyring_get(struct keyring *keyring, struct err *err)
{
    struct pass *pass = NULL;

    (void)pthread_mutex_lock(&keyring->lock);
    if (keyring->current && !is_good_for(keyring, KEYRING_EARLY_MS) && may_ask(keyring)
        && !keyring->stopping)
        fetch(keyring);
    if (await_good(keyring, err) == 0) {
        pass = keyring->current;
        (void)atomic_fetch_add(&pass->holders, 1);
    }
    (void)pthread_mutex_unlock(&keyring->lock);
    return pass;
}

bool keyring_renew(struct keyring *keyring, const struct pass *refused)
{
    bool newer;

    (void)pthread_mutex_lock(&keyring->lock);
    while (keyring->fetching && !keyring->stopping)
        (void)pthread_cond_wait(&keyring->changed, &keyring->lock);
    if (keyring->current && keyring->current->serial == refused->serial && may_ask(keyring)
        && !keyring->stopping)
        fetch(keyring);
    newer =
        keyring->current && keyring->current->serial != refused->serial
        && strcmp(secret_reveal(keyring->current->token), secret_reveal(refused->token)) != 0;
    (void)pthread_mutex_unlock(&keyring->lock);
    return newer;
}
