/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#define GATE "GET /gate HTTP/1.1\r\nHost: x\r\n\r\n"
#define LATER "GET /later HTTP/1.1\r\nHost: x\r\n\r\n"
#define LONG_MS 60000

struct stopping {
    struct httpd *httpd;
    int grace_ms;
    int n_cut;
    _Atomic bool done;
    pthread_t thread;
};

static void *stop(void *arg)
{
    struct stopping *stopping = arg;

    stopping->n_cut = httpd_stop(stopping->httpd, stopping->grace_ms);
    stopping->done = true;
    return NULL;
}

static void begin_stop(struct stopping *stopping)
{
    assert_int_equal(pthread_create(&stopping->thread, NULL, stop, stopping), 0);
}

static int end_stop(struct stopping *stopping)
{
    (void)pthread_join(stopping->thread, NULL);
    return stopping->n_cut;
}

static bool refuses_connections(int port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    scoped_fd fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0;
}

static void test_an_idle_server_stops_at_once(void **state)
{
    struct app *app = app_new();
    struct httpd *httpd = start(app);
    int port = httpd_port(httpd);
    int64_t began_ms = clock_monotonic_ms();
    scoped_fd silent = connect_to(httpd);
    scoped_fd kept = connect_to(httpd);

    (void)state;
    assert_true(send_str(kept, "GET /inline HTTP/1.1\r\nHost: x\r\n\r\n"));
    scoped_answer answer = read_answer(kept);

    assert_int_equal(answer.status, 200);
    assert_int_equal(httpd_stop(httpd, LONG_MS), 0);
    assert_true(clock_monotonic_ms() - began_ms < LONG_MS / 2);
    assert_closed(silent);
    assert_closed(kept);
    assert_true(refuses_connections(port));
    httpd_free(httpd);
    app_free(app);
}

static void test_requests_under_way_are_answered_before_the_end(void **state)
{
    struct app *app = app_new();
    struct stopping stopping = {.httpd = start(app), .grace_ms = LONG_MS};
    int port = httpd_port(stopping.httpd);
    scoped_fd worker = connect_to(stopping.httpd);
    scoped_fd later = connect_to(stopping.httpd);
    scoped_fd half = connect_to(stopping.httpd);

    (void)state;
    assert_true(send_str(worker, GATE));
    assert_true(send_str(later, LATER));
    assert_true(send_str(half, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{"));
    wait_until(app->n_waiting == 1 && app->n_later == 1, ANSWER_MS);
    wait_until(stats_of(stopping.httpd).requests == 3, ANSWER_MS);
    begin_stop(&stopping);
    wait_until(refuses_connections(port), ANSWER_MS);
    assert_false(stopping.done);
    assert_true(send_str(half, "}"));
    scoped_answer third = read_answer(half);

    open_gate(app);
    request_finish(app->later[0], 200, NULL, NULL);
    scoped_answer first = read_answer(worker);
    scoped_answer second = read_answer(later);

    assert_int_equal(first.status, 200);
    assert_string_equal(header_of(&first, "Connection"), "close");
    assert_int_equal(second.status, 200);
    assert_int_equal(third.status, 201);
    assert_int_equal(end_stop(&stopping), 0);
    httpd_free(stopping.httpd);
    app_free(app);
}

static void test_what_outlasts_the_grace_is_told_503(void **state)
{
    struct app *app = app_new();
    struct httpd *httpd = start(app);
    scoped_fd worker = connect_to(httpd);
    scoped_fd later = connect_to(httpd);
    scoped_fd half = connect_to(httpd);

    (void)state;
    assert_true(send_str(worker, GATE));
    assert_true(send_str(later, LATER));
    assert_true(send_str(half, "GET /inline HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"));
    wait_until(app->n_waiting == 1 && app->n_later == 1, ANSWER_MS);
    wait_until(stats_of(httpd).requests == 3, ANSWER_MS);
    assert_int_equal(httpd_stop(httpd, 50), 3);
    scoped_answer first = read_answer(worker);
    scoped_answer second = read_answer(later);

    assert_int_equal(first.status, 503);
    assert_non_null(header_of(&first, "Retry-After"));
    assert_int_equal(second.status, 503);
    assert_closed(worker);
    assert_closed(later);
    assert_closed(half);
    /* The handlers come back after all: their requests were kept for them. */
    assert_string_equal(request_header(app->later[0], "Host"), "x");
    request_finish(app->later[0], 200, jobj({"late", jbool(true)}), NULL);
    open_gate(app);
    httpd_free(httpd);
    app_free(app);
}

static void test_freeing_a_running_server_waits_for_its_handlers(void **state)
{
    struct app *app = app_new();
    struct httpd *httpd = start(app);
    int fds[8];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = connect_to(httpd);
        assert_true(send_str(fds[i], "GET /worker HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
    httpd_free(httpd);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        assert_closed(fds[i]);
        (void)close(fds[i]);
    }
    app_free(app);
}

static void test_stopping_twice_is_stopping_once(void **state)
{
    struct app *app = app_new();
    struct httpd *httpd = start(app);

    (void)state;
    assert_int_equal(httpd_stop(httpd, 100), 0);
    assert_int_equal(httpd_stop(httpd, 100), 0);
    httpd_free(httpd);
    httpd_free(NULL);
    app_free(app);
}

/* Sends requests as fast as it can until the server ends it. */
static void *keep_asking(void *arg)
{
    int fd = *(const int *)arg;

    while (send_str(fd, "GET /worker HTTP/1.1\r\nHost: x\r\n\r\n")) {
        scoped_answer answer = read_answer(fd);

        if (!answer.status)
            break;
        assert_int_equal(answer.status, 200);
    }
    return NULL;
}

static void test_stopping_under_load_never_hangs(void **state)
{
    enum { CLIENTS = 4, ROUNDS = 10 };

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct app *app = app_new();
        struct httpd *httpd = start(app);
        pthread_t threads[CLIENTS];
        int fds[CLIENTS];

        for (int i = 0; i < CLIENTS; i++) {
            fds[i] = connect_to(httpd);
            assert_int_equal(pthread_create(&threads[i], NULL, keep_asking, &fds[i]), 0);
        }
        wait_until(stats_of(httpd).requests > 20, ANSWER_MS);
        assert_int_equal(httpd_stop(httpd, LONG_MS), 0);
        httpd_free(httpd);
        for (int i = 0; i < CLIENTS; i++) {
            (void)pthread_join(threads[i], NULL);
            (void)close(fds[i]);
        }
        app_free(app);
    }
}

TEST_MAIN(cmocka_unit_test(test_an_idle_server_stops_at_once),
          cmocka_unit_test(test_requests_under_way_are_answered_before_the_end),
          cmocka_unit_test(test_what_outlasts_the_grace_is_told_503),
          cmocka_unit_test(test_freeing_a_running_server_waits_for_its_handlers),
          cmocka_unit_test(test_stopping_twice_is_stopping_once),
          cmocka_unit_test(test_stopping_under_load_never_hangs))
