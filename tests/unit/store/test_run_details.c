/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run_details.h"

#include <string.h>

#include "store_test.h"

static const uint8_t sealed[] = {1, 0, 2, 0xff};

static int keep_write(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct id *id = ctx;

    return run_details_keep_secret(conn, *id, sealed, sizeof(sealed), err);
}

static struct id add_run_with_secret(struct db *db, enum run_status status)
{
    struct id id = add_run_in(db, status);
    struct err err = {0};

    assert_ok(db_write(db, keep_write, &id, &err), err);
    return id;
}

static bool has_secret(struct db *db, struct id id)
{
    struct err err = {0};
    uint8_t *bytes = NULL;
    size_t size = 0;
    bool found;

    assert_ok(run_details_secret(db, id, &bytes, &size, &err), err);
    found = bytes != NULL;
    if (found) {
        assert_int_equal(size, sizeof(sealed));
        assert_memory_equal(bytes, sealed, size);
    }
    free(bytes);
    return found;
}

static int64_t rows_of(struct db_conn *conn, struct err *err)
{
    scoped(stmt) st = db_query(conn, err,
                               "SELECT (SELECT count(*) FROM run_result)"
                               " + (SELECT count(*) FROM run_secret)");

    assert_int_equal(st ? stmt_step(st, err) : -1, 1);
    return stmt_int(st, 0);
}

static int count_read(struct db_conn *conn, void *ctx, struct err *err)
{
    *(int64_t *)ctx = rows_of(conn, err);
    return 0;
}

static void test_a_run_without_details_has_none(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run(db);
    scoped_run_details details = {0};
    struct err err = {0};

    (void)state;
    assert_ok(run_details_load(db, id, &details, &err), err);
    assert_null(details.options);
    assert_null(details.result);
    assert_false(has_secret(db, id));
    id.tail++;
    assert_ok(run_details_load(db, id, &details, &err), err);
    assert_null(details.options);
}

static void test_a_secret_lives_as_long_as_its_run(void **state)
{
    static const enum run_status ends[] = {RUN_COMPLETED, RUN_FAILED, RUN_STOPPED};
    scoped(db) db = open_memory();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        struct id id = add_run_with_secret(db, RUN_RUNNING);
        struct run_end end = {.status = ends[i], .report_hash = {1}};
        struct err err = {0};
        enum run_status from;

        assert_true(has_secret(db, id));
        assert_ok(run_store_end(db, id, 1, &end, clock_wall_ms(), &from, &err), err);
        assert_false(has_secret(db, id));
        assert_ok(run_store_end(db, id, 1, &end, clock_wall_ms(), &from, &err), err);
    }
}

static void test_a_stop_before_the_launch_forgets_the_secret(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_with_secret(db, RUN_PENDING);
    struct err err = {0};
    bool ended = false;

    (void)state;
    assert_ok(run_store_request_stop(db, id, clock_wall_ms(), NULL, &ended, &err), err);
    assert_true(ended);
    assert_false(has_secret(db, id));
}

static void test_a_launch_that_is_tried_again_keeps_the_secret(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_with_secret(db, RUN_LAUNCHING);
    struct err err = {0};

    (void)state;
    assert_ok(run_store_requeue(db, id, 1, 1, 1, "no image", true, &err), err);
    assert_true(has_secret(db, id));
}

static void test_the_first_report_has_the_result(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct run_end end = {.status = RUN_COMPLETED, .result = "the plan", .report_hash = {1}};
    struct run_end other = {.status = RUN_COMPLETED, .result = "another", .report_hash = {2}};
    scoped_run_details details = {0};
    struct err err = {0};
    enum run_status from;

    (void)state;
    assert_ok(run_store_end(db, id, 1, &end, clock_wall_ms(), &from, &err), err);
    assert_ok(run_store_end(db, id, 1, &end, clock_wall_ms(), &from, &err), err);
    assert_refused(run_store_end(db, id, 1, &other, clock_wall_ms(), &from, &err), err,
                   ERR_CONFLICT, "run_ended");
    assert_ok(run_details_load(db, id, &details, &err), err);
    assert_string_equal(details.result, "the plan");
}

static void test_pruning_leaves_nothing(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_with_secret(db, RUN_RUNNING);
    struct run_end end = {.status = RUN_COMPLETED, .result = "r"};
    struct run_page page = {0};
    struct err err = {0};
    enum run_status from;
    int64_t rows = 0;

    (void)state;
    assert_ok(run_store_end(db, id, 1, &end, clock_wall_ms(), &from, &err), err);
    assert_ok(db_read(db, count_read, &rows, &err), err);
    assert_int_equal(rows, 1);
    assert_ok(run_store_prune(db, clock_wall_ms() + 1000, clock_wall_ms(), 10, &page, &err),
              err);
    run_page_done(&page);
    assert_ok(db_read(db, count_read, &rows, &err), err);
    assert_int_equal(rows, 0);
}

TEST_MAIN(cmocka_unit_test(test_a_run_without_details_has_none),
          cmocka_unit_test(test_a_secret_lives_as_long_as_its_run),
          cmocka_unit_test(test_a_stop_before_the_launch_forgets_the_secret),
          cmocka_unit_test(test_a_launch_that_is_tried_again_keeps_the_secret),
          cmocka_unit_test(test_the_first_report_has_the_result),
          cmocka_unit_test(test_pruning_leaves_nothing))
