/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_INTEGRATION_TOKENS_H
#define SERVICE_INTEGRATION_TOKENS_H
#include "model/run.h"
#include "service/token_wish.h"
#include "store/token_store.h"
#include "json/json.h"

/*
 * Minting and showing integration tokens, for the API, for the control socket, and for the
 * command that works on the database itself when nothing serves it.
 */
struct token_wish {
    const char *repo;        /* OWNER/NAME */
    const char *name;        /* NULL: none */
    const char *expires_at;  /* RFC 3339; NULL: never */
    int64_t installation_id; /* 0: the configured one, or found by repository */
    int64_t rate_per_minute; /* of its dispatches; TOKEN_UNSAID: as configured */
    int64_t priority;        /* of its runs */
    const char *launcher;    /* of its runs; NULL: as configured */
    const char *created_by;
};
#define TOKEN_UNSAID INT64_MIN /* which no document can say */
#define TOKEN_WISH_DEFAULTS                                                                    \
    .rate_per_minute = TOKEN_UNSAID, .priority = RUN_PRIORITY_USUAL, .installation_id = 0
#define TOKEN_RATE_MAX 1000000

/* For json_read; and the same as a document, for the other side. The last one, created_by, is
 * for those to say who have the database anyway. */
#define TOKEN_WISH_FIELDS 8
extern const struct jfield token_wish_fields[TOKEN_WISH_FIELDS];
cJSON *token_wish_json(const struct token_wish *wish) CHECKED;

/* What the list has about it, and `token`, its text: this is the only time it is seen. NULL
 * with ERR_INVALID about a field. */
cJSON *integration_token_mint(struct token_store *tokens, const struct token_wish *wish,
                              const struct audit_source *source, struct err *err) CHECKED;

/* {"tokens": [...]}, oldest first, with nothing of a token's text but its prefix. */
cJSON *integration_tokens_json(struct token_store *tokens, struct err *err) CHECKED;
#endif
