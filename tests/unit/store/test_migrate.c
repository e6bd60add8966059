/* SPDX-License-Identifier: Apache-2.0 */
#include "store/migrate.h"

#include <string.h>

#include "base/alloc.h"
#include "store/conn.h"
#include "store_test.h"

static const struct migration steps[] = {
    {"0001_one", "CREATE TABLE one (a);"},
    {"0002_two", "CREATE TABLE two (a); INSERT INTO two VALUES (1);"},
    {"0003_three", "ALTER TABLE two ADD COLUMN b; UPDATE two SET b = 2;"},
};

static const struct migration broken[] = {
    {"0001_one", "CREATE TABLE one (a);"},
    {"0002_half", "CREATE TABLE two (a); CREATE TABLE nonsense;"},
};

struct fixture {
    char *dir;
    struct db_conn *conn;
};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    scoped_str path = NULL;
    struct err err = {0};

    fixture->dir = test_dir_new();
    path = xasprintf("%s/d.db", fixture->dir);
    test_file_write(fixture->dir, "d.db", "");
    fixture->conn = db_conn_open(path, CONN_WRITES, &err);
    assert_made(fixture->conn, err);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    db_conn_free(fixture->conn);
    test_dir_remove(fixture->dir);
    free(fixture->dir);
    free(fixture);
    return 0;
}

static int64_t number(struct db_conn *conn, const char *sql)
{
    struct err err = {0};
    scoped(stmt) st = db_prepare(conn, &err, sql, (const struct bind[]){{0}}, 1);

    assert_made(st, err);
    assert_int_equal(stmt_step(st, &err), 1);
    return stmt_int(st, 0);
}

#define VERSION_SQL "PRAGMA user_version"
#define TABLES_SQL "SELECT count(*) FROM sqlite_schema"

static void test_all_are_applied_in_order_and_counted(void **state)
{
    struct db_conn *conn = ((struct fixture *)*state)->conn;
    struct err err = {0};

    assert_ok(db_migrate(conn, steps, 3, &err), err);
    assert_int_equal(number(conn, VERSION_SQL), 3);
    assert_int_equal(number(conn, "SELECT b FROM two"), 2);
}

static void test_each_is_applied_once(void **state)
{
    struct db_conn *conn = ((struct fixture *)*state)->conn;
    struct err err = {0};

    assert_ok(db_migrate(conn, steps, 2, &err), err);
    assert_int_equal(number(conn, VERSION_SQL), 2);
    assert_ok(db_migrate(conn, steps, 3, &err), err);
    assert_ok(db_migrate(conn, steps, 3, &err), err);
    assert_int_equal(number(conn, "SELECT count(*) FROM two"), 1);
    assert_int_equal(number(conn, VERSION_SQL), 3);
}

static void test_a_failing_one_leaves_those_before_it(void **state)
{
    struct db_conn *conn = ((struct fixture *)*state)->conn;
    struct err err = {0};

    assert_int_equal(db_migrate(conn, broken, 2, &err), -1);
    assert_non_null(strstr(err.text, "migration 0002_half"));
    assert_int_equal(number(conn, VERSION_SQL), 1);
    assert_int_equal(number(conn, TABLES_SQL), 1);
    assert_ok(db_migrate(conn, steps, 3, &err), err);
    assert_int_equal(number(conn, VERSION_SQL), 3);
}

static void test_a_newer_database_is_a_conflict_and_stays(void **state)
{
    struct db_conn *conn = ((struct fixture *)*state)->conn;
    struct err err = {0};

    assert_ok(db_migrate(conn, steps, 3, &err), err);
    assert_int_equal(db_migrate(conn, steps, 2, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_string_equal(err.text,
                        "the database is of a newer version (3, this program knows 2)");
    assert_int_equal(number(conn, VERSION_SQL), 3);
}

static void test_one_that_ends_its_own_transaction_is_refused_and_not_counted(void **state)
{
    static const struct migration hasty[] = {
        {"0001_hasty", "CREATE TABLE one (a); COMMIT; CREATE TABLE nonsense;"}};
    struct db_conn *conn = ((struct fixture *)*state)->conn;
    struct err err = {0};

    assert_int_equal(db_migrate(conn, hasty, 1, &err), -1);
    assert_non_null(strstr(err.text, "migration 0001_hasty"));
    assert_int_equal(number(conn, VERSION_SQL), 0);
}

static void test_a_database_that_somebody_holds_is_left_as_it_is(void **state)
{
    const struct fixture *fixture = *state;
    scoped_str path = xasprintf("%s/d.db", fixture->dir);
    struct err err = {0};
    scoped(db_conn) other = db_conn_open(path, CONN_WRITES, &err);

    assert_made(other, err);
    assert_ok(db_script(other, "BEGIN IMMEDIATE", &err), err);
    (void)sqlite3_busy_timeout(fixture->conn->raw, 0);
    assert_int_equal(db_migrate(fixture->conn, steps, 3, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_ok(db_script(other, "ROLLBACK", &err), err);
    assert_int_equal(number(fixture->conn, VERSION_SQL), 0);
    assert_ok(db_migrate(fixture->conn, steps, 3, &err), err);
}

TEST_MAIN(cmocka_unit_test_setup_teardown(test_all_are_applied_in_order_and_counted, set_up,
                                          tear_down),
          cmocka_unit_test_setup_teardown(test_each_is_applied_once, set_up, tear_down),
          cmocka_unit_test_setup_teardown(test_a_failing_one_leaves_those_before_it, set_up,
                                          tear_down),
          cmocka_unit_test_setup_teardown(test_a_newer_database_is_a_conflict_and_stays, set_up,
                                          tear_down),
          cmocka_unit_test_setup_teardown(
              test_one_that_ends_its_own_transaction_is_refused_and_not_counted, set_up,
              tear_down),
          cmocka_unit_test_setup_teardown(test_a_database_that_somebody_holds_is_left_as_it_is,
                                          set_up, tear_down))
