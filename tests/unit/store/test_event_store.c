/* SPDX-License-Identifier: Apache-2.0 */
#include "store/event_store.h"

#include <string.h>

#include "base/alloc.h"
#include "store_test.h"

#define NOW NO_TIME_YET

static int64_t add_events(struct db *db, struct id run, int attempt, int64_t first, int count)
{
    struct run_event *events = xcalloc((size_t)count, sizeof(*events));
    struct err err = {0};
    int64_t stored = -1;

    for (int i = 0; i < count; i++)
        events[i] = (struct run_event){
            .seq = first + i, .at_ms = NOW + i, .type = "log", .data = "{\"text\":\"x\"}"};
    assert_ok(event_store_add(db, run, attempt, events, (size_t)count, &stored, &err), err);
    free(events);
    return stored;
}

struct seen {
    int64_t seqs[100];
    int n_seqs;
    int stop_after;
};

static int see(void *ctx, const struct run_event *event)
{
    struct seen *seen = ctx;

    assert_string_equal(event->type, "log");
    assert_string_equal(event->data, "{\"text\":\"x\"}");
    seen->seqs[seen->n_seqs++] = event->seq;
    return seen->n_seqs == seen->stop_after;
}

static void look(struct db *db, struct id run, int64_t after, int limit, struct seen *seen)
{
    struct err err = {0};

    seen->n_seqs = 0;
    assert_ok(event_store_each(db, run, after, limit, see, seen, &err), err);
}

static void test_events_come_back_in_order(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct seen seen = {0};

    (void)state;
    assert_int_equal(add_events(db, id, 1, 10, 5), 5);
    assert_int_equal(add_events(db, id, 1, 1, 5), 5);
    look(db, id, 0, 100, &seen);
    assert_int_equal(seen.n_seqs, 10);
    assert_int_equal(seen.seqs[0], 1);
    assert_int_equal(seen.seqs[9], 14);
    look(db, id, 4, 3, &seen);
    assert_int_equal(seen.n_seqs, 3);
    assert_int_equal(seen.seqs[0], 5);
    assert_int_equal(seen.seqs[1], 10);
}

static void test_a_repeated_event_is_stored_once(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct seen seen = {0};

    (void)state;
    assert_int_equal(add_events(db, id, 1, 1, 5), 5);
    assert_int_equal(add_events(db, id, 1, 1, 5), 0);
    assert_int_equal(add_events(db, id, 1, 3, 5), 2);
    look(db, id, 0, 100, &seen);
    assert_int_equal(seen.n_seqs, 7);
}

static void test_a_walk_may_end_early(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct seen seen = {.stop_after = 2};

    (void)state;
    (void)add_events(db, id, 1, 1, 5);
    look(db, id, 0, 100, &seen);
    assert_int_equal(seen.n_seqs, 2);
}

static void test_events_belong_to_their_run_and_attempt(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_LAUNCHING);
    struct id other = add_run_in(db, RUN_RUNNING);
    struct seen seen = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(add_events(db, id, 1, 1, 5), 5);
    assert_ok(run_store_requeue(db, id, 1, NOW, NOW, "w", true, &err), err);
    (void)launch(db, id);
    look(db, id, 0, 100, &seen);
    assert_int_equal(seen.n_seqs, 0);
    assert_int_equal(add_events(db, id, 2, 1, 2), 2);
    look(db, id, 0, 100, &seen);
    assert_int_equal(seen.n_seqs, 2);
    look(db, other, 0, 100, &seen);
    assert_int_equal(seen.n_seqs, 0);
}

static void test_events_are_refused_with_the_reason(void **state)
{
    scoped(db) db = open_memory();
    struct id launching = add_run_in(db, RUN_LAUNCHING);
    struct id ended = add_run_in(db, RUN_STOPPED);
    struct id missing = launching;
    struct run_event event = {.seq = 1, .type = "log"};
    struct err err;
    int64_t stored;

    (void)state;
    missing.tail ^= 1;
    assert_refused(event_store_add(db, launching, 2, &event, 1, &stored, &err), err,
                   ERR_CONFLICT, "stale_attempt");
    assert_refused(event_store_add(db, ended, 1, &event, 1, &stored, &err), err, ERR_CONFLICT,
                   "run_ended");
    assert_refused(event_store_add(db, missing, 1, &event, 1, &stored, &err), err,
                   ERR_NOT_FOUND, NULL);
    assert_ok(run_store_requeue(db, launching, 1, NOW, NOW, "w", true, &err), err);
    assert_refused(event_store_add(db, launching, 1, &event, 1, &stored, &err), err,
                   ERR_CONFLICT, "stale_attempt");
}

static int read_dropped(struct db_conn *conn, void *ctx, struct err *err)
{
    int64_t *out = ctx;
    scoped(stmt) st = db_query(conn, err, "SELECT events_dropped FROM run");

    if (!st || stmt_step(st, err) < 0)
        return -1;
    *out = stmt_int(st, 0);
    return 0;
}

static int64_t dropped_in(struct db *db)
{
    struct err err = {0};
    int64_t dropped = -1;

    assert_ok(db_read(db, read_dropped, &dropped, &err), err);
    return dropped;
}

static void test_beyond_their_number_events_are_dropped_and_counted(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct seen seen = {0};

    (void)state;
    assert_int_equal(add_events(db, id, 1, 1, EVENTS_PER_RUN_MAX - 1), EVENTS_PER_RUN_MAX - 1);
    assert_int_equal(add_events(db, id, 1, EVENTS_PER_RUN_MAX, 10), 1);
    assert_int_equal(dropped_in(db), 9);
    assert_int_equal(add_events(db, id, 1, 1, 5), 0); /* repeats are no loss */
    assert_int_equal(dropped_in(db), 9);
    look(db, id, EVENTS_PER_RUN_MAX - 1, 100, &seen);
    assert_int_equal(seen.n_seqs, 1);
}

static void test_beyond_their_bytes_events_are_dropped_and_counted(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    scoped_str large = xcalloc(1, 65537);
    struct run_event event = {.type = "log", .data = large};
    struct err err = {0};
    int64_t total = 0;
    int64_t stored;

    (void)state;
    memset(large, 'x', 65536);
    for (int i = 0; i < 260; i++) {
        event.seq = i;
        assert_ok(event_store_add(db, id, 1, &event, 1, &stored, &err), err);
        total += stored;
    }
    assert_int_equal(total, EVENT_BYTES_PER_RUN_MAX / (65536 + 3));
    assert_int_equal(dropped_in(db), 260 - total);
}

TEST_MAIN(cmocka_unit_test(test_events_come_back_in_order),
          cmocka_unit_test(test_a_repeated_event_is_stored_once),
          cmocka_unit_test(test_a_walk_may_end_early),
          cmocka_unit_test(test_events_belong_to_their_run_and_attempt),
          cmocka_unit_test(test_events_are_refused_with_the_reason),
          cmocka_unit_test(test_beyond_their_number_events_are_dropped_and_counted),
          cmocka_unit_test(test_beyond_their_bytes_events_are_dropped_and_counted))
