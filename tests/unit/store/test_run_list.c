/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run_store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "store_test.h"

#define NOW NO_TIME_YET
#define N_PAGED 200

static void read_page(struct db *db, const struct run_filter *filter, struct run_page *out)
{
    struct err err = {0};

    assert_ok(run_store_page(db, filter, out, &err), err);
}

/* --- Pages -------------------------------------------------------------------------------- */

static void test_a_page_is_newest_first_and_names_the_next(void **state)
{
    scoped(db) db = open_memory();
    struct id ids[5];
    struct run_filter filter = {.all = true, .limit = 2};
    struct run_page page = {0};

    (void)state;
    for (int i = 0; i < 5; i++)
        ids[i] = add_run(db);
    for (int i = 4; i >= 0; i -= 2) {
        read_page(db, &filter, &page);
        assert_true(id_equal(page.runs[0]->id, ids[i]));
        if (i > 0) {
            assert_int_equal(page.n_runs, 2);
            assert_true(id_equal(page.runs[1]->id, ids[i - 1]));
            assert_true(id_equal(page.next, ids[i - 1]));
        } else {
            assert_int_equal(page.n_runs, 1);
            assert_true(id_equal(page.next, (struct id){0}));
        }
        filter.before = page.next;
        run_page_done(&page);
    }
}

static void test_a_full_last_page_has_no_next(void **state)
{
    scoped(db) db = open_memory();
    struct run_filter filter = {.all = true, .limit = 2};
    struct run_page page = {0};

    (void)state;
    (void)add_run(db);
    (void)add_run(db);
    read_page(db, &filter, &page);
    assert_int_equal(page.n_runs, 2);
    assert_true(id_equal(page.next, (struct id){0}));
    run_page_done(&page);
}

static void test_an_empty_store_has_an_empty_page(void **state)
{
    scoped(db) db = open_memory();
    struct run_filter filter = {.all = true, .limit = 10};
    struct run_page page = {0};

    (void)state;
    read_page(db, &filter, &page);
    assert_int_equal(page.n_runs, 0);
    run_page_done(&page);
    filter.statuses = 1U << RUN_FAILED;
    read_page(db, &filter, &page);
    assert_int_equal(page.n_runs, 0);
    run_page_done(&page);
}

/* Every set of states: what comes is what a look at each run would pick, in its order. */
static void test_every_set_of_statuses_is_filtered_right(void **state)
{
    scoped(db) db = open_memory();
    enum run_status statuses[4 * RUN_STATUS_COUNT];
    struct id ids[ARRAY_SIZE(statuses)];
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        statuses[i] = (enum run_status)(i * 5 % RUN_STATUS_COUNT);
        ids[i] = add_run_in(db, statuses[i]);
    }
    /* one pending run that waits */
    assert_int_equal(launch(db, ids[0]), 1);
    assert_ok(run_store_requeue(db, ids[0], 1, NOW, NOW, "w", true, &err), err);

    for (unsigned set = 1; set < 1U << RUN_STATUS_COUNT; set++) {
        struct run_filter filter = {.all = true, .limit = 1000, .statuses = set};
        struct run_page page = {0};
        size_t at = 0;

        read_page(db, &filter, &page);
        for (size_t i = ARRAY_SIZE(ids); i-- > 0;)
            if (set >> statuses[i] & 1U) {
                assert_true(at < page.n_runs);
                assert_true(id_equal(page.runs[at++]->id, ids[i]));
            }
        assert_int_equal(at, page.n_runs);
        run_page_done(&page);
    }
}

static void test_filtered_pages_go_on_where_they_ended(void **state)
{
    scoped(db) db = open_memory();
    struct run_filter filter = {
        .all = true, .limit = 3, .statuses = 1U << RUN_PENDING | 1U << RUN_COMPLETED};
    int64_t last_key = INT64_MAX;
    int n_seen = 0;

    (void)state;
    for (int i = 0; i < 24; i++)
        (void)add_run_in(db, (enum run_status)(i % RUN_STATUS_COUNT));
    do {
        struct run_page page = {0};

        read_page(db, &filter, &page);
        for (size_t i = 0; i < page.n_runs; i++) {
            assert_true(page.runs[i]->id.key < last_key);
            last_key = page.runs[i]->id.key;
            n_seen++;
        }
        filter.before = page.next;
        run_page_done(&page);
    } while (filter.before.key);
    assert_int_equal(n_seen, 8);
}

/* --- Whose ---------------------------------------------------------------------------------
 */

static struct id add_run_of(struct db *db, int64_t owner)
{
    struct insert insert = {
        .run = {.id = id_make(clock_wall_ms(), random_u64()), .owner = owner}};
    struct err err = {0};

    assert_ok(db_write(db, insert_write, &insert, &err), err);
    return insert.run.id;
}

/* Of those that the next test makes: run i is owner i % 3's (0: nobody's), each fifth is no
 * longer pending. */
static bool is_wanted(const struct run_filter *filter, size_t i)
{
    int64_t owner = (int64_t)(i % 3);

    return (!filter->statuses || i % 5)
           && (filter->all || (owner ? owner == filter->owner : filter->shared));
}

static size_t next_wanted(const struct run_filter *filter, size_t at)
{
    while (at > 0 && !is_wanted(filter, at - 1))
        at--;
    return at;
}

/* Each page is what a look at each run would pick, newest first, with nothing left out. */
static void assert_pages(struct db *db, struct run_filter filter, const struct id *ids,
                         size_t n_ids)
{
    size_t at = next_wanted(&filter, n_ids);

    do {
        struct run_page page = {0};

        read_page(db, &filter, &page);
        for (size_t i = 0; i < page.n_runs; i++) {
            assert_true(at > 0);
            assert_true(id_equal(page.runs[i]->id, ids[at - 1]));
            at = next_wanted(&filter, at - 1);
        }
        filter.before = page.next;
        run_page_done(&page);
    } while (filter.before.key);
    assert_int_equal(at, 0);
}

static void test_a_page_has_what_its_reader_may_see(void **state)
{
    static const struct run_filter readers[] = {
        {.limit = 3},
        {.limit = 3, .owner = 1},
        {.limit = 3, .shared = true},
        {.limit = 3, .owner = 2, .shared = true},
        {.limit = 3, .owner = 3, .shared = true},
        {.limit = 3, .owner = 1, .all = true},
    };
    scoped(db) db = open_memory();
    struct id ids[24];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        ids[i] = add_run_of(db, (int64_t)(i % 3));
    for (size_t i = 0; i < ARRAY_SIZE(ids); i += 5)
        (void)launch(db, ids[i]);
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
        struct run_filter pending = readers[i];

        pending.statuses = 1U << RUN_PENDING;
        assert_pages(db, readers[i], ids, ARRAY_SIZE(ids));
        assert_pages(db, pending, ids, ARRAY_SIZE(ids));
    }
}

static void test_a_limit_out_of_range_is_the_callers_fault(void **state)
{
    scoped(db) db = open_memory();
    struct run_filter filter = {.all = true, .limit = 0};
    struct run_page page = {0};
    struct err err;

    (void)state;
    assert_refused(run_store_page(db, &filter, &page, &err), err, ERR_INVALID, NULL);
    filter.limit = 1001;
    assert_refused(run_store_page(db, &filter, &page, &err), err, ERR_INVALID, NULL);
    assert_string_equal(err.field, "limit");
}

struct inserter {
    struct db *db;
    _Atomic bool stop;
};

static void *keep_inserting(void *arg)
{
    struct inserter *inserter = arg;

    while (!atomic_load(&inserter->stop))
        (void)add_run(inserter->db);
    return NULL;
}

static void test_pages_are_stable_while_runs_come_in(void **state)
{
    scoped(db) db = open_memory();
    struct id ids[N_PAGED];
    struct inserter inserter = {.db = db};
    struct run_filter filter = {.all = true, .limit = 7};
    pthread_t thread;
    int at = N_PAGED;

    (void)state;
    for (int i = 0; i < N_PAGED; i++)
        ids[i] = add_run(db);
    filter.before = ids[N_PAGED - 1];
    filter.before.key++;
    assert_int_equal(pthread_create(&thread, NULL, keep_inserting, &inserter), 0);
    do {
        struct run_page page = {0};

        read_page(db, &filter, &page);
        for (size_t i = 0; i < page.n_runs; i++)
            assert_true(id_equal(page.runs[i]->id, ids[--at]));
        filter.before = page.next;
        run_page_done(&page);
    } while (filter.before.key);
    assert_int_equal(at, 0);
    atomic_store(&inserter.stop, true);
    (void)pthread_join(thread, NULL);
}

/* --- The queue ---------------------------------------------------------------------------- */

static void assert_next(struct db *db, int64_t now_ms, struct id wanted)
{
    struct err err = {0};
    int64_t next_ms;
    scoped(run) run = run_store_next_pending(db, now_ms, &next_ms, &err);

    assert_made(run, err);
    assert_true(id_equal(run->id, wanted));
}

static void assert_none_until(struct db *db, int64_t now_ms, int64_t wanted_next_ms)
{
    struct err err = {0};
    int64_t next_ms = -1;

    assert_null(run_store_next_pending(db, now_ms, &next_ms, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(next_ms, wanted_next_ms);
}

static struct id add_waiting(struct db *db, int64_t not_before_ms)
{
    struct id id = add_run_in(db, RUN_LAUNCHING);
    struct err err = {0};

    assert_ok(run_store_requeue(db, id, 1, not_before_ms, NOW, "w", true, &err), err);
    return id;
}

static void test_the_oldest_pending_run_is_next(void **state)
{
    scoped(db) db = open_memory();
    struct id first;

    (void)state;
    assert_none_until(db, NOW, 0);
    (void)add_run_in(db, RUN_RUNNING);
    first = add_run(db);
    (void)add_run(db);
    assert_next(db, NOW, first);
}

static void test_a_waiting_run_is_next_when_its_time_has_come(void **state)
{
    scoped(db) db = open_memory();
    struct id waiting = add_waiting(db, NOW + 100);
    struct id later = add_waiting(db, NOW + 200);
    struct id fresh;

    (void)state;
    assert_none_until(db, NOW, NOW + 100);
    assert_next(db, NOW + 100, waiting);
    fresh = add_run(db);
    assert_next(db, NOW, fresh);
    assert_next(db, NOW + 100, waiting); /* it is older */
    assert_next(db, NOW + 300, waiting);
    (void)launch(db, waiting);
    assert_next(db, NOW + 300, later);
    (void)launch(db, fresh);
    assert_none_until(db, NOW + 100, NOW + 200);
}

static void test_those_never_tried_follow_in_order(void **state)
{
    scoped(db) db = open_memory();
    struct id first = add_run(db);
    struct id waiting = add_waiting(db, NOW - 100);
    struct id second = add_run(db);
    struct id taken = add_run(db);
    struct id third = add_run(db);
    struct run_page page = {0};
    struct err err = {0};

    (void)state;
    (void)waiting;
    (void)launch(db, taken);
    (void)add_run(db);
    assert_ok(run_store_pending_after(db, first, 2, &page, &err), err);
    assert_int_equal(page.n_runs, 2);
    assert_true(id_equal(page.runs[0]->id, second));
    assert_true(id_equal(page.runs[1]->id, third));
    run_page_done(&page);
}

/* --- Under way ---------------------------------------------------------------------------- */

static void test_due_are_those_whose_deadline_has_come(void **state)
{
    scoped(db) db = open_memory();
    struct id early = add_run_at(db, NOW - 3600000);
    struct id late = add_run_at(db, NOW);
    struct run_page page = {0};
    struct err err = {0};

    (void)state;
    assert_ok(run_store_due(db, NOW - 1, 10, &page, &err), err);
    assert_int_equal(page.n_runs, 0);
    run_page_done(&page);
    assert_ok(run_store_due(db, NOW, 10, &page, &err), err);
    assert_int_equal(page.n_runs, 1);
    assert_true(id_equal(page.runs[0]->id, early));
    run_page_done(&page);
    assert_ok(run_store_due(db, NOW + 3600000, 10, &page, &err), err);
    assert_int_equal(page.n_runs, 2);
    assert_true(id_equal(page.runs[1]->id, late));
    run_page_done(&page);
    assert_ok(run_store_due(db, NOW + 3600000, 1, &page, &err), err);
    assert_int_equal(page.n_runs, 1);
    run_page_done(&page);
}

static void test_stale_are_pending_ones_made_before(void **state)
{
    scoped(db) db = open_memory();
    struct run_page page = {0};
    struct err err = {0};
    struct id old = add_run_in(db, RUN_PENDING);
    int64_t made_ms = id_created_ms(old);

    (void)state;
    (void)add_run_in(db, RUN_RUNNING);
    assert_ok(run_store_stale(db, made_ms, 10, &page, &err), err);
    assert_int_equal(page.n_runs, 0);
    run_page_done(&page);
    assert_ok(run_store_stale(db, made_ms + 60000, 10, &page, &err), err);
    assert_int_equal(page.n_runs, 1);
    assert_true(id_equal(page.runs[0]->id, old));
    run_page_done(&page);
}

static void test_what_has_ended_is_never_due(void **state)
{
    scoped(db) db = open_memory();
    struct run_page page = {0};
    struct err err = {0};

    (void)state;
    for (int status = RUN_COMPLETED; status < RUN_STATUS_COUNT; status++)
        (void)add_run_in(db, (enum run_status)status);
    assert_ok(run_store_due(db, INT64_MAX, 10, &page, &err), err);
    assert_int_equal(page.n_runs, 0);
    run_page_done(&page);
}

static void test_active_are_all_launching_and_running_ones_in_order(void **state)
{
    scoped(db) db = open_memory();
    struct id active[8];
    struct id after = {0};
    size_t at = 0;
    size_t n_active = 0;
    struct err err = {0};

    (void)state;
    for (int i = 0; i < 24; i++) {
        enum run_status status = (enum run_status)(i * 7 % RUN_STATUS_COUNT);
        struct id id = add_run_in(db, status);

        if (status == RUN_LAUNCHING || status == RUN_RUNNING)
            active[n_active++] = id;
    }
    for (;;) {
        struct run_page page = {0};

        assert_ok(run_store_active(db, after, 3, &page, &err), err);
        if (!page.n_runs)
            break;
        for (size_t i = 0; i < page.n_runs; i++)
            assert_true(id_equal(page.runs[i]->id, active[at++]));
        after = page.runs[page.n_runs - 1]->id;
        run_page_done(&page);
    }
    assert_int_equal(at, n_active);
}

TEST_MAIN(cmocka_unit_test(test_a_page_is_newest_first_and_names_the_next),
          cmocka_unit_test(test_a_full_last_page_has_no_next),
          cmocka_unit_test(test_an_empty_store_has_an_empty_page),
          cmocka_unit_test(test_every_set_of_statuses_is_filtered_right),
          cmocka_unit_test(test_filtered_pages_go_on_where_they_ended),
          cmocka_unit_test(test_a_page_has_what_its_reader_may_see),
          cmocka_unit_test(test_a_limit_out_of_range_is_the_callers_fault),
          cmocka_unit_test(test_pages_are_stable_while_runs_come_in),
          cmocka_unit_test(test_the_oldest_pending_run_is_next),
          cmocka_unit_test(test_a_waiting_run_is_next_when_its_time_has_come),
          cmocka_unit_test(test_those_never_tried_follow_in_order),
          cmocka_unit_test(test_due_are_those_whose_deadline_has_come),
          cmocka_unit_test(test_stale_are_pending_ones_made_before),
          cmocka_unit_test(test_what_has_ended_is_never_due),
          cmocka_unit_test(test_active_are_all_launching_and_running_ones_in_order))
