/* SPDX-License-Identifier: Apache-2.0 */
#include "store/token_table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"

#define FIRST_BUCKETS 64 /* a power of two */

struct entry {
    struct entry *next; /* in its bucket */
    void *token;
    int64_t id;
    uint8_t hash[SHA256_SIZE];
    char display_prefix[TOKEN_DISPLAY_SIZE];
    int64_t expires_ms;
    int64_t revoked_ms;
    _Atomic int64_t used_ms;
    int64_t stored_used_ms; /* under flush_lock */
};

struct token_table {
    const struct token_table_kind *kind;
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
static size_t bucket_of(const struct token_table *table, const uint8_t hash[SHA256_SIZE])
{
    uint64_t first;

    memcpy(&first, hash, sizeof(first));
    return first & (table->n_buckets - 1);
}

static void put_in_bucket(struct token_table *table, struct entry *entry)
{
    struct entry **bucket = &table->buckets[bucket_of(table, entry->hash)];

    entry->next = *bucket;
    *bucket = entry;
}

static void make_buckets(struct token_table *table, size_t count)
{
    free(table->buckets);
    table->buckets = xcalloc(count, sizeof(struct entry *));
    table->n_buckets = count;
    for (size_t i = 0; i < table->n_entries; i++)
        put_in_bucket(table, table->entries[i]);
}

static void add_entry(struct token_table *table, struct entry *entry)
{
    if (table->n_entries == table->room) {
        table->room = table->room ? table->room * 2 : FIRST_BUCKETS;
        table->entries = xrealloc(table->entries, table->room * sizeof(struct entry *));
    }
    table->entries[table->n_entries++] = entry;
    if (table->n_entries > table->n_buckets)
        make_buckets(table, table->n_buckets * 2);
    else
        put_in_bucket(table, entry);
}

void token_table_put(struct token_table *table, const struct token_key *key, void *token)
{
    struct entry *entry = xcalloc(1, sizeof(*entry));

    entry->token = token;
    entry->id = key->id;
    memcpy(entry->hash, key->hash, SHA256_SIZE);
    (void)snprintf(entry->display_prefix, sizeof(entry->display_prefix), "%s",
                   key->display_prefix);
    entry->expires_ms = key->expires_ms;
    entry->revoked_ms = key->revoked_ms;
    entry->stored_used_ms = key->last_used_ms;
    atomic_init(&entry->used_ms, key->last_used_ms);
    (void)pthread_rwlock_wrlock(&table->lock);
    add_entry(table, entry);
    (void)pthread_rwlock_unlock(&table->lock);
}

static struct entry *look_up(const struct token_table *table, const uint8_t hash[SHA256_SIZE])
{
    struct entry *entry = table->buckets[bucket_of(table, hash)];

    while (entry && !bytes_equal(entry->hash, hash, SHA256_SIZE))
        entry = entry->next;
    return entry;
}

struct token_table *token_table_new(const struct token_table_kind *kind, struct db *db)
{
    struct token_table *table = xcalloc(1, sizeof(*table));

    table->kind = kind;
    table->db = db;
    (void)pthread_rwlock_init(&table->lock, NULL);
    (void)pthread_mutex_init(&table->flush_lock, NULL);
    make_buckets(table, FIRST_BUCKETS);
    return table;
}

void token_table_free(struct token_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->n_entries; i++) {
        table->kind->free(table->entries[i]->token);
        free(table->entries[i]);
    }
    free(table->entries);
    free(table->buckets);
    (void)pthread_rwlock_destroy(&table->lock);
    (void)pthread_mutex_destroy(&table->flush_lock);
    free(table);
}

/* --- Finding ------------------------------------------------------------------------------ */

/* Time moves forward: a slower thread with an earlier time changes nothing. */
static void mark_used(struct entry *entry, int64_t now_ms)
{
    int64_t seen = atomic_load_explicit(&entry->used_ms, memory_order_relaxed);

    while (now_ms > seen && !atomic_compare_exchange_weak(&entry->used_ms, &seen, now_ms))
        ;
}

static bool is_good(const struct entry *entry, int64_t now_ms)
{
    return !entry->revoked_ms && (!entry->expires_ms || now_ms < entry->expires_ms);
}

bool token_table_find(struct token_table *table, const char *text, int64_t now_ms,
                      void (*see)(const void *token, void *ctx), void *ctx)
{
    uint8_t hash[SHA256_SIZE];
    struct entry *entry;
    bool good;

    token_hash(text, hash);
    (void)pthread_rwlock_rdlock(&table->lock);
    entry = look_up(table, hash);
    good = entry && is_good(entry, now_ms);
    if (good) {
        see(entry->token, ctx);
        mark_used(entry, now_ms);
    }
    (void)pthread_rwlock_unlock(&table->lock);
    return good;
}

/* --- Revoking ----------------------------------------------------------------------------- */

static bool is_named(const struct token_table *table, const struct entry *entry,
                     const char *which)
{
    char id[24];
    size_t length = strlen(which);

    (void)snprintf(id, sizeof(id), "%lld", (long long)entry->id);
    if (strcmp(id, which) == 0)
        return true;
    return length > strlen(table->kind->prefix)
           && strncmp(entry->display_prefix, which, length) == 0;
}

/* The entry stays where it is until the table goes, so it may be used without the lock. */
static struct entry *pick(struct token_table *table, const char *which, struct err *err)
{
    struct entry *found = NULL;
    int n_found = 0;

    (void)pthread_rwlock_rdlock(&table->lock);
    for (size_t i = 0; i < table->n_entries; i++) {
        if (is_named(table, table->entries[i], which)) {
            found = table->entries[i];
            n_found++;
        }
    }
    (void)pthread_rwlock_unlock(&table->lock);
    if (n_found == 1)
        return found;
    if (n_found)
        err_set(err, ERR_CONFLICT, "%d tokens begin like that, name one by its id", n_found);
    else
        err_set(err, ERR_NOT_FOUND, "there is no such token");
    return NULL;
}

struct revoke {
    const struct token_table_kind *kind;
    const struct audit_source *source;
    int64_t id;
    int64_t now_ms;
    int64_t revoked_ms;
};

static int audit(struct db_conn *conn, const struct token_table_kind *kind,
                 const struct audit_source *source, const char *action, int64_t id,
                 const char *detail, struct err *err)
{
    scoped_str target = xasprintf("%s:%lld", kind->audit_name, (long long)id);

    return audit_append(conn, source, action, target, detail, err);
}

int token_table_audit_create(struct db_conn *conn, const struct token_table_kind *kind,
                             const struct audit_source *source, int64_t id, const char *detail,
                             struct err *err)
{
    return audit(conn, kind, source, "token.create", id, detail, err);
}

/* The first revocation's time stays. */
static int revoke_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct revoke *revoke = ctx;
    scoped(stmt) st =
        db_query(conn, err, revoke->kind->revoke_sql, B(revoke->id), B(revoke->now_ms));
    int row = st ? stmt_step(st, err) : -1;

    if (row == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no such token");
    if (row == 1)
        revoke->revoked_ms = stmt_int(st, 0);
    if (row < 0)
        return -1;
    return audit(conn, revoke->kind, revoke->source, "token.revoke", revoke->id, NULL, err);
}

int token_table_revoke(struct token_table *table, const char *which, int64_t now_ms,
                       const struct audit_source *source, struct err *err)
{
    struct entry *entry = pick(table, which, err);
    struct revoke revoke = {
        .kind = table->kind, .source = source, .now_ms = now_ms > 0 ? now_ms : 1};

    if (!entry)
        return -1;
    revoke.id = entry->id;
    if (db_write(table->db, revoke_write, &revoke, err) < 0)
        return -1;
    (void)pthread_rwlock_wrlock(&table->lock);
    entry->revoked_ms = revoke.revoked_ms;
    (void)pthread_rwlock_unlock(&table->lock);
    return 0;
}

/* --- Listing and last use ----------------------------------------------------------------- */

void **token_table_list(struct token_table *table, size_t *out_count)
{
    void **all;

    (void)pthread_rwlock_rdlock(&table->lock);
    all = xcalloc(table->n_entries, sizeof(void *));
    for (size_t i = 0; i < table->n_entries; i++) {
        const struct entry *entry = table->entries[i];

        all[i] =
            table->kind->copy(entry->token, atomic_load(&entry->used_ms), entry->revoked_ms);
    }
    *out_count = table->n_entries;
    (void)pthread_rwlock_unlock(&table->lock);
    return all;
}

struct use {
    struct entry *entry;
    int64_t used_ms;
};

struct flush {
    const char *sql;
    struct use *uses;
    size_t n_uses;
};

static int flush_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct flush *flush = ctx;

    for (size_t i = 0; i < flush->n_uses; i++)
        if (db_exec(conn, err, flush->sql, B(flush->uses[i].entry->id),
                    B(flush->uses[i].used_ms))
            < 0)
            return -1;
    return 0;
}

/* Those that were used since they were last written. */
static void collect_uses(struct token_table *table, struct flush *flush)
{
    (void)pthread_rwlock_rdlock(&table->lock);
    flush->uses = xcalloc(table->n_entries, sizeof(struct use));
    for (size_t i = 0; i < table->n_entries; i++) {
        struct entry *entry = table->entries[i];
        int64_t used_ms = atomic_load(&entry->used_ms);

        if (used_ms > entry->stored_used_ms)
            flush->uses[flush->n_uses++] = (struct use){entry, used_ms};
    }
    (void)pthread_rwlock_unlock(&table->lock);
}

int token_table_flush(struct token_table *table, struct err *err)
{
    struct flush flush = {.sql = table->kind->use_sql};
    int result = 0;

    (void)pthread_mutex_lock(&table->flush_lock);
    collect_uses(table, &flush);
    if (flush.n_uses)
        result = db_write(table->db, flush_write, &flush, err);
    for (size_t i = 0; result == 0 && i < flush.n_uses; i++)
        flush.uses[i].entry->stored_used_ms = flush.uses[i].used_ms;
    (void)pthread_mutex_unlock(&table->flush_lock);
    free(flush.uses);
    return result;
}
