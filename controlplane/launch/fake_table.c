/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/fake_table.h"

#include "base/alloc.h"

#define FIRST_BUCKETS 64

void fake_table_done(struct fake_table *table)
{
    for (size_t i = 0; i < table->n_buckets; i++) {
        while (table->buckets[i]) {
            struct fake_job *job = table->buckets[i];

            table->buckets[i] = job->next_in_bucket;
            fake_job_free(job);
        }
    }
    free(table->buckets);
    free(table->heap);
    *table = (struct fake_table){0};
}

/* --- By name -------------------------------------------------------------------------- */

static struct fake_job **bucket_of(const struct fake_table *table, struct id run, int attempt)
{
    uint64_t hash = ((uint64_t)run.key * 31 + (uint64_t)run.tail + (uint64_t)attempt)
                    * 0x9e3779b97f4a7c15ULL;

    return &table->buckets[hash >> 32 & (table->n_buckets - 1)];
}

struct fake_job *fake_table_find(const struct fake_table *table, struct id run, int attempt)
{
    struct fake_job *job = table->n_buckets ? *bucket_of(table, run, attempt) : NULL;

    while (job && !(id_equal(job->run, run) && job->attempt == attempt))
        job = job->next_in_bucket;
    return job;
}

static void put(struct fake_table *table, struct fake_job *job)
{
    struct fake_job **bucket = bucket_of(table, job->run, job->attempt);

    job->next_in_bucket = *bucket;
    *bucket = job;
}

static void grow(struct fake_table *table)
{
    struct fake_job **old = table->buckets;
    size_t n_old = table->n_buckets;

    table->n_buckets = n_old ? n_old * 2 : FIRST_BUCKETS;
    table->buckets = xcalloc(table->n_buckets, sizeof(struct fake_job *));
    for (size_t i = 0; i < n_old; i++) {
        while (old[i]) {
            struct fake_job *job = old[i];

            old[i] = job->next_in_bucket;
            put(table, job);
        }
    }
    free(old);
}

void fake_table_add(struct fake_table *table, struct fake_job *job)
{
    if (table->count >= table->n_buckets)
        grow(table);
    put(table, job);
    table->count++;
}

void fake_table_remove(struct fake_table *table, struct fake_job *job)
{
    struct fake_job **at = bucket_of(table, job->run, job->attempt);

    while (*at != job)
        at = &(*at)->next_in_bucket;
    *at = job->next_in_bucket;
    table->count--;
    fake_table_unschedule(table, job);
    fake_job_free(job);
}

/* --- By time -------------------------------------------------------------------------- */

static void place(struct fake_table *table, size_t at, struct fake_job *job)
{
    table->heap[at] = job;
    job->timer_at = at;
}

static void sift_up(struct fake_table *table, struct fake_job *job)
{
    size_t at = job->timer_at;

    while (at > 1 && table->heap[at / 2]->due_ms > job->due_ms) {
        place(table, at, table->heap[at / 2]);
        at /= 2;
    }
    place(table, at, job);
}

static void sift_down(struct fake_table *table, struct fake_job *job)
{
    size_t at = job->timer_at;

    for (;;) {
        size_t child = at * 2;

        if (child < table->heap_count
            && table->heap[child + 1]->due_ms < table->heap[child]->due_ms)
            child++;
        if (child > table->heap_count || table->heap[child]->due_ms >= job->due_ms)
            break;
        place(table, at, table->heap[child]);
        at = child;
    }
    place(table, at, job);
}

void fake_table_unschedule(struct fake_table *table, struct fake_job *job)
{
    size_t at = job->timer_at;
    struct fake_job *last;

    if (!at)
        return;
    last = table->heap[table->heap_count--];
    job->timer_at = 0;
    if (last == job)
        return;
    place(table, at, last);
    sift_up(table, last);
    sift_down(table, last);
}

void fake_table_schedule(struct fake_table *table, struct fake_job *job)
{
    int64_t due_ms = fake_job_due_ms(job);

    fake_table_unschedule(table, job);
    if (due_ms == INT64_MAX)
        return;
    job->due_ms = due_ms;
    if (table->heap_count + 2 > table->heap_room) {
        table->heap_room = table->heap_room ? table->heap_room * 2 : FIRST_BUCKETS;
        table->heap = xrealloc(table->heap, table->heap_room * sizeof(struct fake_job *));
    }
    place(table, ++table->heap_count, job);
    sift_up(table, job);
}

struct fake_job *fake_table_next(const struct fake_table *table)
{
    return table->heap_count ? table->heap[1] : NULL;
}
