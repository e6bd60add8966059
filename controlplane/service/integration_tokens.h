/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_INTEGRATION_TOKENS_H
#define SERVICE_INTEGRATION_TOKENS_H
#include "store/token_store.h"
#include "json/json.h"

/*
 * Minting and showing integration tokens, for the control socket and for the command that
 * works on the database itself when nothing serves it.
 */
struct token_wish {
    const char *repo; /* OWNER/NAME */
    const char *name; /* NULL: none; at most TOKEN_NAME_MAX bytes */
    const char *created_by;
    int64_t installation_id; /* 0: the configured one, or found by repository */
};
#define TOKEN_NAME_MAX 100

/* For json_read; and the same as a document, for the other side. */
extern const struct jfield token_wish_fields[4];
cJSON *token_wish_json(const struct token_wish *wish) CHECKED;

/* The token's text: this is the only time it is seen. ERR_INVALID about repo or name. */
struct secret *integration_token_mint(struct token_store *tokens, const struct token_wish *wish,
                                      struct err *err) CHECKED;

/* {"tokens": [...]}, oldest first, with nothing of a token's text but its prefix. */
cJSON *integration_tokens_json(struct token_store *tokens, struct err *err) CHECKED;
#endif
