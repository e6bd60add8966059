/* SPDX-License-Identifier: Apache-2.0 */
#include "store/token_store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"

/*
 * The database is the truth and the table in memory follows it: a token is inserted or
 * revoked there first, and then here under the lock. Entries are never removed while the
 * store is open.
 */
#define FIRST_BUCKETS 64 /* a power of two */
#define SHORTEST_PREFIX (sizeof(INTEGRATION_TOKEN_PREFIX) - 1 + 1)

struct entry {
    struct entry *next; /* in its bucket */
    struct integration_token *token;
    _Atomic int64_t used_ms;
    int64_t stored_used_ms; /* under flush_lock */
};

struct token_store {
    struct db *db;
    pthread_rwlock_t lock;      /* over everything but what is atomic */
    pthread_mutex_t flush_lock; /* one flush at a time; taken before `lock` */
    struct entry **buckets;
    size_t n_buckets;
    struct entry **entries; /* oldest first */
    size_t n_entries;
    size_t room;
};

/* --- The table ---------------------------------------------------------------------------- */

/* A SHA-256 is evenly spread, so its first bytes are a hash already. */
static size_t bucket_of(const struct token_store *store, const uint8_t hash[SHA256_SIZE])
{
    uint64_t first;

    memcpy(&first, hash, sizeof(first));
    return first & (store->n_buckets - 1);
}

static void put_in_bucket(struct token_store *store, struct entry *entry)
{
    struct entry **bucket = &store->buckets[bucket_of(store, entry->token->hash)];

    entry->next = *bucket;
    *bucket = entry;
}

static void make_buckets(struct token_store *store, size_t count)
{
    free(store->buckets);
    store->buckets = xcalloc(count, sizeof(struct entry *));
    store->n_buckets = count;
    for (size_t i = 0; i < store->n_entries; i++)
        put_in_bucket(store, store->entries[i]);
}

/* Takes the token. */
static void remember(struct token_store *store, struct integration_token *token)
{
    struct entry *entry = xcalloc(1, sizeof(*entry));

    entry->token = token;
    entry->stored_used_ms = token->last_used_ms;
    atomic_init(&entry->used_ms, token->last_used_ms);
    if (store->n_entries == store->room) {
        store->room = store->room ? store->room * 2 : FIRST_BUCKETS;
        store->entries = xrealloc(store->entries, store->room * sizeof(struct entry *));
    }
    store->entries[store->n_entries++] = entry;
    if (store->n_entries > store->n_buckets)
        make_buckets(store, store->n_buckets * 2);
    else
        put_in_bucket(store, entry);
}

static struct entry *look_up(const struct token_store *store, const uint8_t hash[SHA256_SIZE])
{
    struct entry *entry = store->buckets[bucket_of(store, hash)];

    while (entry && !bytes_equal(entry->token->hash, hash, SHA256_SIZE))
        entry = entry->next;
    return entry;
}

static struct integration_token *copy_of(const struct integration_token *token)
{
    struct integration_token *copy = xcalloc(1, sizeof(*copy));

    *copy = *token;
    copy->repo = xstrdup(token->repo);
    copy->created_by = xstrdup(token->created_by);
    copy->name = xstrdup(token->name);
    return copy;
}

/* --- Opening and closing ------------------------------------------------------------------ */

static struct integration_token *token_from_row(const struct stmt *st)
{
    struct integration_token *token = xcalloc(1, sizeof(*token));
    const char *prefix = stmt_text(st, 6);

    token->id = stmt_int(st, 0);
    (void)stmt_blob(st, 1, token->hash, sizeof(token->hash));
    token->repo = stmt_text_copy(st, 2);
    token->installation_id = stmt_int(st, 3);
    token->created_by = stmt_text_copy(st, 4);
    token->name = stmt_text_copy(st, 5);
    (void)snprintf(token->display_prefix, sizeof(token->display_prefix), "%s",
                   prefix ? prefix : "");
    token->created_ms = stmt_int(st, 7);
    token->last_used_ms = stmt_int(st, 8);
    token->revoked_ms = stmt_int(st, 9);
    return token;
}

static int load_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct token_store *store = ctx;
    scoped(stmt) st = db_query(conn, err,
                               "SELECT id, hash, repo, installation_id, created_by, name,"
                               " display_prefix, created_ms, last_used_ms, revoked_ms"
                               " FROM integration_token ORDER BY id");
    int row = st ? stmt_step(st, err) : -1;

    for (; row == 1; row = stmt_step(st, err))
        remember(store, token_from_row(st));
    return row;
}

struct token_store *token_store_open(struct db *db, struct err *err)
{
    scoped(token_store) store = xcalloc(1, sizeof(*store));

    store->db = db;
    (void)pthread_rwlock_init(&store->lock, NULL);
    (void)pthread_mutex_init(&store->flush_lock, NULL);
    make_buckets(store, FIRST_BUCKETS);
    if (db_read(db, load_read, store, err) < 0)
        return NULL;
    return TAKE(store);
}

void token_store_free(struct token_store *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < store->n_entries; i++) {
        integration_token_free(store->entries[i]->token);
        free(store->entries[i]);
    }
    free(store->entries);
    free(store->buckets);
    (void)pthread_rwlock_destroy(&store->lock);
    (void)pthread_mutex_destroy(&store->flush_lock);
    free(store);
}

/* --- Adding and finding ------------------------------------------------------------------- */

static int add_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct integration_token *token = ctx;
    scoped(stmt) st =
        db_query(conn, err,
                 "INSERT INTO integration_token (hash, repo, installation_id, created_by,"
                 " name, display_prefix, created_ms)"
                 " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id",
                 B_BLOB(token->hash, sizeof(token->hash)), B(token->repo),
                 B_INT0(token->installation_id), B(token->created_by), B(token->name),
                 B((const char *)token->display_prefix), B(token->created_ms));
    int row = st ? stmt_step(st, err) : -1;

    if (row == 1)
        token->id = stmt_int(st, 0);
    return row == 1 ? 0 : -1;
}

int token_store_add(struct token_store *store, struct integration_token *token, struct err *err)
{
    /* find answers with the repository by value */
    if (!token->repo || strlen(token->repo) >= sizeof(((struct token_grant *)NULL)->repo))
        return err_set_field(err, "repo", "expected OWNER/NAME");
    if (db_write(store->db, add_write, token, err) < 0)
        return -1;
    (void)pthread_rwlock_wrlock(&store->lock);
    remember(store, copy_of(token));
    (void)pthread_rwlock_unlock(&store->lock);
    return 0;
}

/* Time moves forward: a slower thread with an earlier time changes nothing. */
static void mark_used(struct entry *entry, int64_t now_ms)
{
    int64_t seen = atomic_load_explicit(&entry->used_ms, memory_order_relaxed);

    while (now_ms > seen && !atomic_compare_exchange_weak(&entry->used_ms, &seen, now_ms))
        ;
}

bool token_store_find(struct token_store *store, const char *token_text, int64_t now_ms,
                      struct token_grant *out)
{
    uint8_t hash[SHA256_SIZE];
    struct entry *entry;
    bool good;

    token_hash(token_text, hash);
    (void)pthread_rwlock_rdlock(&store->lock);
    entry = look_up(store, hash);
    good = entry && !entry->token->revoked_ms;
    if (good) {
        out->id = entry->token->id;
        out->installation_id = entry->token->installation_id;
        (void)snprintf(out->repo, sizeof(out->repo), "%s", entry->token->repo);
        mark_used(entry, now_ms);
    }
    (void)pthread_rwlock_unlock(&store->lock);
    return good;
}

/* --- Revoking ----------------------------------------------------------------------------- */

static bool is_named(const struct integration_token *token, const char *which)
{
    char id[24];
    size_t length = strlen(which);

    (void)snprintf(id, sizeof(id), "%lld", (long long)token->id);
    if (strcmp(id, which) == 0)
        return true;
    return length >= SHORTEST_PREFIX && strncmp(token->display_prefix, which, length) == 0;
}

/* The entry stays where it is until the store is closed, so it may be used without the lock. */
static struct entry *pick(struct token_store *store, const char *which, struct err *err)
{
    struct entry *found = NULL;
    int n_found = 0;

    (void)pthread_rwlock_rdlock(&store->lock);
    for (size_t i = 0; i < store->n_entries; i++) {
        if (is_named(store->entries[i]->token, which)) {
            found = store->entries[i];
            n_found++;
        }
    }
    (void)pthread_rwlock_unlock(&store->lock);
    if (n_found == 1)
        return found;
    if (n_found)
        err_set(err, ERR_CONFLICT, "%d tokens begin like that, name one by its id", n_found);
    else
        err_set(err, ERR_NOT_FOUND, "there is no such token");
    return NULL;
}

struct revoke {
    int64_t id;
    int64_t now_ms;
    int64_t revoked_ms;
};

/* The first revocation's time stays. */
static int revoke_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct revoke *revoke = ctx;
    scoped(stmt) st =
        db_query(conn, err,
                 "UPDATE integration_token SET revoked_ms = coalesce(revoked_ms, ?2)"
                 " WHERE id = ?1 RETURNING revoked_ms",
                 B(revoke->id), B(revoke->now_ms));
    int row = st ? stmt_step(st, err) : -1;

    if (row == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no such token");
    if (row == 1)
        revoke->revoked_ms = stmt_int(st, 0);
    return row < 0 ? -1 : 0;
}

int token_store_revoke(struct token_store *store, const char *which, int64_t now_ms,
                       struct err *err)
{
    struct entry *entry = pick(store, which, err);
    struct revoke revoke = {.now_ms = now_ms > 0 ? now_ms : 1};

    if (!entry)
        return -1;
    revoke.id = entry->token->id;
    if (db_write(store->db, revoke_write, &revoke, err) < 0)
        return -1;
    (void)pthread_rwlock_wrlock(&store->lock);
    entry->token->revoked_ms = revoke.revoked_ms;
    (void)pthread_rwlock_unlock(&store->lock);
    return 0;
}

/* --- Listing and last use ----------------------------------------------------------------- */

int token_store_list(struct token_store *store, struct integration_token ***out_tokens,
                     size_t *out_count, struct err *err)
{
    (void)err; /* all of it is in memory */
    (void)pthread_rwlock_rdlock(&store->lock);
    *out_count = store->n_entries;
    *out_tokens = xcalloc(store->n_entries, sizeof(struct integration_token *));
    for (size_t i = 0; i < store->n_entries; i++) {
        (*out_tokens)[i] = copy_of(store->entries[i]->token);
        (*out_tokens)[i]->last_used_ms = atomic_load(&store->entries[i]->used_ms);
    }
    (void)pthread_rwlock_unlock(&store->lock);
    return 0;
}

struct use {
    struct entry *entry;
    int64_t used_ms;
};

struct flush {
    struct use *uses;
    size_t n_uses;
};

static int flush_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct flush *flush = ctx;

    for (size_t i = 0; i < flush->n_uses; i++)
        if (db_exec(conn, err, "UPDATE integration_token SET last_used_ms = ?2 WHERE id = ?1",
                    B(flush->uses[i].entry->token->id), B(flush->uses[i].used_ms))
            < 0)
            return -1;
    return 0;
}

/* Those that were used since they were last written. */
static void collect_uses(struct token_store *store, struct flush *flush)
{
    (void)pthread_rwlock_rdlock(&store->lock);
    flush->uses = xcalloc(store->n_entries, sizeof(struct use));
    for (size_t i = 0; i < store->n_entries; i++) {
        struct entry *entry = store->entries[i];
        int64_t used_ms = atomic_load(&entry->used_ms);

        if (used_ms > entry->stored_used_ms)
            flush->uses[flush->n_uses++] = (struct use){entry, used_ms};
    }
    (void)pthread_rwlock_unlock(&store->lock);
}

int token_store_flush(struct token_store *store, struct err *err)
{
    struct flush flush = {0};
    int result = 0;

    (void)pthread_mutex_lock(&store->flush_lock);
    collect_uses(store, &flush);
    if (flush.n_uses)
        result = db_write(store->db, flush_write, &flush, err);
    for (size_t i = 0; result == 0 && i < flush.n_uses; i++)
        flush.uses[i].entry->stored_used_ms = flush.uses[i].used_ms;
    (void)pthread_mutex_unlock(&store->flush_lock);
    free(flush.uses);
    return result;
}
