/* SPDX-License-Identifier: Apache-2.0 */
#include "store/delivery_store.h"

#include <string.h>

#include "base/alloc.h"
#include "store/delivery_row.h"
#include "store/prune_slice.h"

/* The line of deliveries from the first call to the end, and what people ask of it.
 * delivery_outbox.c has how they come into it. */

static const char *const status_names[] = {
    [DELIVERY_PENDING] = "pending",
    [DELIVERY_DELIVERED] = "delivered",
    [DELIVERY_FAILED] = "failed",
};

const char *delivery_status_name(enum delivery_status status)
{
    return status_names[status];
}

bool delivery_status_parse(const char *name, enum delivery_status *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(status_names); i++) {
        if (strcmp(status_names[i], name) == 0) {
            *out = (enum delivery_status)i;
            return true;
        }
    }
    return false;
}

void delivery_free(struct delivery *delivery)
{
    if (!delivery)
        return;
    free(delivery->event);
    free(delivery->url);
    free(delivery->receiver);
    free(delivery->payload);
    free(delivery->last_error);
    free(delivery);
}

void delivery_page_done(struct delivery_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        delivery_free(page->all[i]);
    free(page->all);
    *page = (struct delivery_page){0};
}

/* --- What is due -------------------------------------------------------------------------- */

struct due {
    bool tried;
    int64_t now_ms;
    int limit;
    struct delivery_page page;
    int64_t next_ms;
};

static int due_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct due *due = ctx;
    scoped(stmt) st = db_query(conn, err,
                               "SELECT " DELIVERY_COLUMNS " FROM delivery"
                               " WHERE (tries > 0) = ?1 AND next_ms <= ?2"
                               " ORDER BY next_ms LIMIT ?3",
                               B(due->tried), B(due->now_ms), B(due->limit));

    return st ? delivery_row_collect(st, false, &due->page, err) : -1;
}

int delivery_store_due(struct db *db, bool tried, int64_t now_ms, int limit,
                       struct delivery_page *out, struct err *err)
{
    struct due due = {.tried = tried, .now_ms = now_ms, .limit = limit};

    if (db_read(db, due_read, &due, err) < 0) {
        delivery_page_done(&due.page);
        return -1;
    }
    *out = due.page;
    return 0;
}

static int next_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct due *due = ctx;

    for (int tried = 0; tried <= 1; tried++) {
        scoped(stmt) st = db_query(conn, err,
                                   "SELECT next_ms FROM delivery"
                                   " WHERE (tries > 0) = ?1 AND next_ms > ?2"
                                   " ORDER BY next_ms LIMIT 1",
                                   B(tried), B(due->now_ms));
        int row = st ? stmt_step(st, err) : -1;

        if (row < 0)
            return -1;
        if (row == 1 && (!due->next_ms || stmt_int(st, 0) < due->next_ms))
            due->next_ms = stmt_int(st, 0);
    }
    return 0;
}

int delivery_store_next(struct db *db, int64_t now_ms, int64_t *out_ms, struct err *err)
{
    struct due due = {.now_ms = now_ms};

    if (db_read(db, next_read, &due, err) < 0)
        return -1;
    *out_ms = due.next_ms;
    return 0;
}

/* --- What came of a call ------------------------------------------------------------------ */

/* Whoever is the first in the line now is due. */
static int call_first(struct db_conn *conn, const char *receiver, int64_t now_ms,
                      struct err *err)
{
    return db_exec(conn, err,
                   "UPDATE delivery SET next_ms = ?2 WHERE key ="
                   " (SELECT key FROM delivery WHERE receiver = ?1 AND place IS NOT NULL"
                   " ORDER BY place LIMIT 1)",
                   B(receiver), B(now_ms))
                   < 0
               ? -1
               : 0;
}

struct note {
    const struct delivery *delivery;
    const struct delivery_attempt *attempt;
};

static int note_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct note *note = ctx;
    const struct delivery *delivery = note->delivery;
    const struct delivery_attempt *attempt = note->attempt;
    bool ends = attempt->status != DELIVERY_PENDING;
    int64_t changed = db_exec(
        conn, err,
        "UPDATE delivery SET status = ?3, attempts = attempts + 1, tries = tries + 1,"
        " next_ms = ?4, last_ms = ?5, last_status = ?6, last_error = ?7, ended_ms = ?8,"
        " place = CASE WHEN ?8 IS NULL THEN place END"
        " WHERE key = ?1 AND place = ?2",
        B(delivery->id.key), B(delivery->place), B(delivery_status_name(attempt->status)),
        B_INT0(ends ? 0 : attempt->next_ms), B(attempt->at_ms), B_INT0(attempt->http_status),
        B(attempt->error), B_INT0(ends ? attempt->at_ms : 0));

    if (changed < 0)
        return -1;
    if (changed == 0 || !ends)
        return 0;
    return call_first(conn, delivery->receiver, attempt->at_ms, err);
}

int delivery_store_note(struct db *db, const struct delivery *delivery,
                        const struct delivery_attempt *attempt, struct err *err)
{
    struct note note = {.delivery = delivery, .attempt = attempt};

    return db_write(db, note_write, &note, err);
}

/* --- Looking ------------------------------------------------------------------------------ */

struct paging {
    const struct delivery_filter *filter;
    struct delivery_page page;
};

/* Each takes the index of its narrowest condition. */
#define PAGE_QUERY(condition)                                                                  \
    "SELECT " DELIVERY_COLUMNS " FROM delivery WHERE " condition                               \
    " AND key < ?2 AND (?3 OR (?4 AND owner IS NULL) OR owner = ?5)"                           \
    " AND (?6 IS NULL OR +status = ?6) ORDER BY key DESC LIMIT ?7"

static struct stmt *prepare_page(struct db_conn *conn, const struct delivery_filter *filter,
                                 struct err *err)
{
    int64_t before = filter->before.key ? filter->before.key : INT64_MAX;
    const char *status = filter->by_status ? delivery_status_name(filter->status) : NULL;
    int64_t limit = filter->limit + 1;

    if (filter->run.key)
        return db_query(conn, err, PAGE_QUERY("run_key = ?1"), B(filter->run.key), B(before),
                        B(filter->all), B(filter->shared), B(filter->owner), B(status),
                        B(limit));
    if (!filter->all && !filter->shared)
        return db_query(conn, err, PAGE_QUERY("owner = ?1"), B(filter->owner), B(before),
                        B(false), B(false), B(filter->owner), B(status), B(limit));
    if (status)
        return db_query(conn, err, PAGE_QUERY("status = ?1"), B(status), B(before),
                        B(filter->all), B(filter->shared), B(filter->owner), B(status),
                        B(limit));
    return db_query(conn, err, PAGE_QUERY("key >= ?1"), B(0), B(before), B(filter->all),
                    B(filter->shared), B(filter->owner), B(status), B(limit));
}

static int page_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct paging *paging = ctx;
    scoped(stmt) st = prepare_page(conn, paging->filter, err);

    return st ? delivery_row_collect(st, false, &paging->page, err) : -1;
}

int delivery_store_page(struct db *db, const struct delivery_filter *filter,
                        struct delivery_page *out, struct err *err)
{
    struct paging paging = {.filter = filter};

    if (db_read(db, page_read, &paging, err) < 0) {
        delivery_page_done(&paging.page);
        return -1;
    }
    *out = paging.page;
    if (out->count > (size_t)filter->limit) {
        delivery_free(out->all[--out->count]);
        out->next = out->all[out->count - 1]->id;
    }
    return 0;
}

struct wanted {
    struct id id;
    struct delivery_page page;
    int64_t now_ms;
    const struct audit_source *source;
};

/* Leaves its one row in `page`. */
static int load(struct db_conn *conn, struct wanted *wanted, struct err *err)
{
    char text[ID_TEXT_SIZE];
    scoped(stmt) st = db_query(conn, err,
                               "SELECT " DELIVERY_COLUMNS ", payload FROM delivery"
                               " WHERE key = ?1 AND tail = ?2",
                               B(wanted->id.key), B(wanted->id.tail));

    if (!st || delivery_row_collect(st, true, &wanted->page, err) < 0)
        return -1;
    if (wanted->page.count)
        return 0;
    id_text(wanted->id, text);
    return err_set(err, ERR_NOT_FOUND, "there is no delivery %s", text);
}

static int load_read(struct db_conn *conn, void *ctx, struct err *err)
{
    return load(conn, ctx, err);
}

struct delivery *delivery_store_load(struct db *db, struct id id, struct err *err)
{
    struct wanted wanted = {.id = id};
    struct delivery *found = NULL;

    if (db_read(db, load_read, &wanted, err) == 0) {
        found = wanted.page.all[0];
        wanted.page.count = 0;
    }
    delivery_page_done(&wanted.page);
    return found;
}

static int redeliver(struct db_conn *conn, const struct wanted *wanted,
                     const struct delivery *delivery, struct err *err)
{
    char id[ID_TEXT_SIZE];
    char run[ID_TEXT_SIZE];

    id_text(wanted->id, id);
    id_text(delivery->run, run);
    if (!delivery->place
        && db_exec(conn, err,
                   "UPDATE delivery SET status = 'pending', tries = 0, ended_ms = NULL,"
                   " give_up_ms = ?2,"
                   " place = (SELECT max(?1, ifnull(max(place), 0) + 1) FROM delivery"
                   " WHERE receiver = ?3 AND place IS NOT NULL) WHERE key = ?1",
                   B(wanted->id.key), B(wanted->now_ms + DELIVERY_KEPT_UP_MS),
                   B(delivery->receiver))
               < 0)
        return -1;
    if (call_first(conn, delivery->receiver, wanted->now_ms, err) < 0)
        return -1;
    return audit_append(conn, wanted->source, "delivery.redeliver", id, run, err);
}

static int redeliver_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct wanted *wanted = ctx;

    return load(conn, wanted, err) < 0 ? -1 : redeliver(conn, wanted, wanted->page.all[0], err);
}

int delivery_store_redeliver(struct db *db, struct id id, int64_t now_ms,
                             const struct audit_source *source, struct err *err)
{
    struct wanted wanted = {.id = id, .now_ms = now_ms, .source = source};
    int result = db_write(db, redeliver_write, &wanted, err);

    delivery_page_done(&wanted.page);
    return result;
}

/* --- Counting and forgetting -------------------------------------------------------------- */

static int count_read(struct db_conn *conn, void *ctx, struct err *err)
{
    scoped(stmt) st =
        db_query(conn, err, "SELECT count(*) FROM delivery WHERE place IS NOT NULL");
    int row = st ? stmt_step(st, err) : -1;

    if (row == 1)
        *(int64_t *)ctx = stmt_int(st, 0);
    return row < 0 ? -1 : 0;
}

int delivery_store_count_pending(struct db *db, int64_t *out, struct err *err)
{
    return db_read(db, count_read, out, err);
}

#define PRUNED_PER_STEP 10

struct prune {
    int64_t before_ms;
    int64_t limit;
    int64_t deleted;
    bool over; /* there are no more, or enough have gone */
};

/* One can't have ended before it was made, so newer keys aren't looked at. */
static int prune_step(struct db_conn *conn, struct prune *prune, struct err *err)
{
    int64_t left = prune->limit - prune->deleted;
    int64_t wanted = left < PRUNED_PER_STEP ? left : PRUNED_PER_STEP;
    int64_t deleted =
        db_exec(conn, err,
                "DELETE FROM delivery WHERE key IN (SELECT key FROM delivery"
                " WHERE key < ?1 AND ended_ms < ?2 ORDER BY key LIMIT ?3)",
                B(id_first_key(prune->before_ms)), B(prune->before_ms), B(wanted));

    if (deleted < 0)
        return -1;
    prune->deleted += deleted;
    prune->over = deleted < wanted || prune->deleted == prune->limit;
    return 0;
}

static int prune_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct prune *prune = ctx;
    struct prune_slice slice = prune_slice_begin();
    int result;

    do
        result = prune_step(conn, prune, err);
    while (result == 0 && !prune->over && !prune_slice_is_over(&slice));
    prune_slice_end(&slice);
    return result;
}

int delivery_store_prune(struct db *db, int64_t before_ms, int limit, int64_t *out,
                         struct err *err)
{
    struct prune prune = {.before_ms = before_ms, .limit = limit};

    while (!prune.over)
        if (db_write(db, prune_write, &prune, err) < 0)
            return -1;
    *out = prune.deleted;
    return 0;
}
