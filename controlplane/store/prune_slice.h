/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_PRUNE_SLICE_H
#define STORE_PRUNE_SLICE_H
#include <stdbool.h>
#include <stdint.h>

/*
 * How much of pruning goes into one transaction. Whoever dispatches meanwhile waits for it, so
 * it is bounded by time: a slice takes one small step after the other until it is over, and the
 * rest is for the next one. For the writer's thread.
 */
#define PRUNE_SLICE_US 2000

struct prune_slice {
    int64_t began_us;
};

struct prune_slice prune_slice_begin(void);
/* Is its time up? Asked after each step, so that each slice gets on by one at least. */
bool prune_slice_is_over(const struct prune_slice *slice);
/* Notes how long it held the writer. */
void prune_slice_end(const struct prune_slice *slice);

/* The longest that any has held it since this process began. Safe from any thread. */
int64_t prune_slice_longest_us(void);
#endif
