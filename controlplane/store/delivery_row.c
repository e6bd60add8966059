/* SPDX-License-Identifier: Apache-2.0 */
#include "store/delivery_row.h"

#include "base/alloc.h"

static struct delivery *delivery_from_row(const struct stmt *st, bool payload)
{
    struct delivery *delivery = xcalloc(1, sizeof(*delivery));
    int at = 0;

    delivery->id.key = stmt_int(st, at++);
    delivery->id.tail = stmt_int(st, at++);
    delivery->run.key = stmt_int(st, at++);
    delivery->run.tail = stmt_int(st, at++);
    delivery->owner = stmt_int(st, at++);
    delivery->event = stmt_text_copy(st, at++);
    delivery->url = stmt_text_copy(st, at++);
    delivery->receiver = stmt_text_copy(st, at++);
    delivery->configured = stmt_int(st, at++) != 0;
    (void)delivery_status_parse(stmt_text(st, at++), &delivery->status);
    delivery->attempts = (int)stmt_int(st, at++);
    delivery->tries = (int)stmt_int(st, at++);
    delivery->place = stmt_int(st, at++);
    delivery->next_ms = stmt_int(st, at++);
    delivery->give_up_ms = stmt_int(st, at++);
    delivery->last_ms = stmt_int(st, at++);
    delivery->last_status = (int)stmt_int(st, at++);
    delivery->last_error = stmt_text_copy(st, at++);
    delivery->ended_ms = stmt_int(st, at++);
    if (payload)
        delivery->payload = stmt_text_copy(st, at);
    return delivery;
}

int delivery_row_collect(struct stmt *st, bool payload, struct delivery_page *out,
                         struct err *err)
{
    size_t room = 0;
    int row;

    while ((row = stmt_step(st, err)) == 1) {
        if (out->count == room) {
            room = room ? room * 2 : 16;
            out->all = xrealloc(out->all, room * sizeof(*out->all));
        }
        out->all[out->count++] = delivery_from_row(st, payload);
    }
    return row;
}

int delivery_row_insert(struct db_conn *conn, const struct delivery *delivery, int64_t now_ms,
                        struct err *err)
{
    return db_exec(conn, err,
                   "INSERT INTO delivery (key, tail, run_key, run_tail, owner, event, url,"
                   " receiver, configured, payload, status, give_up_ms, place, next_ms)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'pending', ?11, ?1,"
                   " CASE WHEN EXISTS (SELECT 1 FROM delivery WHERE receiver = ?8"
                   " AND place IS NOT NULL) THEN NULL ELSE ?12 END)",
                   B(delivery->id.key), B(delivery->id.tail), B(delivery->run.key),
                   B(delivery->run.tail), B_INT0(delivery->owner), B(delivery->event),
                   B(delivery->url), B(delivery->receiver), B_INT0(delivery->configured),
                   B(delivery->payload), B(delivery->give_up_ms), B(now_ms))
                   < 0
               ? -1
               : 0;
}
