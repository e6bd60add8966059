/* SPDX-License-Identifier: Apache-2.0 */
#include "service/live.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "crypto/random.h"
#include "store/event_store.h"
#include "store/run_store.h"
#include "test.h"

#define SOON_MS 60000
#define NEVER_MS 1800000000000LL

/* --- A store with runs ---------------------------------------------------------------------
 */

static struct db *db;
static struct live *live;
static _Atomic int n_rendered;

static int set_up(void **state)
{
    struct err err = {0};

    (void)state;
    n_rendered = 0;
    assert_made(db = db_open(":memory:", &err), err);
    assert_made(live = live_new(db, &err), err);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    live_free(live);
    db_free(db);
    return 0;
}

struct insert {
    struct run run;
    struct id existing;
};

static int insert_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct insert *insert = ctx;

    return run_store_insert(conn, &insert->run, NULL, &insert->existing, err);
}

/* A run that was claimed; with an owner that is its second entry, else the first. */
static struct id add_run(int64_t owner)
{
    static const uint8_t hash[SHA256_SIZE] = {1};
    struct insert insert = {.run = {.id = id_make(clock_wall_ms(), random_u64()),
                                    .agent = (char *)(uintptr_t) "a",
                                    .prompt = (char *)(uintptr_t) "p",
                                    .owner = owner}};
    struct err err = {0};
    int attempt;

    assert_ok(db_write(db, insert_write, &insert, &err), err);
    assert_ok(run_store_launch(db, insert.run.id, "fake", hash, NEVER_MS, &attempt, &err), err);
    assert_ok(run_store_claim(db, insert.run.id, 1, "r", 1, NEVER_MS, NULL, &err), err);
    return insert.run.id;
}

static void add_logs(struct id id, int first, int count, const char *data)
{
    struct run_event *events = xcalloc((size_t)count, sizeof(*events));
    struct err err = {0};
    int64_t stored;

    for (int i = 0; i < count; i++)
        events[i] = (struct run_event){.seq = first + i, .type = "log", .data = data};
    assert_ok(event_store_add(db, id, 1, events, (size_t)count, &stored, &err), err);
    assert_int_equal(stored, count);
    free(events);
}

static void end_run(struct id id)
{
    struct run_end end = {.status = RUN_COMPLETED};
    struct err err = {0};
    enum run_status from;

    assert_ok(run_store_end(db, id, 0, &end, 1, &from, &err), err);
}

/* --- Streams -------------------------------------------------------------------------------
 */

/* "<number> <what>\n" */
static char *render(const struct journal_entry *entry)
{
    n_rendered++;
    return xasprintf("%lld %s\n", (long long)entry->number,
                     entry->type ? entry->data : run_status_name(entry->status));
}

static char *render_moves(const struct journal_entry *entry)
{
    return entry->type ? NULL : xasprintf("%s\n", run_status_name(entry->status));
}

static const struct live_face plain = {.render = render};
static const struct live_face moves = {.render = render_moves};

struct reader {
    struct live_stream *stream;
    struct buf got;
    bool ended;
    _Atomic int n_wakes;
};

static void note_wake(void *ctx)
{
    ((struct reader *)ctx)->n_wakes++;
}

static void open_as(struct reader *reader, struct live_wish wish)
{
    struct err err = {0};

    *reader = (struct reader){0};
    if (!wish.face)
        wish.face = &plain;
    wish.wake = note_wake;
    wish.ctx = reader;
    assert_made(reader->stream = live_open(live, &wish, &err), err);
}

static void done(struct reader *reader)
{
    live_close(reader->stream);
    buf_done(&reader->got);
}

/* Takes what is there. */
static void take(struct reader *reader)
{
    char piece[1000];
    ssize_t got;

    while ((got = live_read(reader->stream, piece, sizeof(piece))) > 0)
        buf_append(&reader->got, piece, (size_t)got);
    reader->ended = got == LIVE_END;
}

static const char *text(struct reader *reader)
{
    take(reader);
    return reader->got.data ? reader->got.data : "";
}

static bool has(struct reader *reader, const char *wanted)
{
    return strstr(text(reader), wanted) != NULL;
}

static int count_lines(const char *all)
{
    int count = 0;

    for (; *all; all++)
        count += *all == '\n';
    return count;
}

/* Numbers from `first` on, each once, in order. */
static void assert_in_order(struct reader *reader, int first, int count)
{
    const char *at = text(reader);

    for (int i = 0; i < count; i++) {
        assert_int_equal(strtol(at, NULL, 10), first + i);
        at = strchr(at, '\n') + 1;
    }
    assert_string_equal(at, "");
}

static void test_a_stream_shows_what_was_and_what_comes(void **state)
{
    struct id id = add_run(0);
    struct reader reader;

    (void)state;
    add_logs(id, 1, 2, "old");
    open_as(&reader, (struct live_wish){.query.run = id});
    wait_until(has(&reader, "3 old\n"), SOON_MS);
    add_logs(id, 3, 1, "new");
    wait_until(has(&reader, "4 new\n"), SOON_MS);
    assert_string_equal(text(&reader), "1 running\n2 old\n3 old\n4 new\n");
    assert_false(reader.ended);
    end_run(id);
    wait_until((take(&reader), reader.ended), SOON_MS);
    assert_string_equal(text(&reader), "1 running\n2 old\n3 old\n4 new\n5 completed\n");
    done(&reader);
}

static void test_a_stream_begins_after_the_place_it_names(void **state)
{
    struct id id = add_run(0);
    struct reader reader;

    (void)state;
    add_logs(id, 1, 5, "x");
    open_as(&reader, (struct live_wish){.query = {.run = id, .after = 4}});
    end_run(id);
    wait_until((take(&reader), reader.ended), SOON_MS);
    assert_in_order(&reader, 5, 3);
    done(&reader);
}

static void test_an_ended_run_is_shown_and_ends_the_stream(void **state)
{
    struct id id = add_run(0);
    struct reader whole;
    struct reader rest;

    (void)state;
    end_run(id);
    open_as(&whole, (struct live_wish){.query.run = id});
    open_as(&rest, (struct live_wish){.query = {.run = id, .after = 2}});
    wait_until((take(&whole), whole.ended), SOON_MS);
    wait_until((take(&rest), rest.ended), SOON_MS);
    assert_string_equal(text(&whole), "1 running\n2 completed\n");
    assert_string_equal(text(&rest), "");
    done(&whole);
    done(&rest);
}

static void test_a_run_that_is_gone_ends_the_stream(void **state)
{
    struct run_page page = {0};
    struct err err = {0};
    struct id id = add_run(0);
    struct reader reader;

    (void)state;
    end_run(id);
    assert_ok(run_store_prune(db, clock_wall_ms() + 60000, 1, 10, &page, &err), err);
    run_page_done(&page);
    open_as(&reader, (struct live_wish){.query.run = id});
    wait_until((take(&reader), reader.ended), SOON_MS);
    done(&reader);
}

static void test_once_ends_when_it_has_caught_up(void **state)
{
    struct id id = add_run(0);
    struct reader reader;

    (void)state;
    add_logs(id, 1, 500, "some text that takes a little room");
    open_as(&reader, (struct live_wish){.query.run = id, .once = true});
    wait_until((take(&reader), reader.ended), SOON_MS);
    assert_in_order(&reader, 1, 501);
    done(&reader);
}

static void test_each_gets_what_is_theirs(void **state)
{
    struct reader all;
    struct reader mine;
    struct reader shared;
    struct reader one;
    struct id of_7;

    (void)state;
    of_7 = add_run(7); /* 1 and 2 */
    open_as(&all, (struct live_wish){.query = {.all = true, .after = 2}});
    open_as(&mine, (struct live_wish){.query = {.owner = 7, .after = 2}});
    open_as(&shared, (struct live_wish){.query = {.shared = true, .after = 2}});
    open_as(&one, (struct live_wish){.query = {.run = of_7, .after = 2}});
    add_logs(of_7, 1, 1, "of 7");
    (void)add_run(0);
    (void)add_run(8);
    end_run(of_7);
    wait_until(has(&all, "7 completed"), SOON_MS);
    wait_until(has(&mine, "7 completed"), SOON_MS);
    wait_until((take(&one), one.ended), SOON_MS);
    wait_until(has(&shared, "4 running"), SOON_MS);
    assert_string_equal(text(&all), "3 of 7\n4 running\n5 pending\n6 running\n7 completed\n");
    assert_string_equal(text(&mine), "3 of 7\n7 completed\n");
    assert_string_equal(text(&shared), "4 running\n");
    assert_string_equal(text(&one), "3 of 7\n7 completed\n");
    done(&all);
    done(&mine);
    done(&shared);
    done(&one);
}

static void test_a_face_may_leave_entries_out(void **state)
{
    struct id id = add_run(0);
    struct reader before;
    struct reader after;

    (void)state;
    open_as(&before, (struct live_wish){.face = &moves, .query.run = id});
    wait_until(has(&before, "running"), SOON_MS);
    add_logs(id, 1, 200, "x");
    end_run(id);
    open_as(&after, (struct live_wish){.face = &moves, .query.run = id});
    wait_until((take(&before), before.ended), SOON_MS);
    wait_until((take(&after), after.ended), SOON_MS);
    assert_string_equal(text(&before), "running\ncompleted\n");
    assert_string_equal(text(&after), "running\ncompleted\n");
    done(&before);
    done(&after);
}

static void test_what_is_new_is_rendered_once_for_all(void **state)
{
    struct reader readers[50];
    struct id id = add_run(0);
    int before;

    (void)state;
    for (int i = 0; i < 50; i++) {
        open_as(&readers[i], (struct live_wish){.query.shared = true});
        wait_until(has(&readers[i], "1 running"), SOON_MS);
    }
    /* those that have caught up are fed together; wait until the last one is */
    add_logs(id, 1, 1, "first");
    for (int i = 0; i < 50; i++)
        wait_until(has(&readers[i], "first"), SOON_MS);
    before = n_rendered;
    add_logs(id, 2, 1, "second");
    for (int i = 0; i < 50; i++)
        wait_until(has(&readers[i], "second"), SOON_MS);
    assert_int_equal(n_rendered - before, 1);
    for (int i = 0; i < 50; i++)
        done(&readers[i]);
}

/* --- Slow ones -----------------------------------------------------------------------------
 */

/* Nobody reads for long, far more than a queue holds comes, and then it is all there. */
static void test_who_reads_late_has_missed_nothing(void **state)
{
    struct live_stats stats;
    struct id id = add_run(0);
    struct reader slow;
    struct reader quick;
    char *large = xcalloc(1, 1001);

    (void)state;
    memset(large, 'x', 1000);
    open_as(&slow, (struct live_wish){.query.run = id});
    open_as(&quick, (struct live_wish){.query.shared = true});
    wait_until(has(&quick, "1 running"), SOON_MS);
    for (int i = 0; i < 20; i++)
        add_logs(id, 1 + i * 50, 50, large);
    end_run(id);
    wait_until(has(&quick, "completed"), SOON_MS);
    wait_until((take(&slow), slow.ended), SOON_MS);
    assert_in_order(&slow, 1, 1002);
    assert_in_order(&quick, 1, 1002);
    live_stats(live, &stats);
    assert_true(stats.caught >= 900); /* the queue didn't hold it */
    done(&slow);
    done(&quick);
    free(large);
}

static void test_a_text_beyond_the_queue_still_comes(void **state)
{
    struct id id = add_run(0);
    struct reader reader;
    char *huge = xcalloc(1, 3 * LIVE_QUEUE_BYTES + 1);

    (void)state;
    memset(huge, 'x', (size_t)3 * LIVE_QUEUE_BYTES);
    open_as(&reader, (struct live_wish){.query.run = id});
    wait_until(has(&reader, "1 running"), SOON_MS);
    add_logs(id, 1, 3, huge);
    end_run(id);
    wait_until((take(&reader), reader.ended), SOON_MS);
    assert_in_order(&reader, 1, 5);
    done(&reader);
    free(huge);
}

struct load {
    pthread_t thread;
    struct id id;
};

static void *make_events(void *arg)
{
    struct load *load = arg;

    load->id = add_run(0);
    for (int i = 0; i < 60; i++)
        add_logs(load->id, 1 + i * 5, 5, "something that happened");
    end_run(load->id);
    return NULL;
}

#define LOADS 3
#define READERS 12

/* Streams begin at any time, some read slowly: each sees all that is above its place. */
static void test_nothing_is_lost_or_repeated_under_load(void **state)
{
    struct load loads[LOADS];
    struct reader readers[READERS];
    const int total = LOADS * (1 + 300 + 1);

    (void)state;
    for (int i = 0; i < LOADS; i++)
        assert_int_equal(pthread_create(&loads[i].thread, NULL, make_events, &loads[i]), 0);
    for (int i = 0; i < READERS; i++) {
        open_as(&readers[i], (struct live_wish){.query.shared = true});
        wait_until(count_lines(text(&readers[i])) >= i * 10, SOON_MS);
    }
    for (int i = 0; i < LOADS; i++)
        (void)pthread_join(loads[i].thread, NULL);
    for (int i = 0; i < READERS; i++) {
        wait_until(count_lines(text(&readers[i])) >= total, SOON_MS);
        assert_in_order(&readers[i], 1, total);
        done(&readers[i]);
    }
}

static void *open_and_close(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        struct reader reader;

        open_as(&reader, (struct live_wish){.query.shared = true});
        take(&reader);
        done(&reader);
    }
    return NULL;
}

/* For the checkers of memory and threads. */
static void test_streams_may_close_at_any_moment(void **state)
{
    struct load load;
    pthread_t threads[3];
    struct live_stats stats;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, NULL), 0);
    (void)make_events(&load);
    for (int i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    live_stats(live, &stats);
    assert_int_equal(stats.streams, 0);
}

/* --- Limits --------------------------------------------------------------------------------
 */

static void test_a_credential_has_so_many_streams(void **state)
{
    struct reader readers[LIVE_STREAMS_PER_ACTOR_MAX];
    struct reader other;
    struct reader nobody;
    struct live_wish wish = {
        .face = &plain, .actor = "key:1", .query.all = true, .wake = note_wake};
    struct err err = {0};

    (void)state;
    for (int i = 0; i < LIVE_STREAMS_PER_ACTOR_MAX; i++)
        open_as(&readers[i], wish);
    assert_null(live_open(live, &wish, &err));
    assert_int_equal(err.kind, ERR_LIMITED);
    assert_string_equal(err.code, "too_many_streams");
    assert_true(err.retry_after_s > 0);
    open_as(&other, (struct live_wish){.actor = "key:2", .query.all = true});
    open_as(&nobody, (struct live_wish){.query.all = true});
    done(&readers[0]);
    open_as(&readers[0], wish);
    for (int i = 0; i < LIVE_STREAMS_PER_ACTOR_MAX; i++)
        done(&readers[i]);
    done(&other);
    done(&nobody);
}

static void test_nothing_is_read_while_nobody_watches(void **state)
{
    struct live_stats stats;
    struct id id = add_run(0);
    struct reader reader;

    (void)state;
    add_logs(id, 1, 100, "x");
    open_as(&reader, (struct live_wish){.query = {.run = id, .after = 101}});
    add_logs(id, 101, 1, "seen");
    wait_until(has(&reader, "seen"), SOON_MS);
    done(&reader);
    live_stats(live, &stats);
    assert_true(stats.read + stats.caught <= 2);
}

#define lives(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TEST_MAIN(lives(test_a_stream_shows_what_was_and_what_comes),
          lives(test_a_stream_begins_after_the_place_it_names),
          lives(test_an_ended_run_is_shown_and_ends_the_stream),
          lives(test_a_run_that_is_gone_ends_the_stream),
          lives(test_once_ends_when_it_has_caught_up), lives(test_each_gets_what_is_theirs),
          lives(test_a_face_may_leave_entries_out),
          lives(test_what_is_new_is_rendered_once_for_all),
          lives(test_who_reads_late_has_missed_nothing),
          lives(test_a_text_beyond_the_queue_still_comes),
          lives(test_nothing_is_lost_or_repeated_under_load),
          lives(test_streams_may_close_at_any_moment),
          lives(test_a_credential_has_so_many_streams),
          lives(test_nothing_is_read_while_nobody_watches))
