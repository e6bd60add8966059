/* SPDX-License-Identifier: Apache-2.0 */
#include "oidc/issuer.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/log.h"
#include "oidc/key_source.h"

struct issuer {
    char *name;
    struct net *net;
    int64_t (*now_ms)(void);
    pthread_mutex_t lock; /* over all below; not held while a fetch is under way */
    pthread_cond_t fetched;
    struct jwk_set *keys;  /* NULL: none yet, or none that may still be used */
    int64_t good_until_ms; /* of the keys */
    int64_t try_again_ms;  /* after a fetch that failed */
    int64_t look_again_ms; /* for a key that there wasn't */
    bool fetching;
    bool failed; /* the last fetch */
    int n_waiting;
};

struct issuer *issuer_new(const char *name, struct net *net, int64_t (*now_ms)(void))
{
    struct issuer *issuer = xcalloc(1, sizeof(*issuer));

    issuer->name = xstrdup(name);
    issuer->net = net;
    issuer->now_ms = now_ms;
    issuer->try_again_ms = INT64_MIN;
    issuer->look_again_ms = INT64_MIN;
    (void)pthread_mutex_init(&issuer->lock, NULL);
    (void)pthread_cond_init(&issuer->fetched, NULL);
    return issuer;
}

void issuer_free(struct issuer *issuer)
{
    if (!issuer)
        return;
    jwk_set_free(issuer->keys);
    free(issuer->name);
    (void)pthread_cond_destroy(&issuer->fetched);
    (void)pthread_mutex_destroy(&issuer->lock);
    free(issuer);
}

const char *issuer_name(const struct issuer *issuer)
{
    return issuer->name;
}

/* --- Fetching (the lock is held on entry and on return) -------------------------------------
 */

static int64_t bounded_age_ms(int64_t max_age_s)
{
    int64_t age_ms = max_age_s < 0 ? ISSUER_AGE_USUAL_MS : max_age_s * 1000;

    if (age_ms < ISSUER_AGE_MIN_MS)
        return ISSUER_AGE_MIN_MS;
    return age_ms > ISSUER_AGE_MAX_MS ? ISSUER_AGE_MAX_MS : age_ms;
}

static void fetch(struct issuer *issuer)
{
    struct err err = {0};
    int64_t max_age_s = -1;
    struct jwk_set *fresh;

    issuer->fetching = true;
    (void)pthread_mutex_unlock(&issuer->lock);
    fresh = key_source_fetch(issuer->net, issuer->name, &max_age_s, &err);
    if (!fresh)
        log_warn("fetching an issuer's keys failed, will retry", KV("issuer", issuer->name),
                 KV("error", (const char *)err.text));
    (void)pthread_mutex_lock(&issuer->lock);
    issuer->fetching = false;
    issuer->failed = !fresh;
    if (fresh) {
        jwk_set_free(issuer->keys);
        issuer->keys = fresh;
        issuer->good_until_ms = issuer->now_ms() + bounded_age_ms(max_age_s);
    } else {
        issuer->try_again_ms = issuer->now_ms() + ISSUER_LOOK_AGAIN_MS;
    }
    (void)pthread_cond_broadcast(&issuer->fetched);
}

/* Keys that are long past their time are none. */
static const struct jwk *find(struct issuer *issuer, const struct jwt_token *token,
                              int64_t now_ms)
{
    if (issuer->keys && now_ms >= issuer->good_until_ms + ISSUER_STALE_MAX_MS) {
        jwk_set_free(issuer->keys);
        issuer->keys = NULL;
    }
    return issuer->keys ? jwk_set_find(issuer->keys, token->kid, token->alg) : NULL;
}

/* Is it time for a fetch? For a key that there isn't in good keys, that counts as the look. */
static bool may_fetch(struct issuer *issuer, int64_t now_ms)
{
    if (!issuer->keys || now_ms >= issuer->good_until_ms)
        return now_ms >= issuer->try_again_ms;
    if (now_ms < issuer->look_again_ms || now_ms < issuer->try_again_ms)
        return false;
    issuer->look_again_ms = now_ms + ISSUER_LOOK_AGAIN_MS;
    return true;
}

static int put_off(struct err *err, const char *name)
{
    err_set_code(err, ERR_UNAVAILABLE, "issuer_unavailable",
                 "the keys of %.200s can't be had right now", name);
    err->retry_after_s = 5;
    return -1;
}

/* Waits for the fetch that somebody else makes. */
static int wait_for_fetch(struct issuer *issuer, struct err *err)
{
    if (issuer->n_waiting >= ISSUER_WAITERS_MAX)
        return put_off(err, issuer->name);
    issuer->n_waiting++;
    while (issuer->fetching)
        (void)pthread_cond_wait(&issuer->fetched, &issuer->lock);
    issuer->n_waiting--;
    return 0;
}

/* The token's key, fetched where that may help; old ones do while others fetch, and where the
 * fetch fails. NULL with the error. */
static const struct jwk *key_of(struct issuer *issuer, const struct jwt_token *token,
                                struct err *err)
{
    const struct jwk *key = find(issuer, token, issuer->now_ms());

    if (key && (issuer->now_ms() < issuer->good_until_ms || issuer->fetching))
        return key;
    if (issuer->fetching) {
        if (wait_for_fetch(issuer, err) < 0)
            return NULL;
    } else if (may_fetch(issuer, issuer->now_ms())) {
        fetch(issuer);
    }
    key = find(issuer, token, issuer->now_ms());
    if (key)
        return key;
    if (!issuer->keys || issuer->failed)
        (void)put_off(err, issuer->name);
    else
        err_set(err, ERR_INVALID, "the issuer has no %s key by the token's kid",
                jwk_alg_name(token->alg));
    return NULL;
}

int issuer_verify(struct issuer *issuer, const struct jwt_token *token, struct err *err)
{
    const struct jwk *key;
    int result = -1;

    (void)pthread_mutex_lock(&issuer->lock);
    key = key_of(issuer, token, err);
    if (key)
        result = jwt_token_verify(token, key, err);
    (void)pthread_mutex_unlock(&issuer->lock);
    return result;
}
