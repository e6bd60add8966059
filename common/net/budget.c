/* SPDX-License-Identifier: Apache-2.0 */
#include "net/budget.h"

void budget_init(struct budget *budget, double qps, int burst, int64_t now_ms)
{
    *budget = (struct budget){
        .qps = qps,
        .burst = burst > 1 ? burst : 1,
        .at_ms = now_ms,
    };
    budget->tokens = budget->burst;
}

static void fill(struct budget *budget, int64_t now_ms)
{
    if (now_ms <= budget->at_ms)
        return;
    budget->tokens += (double)(now_ms - budget->at_ms) * budget->qps / 1000;
    if (budget->tokens > budget->burst)
        budget->tokens = budget->burst;
    budget->at_ms = now_ms;
}

bool budget_take(struct budget *budget, int64_t now_ms, int64_t most_ms, int64_t *out_wait_ms)
{
    double missing;

    fill(budget, now_ms);
    missing = 1 - budget->tokens;
    /* at_ms is ahead of now_ms while the bucket is held. */
    *out_wait_ms = budget->at_ms > now_ms ? budget->at_ms - now_ms : 0;
    if (missing > 0)
        *out_wait_ms += (int64_t)(missing * 1000 / budget->qps + 0.999);
    if (*out_wait_ms > most_ms)
        return false;
    budget->tokens -= 1;
    return true;
}

void budget_return(struct budget *budget)
{
    budget->tokens += 1;
    if (budget->tokens > budget->burst)
        budget->tokens = budget->burst;
}

void budget_hold(struct budget *budget, int64_t now_ms, int64_t wait_ms)
{
    int64_t until_ms = now_ms + wait_ms;

    fill(budget, now_ms);
    if (until_ms <= budget->at_ms)
        return;
    /* What others wait for already stays theirs; what was left over is lost. */
    if (budget->tokens > 1)
        budget->tokens = 1;
    budget->at_ms = until_ms;
}
