/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* A client that keeps to it has to be able to, on a busy machine. */
#define DEADLINE_MS 2000

static struct app *app;
static struct httpd *httpd;

static int set_up(void **state)
{
    struct httpd_options options;

    (void)state;
    app = app_new();
    options = test_options(app);
    options.request_deadline_ms = DEADLINE_MS;
    options.answer_deadline_ms = DEADLINE_MS;
    httpd = start_with(&options);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    httpd_free(httpd);
    app_free(app);
    return 0;
}

/* Sends `bytes` over and over, well within any inactivity time-out, until the server ends it;
 * returns for how long it could. */
static int64_t drip(int fd, const char *bytes)
{
    int64_t began_ms = clock_monotonic_ms();

    while (is_still_open(fd)) {
        if (clock_monotonic_ms() > began_ms + ANSWER_MS)
            fail_msg("it is still open");
        (void)send_bytes(fd, bytes, strlen(bytes));
        (void)usleep(10000);
    }
    return clock_monotonic_ms() - began_ms;
}

static void test_a_head_that_drips_in_is_cut(void **state)
{
    scoped_fd fd = connect_to(httpd);

    (void)state;
    assert_true(send_str(fd, "GET /inline HTTP/1.1\r\nHost: x\r\n"));
    assert_true(drip(fd, "A: b\r\n") >= DEADLINE_MS / 2);
    assert_int_equal(app->n_handled, 0);
    assert_int_equal(stats_of(httpd).cut_late, 1);
}

static void test_a_body_that_drips_in_is_cut(void **state)
{
    scoped_fd fd = connect_to(httpd);

    (void)state;
    assert_true(
        send_str(fd, "POST /measure HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n"));
    assert_true(drip(fd, "x") >= DEADLINE_MS / 2);
    assert_int_equal(app->n_handled, 0);
    assert_int_equal(stats_of(httpd).cut_late, 1);
    wait_until(stats_of(httpd).by_status[0] == 1, ANSWER_MS);
}

static void test_a_connection_that_says_nothing_is_cut(void **state)
{
    scoped_fd fd = connect_to(httpd);

    (void)state;
    assert_closed(fd);
    assert_int_equal(stats_of(httpd).cut_late, 1);
}

static void test_a_kept_connection_that_idles_is_closed_without_blame(void **state)
{
    scoped_fd fd = connect_to(httpd);

    (void)state;
    assert_true(send_str(fd, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n"));
    scoped_answer answer = read_answer(fd);

    assert_int_equal(answer.status, 200);
    assert_closed(fd);
    assert_int_equal(stats_of(httpd).cut_late, 0);
}

static void test_each_request_of_a_connection_has_the_whole_time(void **state)
{
    scoped_fd fd = connect_to(httpd);
    int64_t until_ms = clock_monotonic_ms() + 3 * DEADLINE_MS;

    (void)state;
    while (clock_monotonic_ms() < until_ms) {
        assert_true(send_str(fd, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n"));
        scoped_answer answer = read_answer(fd);

        assert_int_equal(answer.status, 200);
        (void)usleep(5000);
    }
}

static void test_a_handler_may_take_longer_than_any_deadline(void **state)
{
    scoped_fd worker = connect_to(httpd);
    scoped_fd later = connect_to(httpd);
    int64_t began_ms = clock_monotonic_ms();

    (void)state;
    assert_true(send_str(worker, "GET /gate HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_true(send_str(later, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n"));
    wait_until(app->n_waiting == 1 && app->n_later == 1, ANSWER_MS);
    wait_until(clock_monotonic_ms() > began_ms + 2 * DEADLINE_MS, ANSWER_MS);
    open_gate(app);
    request_finish(app->later[0], 200, NULL, NULL);
    scoped_answer first = read_answer(worker);
    scoped_answer second = read_answer(later);

    assert_int_equal(first.status, 200);
    assert_int_equal(second.status, 200);
    assert_int_equal(stats_of(httpd).cut_late, 0);
}

static void test_a_client_that_doesnt_read_is_cut(void **state)
{
    scoped_fd fd = connect_to(httpd);

    (void)state;
    assert_true(send_str(fd, "GET /text/67108864 HTTP/1.1\r\nHost: x\r\n\r\n"));
    wait_until(stats_of(httpd).cut_late == 1, ANSWER_MS);
    wait_until(stats_of(httpd).connections == 0, ANSWER_MS);
    assert_int_equal(stats_of(httpd).by_status[0], 1);
}

static void test_many_late_connections_are_all_cut(void **state)
{
    enum { MANY = 200 };
    int fds[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        fds[i] = connect_to(httpd);
        (void)send_str(fds[i], i % 2 ? "GET /inline HTTP/1.1\r\n" : "G");
    }
    for (int i = 0; i < MANY; i++) {
        assert_closed(fds[i]);
        (void)close(fds[i]);
    }
    wait_until(stats_of(httpd).connections == 0, ANSWER_MS);
    assert_int_equal(stats_of(httpd).cut_late, MANY);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TEST_MAIN(CASE(test_a_head_that_drips_in_is_cut), CASE(test_a_body_that_drips_in_is_cut),
          CASE(test_a_connection_that_says_nothing_is_cut),
          CASE(test_a_kept_connection_that_idles_is_closed_without_blame),
          CASE(test_each_request_of_a_connection_has_the_whole_time),
          CASE(test_a_handler_may_take_longer_than_any_deadline),
          CASE(test_a_client_that_doesnt_read_is_cut),
          CASE(test_many_late_connections_are_all_cut))
