/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GITHUB_TOKEN_CACHE_H
#define GITHUB_TOKEN_CACHE_H
#include "github/github.h"

/*
 * Installation tokens by repository, in memory only: the last TOKEN_CACHE_SIZE of them. A
 * token is handed out while it is good for TOKEN_LEFT_MIN_MS more. Not thread-safe: its owner
 * holds a lock.
 */
#define TOKEN_CACHE_SIZE 256
#define TOKEN_LEFT_MIN_MS (10 * 60 * 1000)

struct token_cache;

struct token_cache *token_cache_new(void) CHECKED;
void token_cache_free(struct token_cache *cache);

/* A copy in *out when there is one that is good for long enough. */
bool token_cache_get(struct token_cache *cache, const char *repo, struct github_token *out);
/* Copies; takes the place of the repository's old token, or of the one that ends first. */
void token_cache_put(struct token_cache *cache, const char *repo,
                     const struct github_token *token);
#endif
