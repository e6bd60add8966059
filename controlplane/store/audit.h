/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H
#include "base/id.h"
#include "crypto/digest.h"
#include "model/audit_entry.h"
#include "store/db.h"
#include "json/json.h"

/*
 * The audit log: who did what, to which run, token or delivery, and from where. An entry is
 * written in the transaction of what it tells, so that there is never one without the other; it
 * has no secret and nothing of a prompt. Entries are kept for ever and never change.
 *
 * Each has a hash over itself and the one before it (model/audit_entry.h),
 * so that one that was changed, taken out, put in or moved breaks the chain. Whoever can write
 * the file can make a whole new chain, or cut off its end: against that, keep a head elsewhere.
 */

/* Who, by which request, from where. The texts are borrowed. */
#define AUDIT_ADDRESS_SIZE 46
struct audit_source {
    const char *actor;                /* api/app.h has the forms */
    const char *request_id;           /* NULL: none */
    char address[AUDIT_ADDRESS_SIZE]; /* "": none */
};

/* --- Inside a write ----------------------------------------------------------------------- */

/* `source` NULL: dispatchd itself, on nobody's request. */
int audit_append(struct db_conn *conn, const struct audit_source *source, const char *action,
                 const char *target, const char *detail, struct err *err) CHECKED;
/* The same with a run as the target. */
int audit_append_run(struct db_conn *conn, const struct audit_source *source,
                     const char *action, struct id run, const char *detail,
                     struct err *err) CHECKED;

/* --- Looking ------------------------------------------------------------------------------ */

struct audit_filter {
    const char *actor;  /* NULL: everybody's */
    const char *target; /* NULL: all */
    int64_t since_ms;   /* none before that moment, where the clock never went back */
    int64_t beyond;     /* the cursor: only those after this number, or before it; 0: all */
    bool oldest_first;
    int limit;
};

/* A page looks at no more entries than this; where few fit the filter it may be short. */
#define AUDIT_LOOKED_AT_MAX 20000

/* Calls `each` for a page of entries. *out_next is the next page's `beyond`, 0 after the last.
 * Everybody's, or those of an actor who isn't a token, a runner or dispatchd, take an index. */
int audit_page(struct db *db, const struct audit_filter *filter,
               void (*each)(void *ctx, const struct audit_entry *entry), void *ctx,
               int64_t *out_next, struct err *err) CHECKED;

struct audit_verdict {
    int64_t entries;           /* those that are sound, from the first on */
    uint8_t head[SHA256_SIZE]; /* the hash of the last of them */
    int64_t broken;            /* the first number that isn't as it was written; 0: none */
    bool noted_found;          /* the noted head is among them */
};

/* Walks the whole chain in short reads; `noted` is a head of earlier, or NULL. */
int audit_verify(struct db *db, const uint8_t *noted, struct audit_verdict *out,
                 struct err *err) CHECKED;
/* {"entries", "head", "broken"?, "noted_found"}. */
cJSON *audit_verdict_json(const struct audit_verdict *verdict) CHECKED;
#endif
