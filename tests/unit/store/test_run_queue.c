/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run_queue.h"

#include <string.h>

#include "base/alloc.h"
#include "store/conn.h"
#include "store_test.h"

#define MANY 2500 /* more than two pages */

struct seen {
    struct id ids[MANY + 8];
    size_t count;
    int priority;
    char repo[64];
    char branch[64];
};

static void note(void *ctx, const struct run_place *place)
{
    struct seen *seen = ctx;

    seen->ids[seen->count++] = place->id;
    seen->priority = place->priority;
    (void)snprintf(seen->repo, sizeof(seen->repo), "%s", place->repo ? place->repo : "");
    (void)snprintf(seen->branch, sizeof(seen->branch), "%s",
                   place->branch ? place->branch : "");
}

static struct id make_id(void)
{
    return id_make(clock_wall_ms(), random_u64());
}

/* Those that wait their turn, or the usual ones. */
static struct seen *waiting(struct db *db, bool turn)
{
    struct seen *seen = xcalloc(1, sizeof(*seen));
    struct err err = {0};
    int64_t after = 0;

    do
        assert_ok(run_queue_page(db, RUN_PENDING, turn ? RUN_WAITS_ITS_TURN : 0, &after, note,
                                 seen, &err),
                  err);
    while (after);
    return seen;
}

struct insert_many {
    int count;
    struct run run;
};

static int insert_many_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct insert_many *many = ctx;
    struct id existing;

    for (int i = 0; i < many->count; i++) {
        many->run.id = make_id();
        if (run_store_insert(conn, &many->run, NULL, &existing, err) < 0)
            return -1;
    }
    return 0;
}

static struct id insert(struct db *db, int count, bool turn, const char *branch)
{
    struct insert_many many = {
        .count = count,
        .run = {.repo = (char[]){"octo/hello"},
                .agent = (char[]){"command"},
                .prompt = (char[]){"x"},
                .priority = turn ? 7 : RUN_PRIORITY_USUAL,
                .base_branch = (char *)(uintptr_t)branch,
                .not_before_ms = turn ? RUN_WAITS_ITS_TURN : 0},
    };
    struct err err = {0};

    assert_ok(db_write(db, insert_many_write, &many, &err), err);
    return many.run.id;
}

static void test_those_that_wait_their_turn_are_told_apart(void **state)
{
    scoped(db) db = open_memory();
    struct id turn = insert(db, 1, true, "main");
    struct id usual = insert(db, 1, false, NULL);
    struct seen *seen = waiting(db, true);

    (void)state;
    assert_int_equal(seen->count, 1);
    assert_true(id_equal(seen->ids[0], turn));
    assert_int_equal(seen->priority, 7);
    assert_string_equal(seen->repo, "octo/hello");
    assert_string_equal(seen->branch, "main");
    free(seen);
    seen = waiting(db, false);
    assert_int_equal(seen->count, 1);
    assert_true(id_equal(seen->ids[0], usual));
    assert_int_equal(seen->priority, RUN_PRIORITY_USUAL);
    assert_string_equal(seen->branch, "");
    free(seen);
}

static void test_pages_go_on_where_the_last_one_ended(void **state)
{
    scoped(db) db = open_memory();
    struct seen *seen;

    (void)state;
    (void)insert(db, MANY, true, NULL);
    seen = waiting(db, true);
    assert_int_equal(seen->count, MANY);
    for (size_t i = 1; i < seen->count; i++)
        assert_true(seen->ids[i].key > seen->ids[i - 1].key);
    free(seen);
}

static void test_one_that_waits_its_turn_is_not_taken_by_its_age(void **state)
{
    scoped(db) db = open_memory();
    int64_t next_ms = -1;
    struct err err = {0};

    (void)state;
    (void)insert(db, 3, true, NULL);
    assert_null(run_store_next_pending(db, INT64_MAX - 1, &next_ms, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(next_ms, 0);
    struct id usual = insert(db, 1, false, NULL);
    scoped(run) run = run_store_next_pending(db, clock_wall_ms(), &next_ms, &err);
    assert_made(run, err);
    assert_true(id_equal(run->id, usual));
}

static void test_setting_aside_gives_a_deadline_and_moves_pending_runs_only(void **state)
{
    scoped(db) db = open_memory();
    struct id pending = insert(db, 1, false, NULL);
    struct id ids[] = {pending, add_run_in(db, RUN_RUNNING)};
    struct err err = {0};

    (void)state;
    assert_ok(run_queue_set_aside(db, ids, 2, 60, &err), err);
    scoped(run) moved = run_store_load(db, pending, &err);
    assert_made(moved, err);
    assert_true(moved->not_before_ms == RUN_WAITS_ITS_TURN);
    assert_int_equal(moved->deadline_ms, id_created_ms(pending) + 60000);
    scoped(run) running = run_store_load(db, ids[1], &err);
    assert_made(running, err);
    assert_int_equal(running->not_before_ms, 0);
}

/* --- How SQLite goes about it ---------------------------------------------------------------
 */

static int count_steps(struct db_conn *conn, void *ctx, struct err *err)
{
    bool *good = ctx;
    scoped(stmt) st = db_query(conn, err,
                               "EXPLAIN QUERY PLAN SELECT key FROM run WHERE status = 'pending'"
                               " AND not_before_ms IS NULL ORDER BY key LIMIT 1");
    int row = st ? stmt_step(st, err) : -1;

    *good = row == 1;
    for (; row == 1; row = stmt_step(st, err))
        *good &= strstr(stmt_text(st, 3), "SCAN") == NULL
                 && strstr(stmt_text(st, 3), "B-TREE") == NULL;
    return row;
}

/* A hundred thousand that are blocked stand where the search for the usual ones never looks. */
static void test_the_usual_ones_are_found_without_passing_over_the_others(void **state)
{
    scoped(db) db = open_memory();
    struct err err = {0};
    bool good = false;

    (void)state;
    assert_ok(db_read(db, count_steps, &good, &err), err);
    assert_true(good);
}

TEST_MAIN(cmocka_unit_test(test_those_that_wait_their_turn_are_told_apart),
          cmocka_unit_test(test_pages_go_on_where_the_last_one_ended),
          cmocka_unit_test(test_one_that_waits_its_turn_is_not_taken_by_its_age),
          cmocka_unit_test(test_setting_aside_gives_a_deadline_and_moves_pending_runs_only),
          cmocka_unit_test(test_the_usual_ones_are_found_without_passing_over_the_others))
