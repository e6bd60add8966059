/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/totals.h"

void model_totals_add(struct model_totals *totals, const struct model_totals *more)
{
    totals->input_tokens += more->input_tokens;
    totals->output_tokens += more->output_tokens;
    totals->cache_read_tokens += more->cache_read_tokens;
    totals->cache_write_tokens += more->cache_write_tokens;
    totals->requests += more->requests;
    totals->cost_usd += more->cost_usd;
    totals->estimated |= more->estimated;
}

cJSON *model_totals_to_json(const struct model_totals *totals)
{
    return jobj({"input_tokens", jint(totals->input_tokens)},
                {"output_tokens", jint(totals->output_tokens)},
                {"cache_read_tokens", jint(totals->cache_read_tokens)},
                {"cache_write_tokens", jint(totals->cache_write_tokens)},
                {"requests", jint(totals->requests)}, {"cost_usd", jnumber(totals->cost_usd)},
                {"estimated", jtrue(totals->estimated)});
}
