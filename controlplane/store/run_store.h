/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_RUN_STORE_H
#define STORE_RUN_STORE_H
#include "crypto/digest.h"
#include "model/run.h"
#include "store/audit.h"
#include "store/db.h"

/*
 * Runs as the database knows them. A run returned from here is a copy that belongs to the
 * caller. Functions that take a db_conn are for use inside db_write and db_read; the others
 * are complete calls, safe from any thread.
 *
 * Every move of a state is a compare-and-set: ERR_CONFLICT (code "run_moved_on") when the run
 * is no longer where the caller believed it. Moves that the table in model/run.h doesn't
 * allow are refused with ERR_INTERNAL before any SQL. Claims, requests to stop and ends are in
 * the audit log, with their `source`; an end has its deliveries written (delivery_store.h).
 */

/* --- Making them -------------------------------------------------------------------------- */

/* The header Idempotency-Key of a dispatch, as stored for 24 hours. */
struct idempotency {
    int64_t token_id; /* whose key; 0: none was given */
    const char *key;
    uint8_t body_hash[SHA256_SIZE];
};

/*
 * Inserts a pending run with its prompt and task token hash. With an idempotency key that was
 * used before: the same body sets *out_existing to the run it made and inserts nothing;
 * another body is ERR_CONFLICT with code "idempotency_key_reused". `existing` is {0} otherwise.
 */
int run_store_insert(struct db_conn *conn, const struct run *run,
                     const struct idempotency *idempotency, struct id *out_existing,
                     struct err *err) CHECKED;

/* --- Looking ------------------------------------------------------------------------------ */

/* ERR_NOT_FOUND when there is no such run. The _in form is for inside a read or write. */
struct run *run_store_load(struct db *db, struct id id, struct err *err) CHECKED;
struct run *run_store_load_in(struct db_conn *conn, struct id id, struct err *err) CHECKED;

/* ERR_NOT_FOUND in the words of the above. Always -1. */
int run_store_no_such(struct id id, struct err *err);

/* A page, newest first, without prompts longer than 64 KiB being cut. */
struct run_page {
    struct run **runs;
    size_t n_runs;
    struct id next; /* {0}: this was the last page */
};
struct run_filter {
    unsigned statuses; /* bit per enum run_status; 0: all */
    struct id before;  /* only older than this one; {0}: from the newest */
    int limit;         /* 1..1000 */
    /* Whose; nobody's unless one of these says so. */
    int64_t owner; /* the runs of this credential; 0: of none */
    bool shared;   /* and those of no owner */
    bool all;      /* or everybody's */
};
/* One keyset query (EXPLAIN shows an index); the page is filled, release with _done. */
int run_store_page(struct db *db, const struct run_filter *filter, struct run_page *out,
                   struct err *err) CHECKED;
void run_page_done(struct run_page *page);

/* How many runs each status has, for start-up and gauges. */
int run_store_count(struct db *db, int64_t out[RUN_STATUS_COUNT], struct err *err) CHECKED;

/* The newest key that was ever given out, 0 for an empty table: for id_start_after. */
int run_store_newest_key(struct db *db, int64_t *out, struct err *err) CHECKED;

/* The oldest pending run whose not_before has come: ERR_NOT_FOUND when there is none;
 * *out_next_ms is then when the next one is due (0: nothing waits). Those that wait their turn
 * (RUN_WAITS_ITS_TURN) are for others to choose. */
struct run *run_store_next_pending(struct db *db, int64_t now_ms, int64_t *out_next_ms,
                                   struct err *err) CHECKED;

/* Those never tried that come after `after`, oldest first, up to `limit`. */
int run_store_pending_after(struct db *db, struct id after, int limit, struct run_page *out,
                            struct err *err) CHECKED;

/* Up to `limit` runs of non-terminal states whose deadline_ms has come by now_ms; and every
 * launching or running one, oldest key first after `after`. */
int run_store_due(struct db *db, int64_t now_ms, int limit, struct run_page *out,
                  struct err *err) CHECKED;
/* Up to `limit` pending runs that were made before then and never tried, oldest first. */
int run_store_stale(struct db *db, int64_t made_before_ms, int limit, struct run_page *out,
                    struct err *err) CHECKED;
int run_store_active(struct db *db, struct id after, int limit, struct run_page *out,
                     struct err *err) CHECKED;

/* --- Moving them -------------------------------------------------------------------------- */

/* pending -> launching, attempt + 1, the hash of the attempt's task token, the deadline by
 * which it must be claimed. The new attempt is in *out_attempt. */
int run_store_launch(struct db *db, struct id id, const char *launcher,
                     const uint8_t token_hash[SHA256_SIZE], int64_t deadline_ms,
                     int *out_attempt, struct err *err) CHECKED;

/* The same for several in one commit. Each that is not pending any more is left out: its
 * out_attempt stays 0 and out_why says ERR_CONFLICT or ERR_NOT_FOUND. On -1 none was taken. */
struct run_take {
    struct id id;
    const char *launcher;
    const uint8_t *token_hash; /* SHA256_SIZE bytes */
    int64_t deadline_ms;
    int out_attempt;
    struct err out_why;
};
int run_store_launch_all(struct db *db, struct run_take *takes, size_t n_takes,
                         struct err *err) CHECKED;

/* Where the job of that attempt is. ERR_CONFLICT when it is no longer that attempt. */
int run_store_set_job(struct db *db, struct id id, int attempt, const char *job_ref,
                      struct err *err) CHECKED;

/* The same once more is known: *out_status is where the run is by now, as it may have claimed
 * or ended meanwhile; with a deadline (not 0) a launching one has until then to claim. */
int run_store_job_started(struct db *db, struct id id, int attempt, const char *job_ref,
                          int64_t deadline_ms, enum run_status *out_status,
                          struct err *err) CHECKED;

/* A launching run has until then. ERR_CONFLICT when it isn't launching that attempt, or is
 * asked to stop. */
int run_store_push_deadline(struct db *db, struct id id, int attempt, int64_t deadline_ms,
                            struct err *err) CHECKED;

/* launching -> pending after a failed launch: the next attempt may start at not_before_ms.
 * `counts`: the launch itself failed, so launch_failures + 1. A run that was asked to stop
 * doesn't go back: ERR_CONFLICT, end it instead. */
int run_store_requeue(struct db *db, struct id id, int attempt, int64_t not_before_ms,
                      int64_t deadline_ms, const char *why, bool counts,
                      struct err *err) CHECKED;

/* The same, to be launched by this launcher next: it has its launch_failures before it. */
int run_store_requeue_for(struct db *db, struct id id, int attempt, const char *launcher,
                          int64_t not_before_ms, int64_t deadline_ms, const char *why,
                          struct err *err) CHECKED;

/* launching -> running for the first runner that asks; the same runner asking again succeeds
 * and changes nothing; another one is ERR_CONFLICT "claimed"; an old attempt ERR_CONFLICT
 * "stale_attempt"; a run that has ended ERR_CONFLICT "run_ended". */
int run_store_claim(struct db *db, struct id id, int attempt, const char *runner_id,
                    int64_t now_ms, int64_t deadline_ms, const struct audit_source *source,
                    struct err *err) CHECKED;

/* A restored database has the run as `seen`, and its job of that attempt was found: `to` is
 * launching, or running for whichever runner claims it first or has done so before.
 * ERR_CONFLICT when the run isn't as seen. */
struct run_adoption {
    const struct run *seen;
    enum run_status to;
    int attempt;
    const char *launcher;
    const char *job_ref;
    const uint8_t *token_hash;
    int64_t now_ms;
    int64_t deadline_ms;
};
int run_store_adopt(struct db *db, const struct run_adoption *adoption,
                    struct err *err) CHECKED;

/* The runner lives. *out_stop: it should end the run. Conflicts as for claims, except that
 * an ended run answers stop = true. */
int run_store_heartbeat(struct db *db, struct id id, int attempt, int64_t now_ms,
                        bool *out_stop, struct err *err) CHECKED;

/* Asks for a stop: a pending run is stopped at once (*out_ended), an active one is marked and
 * its deadline moved up to RUN_STOP_GRACE_MS from now. ERR_CONFLICT "run_ended" when it has
 * ended. */
#define RUN_STOP_GRACE_MS 30000
int run_store_request_stop(struct db *db, struct id id, int64_t now_ms,
                           const struct audit_source *source, bool *out_ended,
                           struct err *err) CHECKED;

/* How a run ended. */
struct run_end {
    enum run_status status; /* terminal */
    enum failure_code error_code;
    const char *error;
    const char *pr_url;
    const char *branch_name;
    const char *summary;
    const char *result; /* the text that the run was for: run_details.h */
    const char *usage;  /* JSON */
    bool draft;
    bool partial;
    uint8_t report_hash[SHA256_SIZE]; /* zeroes when no runner reported it */
    const struct run *seen; /* from dispatchd: only while it has this status and attempt */
    const struct audit_source *source; /* NULL: dispatchd itself */
};

/* The first terminal state wins; *out_from is the state it came from. From a runner
 * (attempt > 0): the same report again succeeds (*out_from is then terminal), another one is
 * ERR_CONFLICT "run_ended", an old attempt ERR_CONFLICT "stale_attempt". From dispatchd itself
 * (attempt 0): ERR_CONFLICT "run_ended", or "run_moved_on" when it isn't as `seen`. */
int run_store_end(struct db *db, struct id id, int attempt, const struct run_end *end,
                  int64_t now_ms, enum run_status *out_from, struct err *err) CHECKED;

/* --- Forgetting --------------------------------------------------------------------------- */

/* Deletes up to `limit` runs (with prompts, events) that ended before `before_ms`, oldest
 * first by id; out lists them (id, launcher, job_ref) for cleaning up. Also idempotency keys
 * older than 24 h. Short transactions. */
int run_store_prune(struct db *db, int64_t before_ms, int64_t now_ms, int limit,
                    struct run_page *out, struct err *err) CHECKED;
#endif
