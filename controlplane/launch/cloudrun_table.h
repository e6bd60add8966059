/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_CLOUDRUN_TABLE_H
#define LAUNCH_CLOUDRUN_TABLE_H
#include "launch/cloudrun_facts.h"

/*
 * The executions that we know of. Of a run's attempt there should be one; where a start went
 * unanswered there may be more, and the first of them counts (cloudrun_table_get). An execution
 * that has ended stays as it ended, and one that is gone doesn't come back with a list that is
 * older. Safe from any thread.
 */
struct cloudrun_table;

/* `changed` is called without the lock; NULL: nobody is told. */
struct cloudrun_table *cloudrun_table_new(launcher_changed_fn changed, void *ctx) CHECKED;
void cloudrun_table_free(struct cloudrun_table *table);
DEFINE_SCOPED(cloudrun_table)

/* --- Executions --- */
void cloudrun_table_put(struct cloudrun_table *table, const struct cloudrun_facts *facts);
/* It isn't there any more: NOT_FOUND, or deleted by us. */
void cloudrun_table_drop(struct cloudrun_table *table, const char *name);
/* That which stands for the attempt: the oldest that hasn't ended, else the oldest that did
 * more than find the run claimed by another one. */
bool cloudrun_table_get(struct cloudrun_table *table, struct id run, int attempt,
                        struct cloudrun_facts *out);
/* All of an attempt's; `room` of them at most. */
size_t cloudrun_table_group(struct cloudrun_table *table, struct id run, int attempt,
                            struct cloudrun_facts *out, size_t room);
bool cloudrun_table_has_ended(struct cloudrun_table *table, const char *name);
void cloudrun_table_each(struct cloudrun_table *table, launcher_job_fn each, void *ctx);
size_t cloudrun_table_active(struct cloudrun_table *table);
/* Counts what has changed, so that who polls can tell whether anything happens. */
uint64_t cloudrun_table_changes(struct cloudrun_table *table);

/* Those too many, started or not: one at a time to be cancelled. Another
 * one of the attempt is older and hasn't ended. Whoever of them claimed the run first goes on;
 * so one that runs already is only too many when it has for SURPLUS_MS: by then the one that
 * was refused has ended by itself. */
#define CLOUDRUN_SURPLUS_MS 60000
bool cloudrun_table_surplus(struct cloudrun_table *table, int64_t now_ms,
                            char out[CLOUDRUN_NAME_SIZE]);

/* --- Rounds: has a list shown all that we believe to be there? --- */
uint64_t
cloudrun_table_round(struct cloudrun_table *table); /* begins one; put marks what it sees */
bool cloudrun_table_all_seen(struct cloudrun_table *table, uint64_t round);
/* One that hasn't ended and wasn't seen, though it was there before the round. It counts as
 * seen afterwards. */
bool cloudrun_table_unseen(struct cloudrun_table *table, uint64_t round,
                           char out[CLOUDRUN_NAME_SIZE]);
#endif
