/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMAND_TOKEN_ORDER_H
#define COMMAND_TOKEN_ORDER_H
#include "base/clock.h"
#include "service/integration_tokens.h"
#include "service/personal_tokens.h"

/* What the words after `dispatchd token` ask for. Texts are borrowed from them. */
enum token_action { TOKEN_CREATE, TOKEN_LIST, TOKEN_REVOKE };

struct token_order {
    enum token_action action;
    bool personal;               /* of create and revoke */
    struct token_wish wish;      /* of an integration token */
    struct personal_wish person; /* of a personal one */
    const char *which;           /* to revoke, as the stores name it */
    const char *config;          /* --config; NULL: none */
    char expires_at[CLOCK_TEXT_SIZE];
    cJSON *scopes; /* NULL: none were named */
};

#define scoped_token_order __attribute__((cleanup(token_order_done))) struct token_order
void token_order_done(struct token_order *order);

/* False when the words don't fit together: usage, exit 2. */
bool token_order_read(char *const *argv, struct token_order *out);

/* For people. */
extern const char token_order_usage[];
#endif
