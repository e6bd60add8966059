/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_TOKEN_STORE_H
#define STORE_TOKEN_STORE_H
#include "model/token.h"
#include "store/audit.h"
#include "store/db.h"

/*
 * Integration tokens. All of them are kept in memory as well (a hash table under a lock, read
 * at open), so that looking one up on the dispatch path touches no database; since this
 * process is the only writer, a revocation holds for the very next look-up.
 */
struct token_store;

struct token_store *token_store_open(struct db *db, struct err *err) CHECKED;
void token_store_free(struct token_store *store);
DEFINE_SCOPED(token_store)

/* Durable on return, with a line in the audit log. token->id is set. Copies what it keeps. */
int token_store_add(struct token_store *store, struct integration_token *token,
                    const struct audit_source *source, struct err *err) CHECKED;

/* What the dispatch path needs of a token, by value. */
struct token_grant {
    int64_t id;
    int64_t installation_id;
    int rate_per_minute; /* 0: as configured */
    int priority;        /* of its runs (model/run.h) */
    char repo[160];
    char launcher[LAUNCHER_NAME_SIZE]; /* of its runs; empty: as configured */
};
/* By the token's own text. False when unknown, revoked or expired. Marks it as used now (kept
 * in memory, written in the background at most once a second). Takes the same time whether or
 * not a similar token exists: hashed first, compared in constant time. */
bool token_store_find(struct token_store *store, const char *token_text, int64_t now_ms,
                      struct token_grant *out);

/* By display prefix or decimal id. ERR_NOT_FOUND; ERR_CONFLICT when a prefix names several.
 * Revoking twice succeeds. Durable, in force and in the audit log on return. */
int token_store_revoke(struct token_store *store, const char *which, int64_t now_ms,
                       const struct audit_source *source, struct err *err) CHECKED;

/* All, oldest first; the array and its tokens are the caller's. */
int token_store_list(struct token_store *store, struct integration_token ***out_tokens,
                     size_t *out_count, struct err *err) CHECKED;

/* Writes last-used times that are newer in memory; called by the housekeeper and at stop. */
int token_store_flush(struct token_store *store, struct err *err) CHECKED;
#endif
