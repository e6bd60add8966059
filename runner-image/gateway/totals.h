/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_GATEWAY_TOTALS_H
#define RUNNER_GATEWAY_TOTALS_H
#include "json/json.h"

/* What model calls used up, one or all of a run. The four kinds of tokens don't overlap. */
struct model_totals {
    int64_t input_tokens; /* neither read from a cache nor written to one */
    int64_t output_tokens;
    int64_t cache_read_tokens;
    int64_t cache_write_tokens;
    int64_t requests;
    double cost_usd;
    bool estimated; /* some answers didn't say, or were cut before they could */
};

static inline int64_t model_totals_tokens(const struct model_totals *totals)
{
    return totals->input_tokens + totals->output_tokens + totals->cache_read_tokens
           + totals->cache_write_tokens;
}

void model_totals_add(struct model_totals *totals, const struct model_totals *more);

/* As the report's `usage` has it. */
cJSON *model_totals_to_json(const struct model_totals *totals) CHECKED;
#endif
