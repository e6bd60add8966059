/* SPDX-License-Identifier: Apache-2.0 */
#include "store/token_store.h"

#include <string.h>

#include "base/alloc.h"
#include "model/run.h"
#include "store/token_table.h"

struct token_store {
    struct db *db;
    struct token_table *table;
};

static void *copy_of(const void *from, int64_t last_used_ms, int64_t revoked_ms)
{
    const struct integration_token *token = from;
    struct integration_token *copy = xcalloc(1, sizeof(*copy));

    *copy = *token;
    copy->repo = xstrdup(token->repo);
    copy->launcher = xstrdup(token->launcher);
    copy->created_by = xstrdup(token->created_by);
    copy->name = xstrdup(token->name);
    copy->last_used_ms = last_used_ms;
    copy->revoked_ms = revoked_ms;
    return copy;
}

static void drop(void *token)
{
    integration_token_free(token);
}

static const struct token_table_kind kind = {
    .prefix = INTEGRATION_TOKEN_PREFIX,
    .audit_name = "token",
    .revoke_sql = "UPDATE integration_token SET revoked_ms = coalesce(revoked_ms, ?2)"
                  " WHERE id = ?1 RETURNING revoked_ms",
    .use_sql = "UPDATE integration_token SET last_used_ms = ?2 WHERE id = ?1",
    .copy = copy_of,
    .free = drop,
};

/* Takes the token. */
static void remember(struct token_store *store, struct integration_token *token)
{
    struct token_key key = {
        .id = token->id,
        .hash = token->hash,
        .display_prefix = token->display_prefix,
        .expires_ms = token->expires_ms,
        .last_used_ms = token->last_used_ms,
        .revoked_ms = token->revoked_ms,
    };

    token_table_put(store->table, &key, token);
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
    token->expires_ms = stmt_int(st, 10);
    token->rate_per_minute = (int)stmt_int(st, 11);
    token->priority = (int)stmt_int(st, 12);
    token->launcher = stmt_text_copy(st, 13);
    return token;
}

static int load_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct token_store *store = ctx;
    scoped(stmt) st = db_query(conn, err,
                               "SELECT id, hash, repo, installation_id, created_by, name,"
                               " display_prefix, created_ms, last_used_ms, revoked_ms,"
                               " expires_ms, rate_per_minute, coalesce(priority, 500), launcher"
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
    store->table = token_table_new(&kind, db);
    if (db_read(db, load_read, store, err) < 0)
        return NULL;
    return TAKE(store);
}

void token_store_free(struct token_store *store)
{
    if (!store)
        return;
    token_table_free(store->table);
    free(store);
}

/* --- Adding and finding ------------------------------------------------------------------- */

static struct bind priority_of(const struct integration_token *token)
{
    if (token->priority == RUN_PRIORITY_USUAL)
        return (struct bind){0};
    return bind_int(token->priority);
}

struct addition {
    struct integration_token *token;
    const struct audit_source *source;
};

static int add_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct addition *addition = ctx;
    struct integration_token *token = addition->token;
    scoped(stmt) st = db_query(
        conn, err,
        "INSERT INTO integration_token (hash, repo, installation_id, created_by,"
        " name, display_prefix, created_ms, expires_ms, rate_per_minute, priority,"
        " launcher)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING id",
        B_BLOB(token->hash, sizeof(token->hash)), B(token->repo),
        B_INT0(token->installation_id), B(token->created_by), B(token->name),
        B((const char *)token->display_prefix), B(token->created_ms), B_INT0(token->expires_ms),
        B_INT0(token->rate_per_minute), priority_of(token), B(token->launcher));
    int row = st ? stmt_step(st, err) : -1;

    if (row != 1)
        return -1;
    token->id = stmt_int(st, 0);
    return token_table_audit_create(conn, &kind, addition->source, token->id, token->repo, err);
}

int token_store_add(struct token_store *store, struct integration_token *token,
                    const struct audit_source *source, struct err *err)
{
    struct addition addition = {token, source};

    /* find answers with the repository by value */
    if (!token->repo || strlen(token->repo) >= sizeof(((struct token_grant *)NULL)->repo))
        return err_set_field(err, "repo", "expected OWNER/NAME");
    if (token->launcher && strlen(token->launcher) >= LAUNCHER_NAME_SIZE)
        return err_set_field(err, "launcher", "there is no such launcher");
    if (db_write(store->db, add_write, &addition, err) < 0)
        return -1;
    remember(store, copy_of(token, token->last_used_ms, token->revoked_ms));
    return 0;
}

static void grant(const void *found, void *ctx)
{
    const struct integration_token *token = found;
    struct token_grant *out = ctx;

    out->id = token->id;
    out->installation_id = token->installation_id;
    out->rate_per_minute = token->rate_per_minute;
    out->priority = token->priority;
    (void)snprintf(out->repo, sizeof(out->repo), "%s", token->repo);
    (void)snprintf(out->launcher, sizeof(out->launcher), "%s",
                   token->launcher ? token->launcher : "");
}

bool token_store_find(struct token_store *store, const char *token_text, int64_t now_ms,
                      struct token_grant *out)
{
    return token_table_find(store->table, token_text, now_ms, grant, out);
}

/* --- Revoking, listing, last use ---------------------------------------------------------- */

int token_store_revoke(struct token_store *store, const char *which, int64_t now_ms,
                       const struct audit_source *source, struct err *err)
{
    return token_table_revoke(store->table, which, now_ms, source, err);
}

int token_store_list(struct token_store *store, struct integration_token ***out_tokens,
                     size_t *out_count, struct err *err)
{
    (void)err; /* all of it is in memory */
    *out_tokens = (struct integration_token **)token_table_list(store->table, out_count);
    return 0;
}

int token_store_flush(struct token_store *store, struct err *err)
{
    return token_table_flush(store->table, err);
}
