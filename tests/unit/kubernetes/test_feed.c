/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/feed.h"

#include "api_server.h"

#define LONG_MS 60000

struct bed {
    struct server server;
    struct script script;
    char *dir;
    struct cluster *cluster;
    struct feed *feed;
};

static _Atomic int signs_of_life;

static void on_heard(void *ctx)
{
    (void)ctx;
    signs_of_life++;
}

static void bed_make(struct bed *bed, void (*serve)(struct conn *), struct said *said)
{
    struct feed_options options = {.path = "/x", .query = "watch=true", .on_heard = on_heard};
    struct err err = {0};

    bed->script.all = said;
    bed->script.count = 1;
    bed->dir = test_dir_new();
    server_start(&bed->server, serve, NULL);
    bed->server.ctx = &bed->script;
    bed->cluster = open_cluster(&bed->server, bed->dir, (struct cluster_options){0});
    options.cluster = bed->cluster;
    bed->feed = feed_open(&options, &err);
    assert_made(bed->feed, err);
}

static void bed_done(struct bed *bed)
{
    feed_free(bed->feed);
    cluster_free(bed->cluster);
    server_stop(&bed->server);
    test_dir_remove(bed->dir);
    free(bed->dir);
}

#define scoped_bed __attribute__((cleanup(bed_done))) struct bed

static int next(struct bed *bed, char **out, struct err *err)
{
    const char *line;
    size_t size;
    int result;

    *err = (struct err){0};
    result = feed_next(bed->feed, clock_monotonic_ms() + LONG_MS, &line, &size, err);
    free(*out);
    *out = result == 1 ? xstrndup(line, size) : NULL;
    return result;
}

static void test_lines_come_one_by_one_and_then_the_end(void **state)
{
    struct said said = {200, END, NULL, "one\ntwo\nrest"};
    scoped_bed bed = {0};
    scoped_str line = NULL;
    struct err err;

    (void)state;
    bed_make(&bed, serve_script, &said);
    assert_int_equal(next(&bed, &line, &err), 1);
    assert_string_equal(line, "one");
    assert_int_equal(next(&bed, &line, &err), 1);
    assert_string_equal(line, "two");
    assert_int_equal(next(&bed, &line, &err), 0);
    assert_true(signs_of_life > 0);
}

static void test_what_came_before_a_break_is_not_lost(void **state)
{
    struct said said = {200, CUT, NULL, "one\ntw"};
    scoped_bed bed = {0};
    scoped_str line = NULL;
    struct err err;

    (void)state;
    bed_make(&bed, serve_script, &said);
    assert_int_equal(next(&bed, &line, &err), 1);
    assert_string_equal(line, "one");
    assert_int_equal(next(&bed, &line, &err), -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_null(err.code);
}

static void test_a_refusal_is_the_streams_error(void **state)
{
    struct said said = {410, WHOLE, NULL, ""};
    scoped_bed bed = {0};
    scoped_str line = NULL;
    struct err err;

    (void)state;
    bed_make(&bed, serve_script, &said);
    assert_int_equal(next(&bed, &line, &err), -1);
    assert_string_equal(err.code, "Expired");
}

static void test_nothing_in_time_is_told_apart_and_the_feed_goes_on(void **state)
{
    struct said said = {200, HANG, NULL, "one\n"};
    scoped_bed bed = {0};
    scoped_str line = NULL;
    const char *got;
    size_t size;
    struct err err;

    (void)state;
    bed_make(&bed, serve_script, &said);
    assert_int_equal(next(&bed, &line, &err), 1);
    assert_int_equal(feed_next(bed.feed, clock_monotonic_ms() + 20, &got, &size, &err), -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_string_equal(err.code, FEED_NOT_YET);
}

static void *stop_it(void *feed)
{
    feed_stop(feed);
    return NULL;
}

static void test_stop_wakes_the_reader(void **state)
{
    struct said said = {200, HANG, NULL, ""};
    scoped_bed bed = {0};
    scoped_str line = NULL;
    pthread_t thread;
    struct err err;

    (void)state;
    bed_make(&bed, serve_script, &said);
    assert_int_equal(pthread_create(&thread, NULL, stop_it, bed.feed), 0);
    assert_int_equal(next(&bed, &line, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static _Atomic bool given_up;

/* Short lines, for as long as somebody takes them. */
static void serve_flood(struct conn *conn)
{
    static char chunk[65536];

    memset(chunk, 'x', sizeof(chunk));
    for (size_t i = 99; i < sizeof(chunk); i += 100)
        chunk[i] = '\n';
    if (!conn_read(conn) || !conn_say(conn, "HTTP/1.1 200 OK\r\n\r\n"))
        return;
    while (conn_write(conn, chunk, sizeof(chunk)))
        ;
    given_up = true;
}

static void test_a_reader_that_does_not_come_ends_the_stream(void **state)
{
    scoped_bed bed = {0};
    scoped_str line = NULL;
    size_t taken = 0;
    struct err err;
    int result;

    (void)state;
    bed_make(&bed, serve_flood, NULL);
    wait_until(given_up, LONG_MS);
    while ((result = next(&bed, &line, &err)) == 1)
        taken += strlen(line) + 1;
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_in_range(taken, 1, FEED_WAITING_MAX);
}

/* One line, for as long as somebody takes it. */
static void serve_endless_line(struct conn *conn)
{
    static char chunk[65536];

    memset(chunk, 'x', sizeof(chunk));
    if (!conn_read(conn) || !conn_say(conn, "HTTP/1.1 200 OK\r\n\r\n"))
        return;
    while (conn_write(conn, chunk, sizeof(chunk)))
        ;
}

static void test_a_line_without_an_end_is_too_large(void **state)
{
    scoped_bed bed = {0};
    scoped_str line = NULL;
    struct err err;

    (void)state;
    bed_make(&bed, serve_endless_line, NULL);
    assert_int_equal(next(&bed, &line, &err), -1);
    assert_true(err.kind == ERR_TOO_LARGE);
}

TEST_MAIN(cmocka_unit_test(test_lines_come_one_by_one_and_then_the_end),
          cmocka_unit_test(test_what_came_before_a_break_is_not_lost),
          cmocka_unit_test(test_a_refusal_is_the_streams_error),
          cmocka_unit_test(test_nothing_in_time_is_told_apart_and_the_feed_goes_on),
          cmocka_unit_test(test_stop_wakes_the_reader),
          cmocka_unit_test(test_a_reader_that_does_not_come_ends_the_stream),
          cmocka_unit_test(test_a_line_without_an_end_is_too_large))
