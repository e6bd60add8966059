/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_WAITING_H
#define SERVICE_WAITING_H
#include "base/id.h"

#include <stddef.h>

/*
 * Launching runs whose jobs were last seen waiting for others (admission, a node, an image).
 * The time to claim begins when one is seen not to wait any more: this is what notices. One
 * thread's own.
 */
struct waiting {
    struct waiting_run {
        int64_t key;
        unsigned round;
    } * runs; /* by key */
    size_t count;
    size_t room;
    unsigned round;
};

void waiting_done(struct waiting *waiting);

void waiting_note(struct waiting *waiting, struct id run);
/* It waits no more. Did it? */
bool waiting_over(struct waiting *waiting, struct id run);
/* A round of looks at all runs begins; waiting_end drops those that weren't noted in it: they
 * are launching no more. */
void waiting_begin(struct waiting *waiting);
void waiting_end(struct waiting *waiting);
#endif
