/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that go on. */
#include "harness.h"

#define FEEDS_MAX 600
#define SOON_MS 60000

/* A source that the test fills. Its stream is woken under the lock that close takes. */
struct feed {
    pthread_mutex_t lock;
    struct buf waiting;
    struct httpd_stream *stream;
    bool end;     /* when nothing waits */
    bool endless; /* there is always more */
    bool has_idle;
    int n_idle;
    bool closed;
};

static struct feed feeds[FEEDS_MAX];
static _Atomic int n_closed;

static ssize_t feed_read(void *ctx, char *out, size_t room)
{
    struct feed *feed = ctx;
    ssize_t got = 0;

    (void)pthread_mutex_lock(&feed->lock);
    if (feed->endless) {
        memset(out, 'x', room);
        got = (ssize_t)room;
    } else if (feed->waiting.size) {
        got = (ssize_t)(feed->waiting.size < room ? feed->waiting.size : room);
        memcpy(out, feed->waiting.data, (size_t)got);
        buf_drop_front(&feed->waiting, (size_t)got);
    } else if (feed->end) {
        got = HTTPD_STREAM_END;
    }
    (void)pthread_mutex_unlock(&feed->lock);
    return got;
}

static ssize_t feed_idle(void *ctx, char *out, size_t room)
{
    struct feed *feed = ctx;

    assert_true(room > 2);
    if (!feed->has_idle)
        return 0;
    feed->n_idle++;
    memcpy(out, ":\n", 2);
    return 2;
}

static void feed_close(void *ctx)
{
    struct feed *feed = ctx;

    (void)pthread_mutex_lock(&feed->lock);
    feed->closed = true;
    feed->stream = NULL;
    (void)pthread_mutex_unlock(&feed->lock);
    n_closed++;
}

static const struct httpd_stream_ops feed_ops = {feed_read, feed_idle, feed_close};

static void feed_wake(struct feed *feed, const char *text, bool end)
{
    (void)pthread_mutex_lock(&feed->lock);
    buf_append_str(&feed->waiting, text);
    feed->end = end;
    if (feed->stream)
        httpd_stream_wake(feed->stream);
    (void)pthread_mutex_unlock(&feed->lock);
}

static bool is_closed(struct feed *feed)
{
    bool closed;

    (void)pthread_mutex_lock(&feed->lock);
    closed = feed->closed;
    (void)pthread_mutex_unlock(&feed->lock);
    return closed;
}

static int open_stream(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    struct feed *feed = &feeds[atoi(request_param(req, "n"))];

    (void)out;
    app->n_handled++;
    (void)pthread_mutex_lock(&feed->lock);
    feed->stream = request_set_stream(req, "text/event-stream", &feed_ops, feed);
    httpd_stream_wake(feed->stream); /* before there is anything: it may come at any time */
    (void)pthread_mutex_unlock(&feed->lock);
    if (request_query(req, "fail"))
        return err_set(err, ERR_CONFLICT, "no after all");
    return 200;
}

static const struct route stream_routes[] = {
    {HTTP_GET, "/stream/{n}", ANYONE, 0, open_stream, ""},
    {HTTP_GET, "/inline-stream/{n}", ANYONE, ROUTE_INLINE, open_stream, ""},
    {HTTP_GET, "/inline", ANYONE, ROUTE_INLINE, say_hello, ""},
};

static struct app *app;

static int set_up(void **state)
{
    (void)state;
    app = app_new();
    n_closed = 0;
    for (size_t i = 0; i < FEEDS_MAX; i++) {
        feeds[i] = (struct feed){0};
        (void)pthread_mutex_init(&feeds[i].lock, NULL);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < FEEDS_MAX; i++) {
        buf_done(&feeds[i].waiting);
        (void)pthread_mutex_destroy(&feeds[i].lock);
    }
    app_free(app);
    return 0;
}

static struct httpd *start_streams(int idle_ms, int stall_ms)
{
    struct httpd_options options = test_options(app);

    options.routes = stream_routes;
    options.n_routes = ARRAY_SIZE(stream_routes);
    options.connections_per_address_max = 2000;
    options.stream_idle_ms = idle_ms;
    options.stream_stall_ms = stall_ms;
    return start_with(&options);
}

/* A connection on which stream n has begun. */
static int open_at(const struct httpd *httpd, const char *path, int n)
{
    scoped_str request = xasprintf("GET %s/%d HTTP/1.1\r\nHost: x\r\n\r\n", path, n);
    int fd = connect_to(httpd);

    assert_true(send_str(fd, request));
    return fd;
}

static int begin(const struct httpd *httpd, int n)
{
    int fd = open_at(httpd, "/stream", n);
    scoped_answer answer = read_answer(fd);

    assert_int_equal(answer.status, 200);
    return fd;
}

/* Adds what the next chunk has; false: it was the last. */
static bool read_chunk(int fd, struct buf *out)
{
    scoped_buf line = {0};
    size_t size;

    while (!line.size || line.data[line.size - 1] != '\n')
        if (!read_exactly(fd, &line, 1))
            fail_msg("the connection ended within the stream, after: %s",
                     out->data ? out->data : "");
    size = strtoul(line.data, NULL, 16);
    if (!read_exactly(fd, out, size))
        fail_msg("the connection ended within a chunk");
    buf_clear(&line);
    assert_true(read_exactly(fd, &line, 2));
    assert_string_equal(line.data, "\r\n");
    return size > 0;
}

static void read_until(int fd, struct buf *out, const char *text)
{
    while (!out->data || !strstr(out->data, text))
        if (!read_chunk(fd, out))
            fail_msg("the stream ended without %s", text);
}

static void read_to_end(int fd, struct buf *out)
{
    while (read_chunk(fd, out))
        ;
}

/* --- What is sent --------------------------------------------------------------------------
 */

static void test_a_stream_is_sent_as_it_comes_and_leaves_the_connection_usable(void **state)
{
    static const char *const paths[] = {"/stream", "/inline-stream"};
    scoped(httpd) httpd = start_streams(0, 0);

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct feed *feed = &feeds[i];
        scoped_buf got = {0};

        feed_wake(feed, "first\n", false);
        scoped_fd fd = open_at(httpd, paths[i], i);
        scoped_answer answer = read_answer(fd);
        assert_string_equal(header_of(&answer, "Content-Type"), "text/event-stream");
        assert_string_equal(header_of(&answer, "Transfer-Encoding"), "chunked");
        assert_string_equal(header_of(&answer, "Cache-Control"), "no-store");
        assert_string_equal(header_of(&answer, "X-Accel-Buffering"), "no");
        assert_string_equal(header_of(&answer, "X-Content-Type-Options"), "nosniff");
        assert_non_null(header_of(&answer, "X-Request-Id"));
        read_until(fd, &got, "first\n");
        feed_wake(feed, "second\n", false);
        read_until(fd, &got, "second\n");
        assert_false(is_closed(feed));
        feed_wake(feed, "last\n", true);
        read_to_end(fd, &got);
        assert_string_equal(got.data, "first\nsecond\nlast\n");
        wait_until(is_closed(feed), SOON_MS);
        assert_true(send_str(fd, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n"));
        scoped_answer next = read_answer(fd);
        assert_int_equal(next.status, 200);
    }
}

static void test_a_client_without_chunks_gets_the_bytes(void **state)
{
    scoped(httpd) httpd = start_streams(0, 0);
    scoped_buf got = {0};
    char piece[256];
    ssize_t size;

    (void)state;
    scoped_fd fd = connect_to(httpd);
    assert_true(send_str(fd, "GET /stream/0 HTTP/1.0\r\n\r\n"));
    scoped_answer answer = read_answer(fd);
    assert_int_equal(answer.status, 200);
    assert_null(header_of(&answer, "Transfer-Encoding"));
    feed_wake(&feeds[0], "one\n", false);
    assert_true(read_exactly(fd, &got, 4));
    feed_wake(&feeds[0], "two\n", true);
    while ((size = receive(fd, piece, sizeof(piece))) > 0)
        buf_append(&got, piece, (size_t)size);
    assert_string_equal(got.data, "one\ntwo\n");
}

static void test_a_handler_that_fails_after_all_answers_that(void **state)
{
    scoped(httpd) httpd = start_streams(0, 0);

    (void)state;
    scoped_answer answer = get(httpd, "/stream/0?fail=1");
    assert_int_equal(answer.status, 409);
    wait_until(is_closed(&feeds[0]), SOON_MS);
}

#define THREADS 4
#define LINES 400

struct writer {
    pthread_t thread;
    int number;
};

static void *write_lines(void *arg)
{
    const struct writer *writer = arg;

    for (int i = 0; i < LINES; i++) {
        scoped_str line = xasprintf("%d %d\n", writer->number, i);

        feed_wake(&feeds[i % 3], line, false);
    }
    return NULL;
}

/* Each thread's lines are there, once and in their order. */
static void check_lines(const char *text, int feed)
{
    int next[THREADS] = {feed, feed, feed, feed};
    int n_lines = 0;

    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        int writer = 0;
        int number = 0;

        assert_int_equal(sscanf(line, "%d %d\n", &writer, &number), 2);
        assert_in_range(writer, 0, THREADS - 1);
        assert_int_equal(number, next[writer]);
        next[writer] += 3;
        n_lines++;
    }
    assert_int_equal(n_lines, THREADS * ((LINES - feed + 2) / 3));
}

static void test_wakes_from_many_threads_lose_nothing(void **state)
{
    scoped(httpd) httpd = start_streams(0, 0);
    struct writer writers[THREADS];
    int fds[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        fds[i] = begin(httpd, i);
    for (int i = 0; i < THREADS; i++) {
        writers[i].number = i;
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_lines, &writers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(writers[i].thread, NULL);
    for (int i = 0; i < 3; i++) {
        scoped_buf got = {0};

        feed_wake(&feeds[i], "", true);
        read_to_end(fds[i], &got);
        check_lines(got.data, i);
        (void)close(fds[i]);
    }
}

static void test_a_quiet_stream_shows_that_it_lives(void **state)
{
    scoped(httpd) httpd = start_streams(20, 0);
    scoped_buf got = {0};

    (void)state;
    feeds[0].has_idle = true;
    scoped_fd fd = begin(httpd, 0);
    read_until(fd, &got, ":\n:\n:\n");
    feed_wake(&feeds[0], "x\n", false);
    read_until(fd, &got, "x\n");
    read_until(fd, &got, "x\n:\n");
}

static void test_a_source_without_signs_of_life_stays_quiet(void **state)
{
    scoped(httpd) httpd = start_streams(5, 0);
    scoped_buf got = {0};
    struct httpd_stats stats;

    (void)state;
    scoped_fd quiet = begin(httpd, 0);
    feeds[1].has_idle = true;
    scoped_fd other = begin(httpd, 1);
    read_until(other, &got, ":\n:\n:\n:\n"); /* the quiet one was asked as often */
    assert_true(is_still_open(quiet));
    httpd_stats(httpd, &stats);
    assert_int_equal(stats.streams, 2);
}

/* --- Clients -------------------------------------------------------------------------------
 */

static void test_a_client_that_takes_nothing_is_cut(void **state)
{
    scoped(httpd) httpd = start_streams(0, 2000);
    struct httpd_stats stats;

    (void)state;
    feeds[0].endless = true;
    scoped_fd fd = begin(httpd, 0);
    scoped_fd other = begin(httpd, 1);
    assert_true(fd >= 0);
    wait_until(is_closed(&feeds[0]), SOON_MS);
    httpd_stats(httpd, &stats);
    assert_int_equal(stats.cut_late, 1);
    /* nobody asked anything of the other one */
    assert_false(is_closed(&feeds[1]));
    assert_true(is_still_open(other));
}

/* Four times what the socket holds, which takes longer than the stall's limit. */
static void test_a_slow_reader_is_served(void **state)
{
    scoped(httpd) httpd = start_streams(0, 5000);
    const size_t wanted = (size_t)4 << 20;
    size_t taken = 0;
    char piece[65536];

    (void)state;
    feeds[0].endless = true;
    scoped_fd fd = begin(httpd, 0);
    for (int64_t began_ms = clock_monotonic_ms();
         taken < wanted || clock_monotonic_ms() - began_ms < 6000;) {
        ssize_t got = receive(fd, piece, sizeof(piece));

        assert_true(got > 0);
        taken += (size_t)got;
        (void)usleep(5000);
    }
    assert_false(is_closed(&feeds[0]));
}

static void test_a_client_that_goes_is_noticed_at_once(void **state)
{
    scoped(httpd) httpd = start_streams(600000, 0);
    struct httpd_stats stats;
    int fds[20];

    (void)state;
    for (int i = 0; i < 20; i++)
        fds[i] = begin(httpd, i);
    for (int i = 0; i < 20; i += 2)
        (void)close(fds[i]);
    wait_until(n_closed == 10, SOON_MS);
    for (int i = 0; i < 20; i++)
        assert_int_equal(is_closed(&feeds[i]), i % 2 == 0);
    /* Counted once its source is closed. */
    wait_until((httpd_stats(httpd, &stats), stats.streams == 10), SOON_MS);
    for (int i = 1; i < 20; i += 2)
        (void)close(fds[i]);
    wait_until(n_closed == 20, SOON_MS);
}

static void *come_and_go(void *arg)
{
    const struct httpd *httpd = arg;

    for (int i = 0; i < 50; i++) {
        int fd = begin(httpd, i);

        (void)close(fd);
        while (!is_closed(&feeds[i]))
            (void)usleep(200);
        feeds[i].closed = false;
    }
    return NULL;
}

/* Waking what is being closed: for the checkers of memory and threads. */
static void test_wakes_and_ends_may_meet(void **state)
{
    scoped(httpd) httpd = start_streams(3, 0);
    pthread_t client;
    bool done = false;

    (void)state;
    assert_int_equal(pthread_create(&client, NULL, come_and_go, httpd), 0);
    while (!done) {
        for (int i = 0; i < 50; i++)
            feed_wake(&feeds[i], "y", false);
        done = n_closed >= 50;
    }
    (void)pthread_join(client, NULL);
}

/* --- Stopping ------------------------------------------------------------------------------
 */

#define MANY 500

static void test_stopping_ends_streams_after_what_they_have(void **state)
{
    scoped(httpd) httpd = start_streams(600000, 0);
    struct httpd_stats stats;
    int fds[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++)
        fds[i] = begin(httpd, i);
    httpd_stats(httpd, &stats);
    assert_int_equal(stats.streams, MANY);
    for (int i = 0; i < MANY; i += 5) {
        (void)pthread_mutex_lock(&feeds[i].lock);
        buf_append_str(&feeds[i].waiting, "the rest\n"); /* and no wake */
        (void)pthread_mutex_unlock(&feeds[i].lock);
    }
    assert_int_equal(httpd_stop(httpd, 600000), 0);
    for (int i = 0; i < MANY; i++) {
        scoped_buf got = {0};

        read_to_end(fds[i], &got);
        assert_string_equal(got.data ? got.data : "", i % 5 == 0 ? "the rest\n" : "");
        assert_closed(fds[i]);
        (void)close(fds[i]);
    }
    wait_until(n_closed == MANY, SOON_MS);
}

static void test_stopping_waits_for_no_stalled_client(void **state)
{
    scoped(httpd) httpd = start_streams(0, 600000);
    struct httpd_stats stats;

    (void)state;
    feeds[0].endless = true;
    scoped_fd fd = begin(httpd, 0);
    assert_true(fd >= 0);
    assert_int_equal(httpd_stop(httpd, 600000), 0);
    wait_until(is_closed(&feeds[0]), SOON_MS);
    httpd_stats(httpd, &stats);
    assert_int_equal(stats.cut_late, 1);
}

static void test_freeing_closes_the_sources(void **state)
{
    struct httpd *httpd = start_streams(0, 0);
    int fds[20];

    (void)state;
    for (int i = 0; i < 20; i++)
        fds[i] = begin(httpd, i);
    feeds[3].endless = true;
    feed_wake(&feeds[3], "", false);
    httpd_free(httpd);
    assert_int_equal(n_closed, 20);
    for (int i = 0; i < 20; i++)
        (void)close(fds[i]);
}

#define streams(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TEST_MAIN(streams(test_a_stream_is_sent_as_it_comes_and_leaves_the_connection_usable),
          streams(test_a_client_without_chunks_gets_the_bytes),
          streams(test_a_handler_that_fails_after_all_answers_that),
          streams(test_wakes_from_many_threads_lose_nothing),
          streams(test_a_quiet_stream_shows_that_it_lives),
          streams(test_a_source_without_signs_of_life_stays_quiet),
          streams(test_a_client_that_takes_nothing_is_cut),
          streams(test_a_slow_reader_is_served),
          streams(test_a_client_that_goes_is_noticed_at_once),
          streams(test_wakes_and_ends_may_meet),
          streams(test_stopping_ends_streams_after_what_they_have),
          streams(test_stopping_waits_for_no_stalled_client),
          streams(test_freeing_closes_the_sources))
