/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_RUN_QUEUE_H
#define STORE_RUN_QUEUE_H
#include "model/run.h"
#include "store/db.h"

/*
 * What decides over a run's place in the queue, of many runs: for who keeps the order of those
 * that aren't taken by their age alone (RUN_WAITS_ITS_TURN).
 */
struct run_place {
    struct id id;
    int priority;
    const char *repo;            /* NULL: none, as the next */
    const char *branch;          /* as the request named it */
    const char *wanted_launcher; /* model/run.h; as the next */
    const char *launcher;
};

typedef void (*run_place_fn)(void *ctx, const struct run_place *place);

/* Calls `each` for the runs of this status and not_before_ms (0: none) in the order of their
 * keys, at most RUN_QUEUE_PAGE of those after *inout_after, which moves on: 0 when there are no
 * more. `each` must not ask the store. */
#define RUN_QUEUE_PAGE 1000
int run_queue_page(struct db *db, enum run_status status, int64_t not_before_ms,
                   int64_t *inout_after, run_place_fn each, void *ctx, struct err *err) CHECKED;

/* From now on these pending runs wait their turn, until wait_s after their making at most. */
int run_queue_set_aside(struct db *db, const struct id *ids, size_t n_ids, int64_t wait_s,
                        struct err *err) CHECKED;
#endif
