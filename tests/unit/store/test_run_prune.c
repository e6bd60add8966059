/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run_store.h"

#include <string.h>

#include "base/alloc.h"
#include "store/event_store.h"
#include "store_test.h"

#define NOW NO_TIME_YET
#define DAY_MS (24LL * 3600 * 1000)

static int use_real_clock(void **state)
{
    (void)state;
    clock_set_for_test(-1);
    return 0;
}

/* Made at `at_ms` and ended a second later; or still running. */
static struct id add_old(struct db *db, int64_t at_ms, bool ended)
{
    struct run_end end = {.status = RUN_COMPLETED};
    struct id id = add_run_at(db, at_ms);
    struct err err = {0};
    enum run_status from;

    (void)launch(db, id);
    assert_ok(run_store_set_job(db, id, 1, "job-1", &err), err);
    assert_ok(run_store_claim(db, id, 1, "r1", at_ms, at_ms, NULL, &err), err);
    if (ended)
        assert_ok(run_store_end(db, id, 1, &end, at_ms + 1000, &from, &err), err);
    return id;
}

static size_t prune(struct db *db, int64_t before_ms, int limit, struct run_page *out)
{
    struct err err = {0};

    assert_ok(run_store_prune(db, before_ms, NOW, limit, out, &err), err);
    return out->n_runs;
}

static bool is_there(struct db *db, struct id id)
{
    struct err err = {0};
    scoped(run) run = run_store_load(db, id, &err);

    return run != NULL;
}

struct rows {
    const char *sql;
    int64_t count;
};

static int count_rows(struct db_conn *conn, void *ctx, struct err *err)
{
    struct rows *rows = ctx;
    scoped(stmt) st = db_prepare(conn, err, rows->sql, (const struct bind[]){{0}}, 1);

    if (!st || stmt_step(st, err) < 0)
        return -1;
    rows->count = stmt_int(st, 0);
    return 0;
}

static int64_t rows_of(struct db *db, const char *sql)
{
    struct rows rows = {.sql = sql};
    struct err err = {0};

    assert_ok(db_read(db, count_rows, &rows, &err), err);
    return rows.count;
}

static void test_old_ended_runs_go_and_the_others_stay(void **state)
{
    scoped(db) db = open_memory();
    struct id old = add_old(db, NOW - 10000, true);
    struct id running = add_old(db, NOW - 9000, false);
    struct id young = add_old(db, NOW - 3000, true);
    struct run_page page = {0};

    (void)state;
    assert_int_equal(prune(db, NOW - 5000, 100, &page), 1);
    assert_true(id_equal(page.runs[0]->id, old));
    assert_string_equal(page.runs[0]->launcher, "fake");
    assert_string_equal(page.runs[0]->job_ref, "job-1");
    run_page_done(&page);
    assert_false(is_there(db, old));
    assert_true(is_there(db, running));
    assert_true(is_there(db, young));
    assert_int_equal(rows_of(db, "SELECT count(*) FROM run_input"), 2);
}

static void test_pruning_takes_the_oldest_up_to_the_limit(void **state)
{
    scoped(db) db = open_memory();
    struct run_page page = {0};
    struct id ids[10];

    (void)state;
    for (int i = 0; i < 10; i++)
        ids[i] = add_old(db, NOW - 100000 + i, true);
    assert_int_equal(prune(db, NOW, 4, &page), 4);
    for (int i = 0; i < 4; i++)
        assert_true(id_equal(page.runs[i]->id, ids[i]));
    run_page_done(&page);
    assert_int_equal(prune(db, NOW, 100, &page), 6);
    run_page_done(&page);
    assert_int_equal(prune(db, NOW, 100, &page), 0);
    run_page_done(&page);
}

static void test_many_runs_are_pruned_in_short_commits(void **state)
{
    scoped(db) db = open_memory();
    struct run_page page = {0};
    struct db_stats before;
    struct db_stats after;

    (void)state;
    for (int i = 0; i < 200; i++)
        (void)add_old(db, NOW - 100000 + i, true);
    db_stats(db, &before);
    assert_int_equal(prune(db, NOW, 1000, &page), 200);
    run_page_done(&page);
    db_stats(db, &after);
    assert_true(after.commits - before.commits >= 4);
    assert_int_equal(rows_of(db, "SELECT count(*) FROM run"), 0);
}

static void test_events_go_with_their_run(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_old(db, NOW - 10000, false);
    struct id other = add_old(db, NOW - 9999, false);
    struct run_end end = {.status = RUN_FAILED};
    struct run_event *events = xcalloc(5000, sizeof(*events));
    struct run_page page = {0};
    struct err err = {0};
    enum run_status from;
    int64_t stored;

    (void)state;
    for (int i = 0; i < 5000; i++)
        events[i] = (struct run_event){.seq = i + 1, .type = "log", .data = "{}"};
    assert_ok(event_store_add(db, id, 1, events, 5000, &stored, &err), err);
    assert_ok(event_store_add(db, other, 1, events, 10, &stored, &err), err);
    assert_ok(run_store_end(db, id, 1, &end, NOW - 9000, &from, &err), err);
    assert_int_equal(prune(db, NOW, 10, &page), 1);
    run_page_done(&page);
    assert_int_equal(rows_of(db, "SELECT count(*) FROM event WHERE seq > 0"), 10);
    free(events);
}

static void test_ids_go_on_after_the_newest_pruned_run(void **state)
{
    scoped(db) db = open_memory();
    struct id newest;
    struct run_page page = {0};
    struct err err = {0};
    int64_t key;

    (void)state;
    (void)add_old(db, NOW - 10000, true);
    newest = add_old(db, NOW - 9000, true);
    assert_int_equal(prune(db, NOW, 10, &page), 2);
    run_page_done(&page);
    assert_ok(run_store_newest_key(db, &key, &err), err);
    assert_int_equal(key, newest.key);
}

static void insert_with_key(struct db *db, const char *key)
{
    struct insert insert = {.run = {.id = id_make(clock_wall_ms(), random_u64())},
                            .idempotency = {.token_id = 1, .key = key}};
    struct err err = {0};

    assert_ok(db_write(db, insert_write, &insert, &err), err);
}

static void test_idempotency_keys_go_after_a_day(void **state)
{
    scoped(db) db = open_memory();
    struct run_page page = {0};
    char key[16];

    (void)state;
    clock_set_for_test(NOW - DAY_MS);
    for (int i = 0; i < 1500; i++) {
        (void)snprintf(key, sizeof(key), "old-%d", i);
        insert_with_key(db, key);
    }
    clock_set_for_test(NOW - DAY_MS + 1);
    insert_with_key(db, "young");
    assert_int_equal(prune(db, 1, 10, &page), 0);
    run_page_done(&page);
    assert_int_equal(rows_of(db, "SELECT count(*) FROM idempotency"), 1);
    assert_int_equal(rows_of(db, "SELECT count(*) FROM idempotency WHERE key = 'young'"), 1);
}

static void test_pruning_without_a_limit_or_a_moment_prunes_nothing(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_old(db, NOW - DAY_MS, true);
    struct run_page page = {0};
    struct err err;

    (void)state;
    assert_refused(run_store_prune(db, NOW, NOW, 0, &page, &err), err, ERR_INTERNAL, NULL);
    assert_refused(run_store_prune(db, -1, NOW, 10, &page, &err), err, ERR_INTERNAL, NULL);
    assert_true(is_there(db, id));
}

TEST_MAIN(cmocka_unit_test(test_old_ended_runs_go_and_the_others_stay),
          cmocka_unit_test(test_pruning_takes_the_oldest_up_to_the_limit),
          cmocka_unit_test(test_many_runs_are_pruned_in_short_commits),
          cmocka_unit_test(test_events_go_with_their_run),
          cmocka_unit_test(test_ids_go_on_after_the_newest_pruned_run),
          cmocka_unit_test_teardown(test_idempotency_keys_go_after_a_day, use_real_clock),
          cmocka_unit_test(test_pruning_without_a_limit_or_a_moment_prunes_nothing))
