/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H
#include "base/alloc.h"

#include <stdint.h>
#include <time.h>

/*
 * Times in microseconds, exact to one: a counter for each up to a quarter of a second, which
 * is far beyond any time of interest here, and the longest beside them. Not thread-safe.
 */
#define HISTOGRAM_US 250000

struct histogram {
    uint64_t *counts; /* HISTOGRAM_US + 1: the last is for all that took longer */
    uint64_t total;
    int64_t longest_us;
};

static inline void histogram_init(struct histogram *histogram)
{
    *histogram =
        (struct histogram){.counts = xcalloc(HISTOGRAM_US + 1, sizeof(histogram->counts[0]))};
}

static inline void histogram_done(struct histogram *histogram)
{
    free(TAKE(histogram->counts));
}

static inline void histogram_add(struct histogram *histogram, int64_t ns)
{
    int64_t us = ns < 0 ? 0 : ns / 1000;

    histogram->counts[us < HISTOGRAM_US ? us : HISTOGRAM_US]++;
    histogram->total++;
    if (us > histogram->longest_us)
        histogram->longest_us = us;
}

/* The time that `share` (0 to 1) of all took at most; 0 when there is none. */
static inline int64_t histogram_at(const struct histogram *histogram, double share)
{
    double wanted = share * (double)histogram->total;
    uint64_t seen = 0;

    for (int64_t us = 0; us < HISTOGRAM_US; us++) {
        seen += histogram->counts[us];
        if (seen && (double)seen >= wanted)
            return us;
    }
    return histogram->longest_us;
}

static inline int64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
#endif
