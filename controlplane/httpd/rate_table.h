/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_RATE_TABLE_H
#define HTTPD_RATE_TABLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/scoped.h"

/*
 * Who has asked how often: a token bucket for each name, in a table whose size never changes.
 * A name costs 16 bytes from its first use. Where a table is full, the bucket that is nearest
 * to full again makes place, so that a flood of names forgets those that matter least; a
 * forgotten name begins with a full bucket.
 *
 * Safe from any thread; a call holds one of a few locks for some tens of nanoseconds.
 */
struct rate_table;

#define RATE_PER_MINUTE_MAX 60000000
#define RATE_BURST_MAX 60000000

struct rate_limit {
    int64_t per_minute; /* 0: none */
    int64_t burst;      /* at once, after a pause; 0: a whole minute's */
};

struct rate_state {
    bool allowed;
    int64_t limit;     /* the burst */
    int64_t remaining; /* at once, from now */
    int reset_s;       /* until all of the burst is there again */
    int retry_after_s; /* not allowed: until one is */
};

/* At least so many names, which are rounded up to a power of two. */
struct rate_table *rate_table_new(size_t names) CHECKED;
void rate_table_free(struct rate_table *table);
DEFINE_SCOPED(rate_table)

/* One more by this name (any bytes); limit->per_minute isn't 0. What isn't allowed isn't
 * counted. `now_ms` is monotonic. */
void rate_table_take(struct rate_table *table, const void *name, size_t size,
                     const struct rate_limit *limit, int64_t now_ms, struct rate_state *out);

/* The same without counting: would one be allowed? */
void rate_table_look(struct rate_table *table, const void *name, size_t size,
                     const struct rate_limit *limit, int64_t now_ms, struct rate_state *out);
#endif
