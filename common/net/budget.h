/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_BUDGET_H
#define NET_BUDGET_H
#include <stdbool.h>
#include <stdint.h>

/*
 * How many calls we may make: a bucket that fills with `qps` tokens a second up to `burst`,
 * from which each call takes one. A call that finds it empty takes its token all the same and
 * is told how long to wait for it, so that those who wait go in the order they came.
 *
 * It reads no clock: callers say what time it is. Not thread-safe.
 */
struct budget {
    double qps;
    double burst;
    double tokens; /* below zero: taken in advance */
    int64_t at_ms; /* when `tokens` is right; ahead of now while the bucket is held */
};

void budget_init(struct budget *budget, double qps, int burst, int64_t now_ms);

/* Takes a token: 0 when the call may go now, else how many milliseconds to wait first. Nothing
 * is taken when that would be more than `most_ms`: then false, with the wait all the same. */
bool budget_take(struct budget *budget, int64_t now_ms, int64_t most_ms, int64_t *out_wait_ms);

/* Puts back what budget_take gave: the call is not made after all. */
void budget_return(struct budget *budget);

/* The server has had enough (429): nobody goes for `wait_ms`, and then at `qps`, without a
 * burst. */
void budget_hold(struct budget *budget, int64_t now_ms, int64_t wait_ms);
#endif
