/* SPDX-License-Identifier: Apache-2.0 */
#include "store/audit.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "store/conn.h"

#define VERIFY_ROWS 1000 /* of one read */
/* Clocks are set back by a little now and then. */
#define CLOCK_SLACK_MS (3600 * 1000)

/* These two know the order of the columns; change one with the other. */
#define AUDIT_COLUMNS "number, at_ms, actor, action, target, address, request_id, detail, hash"

/* Borrowed from the row. False when the hash isn't one. */
static bool entry_from_row(const struct stmt *st, struct audit_entry *out)
{
    *out = (struct audit_entry){
        .number = stmt_int(st, 0),
        .at_ms = stmt_int(st, 1),
        .actor = stmt_text(st, 2),
        .action = stmt_text(st, 3),
        .target = stmt_text(st, 4),
        .address = stmt_text(st, 5),
        .request_id = stmt_text(st, 6),
        .detail = stmt_text(st, 7),
    };
    return stmt_blob(st, 8, out->hash, sizeof(out->hash));
}

/* --- Appending ---------------------------------------------------------------------------- */

/* The last entry as this transaction sees it: one that was rolled back was never there. */
static int load_last(struct db_conn *conn, int64_t *out_number, uint8_t out_hash[SHA256_SIZE],
                     struct err *err)
{
    scoped(stmt) st = db_query(conn, err,
                               "SELECT number, hash FROM audit WHERE number > 0"
                               " ORDER BY number DESC LIMIT 1");
    int row = st ? stmt_step(st, err) : -1;

    *out_number = 0;
    memset(out_hash, 0, SHA256_SIZE);
    if (row != 1)
        return row;
    *out_number = stmt_int(st, 0);
    if (stmt_blob(st, 1, out_hash, SHA256_SIZE))
        return 0;
    return err_set(err, ERR_INTERNAL, "entry %lld of the audit log has no hash",
                   (long long)*out_number);
}

int audit_append(struct db_conn *conn, const struct audit_source *source, const char *action,
                 const char *target, const char *detail, struct err *err)
{
    static const struct audit_source ourselves = {.actor = "dispatchd"};
    const struct audit_source *by = source ? source : &ourselves;
    struct audit_entry entry = {
        .at_ms = clock_wall_ms(),
        .actor = by->actor,
        .action = action,
        .target = target,
        .address = *by->address ? by->address : NULL,
        .request_id = by->request_id,
        .detail = detail,
    };

    if (!conn->audit_known && load_last(conn, &conn->audit_number, conn->audit_hash, err) < 0)
        return -1;
    conn->audit_known = false; /* until the entry is there */
    entry.number = conn->audit_number + 1;
    audit_entry_hash(&entry, conn->audit_hash, entry.hash);
    if (db_exec(conn, err,
                "INSERT INTO audit (" AUDIT_COLUMNS ")"
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                B(entry.number), B(entry.at_ms), B(entry.actor), B(entry.action),
                B(entry.target), B(entry.address), B(entry.request_id), B(entry.detail),
                B_BLOB(entry.hash, sizeof(entry.hash)))
        < 0)
        return -1;
    conn->audit_known = true;
    conn->audit_number = entry.number;
    memcpy(conn->audit_hash, entry.hash, sizeof(entry.hash));
    return 0;
}

int audit_append_run(struct db_conn *conn, const struct audit_source *source,
                     const char *action, struct id run, const char *detail, struct err *err)
{
    char text[ID_TEXT_SIZE];

    id_text(run, text);
    return audit_append(conn, source, action, text, detail, err);
}

/* --- Looking ------------------------------------------------------------------------------ */

struct paging {
    const struct audit_filter *filter;
    void (*each)(void *ctx, const struct audit_entry *entry);
    void *ctx;
    int64_t first; /* none before this number is looked at */
    int64_t next;
};

/* 1 and the moment of the first entry from `number` on. */
static int moment_of(struct db_conn *conn, int64_t number, int64_t *out, struct err *err)
{
    scoped(stmt) st = db_query(conn, err,
                               "SELECT at_ms FROM audit WHERE number >= ?1"
                               " ORDER BY number LIMIT 1",
                               B(number));
    int row = st ? stmt_step(st, err) : -1;

    if (row == 1)
        *out = stmt_int(st, 0);
    return row;
}

/* The first number at `since_ms` or later, by halving: the numbers are in the order of time. */
static int find_first(struct db_conn *conn, int64_t since_ms, int64_t *out, struct err *err)
{
    int64_t low = 1;
    int64_t high;
    uint8_t hash[SHA256_SIZE];

    if (load_last(conn, &high, hash, err) < 0)
        return -1;
    high++;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int64_t at_ms = INT64_MAX;

        if (moment_of(conn, middle, &at_ms, err) < 0)
            return -1;
        if (at_ms < since_ms)
            low = middle + 1;
        else
            high = middle;
    }
    *out = low;
    return 0;
}

#define OF_AN_INDEXED_ACTOR                                                                    \
    "actor = ?1 AND actor NOT GLOB 'token:*' AND actor NOT GLOB 'runner:*'"                    \
    " AND actor <> 'dispatchd'"

static struct stmt *prepare_page(struct db_conn *conn, const struct paging *paging,
                                 struct err *err)
{
    const struct audit_filter *filter = paging->filter;
    int64_t below = filter->beyond ? filter->beyond : INT64_MAX;
    int64_t above = filter->beyond >= paging->first ? filter->beyond : paging->first - 1;

    if (filter->actor && filter->oldest_first)
        return db_query(conn, err,
                        "SELECT " AUDIT_COLUMNS " FROM audit WHERE " OF_AN_INDEXED_ACTOR
                        " AND number > ?2 ORDER BY number LIMIT ?3",
                        B(filter->actor), B(above), B(AUDIT_LOOKED_AT_MAX));
    if (filter->actor)
        return db_query(conn, err,
                        "SELECT " AUDIT_COLUMNS " FROM audit WHERE " OF_AN_INDEXED_ACTOR
                        " AND number < ?2 AND number >= ?3 ORDER BY number DESC LIMIT ?4",
                        B(filter->actor), B(below), B(paging->first), B(AUDIT_LOOKED_AT_MAX));
    if (filter->oldest_first)
        return db_query(conn, err,
                        "SELECT " AUDIT_COLUMNS " FROM audit WHERE number > ?1"
                        " ORDER BY number LIMIT ?2",
                        B(above), B(AUDIT_LOOKED_AT_MAX));
    return db_query(conn, err,
                    "SELECT " AUDIT_COLUMNS " FROM audit WHERE number < ?1 AND number >= ?2"
                    " ORDER BY number DESC LIMIT ?3",
                    B(below), B(paging->first), B(AUDIT_LOOKED_AT_MAX));
}

static int page_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct paging *paging = ctx;
    const struct audit_filter *filter = paging->filter;
    int looked_at = 0;
    int given = 0;
    int row;

    paging->first = 1;
    if (filter->since_ms
        && find_first(conn, filter->since_ms - CLOCK_SLACK_MS, &paging->first, err) < 0)
        return -1;
    scoped(stmt) st = prepare_page(conn, paging, err);
    for (row = st ? stmt_step(st, err) : -1; row == 1; row = stmt_step(st, err)) {
        struct audit_entry entry;

        if (given == filter->limit)
            return 0; /* there is more, after `next` */
        (void)entry_from_row(st, &entry);
        paging->next = entry.number;
        looked_at++;
        if (filter->target && strcmp(filter->target, entry.target) != 0)
            continue;
        paging->each(paging->ctx, &entry);
        given++;
    }
    if (row == 0 && looked_at < AUDIT_LOOKED_AT_MAX)
        paging->next = 0;
    return row;
}

int audit_page(struct db *db, const struct audit_filter *filter,
               void (*each)(void *ctx, const struct audit_entry *entry), void *ctx,
               int64_t *out_next, struct err *err)
{
    struct paging paging = {.filter = filter, .each = each, .ctx = ctx};

    if (db_read(db, page_read, &paging, err) < 0)
        return -1;
    *out_next = paging.next;
    return 0;
}

/* --- Verifying ---------------------------------------------------------------------------- */

struct walk {
    struct audit_verdict verdict;
    const uint8_t *noted;
    bool ended;
};

static bool is_next(struct walk *walk, const struct stmt *st)
{
    struct audit_entry entry;
    uint8_t hash[SHA256_SIZE];

    if (!entry_from_row(st, &entry) || entry.number != walk->verdict.entries + 1)
        return false;
    audit_entry_hash(&entry, walk->verdict.head, hash);
    return memcmp(hash, entry.hash, sizeof(hash)) == 0;
}

static int walk_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct walk *walk = ctx;
    struct audit_verdict *verdict = &walk->verdict;
    int rows = 0;
    scoped(stmt) st = db_query(conn, err,
                               "SELECT " AUDIT_COLUMNS " FROM audit WHERE number > ?1"
                               " ORDER BY number LIMIT ?2",
                               B(verdict->entries), B(VERIFY_ROWS));
    int row = st ? stmt_step(st, err) : -1;

    for (; row == 1; row = stmt_step(st, err), rows++) {
        if (!is_next(walk, st)) {
            verdict->broken = verdict->entries + 1;
            break;
        }
        verdict->entries++;
        (void)stmt_blob(st, 8, verdict->head, sizeof(verdict->head));
        if (walk->noted && memcmp(walk->noted, verdict->head, sizeof(verdict->head)) == 0)
            verdict->noted_found = true;
    }
    walk->ended = rows < VERIFY_ROWS;
    return row < 0 ? -1 : 0;
}

/* Numbers below 1 stand before what the walk looks at. */
static int look_before_first(struct db_conn *conn, void *ctx, struct err *err)
{
    struct walk *walk = ctx;
    scoped(stmt) st = db_query(conn, err, "SELECT 1 FROM audit WHERE number < 1 LIMIT 1");
    int row = st ? stmt_step(st, err) : -1;

    if (row == 1) {
        walk->verdict.broken = 1;
        walk->ended = true;
    }
    return row < 0 ? -1 : 0;
}

int audit_verify(struct db *db, const uint8_t *noted, struct audit_verdict *out,
                 struct err *err)
{
    static const uint8_t empty[SHA256_SIZE];
    struct walk walk = {.noted = noted};

    if (db_read(db, look_before_first, &walk, err) < 0)
        return -1;
    /* The head of an empty log was there before every entry. */
    walk.verdict.noted_found = noted && memcmp(noted, empty, sizeof(empty)) == 0;
    while (!walk.ended)
        if (db_read(db, walk_read, &walk, err) < 0)
            return -1;
    *out = walk.verdict;
    return 0;
}

cJSON *audit_verdict_json(const struct audit_verdict *verdict)
{
    char head[SHA256_HEX_SIZE];

    hex_encode(verdict->head, sizeof(verdict->head), head);
    return jobj({"entries", jint(verdict->entries)}, {"head", jstr(head)},
                {"broken", verdict->broken ? jint(verdict->broken) : NULL},
                {"noted_found", jbool(verdict->noted_found)});
}
