/* SPDX-License-Identifier: Apache-2.0 */
#include "net/retry.h"

#define FIRST_WAIT_MS 200
#define WAIT_MAX_MS 30000

static bool answer_is_refusal(const struct net_try *tried)
{
    return tried->status == 429 || (tried->status == 503 && tried->retry_after_s > 0);
}

static bool answer_is_trouble(int status)
{
    return status == 500 || status == 502 || status == 503 || status == 504;
}

bool retry_allowed(enum net_retry rule, const struct net_try *tried)
{
    if (tried->delivered)
        return false;
    switch (rule) {
    case NET_UNSENT:
        return tried->status ? answer_is_refusal(tried) : tried->unsent;
    case NET_IDEMPOTENT:
        return tried->status ? answer_is_refusal(tried) || answer_is_trouble(tried->status)
                             : tried->broken || tried->unsent;
    case NET_ONCE:
    default:
        return false;
    }
}

/* Full jitter: anything up to the doubled wait, so that many callers who failed together
 * don't come back together. */
int64_t retry_wait_ms(const struct net_try *tried, int next, uint64_t random)
{
    int64_t most_ms = FIRST_WAIT_MS;

    if (tried->retry_after_s > 0)
        return (int64_t)tried->retry_after_s * 1000;
    for (int i = 2; i < next && most_ms < WAIT_MAX_MS; i++)
        most_ms *= 2;
    if (most_ms > WAIT_MAX_MS)
        most_ms = WAIT_MAX_MS;
    return (int64_t)(random % (uint64_t)(most_ms + 1));
}
