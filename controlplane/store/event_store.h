/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_EVENT_STORE_H
#define STORE_EVENT_STORE_H
#include "model/run.h"
#include "store/db.h"

/*
 * What happened in a run, as its runner told it: (run, attempt, seq) is the key, so that a
 * batch sent twice is stored once. The same table has the moves of runs, which are not among
 * what is read here: store/journal.h.
 */
struct run_event {
    int64_t seq;
    int64_t at_ms;
    const char *type;
    const char *data; /* JSON object */
};

#define EVENTS_PER_RUN_MAX 20000
#define EVENT_BYTES_PER_RUN_MAX (16 * 1024 * 1024)

/* Stores those not seen before, in one commit; *out_stored says how many. Beyond the limits of
 * a run further events are dropped (and counted in run.events_dropped) without an error.
 * ERR_CONFLICT "stale_attempt" or "run_ended", as for heartbeats. */
int event_store_add(struct db *db, struct id run, int attempt, const struct run_event *events,
                    size_t n_events, int64_t *out_stored, struct err *err) CHECKED;

/* Calls `each` for the events after `after_seq` of the run's current attempt, in order, at
 * most `limit`; a non-zero return ends the walk. */
int event_store_each(struct db *db, struct id run, int64_t after_seq, int limit,
                     int (*each)(void *ctx, const struct run_event *event), void *ctx,
                     struct err *err) CHECKED;
#endif
