/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_DELIVERY_STORE_H
#define STORE_DELIVERY_STORE_H
#include "model/run.h"
#include "store/audit.h"
#include "store/db.h"

/*
 * Deliveries: what is to be told to whom about the end of a run. They are written in the
 * transaction that ends it, with their payload as it then is, and stay until they are pruned.
 *
 * Each receiver (a scheme, a host, a port) has a line: only the first in it is ever due, and
 * the next one becomes so when that has been delivered or given up. Calls are safe from any
 * thread; a delivery returned from here is a copy that belongs to the caller.
 */
enum delivery_status { DELIVERY_PENDING, DELIVERY_DELIVERED, DELIVERY_FAILED };

const char *delivery_status_name(enum delivery_status status);
bool delivery_status_parse(const char *name, enum delivery_status *out);

#define DELIVERY_KEPT_UP_MS (24LL * 3600 * 1000) /* then it is given up */

struct delivery {
    struct id id;
    struct id run;
    int64_t owner; /* of the run; 0: an integration token's */
    char *event;   /* "run.completed" */
    char *url;
    char *receiver;  /* "https://host:443" */
    bool configured; /* to a receiver of the configuration; else the run's own wish */
    char *payload;   /* JSON; NULL in pages */
    enum delivery_status status;
    int attempts;    /* calls that were made */
    int tries;       /* of them, since it was last put in its line */
    int64_t place;   /* in the line; 0: not in it */
    int64_t next_ms; /* when it is due; 0: it isn't the first */
    int64_t give_up_ms;
    int64_t last_ms;  /* of the last attempt; 0: none yet */
    int last_status;  /* of HTTP; 0: there was no answer */
    char *last_error; /* NULL: none */
    int64_t ended_ms; /* 0: pending */
};

void delivery_free(struct delivery *delivery);
DEFINE_SCOPED(delivery)

/* "https://host:443" of a URL that was checked when it came in; the caller frees it. */
char *delivery_receiver_of(const char *url) CHECKED;

/* --- Making them -------------------------------------------------------------------------- */

/* A receiver of the configuration; `events` has a bit for each terminal enum run_status. */
struct delivery_receiver {
    const char *url;
    unsigned events;
};
/* From now on these are told. Ids go on after the newest delivery's. */
int delivery_store_set_receivers(struct db *db, const struct delivery_receiver *all,
                                 size_t count, struct err *err) CHECKED;

/* Inside the write that has ended the run: one delivery for each that is to be told. */
int delivery_store_run_ended(struct db_conn *conn, struct id run, enum run_status status,
                             int64_t now_ms, struct err *err) CHECKED;

/* --- Making the calls --------------------------------------------------------------------- */

struct delivery_page {
    struct delivery **all;
    size_t count;
    struct id next; /* {0}: the last page */
};
void delivery_page_done(struct delivery_page *page);

/* Up to `limit` that are due, the longest due first: those that were never tried, or those that
 * were. */
int delivery_store_due(struct db *db, bool tried, int64_t now_ms, int limit,
                       struct delivery_page *out, struct err *err) CHECKED;
/* When the next one will be, after `now_ms`; 0: none. */
int delivery_store_next(struct db *db, int64_t now_ms, int64_t *out_ms,
                        struct err *err) CHECKED;

/* What came of one call. */
struct delivery_attempt {
    enum delivery_status status; /* DELIVERY_PENDING: again at next_ms */
    int64_t at_ms;
    int64_t next_ms;
    int http_status;   /* 0: no answer */
    const char *error; /* NULL: none */
};
/* Nothing happens when it has left the line meanwhile. */
int delivery_store_note(struct db *db, const struct delivery *delivery,
                        const struct delivery_attempt *attempt, struct err *err) CHECKED;

/* --- Looking, and asking for it again ----------------------------------------------------- */

/* Whose: with `owner` those of one credential, with `shared` those of none, `all`: everybody's.
 */
struct delivery_filter {
    int64_t owner;
    bool shared;
    bool all;
    bool by_status;
    enum delivery_status status;
    struct id run;    /* {0}: of all */
    struct id before; /* only older than this one; {0}: from the newest */
    int limit;
};
int delivery_store_page(struct db *db, const struct delivery_filter *filter,
                        struct delivery_page *out, struct err *err) CHECKED;
/* ERR_NOT_FOUND. */
struct delivery *delivery_store_load(struct db *db, struct id id, struct err *err) CHECKED;

/* A person's wish: one that has ended goes to the end of its line, for another 24 hours; the
 * first in the line is due now. */
int delivery_store_redeliver(struct db *db, struct id id, int64_t now_ms,
                             const struct audit_source *source, struct err *err) CHECKED;

int delivery_store_count_pending(struct db *db, int64_t *out, struct err *err) CHECKED;

/* Forgets up to `limit` that ended before then; *out says how many. */
int delivery_store_prune(struct db *db, int64_t before_ms, int limit, int64_t *out,
                         struct err *err) CHECKED;
#endif
