/* SPDX-License-Identifier: Apache-2.0 */
#include "store/credential_store.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"

#define FIRST_BUCKETS 64 /* a power of two */

struct credential {
    struct credential *next;
    int64_t number;
    char *name;
};

struct credential_store {
    struct db *db;
    pthread_mutex_t lock; /* over all below */
    struct credential **buckets;
    size_t n_buckets;
    size_t count;
};

/* --- The table ---------------------------------------------------------------------------- */

/* FNV-1a. Names with a chosen hash would take a repository each. */
static uint64_t hash_of(const char *name)
{
    uint64_t hash = 14695981039346656037U;

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211U;
    return hash;
}

static struct credential **place_of(struct credential_store *store, const char *name)
{
    struct credential **at = &store->buckets[hash_of(name) & (store->n_buckets - 1)];

    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

static void grow(struct credential_store *store)
{
    struct credential **old = store->buckets;
    size_t n_old = store->n_buckets;

    store->n_buckets = n_old ? n_old * 2 : FIRST_BUCKETS;
    store->buckets = xcalloc(store->n_buckets, sizeof(*store->buckets));
    for (size_t i = 0; i < n_old; i++) {
        struct credential *next;

        for (struct credential *each = old[i]; each; each = next) {
            next = each->next;
            each->next = NULL;
            *place_of(store, each->name) = each;
        }
    }
    free(old);
}

static void remember(struct credential_store *store, const char *name, int64_t number)
{
    struct credential **at;

    if (store->count >= store->n_buckets)
        grow(store);
    at = place_of(store, name);
    if (*at)
        return;
    *at = xcalloc(1, sizeof(**at));
    (*at)->name = xstrdup(name);
    (*at)->number = number;
    store->count++;
}

/* --- Opening and closing ------------------------------------------------------------------ */

static int load_read(struct db_conn *conn, void *ctx, struct err *err)
{
    scoped(stmt) st = db_query(conn, err, "SELECT id, name FROM credential");
    int row = st ? stmt_step(st, err) : -1;

    for (; row == 1; row = stmt_step(st, err))
        remember(ctx, stmt_text(st, 1), stmt_int(st, 0));
    return row;
}

struct credential_store *credential_store_open(struct db *db, struct err *err)
{
    scoped(credential_store) store = xcalloc(1, sizeof(*store));

    store->db = db;
    (void)pthread_mutex_init(&store->lock, NULL);
    grow(store);
    return db_read(db, load_read, store, err) < 0 ? NULL : TAKE(store);
}

void credential_store_free(struct credential_store *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < store->n_buckets; i++) {
        struct credential *next;

        for (struct credential *each = store->buckets[i]; each; each = next) {
            next = each->next;
            free(each->name);
            free(each);
        }
    }
    free(store->buckets);
    (void)pthread_mutex_destroy(&store->lock);
    free(store);
}

/* --- Numbers ------------------------------------------------------------------------------ */

struct naming {
    const char *name;
    int64_t number;
};

/* Somebody else may have been first: then theirs is the number. */
static int name_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct naming *naming = ctx;

    if (db_exec(conn, err, "INSERT INTO credential (name) VALUES (?1) ON CONFLICT DO NOTHING",
                B(naming->name))
        < 0)
        return -1;
    scoped(stmt) st =
        db_query(conn, err, "SELECT id FROM credential WHERE name = ?1", B(naming->name));
    if (!st || stmt_step(st, err) != 1)
        return -1;
    naming->number = stmt_int(st, 0);
    return 0;
}

/* 0 when it isn't known. */
static int64_t known_number(struct credential_store *store, const char *name, bool *out_full)
{
    struct credential *found;
    int64_t number;

    (void)pthread_mutex_lock(&store->lock);
    found = *place_of(store, name);
    number = found ? found->number : 0;
    *out_full = store->count >= CREDENTIALS_MAX;
    (void)pthread_mutex_unlock(&store->lock);
    return number;
}

int credential_store_number(struct credential_store *store, const char *name, int64_t *out,
                            struct err *err)
{
    struct naming naming = {.name = name};
    bool full;

    *out = known_number(store, name, &full);
    if (*out)
        return 0;
    if (full)
        return err_set(err, ERR_UNAVAILABLE, "there are %d credentials already",
                       CREDENTIALS_MAX);
    if (db_write(store->db, name_write, &naming, err) < 0)
        return -1;
    (void)pthread_mutex_lock(&store->lock);
    remember(store, name, naming.number);
    (void)pthread_mutex_unlock(&store->lock);
    *out = naming.number;
    return 0;
}
