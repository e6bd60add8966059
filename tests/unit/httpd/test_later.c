/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#define LATER "GET /later HTTP/1.1\r\nHost: x\r\n\r\n"

static struct app *app;
static struct httpd *httpd;

static int set_up(void **state)
{
    (void)state;
    app = app_new();
    httpd = start(app);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    httpd_free(httpd);
    app_free(app);
    return 0;
}

/* Answers what comes to /later until it has answered `n`. */
static void *finish_many(void *arg)
{
    int n = *(const int *)arg;
    int done = 0;

    while (done < n) {
        if (done == app->n_later) {
            (void)usleep(200);
            continue;
        }
        (void)pthread_mutex_lock(&app->lock);
        struct request *req = app->later[done];
        (void)pthread_mutex_unlock(&app->lock);
        request_finish(req, 200, jobj({"turn", jint(done)}), NULL);
        done++;
    }
    return NULL;
}

static void test_200_at_once_are_all_answered_from_another_thread(void **state)
{
    enum { MANY = 200, ROUNDS = 5 };
    int n = MANY * ROUNDS;
    int fds[MANY];
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, finish_many, &n), 0);
    for (int i = 0; i < MANY; i++)
        fds[i] = connect_to(httpd);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < MANY; i++)
            assert_true(send_str(fds[i], LATER));
        for (int i = 0; i < MANY; i++) {
            scoped_answer answer = read_answer(fds[i]);

            assert_int_equal(answer.status, 200);
            assert_non_null(strstr(answer.body, "\"turn\":"));
        }
    }
    (void)pthread_join(thread, NULL);
    for (int i = 0; i < MANY; i++)
        (void)close(fds[i]);
    /* Counted once the answer is out. */
    wait_until(stats_of(httpd).by_status[2] == MANY * ROUNDS, ANSWER_MS);
}

static void test_the_loop_serves_others_while_one_waits(void **state)
{
    scoped_fd waiting = connect_to(httpd);

    (void)state;
    assert_true(send_str(waiting, LATER));
    wait_until(app->n_later == 1, ANSWER_MS);
    scoped_answer other = get(httpd, "/inline");

    assert_int_equal(other.status, 200);
    assert_true(is_still_open(waiting));
    request_finish(app->later[0], 200, NULL, NULL);
    scoped_answer answer = read_answer(waiting);

    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "");
}

static void test_a_late_answer_may_be_an_error(void **state)
{
    scoped_fd fd = connect_to(httpd);
    struct err err = {0};

    (void)state;
    assert_true(send_str(fd, LATER));
    wait_until(app->n_later == 1, ANSWER_MS);
    (void)err_set(&err, ERR_CONFLICT, "someone was first");
    request_finish(app->later[0], -1, NULL, &err);
    scoped_answer answer = read_answer(fd);

    assert_int_equal(answer.status, 409);
    assert_non_null(strstr(answer.body, "someone was first"));
}

static void test_a_handler_may_finish_before_it_returns(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        scoped_answer answer = get(httpd, "/within");

        assert_int_equal(answer.status, 202);
        assert_string_equal(answer.body, "{\"within\":true}");
    }
}

/* The request stays valid for the one who will answer it, and the connection goes then. */
static void test_a_client_may_vanish_while_its_answer_is_made(void **state)
{
    enum { MANY = 20 };

    (void)state;
    for (int i = 0; i < MANY; i++) {
        struct linger hard = {.l_onoff = 1};
        int fd = connect_to(httpd);

        assert_true(send_str(fd, LATER));
        wait_until(app->n_later == i + 1, ANSWER_MS);
        if (i % 2) /* with a reset */
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        (void)close(fd);
    }
    for (int i = 0; i < MANY; i++) {
        assert_non_null(request_header(app->later[i], "Host"));
        request_set_header(app->later[i], "X-Late", "yes");
        request_finish(app->later[i], 200, jobj({"late", jbool(true)}), NULL);
    }
    wait_until(stats_of(httpd).connections == 0, ANSWER_MS);
}

static void test_a_client_may_vanish_while_a_worker_works(void **state)
{
    int fd = connect_to(httpd);

    (void)state;
    assert_true(send_str(fd, "GET /gate HTTP/1.1\r\nHost: x\r\nX-Tag: t\r\n\r\n"));
    wait_until(app->n_waiting == 1, ANSWER_MS);
    (void)close(fd);
    open_gate(app);
    wait_until(stats_of(httpd).connections == 0, ANSWER_MS);
}

static void test_more_requests_than_workers_wait_their_turn(void **state)
{
    enum { MANY = 40 };
    int fds[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        fds[i] = connect_to(httpd);
        assert_true(send_str(fds[i], "GET /gate HTTP/1.1\r\nHost: x\r\nX-Tag: t\r\n\r\n"));
    }
    wait_until(app->n_waiting == 4, ANSWER_MS);
    open_gate(app);
    for (int i = 0; i < MANY; i++) {
        scoped_answer answer = read_answer(fds[i]);

        assert_int_equal(answer.status, 200);
        assert_non_null(strstr(answer.body, "\"agent\":\"t\""));
        (void)close(fds[i]);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TEST_MAIN(CASE(test_200_at_once_are_all_answered_from_another_thread),
          CASE(test_the_loop_serves_others_while_one_waits),
          CASE(test_a_late_answer_may_be_an_error),
          CASE(test_a_handler_may_finish_before_it_returns),
          CASE(test_a_client_may_vanish_while_its_answer_is_made),
          CASE(test_a_client_may_vanish_while_a_worker_works),
          CASE(test_more_requests_than_workers_wait_their_turn))
