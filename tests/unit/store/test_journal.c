/* SPDX-License-Identifier: Apache-2.0 */
#include "store/journal.h"

#include <string.h>

#include "base/alloc.h"
#include "store/conn.h"
#include "store/event_store.h"
#include "store/migrate.h"
#include "store_test.h"

#define SEEN_MAX 256

struct seen {
    int count;
    int64_t numbers[SEEN_MAX];
    char types[SEEN_MAX][48]; /* of a move: its status */
    char details[SEEN_MAX][48];
    struct id runs[SEEN_MAX];
    int stop_after;
};

static int see(void *ctx, const struct journal_entry *entry)
{
    struct seen *seen = ctx;
    int i = seen->count;

    if (seen->stop_after && i == seen->stop_after)
        return 1;
    assert_in_range(i, 0, SEEN_MAX - 1);
    seen->numbers[i] = entry->number;
    seen->runs[i] = entry->run;
    (void)snprintf(seen->types[i], sizeof(seen->types[i]), "%s",
                   entry->type ? entry->type : run_status_name(entry->status));
    (void)snprintf(seen->details[i], sizeof(seen->details[i]), "%s",
                   entry->type     ? entry->data
                   : entry->reason ? entry->reason
                   : entry->error  ? entry->error
                                   : "");
    seen->count++;
    return 0;
}

static int64_t newest(struct db *db)
{
    struct err err = {0};
    int64_t number = -1;

    assert_ok(journal_newest(db, &number, &err), err);
    return number;
}

static int64_t look(struct db *db, struct journal_query query, struct seen *out)
{
    struct err err = {0};
    int64_t upto = -1;

    *out = (struct seen){.stop_after = out->stop_after};
    if (!query.until)
        query.until = newest(db);
    if (!query.limit)
        query.limit = SEEN_MAX;
    assert_ok(journal_each(db, &query, see, out, &upto, &err), err);
    return upto;
}

static struct id add_owned(struct db *db, int64_t owner)
{
    struct insert insert = {.run = {.id = id_make(clock_wall_ms(), random_u64()),
                                    .agent = (char *)(uintptr_t) "claude-code",
                                    .prompt = (char *)(uintptr_t) "Fix it",
                                    .owner = owner}};
    struct err err = {0};

    assert_ok(db_write(db, insert_write, &insert, &err), err);
    return insert.run.id;
}

static void claim(struct db *db, struct id id, int attempt)
{
    struct err err = {0};

    assert_ok(run_store_claim(db, id, attempt, "r1", clock_wall_ms(), NO_TIME_YET, NULL, &err),
              err);
}

static void add_log(struct db *db, struct id id, int attempt, int64_t seq, const char *text)
{
    struct run_event event = {.seq = seq, .at_ms = NO_TIME_YET, .type = "log", .data = text};
    struct err err = {0};
    int64_t stored;

    assert_ok(event_store_add(db, id, attempt, &event, 1, &stored, &err), err);
}

static void end_run(struct db *db, struct id id, enum run_status status)
{
    struct run_end end = {.status = status, .error = "it broke"};
    struct err err = {0};
    enum run_status from;

    assert_ok(run_store_end(db, id, 0, &end, clock_wall_ms(), &from, &err), err);
}

static void assert_seen(const struct seen *seen, const char *const *types)
{
    int count = 0;

    while (types[count])
        count++;
    assert_int_equal(seen->count, count);
    for (int i = 0; i < count; i++)
        assert_string_equal(seen->types[i], types[i]);
}

/* --- What is in it -------------------------------------------------------------------------
 */

static void test_a_run_is_told_from_beginning_to_end(void **state)
{
    static const char *const all[] = {"pending", "pending", "running", "log",
                                      "log",     "failed",  NULL};
    scoped(db) db = open_memory();
    struct seen seen = {0};
    struct err err = {0};
    struct id id = add_owned(db, 7);

    (void)state;
    (void)launch(db, id);
    assert_ok(run_store_requeue(db, id, 1, 0, 0, "no image", true, &err), err);
    (void)launch(db, id);
    claim(db, id, 2);
    add_log(db, id, 2, 5, "{\"a\":5}");
    add_log(db, id, 2, 3, "{\"a\":3}"); /* late, but it came now */
    add_log(db, id, 2, 3, "{\"a\":3}"); /* a repeat isn't news */
    end_run(db, id, RUN_FAILED);
    assert_int_equal(look(db, (struct journal_query){.run = id}, &seen), newest(db));
    assert_seen(&seen, all);
    assert_string_equal(seen.details[1], "no image");
    assert_string_equal(seen.details[3], "{\"a\":5}");
    assert_string_equal(seen.details[4], "{\"a\":3}");
    assert_string_equal(seen.details[5], "it broke");
    for (int i = 0; i < seen.count; i++)
        assert_int_equal(seen.numbers[i], i + 1);
}

/* The intake of /dispatchTask writes nothing here. */
static void test_a_run_without_an_owner_begins_with_its_claim(void **state)
{
    static const char *const all[] = {"running", "completed", NULL};
    scoped(db) db = open_memory();
    struct seen seen = {0};
    struct id id = add_run(db);

    (void)state;
    assert_int_equal(newest(db), 0);
    (void)launch(db, id);
    assert_int_equal(newest(db), 0);
    claim(db, id, 1);
    end_run(db, id, RUN_COMPLETED);
    (void)look(db, (struct journal_query){.run = id}, &seen);
    assert_seen(&seen, all);
}

static void test_a_move_that_was_refused_is_not_told(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_COMPLETED);
    int64_t before = newest(db);
    struct run_end end = {.status = RUN_FAILED};
    enum run_status from;
    struct err err = {0};

    (void)state;
    assert_refused(run_store_claim(db, id, 1, "r2", 1, 1, NULL, &err), err, ERR_CONFLICT, NULL);
    assert_refused(run_store_end(db, id, 0, &end, 1, &from, &err), err, ERR_CONFLICT, NULL);
    assert_int_equal(newest(db), before);
}

static void test_the_same_runner_claiming_again_is_told_once(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_LAUNCHING);

    (void)state;
    claim(db, id, 1);
    claim(db, id, 1);
    assert_int_equal(newest(db), 1);
}

/* A full run still shows how it ends. */
static void test_moves_fit_beyond_the_limit_of_events(void **state)
{
    static const char *const all[] = {"running", "completed", NULL};
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct seen seen = {0};
    char *text = xcalloc(1, EVENT_BYTES_PER_RUN_MAX + 1);

    (void)state;
    memset(text, 'x', EVENT_BYTES_PER_RUN_MAX);
    add_log(db, id, 1, 1, text);
    end_run(db, id, RUN_COMPLETED);
    (void)look(db, (struct journal_query){.run = id}, &seen);
    assert_seen(&seen, all);
    free(text);
}

static int count_event(void *ctx, const struct run_event *event)
{
    assert_true(event->seq > 0);
    ++*(int *)ctx;
    return 0;
}

static void test_moves_are_no_events_of_the_runner(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct err err = {0};
    int n_events = 0;

    (void)state;
    add_log(db, id, 1, 1, "{}");
    assert_int_equal(newest(db), 2);
    assert_ok(event_store_each(db, id, -100, 10, count_event, &n_events, &err), err);
    assert_int_equal(n_events, 1);
}

/* --- Whose ---------------------------------------------------------------------------------
 */

static void test_each_sees_what_is_theirs(void **state)
{
    scoped(db) db = open_memory();
    struct id mine = add_owned(db, 7);
    struct id other = add_owned(db, 8);
    struct id shared = add_run_in(db, RUN_RUNNING);
    struct seen seen = {0};

    (void)state;
    (void)look(db, (struct journal_query){.owner = 7}, &seen);
    assert_int_equal(seen.count, 1);
    assert_true(id_equal(seen.runs[0], mine));
    (void)look(db, (struct journal_query){.owner = 8, .shared = true}, &seen);
    assert_int_equal(seen.count, 2);
    assert_true(id_equal(seen.runs[0], other));
    assert_true(id_equal(seen.runs[1], shared));
    (void)look(db, (struct journal_query){.all = true}, &seen);
    assert_int_equal(seen.count, 3);
    (void)look(db, (struct journal_query){.owner = 9}, &seen);
    assert_int_equal(seen.count, 0);
    (void)look(db, (struct journal_query){0}, &seen);
    assert_int_equal(seen.count, 0);
}

static void test_a_run_of_another_tail_has_nothing(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct seen seen = {0};

    (void)state;
    id.tail++;
    (void)look(db, (struct journal_query){.run = id}, &seen);
    assert_int_equal(seen.count, 0);
}

/* --- Pages ---------------------------------------------------------------------------------
 */

static void test_pages_join_without_gap_or_repeat(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct seen seen = {0};
    struct journal_query queries[] = {{.run = id}, {.shared = true}, {.all = true}};

    (void)state;
    for (int i = 1; i < 50; i++)
        add_log(db, id, 1, i, "{}");
    for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
        int64_t expected = 1;

        while (queries[i].after < newest(db)) {
            queries[i].limit = 7;
            queries[i].after = look(db, queries[i], &seen);
            for (int j = 0; j < seen.count; j++)
                assert_int_equal(seen.numbers[j], expected++);
        }
        assert_int_equal(expected, 51);
    }
}

static void test_a_walk_that_is_ended_says_where(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct seen seen = {.stop_after = 3};

    (void)state;
    for (int i = 1; i < 10; i++)
        add_log(db, id, 1, i, "{}");
    assert_int_equal(look(db, (struct journal_query){.run = id}, &seen), 3);
}

static void test_a_walk_ends_at_its_bound(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct seen seen = {0};

    (void)state;
    for (int i = 1; i < 10; i++)
        add_log(db, id, 1, i, "{}");
    assert_int_equal(look(db, (struct journal_query){.run = id, .after = 2, .until = 5}, &seen),
                     5);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.numbers[0], 3);
}

/* Whoever has little among much is served in bounded pieces. */
static void test_a_walk_looks_at_so_many_numbers_only(void **state)
{
    scoped(db) db = open_memory();
    struct err err = {0};
    struct id id = add_run_in(db, RUN_RUNNING);
    struct run_event *events = xcalloc(EVENTS_PER_RUN_MAX, sizeof(*events));
    struct seen seen = {0};
    int64_t stored;
    int64_t upto;

    (void)state;
    for (int i = 0; i < EVENTS_PER_RUN_MAX; i++)
        events[i] = (struct run_event){.seq = i + 1, .type = "log", .data = "{}"};
    assert_ok(event_store_add(db, id, 1, events, EVENTS_PER_RUN_MAX, &stored, &err), err);
    (void)add_owned(db, 7);
    upto = look(db, (struct journal_query){.owner = 7}, &seen);
    assert_int_equal(upto, JOURNAL_NUMBERS_MAX);
    assert_int_equal(seen.count, 0);
    upto = look(db, (struct journal_query){.owner = 7, .after = upto}, &seen);
    assert_int_equal(upto, newest(db));
    assert_int_equal(seen.count, 1);
    free(events);
}

/* --- Numbers -------------------------------------------------------------------------------
 */

static void prune_all(struct db *db, int expected)
{
    struct run_page page = {0};
    struct err err = {0};

    assert_ok(run_store_prune(db, clock_wall_ms() + 60000, clock_wall_ms(), 100, &page, &err),
              err);
    assert_int_equal(page.n_runs, expected);
    run_page_done(&page);
}

static void test_numbers_are_not_used_again_after_pruning(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_COMPLETED);
    struct seen seen = {0};
    int64_t before = newest(db);

    (void)state;
    prune_all(db, 1);
    assert_int_equal(newest(db), before);
    (void)look(db, (struct journal_query){.run = id}, &seen);
    assert_int_equal(seen.count, 0);
    (void)add_run_in(db, RUN_RUNNING);
    assert_int_equal(newest(db), before + 1);
    prune_all(db, 0);
    assert_int_equal(newest(db), before + 1);
}

static void test_the_newest_of_a_run_says_whether_more_may_come(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run_in(db, RUN_RUNNING);
    struct err err = {0};
    int64_t number = -1;
    bool over = true;

    (void)state;
    assert_ok(journal_newest_of(db, id, &number, &over, &err), err);
    assert_int_equal(number, 1);
    assert_false(over);
    end_run(db, id, RUN_STOPPED);
    assert_ok(journal_newest_of(db, id, &number, &over, &err), err);
    assert_int_equal(number, 2);
    assert_true(over);
    prune_all(db, 1);
    assert_ok(journal_newest_of(db, id, &number, &over, &err), err);
    assert_int_equal(number, 0);
    assert_true(over);
}

/* --- A database from before ------------------------------------------------------------------
 */

#define BEFORE_JOURNAL 3 /* migrations */

static const char old_runs[] =
    "INSERT INTO run (key, tail, status, attempt, started_ms, ended_ms, owner) VALUES"
    " (100, 1, 'failed', 2, 50, 90, NULL), (200, 1, 'running', 1, 60, NULL, 7),"
    " (300, 1, 'pending', 0, NULL, NULL, NULL), (400, 1, 'stopped', 0, NULL, 70, NULL);"
    "INSERT INTO event (run, attempt, seq, at_ms, type, data) VALUES (100, 2, 1, 51, 'log',"
    " '1'), (100, 2, 2, 5, 'log', '2'), (200, 1, 1, 61, 'log', '3');";

static void write_old(const char *path)
{
    struct err err = {0};
    scoped(db_conn) conn = db_conn_open(path, CONN_WRITES, &err);

    assert_made(conn, err);
    assert_ok(db_migrate(conn, migrations, BEFORE_JOURNAL, &err), err);
    assert_ok(db_script(conn, old_runs, &err), err);
}

static void test_runs_from_before_are_told_too(void **state)
{
    static const char *const all[] = {"running", "log", "log",     "failed",
                                      "running", "log", "stopped", NULL};
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/old.db", dir);
    struct seen seen = {0};
    struct err err = {0};

    (void)state;
    test_file_write(dir, "old.db", "");
    write_old(path);
    {
        scoped(db) db = db_open(path, &err);

        assert_made(db, err);
        assert_int_equal(newest(db), 7);
        (void)look(db, (struct journal_query){.all = true}, &seen);
        assert_seen(&seen, all);
        assert_string_equal(seen.details[1], "1");
        (void)look(db, (struct journal_query){.owner = 7}, &seen);
        assert_int_equal(seen.count, 2);
        assert_int_equal(seen.runs[0].key, 200);
    }
    test_dir_remove(dir);
}

/* --- Being told ----------------------------------------------------------------------------
 */

struct told {
    _Atomic int count;
};

static void count(void *ctx)
{
    struct told *told = ctx;

    told->count++;
}

static int fail_write(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    (void)conn;
    return err_set(err, ERR_INTERNAL, "as planned");
}

static void test_the_watcher_is_told_of_commits_that_add_something(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run(db);
    struct told told = {0};
    struct err err = {0};

    (void)state;
    db_watch(db, count, &told);
    (void)launch(db, id);
    assert_int_equal(db_write(db, fail_write, NULL, &err), -1);
    (void)add_run(db);
    assert_int_equal(told.count, 0);
    claim(db, id, 1);
    wait_until(told.count == 1, 60000);
    add_log(db, id, 1, 1, "{}");
    wait_until(told.count == 2, 60000);
    db_watch(db, NULL, NULL);
    add_log(db, id, 1, 2, "{}");
    assert_int_equal(told.count, 2);
}

TEST_MAIN(cmocka_unit_test(test_a_run_is_told_from_beginning_to_end),
          cmocka_unit_test(test_a_run_without_an_owner_begins_with_its_claim),
          cmocka_unit_test(test_a_move_that_was_refused_is_not_told),
          cmocka_unit_test(test_the_same_runner_claiming_again_is_told_once),
          cmocka_unit_test(test_moves_fit_beyond_the_limit_of_events),
          cmocka_unit_test(test_moves_are_no_events_of_the_runner),
          cmocka_unit_test(test_each_sees_what_is_theirs),
          cmocka_unit_test(test_a_run_of_another_tail_has_nothing),
          cmocka_unit_test(test_pages_join_without_gap_or_repeat),
          cmocka_unit_test(test_a_walk_that_is_ended_says_where),
          cmocka_unit_test(test_a_walk_ends_at_its_bound),
          cmocka_unit_test(test_a_walk_looks_at_so_many_numbers_only),
          cmocka_unit_test(test_numbers_are_not_used_again_after_pruning),
          cmocka_unit_test(test_the_newest_of_a_run_says_whether_more_may_come),
          cmocka_unit_test(test_runs_from_before_are_told_too),
          cmocka_unit_test(test_the_watcher_is_told_of_commits_that_add_something))
