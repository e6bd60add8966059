/* SPDX-License-Identifier: Apache-2.0 */
/* Writes that don't keep to what a write may do: the others in their batch, and those after it,
 * are no worse for it. */
#include "store/db.h"

#include <string.h>

#include "store/conn.h"
#include "store_test.h"

static int make_table(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    return db_exec(conn, err, "CREATE TABLE t (a)") < 0 ? -1 : 0;
}

static int add_one(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    return db_exec(conn, err, "INSERT INTO t VALUES (1)") < 0 ? -1 : 0;
}

/* As a full disk does it. */
static int end_all(struct db_conn *conn, void *ctx, struct err *err)
{
    if (add_one(conn, ctx, err) < 0 || db_script(conn, "ROLLBACK", err) < 0)
        return -1;
    return ctx ? err_set(err, ERR_UNAVAILABLE, "it is full") : 0;
}

static int say_nothing(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)add_one(conn, ctx, err);
    return -1;
}

static int count_read(struct db_conn *conn, void *ctx, struct err *err)
{
    return db_conn_number(conn, "SELECT count(*) FROM t", ctx, err);
}

static int64_t count(struct db *db)
{
    struct err err = {0};
    int64_t rows = -1;

    assert_ok(db_read(db, count_read, &rows, &err), err);
    return rows;
}

/* `write` is refused with nothing done, and the next one is made. */
static void refused_alone(db_write_fn write, void *ctx, enum err_kind kind, const char *why)
{
    scoped(db) db = open_memory();
    struct err err = {0};

    assert_ok(db_write(db, make_table, NULL, &err), err);
    assert_refused(db_write(db, write, ctx, &err), err, kind, NULL);
    if (!strstr(err.text, why))
        fail_msg("%s", err.text);
    assert_int_equal(count(db), 0);
    err = (struct err){0};
    assert_ok(db_write(db, add_one, NULL, &err), err);
    assert_int_equal(count(db), 1);
}

static void test_a_write_that_ends_the_transaction_of_all_is_refused(void **state)
{
    (void)state;
    refused_alone(end_all, NULL, ERR_UNAVAILABLE, "ended the transaction of all");
}

static void test_a_failed_write_that_took_the_transaction_along_is_refused(void **state)
{
    (void)state;
    refused_alone(end_all, (void *)(uintptr_t) "full", ERR_UNAVAILABLE, "it is full");
}

static void test_a_write_that_fails_without_a_word_is_refused(void **state)
{
    (void)state;
    refused_alone(say_nothing, NULL, ERR_INTERNAL, "without saying why");
}

TEST_MAIN(cmocka_unit_test(test_a_write_that_ends_the_transaction_of_all_is_refused),
          cmocka_unit_test(test_a_failed_write_that_took_the_transaction_along_is_refused),
          cmocka_unit_test(test_a_write_that_fails_without_a_word_is_refused))
