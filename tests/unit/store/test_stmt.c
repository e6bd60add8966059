/* SPDX-License-Identifier: Apache-2.0 */
#include "store/db.h"

#include <string.h>

#include "base/alloc.h"
#include "store/conn.h"
#include "store_test.h"

/* Each test is a piece of a write, run on the writer's thread: it says what is wrong by its
 * error. */
static void run_in_write(db_write_fn write)
{
    scoped(db) db = open_memory();
    struct err err = {0};

    assert_ok(db_write(db, write, NULL, &err), err);
}

#define NEED(condition)                                                                        \
    do {                                                                                       \
        if (!(condition))                                                                      \
            return err_set(err, ERR_INTERNAL, "line %d: not so: %s", __LINE__, #condition);    \
    } while (0)

static int all_types(struct db_conn *conn, void *ctx, struct err *err)
{
    uint8_t blob[3] = {1, 0, 255};
    uint8_t back[3];
    scoped(stmt) st = db_query(conn, err, "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8", B(INT64_MIN),
                               B("text"), B(true), B(3), B((const char *)NULL), B_INT0(0),
                               B_BLOB(blob, sizeof(blob)), B(9LL));

    (void)ctx;
    NEED(st && stmt_step(st, err) == 1);
    NEED(stmt_int(st, 0) == INT64_MIN);
    NEED(strcmp(stmt_text(st, 1), "text") == 0);
    NEED(stmt_int(st, 2) == 1 && stmt_int(st, 3) == 3 && stmt_int(st, 7) == 9);
    NEED(!stmt_text(st, 4) && stmt_int(st, 4) == 0);
    NEED(!stmt_text(st, 5));
    NEED(stmt_blob(st, 6, back, sizeof(back)) && memcmp(back, blob, 3) == 0);
    NEED(!stmt_blob(st, 6, back, 2) && back[0] == 0);
    NEED(!stmt_blob(st, 1, back, sizeof(back)) && back[2] == 0);
    NEED(stmt_step(st, err) == 0);
    return 0;
}

static void test_values_go_in_and_come_out(void **state)
{
    (void)state;
    run_in_write(all_types);
}

static int wrong_count(struct db_conn *conn, void *ctx, struct err *err)
{
    struct err inner = {0};

    (void)ctx;
    NEED(db_exec(conn, &inner, "SELECT ?1, ?2", B(1)) == -1);
    NEED(inner.kind == ERR_INTERNAL);
    NEED(strcmp(inner.text, "1 values for 2 placeholders in: SELECT ?1, ?2") == 0);
    NEED(db_exec(conn, &inner, "SELECT 1", B(1)) == -1);
    NEED(db_exec(conn, &inner, "SELECT ?1", B(1)) == 0);
    return 0;
}

static void test_the_number_of_values_is_checked(void **state)
{
    (void)state;
    run_in_write(wrong_count);
}

static int wrong_sql(struct db_conn *conn, void *ctx, struct err *err)
{
    struct err inner = {0};

    (void)ctx;
    NEED(db_exec(conn, &inner, "SELECT * FROM nowhere") == -1);
    NEED(inner.kind == ERR_INTERNAL && strstr(inner.text, "SELECT * FROM nowhere"));
    NEED(db_exec(conn, &inner, "") == -1);
    return 0;
}

static void test_an_error_carries_the_sql(void **state)
{
    (void)state;
    run_in_write(wrong_sql);
}

static int changed_rows(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    NEED(db_exec(conn, err, "CREATE TABLE t (a)") == 0);
    NEED(db_exec(conn, err, "INSERT INTO t VALUES (1), (2), (3)") == 3);
    NEED(db_exec(conn, err, "SELECT * FROM t") == 0);
    NEED(db_exec(conn, err, "UPDATE t SET a = a + 1 WHERE a >= ?1", B(2)) == 2);
    NEED(db_exec(conn, err, "UPDATE t SET a = a + 1 WHERE a >= ?1", B(100)) == 0);
    NEED(db_exec(conn, err, "DELETE FROM t") == 3);
    return 0;
}

static void test_exec_tells_how_many_rows_changed(void **state)
{
    (void)state;
    run_in_write(changed_rows);
}

static struct stmt *numbers(struct db_conn *conn, struct err *err, int from)
{
    return db_query(conn, err, "SELECT value FROM json_each('[1,2,3]') WHERE value >= ?1",
                    B(from));
}

/* The same literal inside its own loop: both must keep their place. */
static int nested(struct db_conn *conn, void *ctx, struct err *err)
{
    scoped(stmt) outer = numbers(conn, err, 1);
    int64_t seen = 0;

    (void)ctx;
    NEED(outer);
    while (stmt_step(outer, err) == 1) {
        scoped(stmt) inner = numbers(conn, err, 2);

        NEED(inner);
        while (stmt_step(inner, err) == 1)
            seen = seen * 10 + stmt_int(outer, 0) * stmt_int(inner, 0);
    }
    NEED(seen == 234669);
    return 0;
}

static void test_a_statement_may_be_used_inside_itself(void **state)
{
    (void)state;
    run_in_write(nested);
}

/* A bound value must not show up in the next use. */
static int reused(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    for (int i = 0; i < 1000; i++) {
        scoped(stmt) st = numbers(conn, err, i % 4);

        NEED(st && stmt_step(st, err) == 1);
        NEED(stmt_int(st, 0) == (i % 4 ? i % 4 : 1));
    }
    return 0;
}

static void test_a_statement_starts_anew_each_time(void **state)
{
    (void)state;
    run_in_write(reused);
}

#define SELECT_1(n) "SELECT " #n " + ?1"
#define FOUR(n) SELECT_1(n##0), SELECT_1(n##1), SELECT_1(n##2), SELECT_1(n##3)
#define SIXTEEN(n) FOUR(n##0), FOUR(n##1), FOUR(n##2), FOUR(n##3)
#define SIXTY_FOUR(n) SIXTEEN(n##0), SIXTEEN(n##1), SIXTEEN(n##2), SIXTEEN(n##3)

/* More statements than the cache takes. */
static int many_statements(struct db_conn *conn, void *ctx, struct err *err)
{
    static const char *const all[] = {SIXTY_FOUR(1), SIXTY_FOUR(2), SIXTY_FOUR(3),
                                      SIXTY_FOUR(4), SIXTY_FOUR(5)};

    (void)ctx;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
            scoped(stmt) st = db_query(conn, err, all[i], B(round));

            NEED(st && stmt_step(st, err) == 1);
            NEED(stmt_int(st, 0) == strtol(all[i] + 7, NULL, 10) + round);
        }
    }
    return 0;
}

static void test_more_statements_than_the_cache_holds(void **state)
{
    (void)state;
    run_in_write(many_statements);
}

static int long_value(struct db_conn *conn, void *ctx, struct err *err)
{
    scoped_str text = xasprintf("%0200d", 7);
    int64_t changed;

    (void)ctx;
    NEED(db_exec(conn, err, "CREATE TABLE t (a)") == 0);
    (void)sqlite3_limit(conn->raw, SQLITE_LIMIT_LENGTH, 100);
    changed = db_exec(conn, err, "INSERT INTO t VALUES (?1)", B((const char *)text));
    NEED(changed == -1);
    NEED(strstr(err->text, "too big") && strstr(err->text, "INSERT INTO t"));
    NEED(db_exec(conn, err, "INSERT INTO t VALUES (?1)", B("short")) == 1);
    return 0;
}

static void test_a_value_that_is_too_long_is_refused_and_not_cut(void **state)
{
    (void)state;
    run_in_write(long_value);
}

TEST_MAIN(cmocka_unit_test(test_values_go_in_and_come_out),
          cmocka_unit_test(test_the_number_of_values_is_checked),
          cmocka_unit_test(test_an_error_carries_the_sql),
          cmocka_unit_test(test_exec_tells_how_many_rows_changed),
          cmocka_unit_test(test_a_statement_may_be_used_inside_itself),
          cmocka_unit_test(test_a_statement_starts_anew_each_time),
          cmocka_unit_test(test_more_statements_than_the_cache_holds),
          cmocka_unit_test(test_a_value_that_is_too_long_is_refused_and_not_cut))
