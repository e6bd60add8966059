/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_PERSONAL_TOKENS_H
#define SERVICE_PERSONAL_TOKENS_H
#include "service/token_wish.h"
#include "store/personal_token_store.h"
#include "json/json.h"

/* Minting and showing the tokens of people, as integration_tokens.h does for integrations. */
struct personal_wish {
    const char *user;       /* a person's name; it stands in commits, so no < and > */
    const char *email;      /* NULL: commits don't name them */
    const char *name;       /* of the token; NULL: none */
    const cJSON *scopes;    /* names; NULL: dispatch alone */
    const char *expires_at; /* RFC 3339; NULL: never */
    const char *created_by;
};
#define TOKEN_EMAIL_MAX 254

/* As token_wish_fields. */
#define PERSONAL_WISH_FIELDS 6
extern const struct jfield personal_wish_fields[PERSONAL_WISH_FIELDS];
cJSON *personal_wish_json(const struct personal_wish *wish) CHECKED;

/* As integration_token_mint and integration_tokens_json. */
cJSON *personal_token_mint(struct personal_token_store *tokens,
                           const struct personal_wish *wish, const struct audit_source *source,
                           struct err *err) CHECKED;
cJSON *personal_tokens_json(struct personal_token_store *tokens) CHECKED;
#endif
