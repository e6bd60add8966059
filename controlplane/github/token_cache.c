/* SPDX-License-Identifier: Apache-2.0 */
#include "github/token_cache.h"

#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"

struct entry {
    char *repo; /* NULL: free */
    struct github_token token;
};

struct token_cache {
    struct entry entries[TOKEN_CACHE_SIZE];
};

struct token_cache *token_cache_new(void)
{
    return xcalloc(1, sizeof(struct token_cache));
}

static void drop(struct entry *entry)
{
    free(entry->repo);
    github_token_done(&entry->token);
    *entry = (struct entry){0};
}

void token_cache_free(struct token_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < TOKEN_CACHE_SIZE; i++)
        drop(&cache->entries[i]);
    free(cache);
}

/* GitHub's names don't differ by case. */
static struct entry *find(struct token_cache *cache, const char *repo)
{
    for (size_t i = 0; i < TOKEN_CACHE_SIZE; i++)
        if (cache->entries[i].repo && strcasecmp(cache->entries[i].repo, repo) == 0)
            return &cache->entries[i];
    return NULL;
}

bool token_cache_get(struct token_cache *cache, const char *repo, struct github_token *out)
{
    struct entry *entry = find(cache, repo);

    if (!entry)
        return false;
    if (entry->token.expires_ms - clock_latest_ms() < TOKEN_LEFT_MIN_MS) {
        drop(entry);
        return false;
    }
    out->token = secret_new(secret_reveal(entry->token.token));
    out->expires_ms = entry->token.expires_ms;
    return true;
}

/* A free place, or that of the token that ends first. */
static struct entry *place(struct token_cache *cache)
{
    struct entry *oldest = &cache->entries[0];

    for (size_t i = 0; i < TOKEN_CACHE_SIZE; i++) {
        struct entry *entry = &cache->entries[i];

        if (!entry->repo)
            return entry;
        if (entry->token.expires_ms < oldest->token.expires_ms)
            oldest = entry;
    }
    return oldest;
}

void token_cache_put(struct token_cache *cache, const char *repo,
                     const struct github_token *token)
{
    struct entry *entry = find(cache, repo);

    if (!entry)
        entry = place(cache);
    drop(entry);
    entry->repo = xstrdup(repo);
    entry->token.token = secret_new(secret_reveal(token->token));
    entry->token.expires_ms = token->expires_ms;
}
