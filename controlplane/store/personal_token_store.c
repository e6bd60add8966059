/* SPDX-License-Identifier: Apache-2.0 */
#include "store/personal_token_store.h"

#include "base/alloc.h"
#include "store/token_table.h"

struct personal_token_store {
    struct db *db;
    struct token_table *table;
};

static void *copy_of(const void *from, int64_t last_used_ms, int64_t revoked_ms)
{
    const struct personal_token *token = from;
    struct personal_token *copy = xcalloc(1, sizeof(*copy));

    *copy = *token;
    copy->user = xstrdup(token->user);
    copy->email = xstrdup(token->email);
    copy->name = xstrdup(token->name);
    copy->created_by = xstrdup(token->created_by);
    copy->last_used_ms = last_used_ms;
    copy->revoked_ms = revoked_ms;
    return copy;
}

static void drop(void *token)
{
    personal_token_free(token);
}

static const struct token_table_kind kind = {
    .prefix = PERSONAL_TOKEN_PREFIX,
    .audit_name = "personal",
    .revoke_sql = "UPDATE personal_token SET revoked_ms = coalesce(revoked_ms, ?2)"
                  " WHERE id = ?1 RETURNING revoked_ms",
    .use_sql = "UPDATE personal_token SET last_used_ms = ?2 WHERE id = ?1",
    .copy = copy_of,
    .free = drop,
};

/* Takes the token. */
static void remember(struct personal_token_store *store, struct personal_token *token)
{
    token_table_put(store->table,
                    &(struct token_key){token->id, token->hash, token->display_prefix,
                                        token->expires_ms, token->last_used_ms,
                                        token->revoked_ms},
                    token);
}

static struct personal_token *token_from_row(const struct stmt *st)
{
    struct personal_token *token = xcalloc(1, sizeof(*token));
    scoped_str prefix = stmt_text_copy(st, 6);

    token->id = stmt_int(st, 0);
    (void)stmt_blob(st, 1, token->hash, sizeof(token->hash));
    token->user = stmt_text_copy(st, 2);
    token->email = stmt_text_copy(st, 3);
    token->name = stmt_text_copy(st, 4);
    token->scopes = (unsigned)stmt_int(st, 5);
    (void)snprintf(token->display_prefix, sizeof(token->display_prefix), "%s", prefix);
    token->created_by = stmt_text_copy(st, 7);
    token->created_ms = stmt_int(st, 8);
    token->expires_ms = stmt_int(st, 9);
    token->last_used_ms = stmt_int(st, 10);
    token->revoked_ms = stmt_int(st, 11);
    return token;
}

static int load_read(struct db_conn *conn, void *ctx, struct err *err)
{
    scoped(stmt) st = db_query(conn, err,
                               "SELECT id, hash, user_name, user_email, name, scopes,"
                               " display_prefix, created_by, created_ms, expires_ms,"
                               " last_used_ms, revoked_ms FROM personal_token ORDER BY id");
    int row;

    if (!st)
        return -1;
    while ((row = stmt_step(st, err)) == 1)
        remember(ctx, token_from_row(st));
    return row;
}

struct personal_token_store *personal_token_store_open(struct db *db, struct err *err)
{
    struct personal_token_store *store = xcalloc(1, sizeof(*store));

    store->db = db;
    store->table = token_table_new(&kind, db);
    if (db_read(db, load_read, store, err) == 0)
        return store;
    personal_token_store_free(store);
    return NULL;
}

void personal_token_store_free(struct personal_token_store *store)
{
    if (store)
        token_table_free(store->table);
    free(store);
}

struct addition {
    struct personal_token *token;
    const struct audit_source *source;
};

static int add_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct addition *addition = ctx;
    struct personal_token *token = addition->token;
    scoped(stmt) st = db_query(conn, err,
                               "INSERT INTO personal_token (hash, user_name, user_email, name,"
                               " scopes, display_prefix, created_by, created_ms, expires_ms)"
                               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING id",
                               B_BLOB(token->hash, sizeof(token->hash)), B(token->user),
                               B(token->email), B(token->name), bind_int(token->scopes),
                               B((const char *)token->display_prefix), B(token->created_by),
                               B(token->created_ms), B_INT0(token->expires_ms));

    if (!st || stmt_step(st, err) != 1)
        return -1;
    token->id = stmt_int(st, 0);
    return token_table_audit_create(conn, &kind, addition->source, token->id, token->user, err);
}

int personal_token_store_add(struct personal_token_store *store, struct personal_token *token,
                             const struct audit_source *source, struct err *err)
{
    if (db_write(store->db, add_write, &(struct addition){token, source}, err) < 0)
        return -1;
    remember(store, copy_of(token, 0, 0));
    return 0;
}

void personal_grant_done(struct personal_grant *grant)
{
    free(grant->requester);
    *grant = (struct personal_grant){0};
}

static void grant(const void *found, void *ctx)
{
    const struct personal_token *token = found;
    struct personal_grant *out = ctx;

    *out = (struct personal_grant){
        .id = token->id,
        .scopes = token->scopes,
        .requester = token->email ? xasprintf("%s <%s>", token->user, token->email) : NULL,
    };
}

bool personal_token_store_find(struct personal_token_store *store, const char *token_text,
                               int64_t now_ms, struct personal_grant *out)
{
    return token_table_find(store->table, token_text, now_ms, grant, out);
}

int personal_token_store_revoke(struct personal_token_store *store, const char *which,
                                int64_t now_ms, const struct audit_source *source,
                                struct err *err)
{
    return token_table_revoke(store->table, which, now_ms, source, err);
}

struct personal_token **personal_token_store_list(struct personal_token_store *store,
                                                  size_t *out_count)
{
    return (struct personal_token **)token_table_list(store->table, out_count);
}

int personal_token_store_flush(struct personal_token_store *store, struct err *err)
{
    return token_table_flush(store->table, err);
}
