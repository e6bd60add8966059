/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_PERSONAL_TOKEN_STORE_H
#define STORE_PERSONAL_TOKEN_STORE_H
#include "model/token.h"
#include "store/audit.h"
#include "store/db.h"

/*
 * The API tokens of people, kept in memory as integration tokens are (token_store.h): a
 * revocation holds for the very next look-up.
 */
struct personal_token_store;

struct personal_token_store *personal_token_store_open(struct db *db, struct err *err) CHECKED;
void personal_token_store_free(struct personal_token_store *store);
DEFINE_SCOPED(personal_token_store)

/* Durable on return, with a line in the audit log. token->id is set. Copies what it keeps. */
int personal_token_store_add(struct personal_token_store *store, struct personal_token *token,
                             const struct audit_source *source, struct err *err) CHECKED;

/* What a request needs of its token; release it with personal_grant_done. */
struct personal_grant {
    int64_t id;
    unsigned scopes; /* bits of enum token_scope */
    char *requester; /* "NAME <EMAIL>"; NULL: no e-mail is known */
};
void personal_grant_done(struct personal_grant *grant);

/* By the token's own text. False when unknown, revoked or expired. Marks it as used now. */
bool personal_token_store_find(struct personal_token_store *store, const char *token_text,
                               int64_t now_ms, struct personal_grant *out);

/* By display prefix or decimal id, as token_store_revoke. */
int personal_token_store_revoke(struct personal_token_store *store, const char *which,
                                int64_t now_ms, const struct audit_source *source,
                                struct err *err) CHECKED;

/* All, oldest first; the array and its tokens are the caller's. */
struct personal_token **personal_token_store_list(struct personal_token_store *store,
                                                  size_t *out_count) CHECKED;

/* Writes last-used times that are newer in memory; called by the housekeeper and at stop. */
int personal_token_store_flush(struct personal_token_store *store, struct err *err) CHECKED;
#endif
