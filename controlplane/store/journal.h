/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H
#include "model/run.h"
#include "store/db.h"

/*
 * What streams show of runs: the events of their runners and the moves of their public status,
 * under one numbering. The single writer gives the numbers out, so they rise in the order of
 * the commits: who has seen number n has seen all that came before. They are never used again.
 * After each commit that adds to it db_watch is told.
 *
 * Which moves are in it:
 *   pending     when the run is queued by somebody who may watch it, that is, one with an
 *               owner; a run of /dispatchTask has no such entry, since nobody watches on that
 *               surface and its intake isn't to pay for one. And when a launch failed and will
 *               be tried again, with the reason.
 *   running     the claim
 *   the end     after which nothing of the run follows
 *
 * An entry goes with its run (run_store_prune). The limits of events per run don't hold for
 * moves: they always fit.
 */
struct journal_entry {
    int64_t number;
    struct id run;
    int64_t owner; /* 0: none */
    int attempt;
    int64_t at_ms;

    /* An event of the runner's; type is NULL with a move. */
    const char *type;
    const char *data; /* JSON object; NULL: nothing */
    int64_t seq;

    /* A move; the rest is filled at the end only. */
    enum run_status status;
    const char *reason; /* pending once more: why */
    const char *error_code;
    const char *error;
    const char *pr_url;
    const char *branch_name;
    const char *summary;
    bool draft;
    bool partial;
};

/* Which entries. */
struct journal_query {
    struct id run; /* of this run alone; {0}: of all that the rest says */
    int64_t owner; /* of the runs of this owner; 0: none */
    bool shared;   /* and of those without an owner */
    bool all;      /* and of everybody's */
    int64_t after; /* numbers above this one */
    int64_t until; /* up to this one */
    int limit;     /* at most so many */
};

/* A walk over the entries of many runs looks at no more numbers than this in one go. */
#define JOURNAL_NUMBERS_MAX 16384

/*
 * Calls `each` for the entries in their order; what it is given is borrowed. A non-zero return
 * ends the walk. *out_seen is the number up to which all that match were given.
 */
int journal_each(struct db *db, const struct journal_query *query,
                 int (*each)(void *ctx, const struct journal_entry *entry), void *ctx,
                 int64_t *out_seen, struct err *err) CHECKED;

/* The newest number ever given out; 0: none was. */
int journal_newest(struct db *db, int64_t *out, struct err *err) CHECKED;

/* The newest number of one run, 0 for none, and whether the run has ended or is gone: then
 * nothing follows. */
int journal_newest_of(struct db *db, struct id run, int64_t *out, bool *out_over,
                      struct err *err) CHECKED;

/* --- Inside a write ----------------------------------------------------------------------- */

/* SQL for the number of the next entry. */
#define JOURNAL_NEXT                                                                           \
    "(SELECT 1 + max(coalesce((SELECT max(number) FROM event), 0), newest_number) FROM "       \
    "pruned)"

/* The run, which is in the table as it is now, has moved to `status`. */
int journal_add_move(struct db_conn *conn, struct id run, enum run_status status, int64_t at_ms,
                     const char *reason, struct err *err) CHECKED;

/* To be called before entries are deleted. */
int journal_keep_numbers(struct db_conn *conn, struct err *err) CHECKED;
#endif
