/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_TOKEN_TABLE_H
#define STORE_TOKEN_TABLE_H
#include "model/token.h"
#include "store/audit.h"
#include "store/db.h"

/*
 * Tokens of one kind, in memory: what token_store and personal_token_store have in common. The
 * database is the truth and the table follows it: a token is inserted or revoked there first,
 * and then here under the lock. Entries are never removed while the table lives. Calls are safe
 * from any thread. Private to this folder.
 */
struct token_table;

/* What differs between the kinds. */
struct token_table_kind {
    const char *prefix;     /* "vgvbot_": what names a token is longer than that */
    const char *audit_name; /* "token": of a target in the audit log, with the id */
    const char *revoke_sql; /* ?1 the id, ?2 the time; gives back the first revocation's time */
    const char *use_sql;    /* ?1 the id, ?2 the time of its last use */
    void *(*copy)(const void *token, int64_t last_used_ms, int64_t revoked_ms);
    void (*free)(void *token);
};

/* What the table needs to know of a token, whatever its kind. */
struct token_key {
    int64_t id;
    const uint8_t *hash; /* SHA256_SIZE bytes */
    const char *display_prefix;
    int64_t expires_ms; /* 0: never */
    int64_t last_used_ms;
    int64_t revoked_ms;
};

struct token_table *token_table_new(const struct token_table_kind *kind, struct db *db) CHECKED;
void token_table_free(struct token_table *table);
DEFINE_SCOPED(token_table)

/* Takes the token, and copies what it needs of the key. */
void token_table_put(struct token_table *table, const struct token_key *key, void *token);

/* By its own text, hashed first and compared in constant time. True, after `see` under the
 * lock, when it is known, not revoked and not expired at `now_ms`; it is marked as used then.
 */
bool token_table_find(struct token_table *table, const char *text, int64_t now_ms,
                      void (*see)(const void *token, void *ctx), void *ctx);

/* As token_store_revoke and token_store_flush. */
int token_table_revoke(struct token_table *table, const char *which, int64_t now_ms,
                       const struct audit_source *source, struct err *err) CHECKED;
int token_table_flush(struct token_table *table, struct err *err) CHECKED;

/* For the insert of a token: its line in the audit log, in the same transaction. */
int token_table_audit_create(struct db_conn *conn, const struct token_table_kind *kind,
                             const struct audit_source *source, int64_t id, const char *detail,
                             struct err *err) CHECKED;

/* Copies of all, oldest first; the array and what is in it are the caller's. */
void **token_table_list(struct token_table *table, size_t *out_count) CHECKED;
#endif
