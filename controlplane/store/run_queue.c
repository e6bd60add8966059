/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run_queue.h"

struct page {
    enum run_status status;
    int64_t not_before_ms;
    int64_t after;
    run_place_fn each;
    void *ctx;
};

static int page_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct page *page = ctx;
    scoped(stmt) st =
        db_query(conn, err,
                 "SELECT r.key, r.tail, coalesce(r.priority, 500), r.repo, i.base_branch,"
                 " i.launcher, r.launcher"
                 " FROM run AS r LEFT JOIN run_input AS i ON i.key = r.key"
                 " WHERE r.status = ?1 AND r.not_before_ms IS ?2 AND r.key > ?3"
                 " ORDER BY r.key LIMIT ?4",
                 B(run_status_name(page->status)), B_INT0(page->not_before_ms), B(page->after),
                 B(RUN_QUEUE_PAGE));
    int row = st ? stmt_step(st, err) : -1;
    int n_rows = 0;

    for (; row == 1; row = stmt_step(st, err), n_rows++) {
        struct run_place place = {
            .id = {.key = stmt_int(st, 0), .tail = stmt_int(st, 1)},
            .priority = (int)stmt_int(st, 2),
            .repo = stmt_text(st, 3),
            .branch = stmt_text(st, 4),
            .wanted_launcher = stmt_text(st, 5),
            .launcher = stmt_text(st, 6),
        };

        page->after = place.id.key;
        page->each(page->ctx, &place);
    }
    if (n_rows < RUN_QUEUE_PAGE)
        page->after = 0;
    return row;
}

int run_queue_page(struct db *db, enum run_status status, int64_t not_before_ms,
                   int64_t *inout_after, run_place_fn each, void *ctx, struct err *err)
{
    struct page page = {
        .status = status,
        .not_before_ms = not_before_ms,
        .after = *inout_after,
        .each = each,
        .ctx = ctx,
    };

    if (db_read(db, page_read, &page, err) < 0)
        return -1;
    *inout_after = page.after;
    return 0;
}

struct aside {
    const struct id *ids;
    size_t n_ids;
    int64_t wait_s;
};

/* One that has moved on meanwhile stays where it is. */
static int aside_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct aside *aside = ctx;

    for (size_t i = 0; i < aside->n_ids; i++) {
        struct id id = aside->ids[i];

        if (db_exec(conn, err,
                    "UPDATE run SET not_before_ms = ?3, deadline_ms = coalesce(deadline_ms, ?4)"
                    " WHERE key = ?1 AND tail = ?2 AND status = 'pending'",
                    B(id.key), B(id.tail), B(RUN_WAITS_ITS_TURN),
                    B(id_created_ms(id) + aside->wait_s * 1000))
            < 0)
            return -1;
    }
    return 0;
}

int run_queue_set_aside(struct db *db, const struct id *ids, size_t n_ids, int64_t wait_s,
                        struct err *err)
{
    struct aside aside = {.ids = ids, .n_ids = n_ids, .wait_s = wait_s};

    return n_ids ? db_write(db, aside_write, &aside, err) : 0;
}
