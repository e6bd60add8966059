/* SPDX-License-Identifier: Apache-2.0 */
#include "service/state.h"

static size_t slot_of(struct id run)
{
    return (size_t)((uint64_t)run.tail % HANDOFF_SLOTS);
}

void handoff_put(struct handoff *handoff, struct id run, struct secret *token)
{
    size_t slot = slot_of(run);
    struct secret *displaced;

    (void)pthread_mutex_lock(&handoff->lock);
    displaced = handoff->slots[slot].token;
    handoff->slots[slot].key = run.key;
    handoff->slots[slot].token = token;
    (void)pthread_mutex_unlock(&handoff->lock);
    secret_free(displaced);
}

struct secret *handoff_take(struct handoff *handoff, struct id run)
{
    size_t slot = slot_of(run);
    struct secret *token = NULL;

    (void)pthread_mutex_lock(&handoff->lock);
    if (handoff->slots[slot].key == run.key)
        token = TAKE(handoff->slots[slot].token);
    (void)pthread_mutex_unlock(&handoff->lock);
    return token;
}
