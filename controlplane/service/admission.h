/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_ADMISSION_H
#define SERVICE_ADMISSION_H
#include "config/config.h"
#include "model/run.h"
#include "service/backends.h"

/*
 * Who may go now. Most runs wait for a worker alone, oldest first: the store finds those by
 * itself. Here are the others:
 *
 *   - those of another priority than the usual: higher goes first, equal the older one
 *   - those of a repository that has a limit: no more of them are in flight at a time
 *   - those that name their branch: one of a (repository, branch) is in flight at a time. A run
 *     that names none starts from the default branch and makes one of its own, so that such
 *     runs go side by side.
 *
 *   - all of them where there are several backends: those of one that is away are passed over
 *
 * Runs that wait for the same stand in one lane, the next one first. A lane that is blocked is
 * passed over as a whole: it holds up nobody behind it and costs nothing, however long it is.
 *
 * In the store such a run is pending with RUN_WAITS_ITS_TURN. The store is the truth: this is
 * filled from it at the start, and a choice counts when the run's move has succeeded there.
 * Safe from any thread.
 */
struct admission;

struct admission_run {
    struct id id;
    int priority;
    const char *repo;   /* NULL: a blank workspace */
    const char *branch; /* NULL: not named */
    struct backend_route route;
};

/* `config` is borrowed. */
struct admission *admission_new(const struct config *config) CHECKED;
void admission_free(struct admission *admission);
DEFINE_SCOPED(admission)

/* From now on every run is concerned, and goes only where `open` says so, which is asked by
 * those who call admission_next. Before anything else; ctx is borrowed. */
void admission_gate(struct admission *admission,
                    bool (*open)(const void *ctx, struct backend_route route), const void *ctx);

/* What a run of this repository gets that asks for RUN_PRIORITY_UNSAID; else what it asks. */
int admission_priority(const struct admission *admission, const char *repo, int asked);
/* Are there repositories with a limit at all? */
bool admission_has_limits(const struct admission *admission);
/* Is it one of those that wait here? Its id doesn't matter. */
bool admission_concerns(const struct admission *admission, const struct admission_run *run);
bool admission_knows(struct admission *admission, struct id id);

/* A pending run that is concerned; and one that is in flight, at the start. What is known
 * already stays as it is. */
void admission_wait(struct admission *admission, const struct admission_run *run);
void admission_fly(struct admission *admission, const struct admission_run *run);

/* The next one that nothing but a worker is wanted for. False when there is none: then
 * *out_next_ms is when one's time comes (wall; 0: none's). */
bool admission_next(struct admission *admission, int64_t now_ms, struct admission_run *out,
                    int64_t *out_next_ms);
/* From waiting to in flight; false when it isn't waiting any more. */
bool admission_take(struct admission *admission, struct id id);
/* From in flight to waiting, until then at least. Of one that isn't known nothing is noted. */
void admission_put_back(struct admission *admission, struct id id, int64_t not_before_ms);
/* One in flight that is to be put back goes by this route from then on. */
void admission_reroute(struct admission *admission, struct id id, const char *repo,
                       struct backend_route route);
/* It has ended, wherever it was. */
void admission_leave(struct admission *admission, struct id id);

/* What a run of these would have to wait for; false: for nothing here. NULL as above. */
bool admission_blocked(struct admission *admission, const char *repo, const char *branch,
                       char *out, size_t size);
/* How many wait here that would go before a new run of this priority; *out_waiting: in all. */
int64_t admission_ahead(struct admission *admission, int priority, int64_t *out_waiting);
#endif
