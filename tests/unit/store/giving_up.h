/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GIVING_UP_H
#define GIVING_UP_H
#include <sqlite3.h>
#include <stdatomic.h>

#include "store/conn.h"
#include "store_test.h"

/*
 * SQLite gives up at some point of what it does: at the nth of its looks whether it should, in
 * the transactions of the connections that are watched. Once, or again and again from then on.
 */
static _Atomic int64_t looks_left; /* 0: it never does */
static atomic_bool gave_up;
static atomic_bool gives_up_for_good;

/* Outside of a transaction not: SQLite looks once more when a COMMIT is made already. */
static inline int give_up_look(void *ctx)
{
    int64_t left = atomic_load(&looks_left);

    if (left != 1 || !atomic_load(&gives_up_for_good))
        (void)(left && atomic_fetch_sub(&looks_left, 1));
    if (left != 1 || sqlite3_get_autocommit(ctx))
        return 0;
    atomic_store(&gave_up, true);
    return 1;
}

static inline int give_up_watch_one(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    (void)err;
    sqlite3_progress_handler(conn->raw, 1, give_up_look, conn->raw);
    return 0;
}

/* The writer, and the reader that a single thread is always given. */
static inline void give_up_watch(struct db *db)
{
    struct err err = {0};

    assert_ok(db_write(db, give_up_watch_one, NULL, &err), err);
    assert_ok(db_read(db, give_up_watch_one, NULL, &err), err);
}

static inline void give_up_at(int64_t nth, bool for_good)
{
    atomic_store(&gave_up, false);
    atomic_store(&gives_up_for_good, for_good);
    atomic_store(&looks_left, nth);
}

/* True when it came to that look. */
static inline bool give_up_no_more(void)
{
    return atomic_exchange(&looks_left, 0) <= 0 || atomic_load(&gave_up);
}
#endif
