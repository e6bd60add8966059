/* SPDX-License-Identifier: Apache-2.0 */
#include "store/prune_slice.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t longest_us;

static int64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct prune_slice prune_slice_begin(void)
{
    return (struct prune_slice){.began_us = now_us()};
}

bool prune_slice_is_over(const struct prune_slice *slice)
{
    return now_us() - slice->began_us >= PRUNE_SLICE_US;
}

void prune_slice_end(const struct prune_slice *slice)
{
    int64_t took_us = now_us() - slice->began_us;
    int64_t longest = atomic_load(&longest_us);

    while (took_us > longest && !atomic_compare_exchange_weak(&longest_us, &longest, took_us))
        ;
}

int64_t prune_slice_longest_us(void)
{
    return atomic_load(&longest_us);
}
