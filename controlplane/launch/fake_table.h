/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_FAKE_TABLE_H
#define LAUNCH_FAKE_TABLE_H
#include "launch/fake_job.h"

/*
 * The fake's jobs: found by run and attempt, and by who is due next (a binary heap). Owns
 * the jobs. Not thread-safe.
 */
struct fake_table {
    struct fake_job **buckets;
    size_t n_buckets; /* a power of two, or 0 */
    size_t count;
    struct fake_job **heap; /* heap[0] isn't used: timer_at 0 is "has no timer" */
    size_t heap_count;
    size_t heap_room;
};

void fake_table_done(struct fake_table *table);

struct fake_job *fake_table_find(const struct fake_table *table, struct id run, int attempt);
void fake_table_add(struct fake_table *table, struct fake_job *job);    /* takes it */
void fake_table_remove(struct fake_table *table, struct fake_job *job); /* frees it */

/* Puts the job's timer where fake_job_due_ms says; takes it away for INT64_MAX. */
void fake_table_schedule(struct fake_table *table, struct fake_job *job);
void fake_table_unschedule(struct fake_table *table, struct fake_job *job);

/* The job whose timer is the earliest, or NULL. */
struct fake_job *fake_table_next(const struct fake_table *table);
#endif
