/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_GATEWAY_PRICES_H
#define RUNNER_GATEWAY_PRICES_H
#include "gateway/totals.h"

/* What models cost: prices.yaml, which is built in, and over it a file of the same form. Read
 * from any thread. */
struct prices;

/* `file` NULL: those built in alone. ERR_INVALID names the file and the line. */
struct prices *prices_load(const char *file, struct err *err) CHECKED;
void prices_free(struct prices *prices);
DEFINE_SCOPED(prices)

/* What these tokens of a model cost in *out_usd; false when its price isn't known. */
bool prices_cost(const struct prices *prices, const char *model,
                 const struct model_totals *tokens, double *out_usd);
#endif
