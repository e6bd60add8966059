/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/cloudrun_table.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "launch/job_ref.h"

/* The runner's exit code when the run is another's: runner-image/main.c */
#define EXIT_NOT_CLAIMED 3
/* A list that was asked for before an execution was deleted is long over by then. */
#define GONE_KEPT_MS 600000
/* Cancelling it may have failed. */
#define TELL_AGAIN_MS 30000

struct entry {
    struct cloudrun_facts facts;
    uint64_t seen;   /* the last round that showed it, or was younger than it */
    int64_t told_ms; /* when it was last named as one too many, wall clock */
    int64_t gone_ms; /* dropped then; 0: it is there */
};

struct cloudrun_table {
    launcher_changed_fn changed;
    void *ctx;

    pthread_mutex_t lock;
    struct entry *all;
    size_t count;
    size_t room;
    uint64_t round;
    uint64_t changes;
};

struct cloudrun_table *cloudrun_table_new(launcher_changed_fn changed, void *ctx)
{
    struct cloudrun_table *table = xcalloc(1, sizeof(*table));

    (void)pthread_mutex_init(&table->lock, NULL);
    table->changed = changed;
    table->ctx = ctx;
    return table;
}

void cloudrun_table_free(struct cloudrun_table *table)
{
    if (!table)
        return;
    (void)pthread_mutex_destroy(&table->lock);
    free(table->all);
    free(table);
}

/* --- Under the lock ----------------------------------------------------------------------- */

static bool has_ended(const struct entry *entry)
{
    return entry->gone_ms || entry->facts.view.phase == JOB_ENDED;
}

static struct entry *find(struct cloudrun_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->all[i].facts.name, name) == 0)
            return &table->all[i];
    return NULL;
}

static bool is_of(const struct entry *entry, struct id run, int attempt)
{
    return !entry->gone_ms && entry->facts.attempt == attempt
           && id_equal(entry->facts.run, run);
}

static void forget_gone(struct cloudrun_table *table)
{
    int64_t now_ms = clock_monotonic_ms();

    for (size_t i = 0; i < table->count;) {
        const struct entry *entry = &table->all[i];

        if (entry->gone_ms && now_ms - entry->gone_ms > GONE_KEPT_MS)
            table->all[i] = table->all[--table->count];
        else
            i++;
    }
}

static struct entry *add(struct cloudrun_table *table)
{
    struct entry *entry;

    if (table->count == table->room) {
        forget_gone(table);
        if (table->count == table->room) {
            table->room = table->room ? table->room * 2 : 64;
            table->all = xrealloc(table->all, table->room * sizeof(*table->all));
        }
    }
    entry = &table->all[table->count++];
    *entry = (struct entry){0};
    return entry;
}

/* Is there anything that who waits for this job would want to know? */
static bool differs(const struct job_view *before, const struct job_view *after)
{
    return before->phase != after->phase || before->waiting != after->waiting
           || before->reason != after->reason || strcmp(before->detail, after->detail) != 0;
}

/* --- Executions --------------------------------------------------------------------------- */

void cloudrun_table_put(struct cloudrun_table *table, const struct cloudrun_facts *facts)
{
    struct entry *entry;
    bool changed = false;

    (void)pthread_mutex_lock(&table->lock);
    entry = find(table, facts->name);
    if (entry && !has_ended(entry)) {
        changed = differs(&entry->facts.view, &facts->view);
        entry->facts = *facts;
    } else if (!entry) {
        changed = facts->view.phase != JOB_STARTING;
        entry = add(table);
        entry->facts = *facts;
    }
    entry->seen = table->round;
    table->changes += changed;
    (void)pthread_mutex_unlock(&table->lock);
    if (changed && table->changed)
        table->changed(table->ctx, facts->run, facts->attempt);
}

void cloudrun_table_drop(struct cloudrun_table *table, const char *name)
{
    struct cloudrun_facts facts = {0};
    struct entry *entry;
    bool tell = false;

    (void)pthread_mutex_lock(&table->lock);
    entry = find(table, name);
    if (entry && !entry->gone_ms) {
        tell = !has_ended(entry);
        facts = entry->facts;
        entry->gone_ms = clock_monotonic_ms();
        table->changes++;
    }
    (void)pthread_mutex_unlock(&table->lock);
    if (tell && table->changed)
        table->changed(table->ctx, facts.run, facts.attempt);
}

/* Does `a` stand for the attempt rather than `b`? */
static bool comes_before(const struct cloudrun_facts *a, const struct cloudrun_facts *b)
{
    bool a_ended = a->view.phase == JOB_ENDED;
    bool b_ended = b->view.phase == JOB_ENDED;
    bool a_refused = a_ended && a->view.exit_code == EXIT_NOT_CLAIMED;
    bool b_refused = b_ended && b->view.exit_code == EXIT_NOT_CLAIMED;

    if (a_ended != b_ended)
        return !a_ended;
    if (a_refused != b_refused)
        return !a_refused;
    if (a->created_ms != b->created_ms)
        return a->created_ms < b->created_ms;
    return strcmp(a->name, b->name) < 0;
}

bool cloudrun_table_get(struct cloudrun_table *table, struct id run, int attempt,
                        struct cloudrun_facts *out)
{
    const struct entry *best = NULL;

    (void)pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->count; i++) {
        const struct entry *entry = &table->all[i];

        if (is_of(entry, run, attempt) && (!best || comes_before(&entry->facts, &best->facts)))
            best = entry;
    }
    if (best)
        *out = best->facts;
    (void)pthread_mutex_unlock(&table->lock);
    return best != NULL;
}

size_t cloudrun_table_group(struct cloudrun_table *table, struct id run, int attempt,
                            struct cloudrun_facts *out, size_t room)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->count && count < room; i++)
        if (is_of(&table->all[i], run, attempt))
            out[count++] = table->all[i].facts;
    (void)pthread_mutex_unlock(&table->lock);
    return count;
}

bool cloudrun_table_has_ended(struct cloudrun_table *table, const char *name)
{
    const struct entry *entry;
    bool ended;

    (void)pthread_mutex_lock(&table->lock);
    entry = find(table, name);
    ended = entry && has_ended(entry);
    (void)pthread_mutex_unlock(&table->lock);
    return ended;
}

void cloudrun_table_each(struct cloudrun_table *table, launcher_job_fn each, void *ctx)
{
    struct cloudrun_facts *copies;
    size_t count = 0;

    (void)pthread_mutex_lock(&table->lock);
    copies = xcalloc(table->count + 1, sizeof(*copies));
    for (size_t i = 0; i < table->count; i++)
        if (!table->all[i].gone_ms)
            copies[count++] = table->all[i].facts;
    (void)pthread_mutex_unlock(&table->lock);
    for (size_t i = 0; i < count; i++) {
        struct job_ref ref = job_ref_make(copies[i].run, copies[i].attempt);

        each(ctx, copies[i].run, copies[i].attempt, ref.text);
    }
    free(copies);
}

size_t cloudrun_table_active(struct cloudrun_table *table)
{
    size_t active = 0;

    (void)pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->count; i++)
        active += !has_ended(&table->all[i]);
    (void)pthread_mutex_unlock(&table->lock);
    return active;
}

uint64_t cloudrun_table_changes(struct cloudrun_table *table)
{
    uint64_t changes;

    (void)pthread_mutex_lock(&table->lock);
    changes = table->changes;
    (void)pthread_mutex_unlock(&table->lock);
    return changes;
}

/* --- One too many ------------------------------------------------------------------------- */

static bool is_surplus(const struct cloudrun_table *table, const struct entry *entry,
                       int64_t now_ms)
{
    const struct cloudrun_facts *facts = &entry->facts;

    if (now_ms - entry->told_ms < TELL_AGAIN_MS || has_ended(entry)
        || (facts->started_ms && now_ms - facts->started_ms < CLOUDRUN_SURPLUS_MS))
        return false;
    for (size_t i = 0; i < table->count; i++) {
        const struct entry *other = &table->all[i];

        if (other != entry && !has_ended(other) && is_of(other, facts->run, facts->attempt)
            && comes_before(&other->facts, facts))
            return true;
    }
    return false;
}

bool cloudrun_table_surplus(struct cloudrun_table *table, int64_t now_ms,
                            char out[CLOUDRUN_NAME_SIZE])
{
    bool found = false;

    (void)pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->count && !found; i++) {
        struct entry *entry = &table->all[i];

        found = is_surplus(table, entry, now_ms);
        if (!found)
            continue;
        entry->told_ms = now_ms;
        memcpy(out, entry->facts.name, CLOUDRUN_NAME_SIZE);
    }
    (void)pthread_mutex_unlock(&table->lock);
    return found;
}

/* --- Rounds ------------------------------------------------------------------------------- */

uint64_t cloudrun_table_round(struct cloudrun_table *table)
{
    uint64_t round;

    (void)pthread_mutex_lock(&table->lock);
    round = ++table->round;
    (void)pthread_mutex_unlock(&table->lock);
    return round;
}

bool cloudrun_table_all_seen(struct cloudrun_table *table, uint64_t round)
{
    bool all = true;

    (void)pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->count && all; i++)
        all = has_ended(&table->all[i]) || table->all[i].seen >= round;
    (void)pthread_mutex_unlock(&table->lock);
    return all;
}

bool cloudrun_table_unseen(struct cloudrun_table *table, uint64_t round,
                           char out[CLOUDRUN_NAME_SIZE])
{
    bool found = false;

    (void)pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->count && !found; i++) {
        struct entry *entry = &table->all[i];

        found = !has_ended(entry) && entry->seen < round;
        if (!found)
            continue;
        entry->seen = round;
        memcpy(out, entry->facts.name, CLOUDRUN_NAME_SIZE);
    }
    (void)pthread_mutex_unlock(&table->lock);
    return found;
}
