/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GITHUB_GITHUB_PRIVATE_H
#define GITHUB_GITHUB_PRIVATE_H
#include "crypto/jwt.h"
#include "github/github.h"
#include "github/token_cache.h"

#include <pthread.h>

/* What the files of this folder share; nobody outside includes it. */
struct github {
    const struct config *config;
    struct net *net;
    struct jwt_key *key; /* NULL: no App */
    struct token_cache *cache;
    pthread_mutex_t lock;   /* one request for a token at a time */
    int64_t quiet_until_ms; /* a rate limit: nothing is asked before (under lock) */

    pthread_mutex_t limits_lock; /* one question about the limits at a time; over the rest */
    char *limits_repo;           /* whose installation's they are; NULL: the configured one's */
    cJSON *limits;
    int64_t limits_until_ms; /* monotonic */
};

/* One call, judged: what isn't a 2xx is an error about `what`. The answer is the caller's.
 * Called with the lock. */
cJSON *github_call(struct github *github, const struct secret *bearer, const char *method,
                   const char *path, const char *body, const char *what,
                   struct err *err) CHECKED;

/* A token of the configured installation that may read what every App may; it isn't kept. */
int github_metadata_token(struct github *github, struct github_token *out,
                          struct err *err) CHECKED;
#endif
