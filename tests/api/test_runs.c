/* SPDX-License-Identifier: Apache-2.0 */
/* A run's whole life through the service, with the fake launcher acting as its runner, and
 * what the task routes and the operator's routes show of it. */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "model/token.h"
#include "server.h"
#include "store/run_store.h"

#define SOON_MS 60000

static bool ended_as(struct test_server *server, const char *id, const char *status)
{
    return strcmp(test_server_status(server, id), status) == 0;
}

static cJSON *shown(struct test_server *server, const char *id)
{
    scoped_str path = xasprintf("/api/tasks/%s/status", id);
    cJSON *answer = NULL;

    assert_int_equal(test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, &answer),
                     200);
    return answer;
}

static int64_t attempts(struct test_server *server, const char *id)
{
    struct err err = {0};
    struct id parsed;

    assert_true(id_parse(id, &parsed));
    scoped(run) run = run_store_load(server->db, parsed, &err);
    assert_made(run, err);
    return run->attempt;
}

static void test_run_goes_from_queue_to_completed(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "claim_ms=1 run_ms=5");
    scoped_json task = NULL;

    (void)state;
    wait_until(ended_as(server, id, "completed"), SOON_MS);
    task = shown(server, id);
    assert_non_null(json_get_str(task, "submitted_at"));
    assert_non_null(json_get_str(task, "queued_at"));
    assert_non_null(json_get_str(task, "started_at"));
    assert_non_null(json_get_str(task, "completed_at"));
    assert_non_null(json_get(task, "result"));
    assert_null(json_get(task, "error"));
}

static void test_failures_have_a_code_and_a_sentence(void **state)
{
    static const struct {
        const char *script;
        const char *code;
    } cases[] = {
        {"end=failed", "agent_failed"},
        {"run_ms=5 end=crash", "lost"},
        {"run_ms=5 end=oom", "out_of_memory"},
        {"run_ms=5 end=evicted", "evicted"},
    };
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str id = test_server_dispatch(server, token, cases[i].script);
        scoped_json task = NULL;

        wait_until(ended_as(server, id, "failed"), SOON_MS);
        task = shown(server, id);
        assert_string_equal(json_get_str(task, "error_code"), cases[i].code);
        assert_true(strlen(json_get_str(task, "error")) > 5);
        assert_int_equal(attempts(server, id), 1); /* after the claim nothing is repeated */
    }
}

static void test_failed_launch_is_tried_again_as_a_new_attempt(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "start_errors=1");

    (void)state;
    wait_until(ended_as(server, id, "completed"), SOON_MS);
    assert_int_equal(attempts(server, id), 2);
}

static bool completes_at_third_attempt(struct test_server *server, const char *token)
{
    scoped_str id = test_server_dispatch(server, token, "start_errors=2");

    wait_until(ended_as(server, id, "completed") || ended_as(server, id, "failed"), SOON_MS);
    return ended_as(server, id, "completed") && attempts(server, id) == 3;
}

/* The pause after a failed launch (4 s for the second) is ours: it doesn't count as waiting for
 * a worker. On a machine that stands still for 2 s another run shows the same. */
static void test_pause_after_a_failed_launch_is_no_wait_for_a_worker(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.queue_timeout_s = 2});
    scoped_str token = test_server_token(server, "octo/hello");

    (void)state;
    wait_until(completes_at_third_attempt(server, token), SOON_MS);
}

static void test_launch_that_always_fails_ends_after_three_attempts(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "start=error");

    (void)state;
    wait_until(ended_as(server, id, "failed"), SOON_MS);
    assert_int_equal(attempts(server, id), 3);
    scoped_json task = shown(server, id);
    assert_string_equal(json_get_str(task, "error_code"), "launch_failed");
}

static void test_start_that_times_out_after_committing_is_one_job(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "start=timeout_committed run_ms=50");

    (void)state;
    wait_until(ended_as(server, id, "completed"), SOON_MS);
    assert_int_equal(attempts(server, id), 1);
}

static void test_job_that_is_never_claimed_is_launch_failed(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.claim_timeout_s = 1});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "end=silent run_ms=600000");

    (void)state;
    wait_until(attempts(server, id) >= 2, SOON_MS);
}

static void test_run_that_waits_too_long_has_failed(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = 1, .queue_timeout_s = 5});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str running = test_server_dispatch(server, token, "run_ms=600000");

    (void)state;
    wait_until(ended_as(server, running, "running"), SOON_MS);
    scoped_str waiting = test_server_dispatch(server, token, "run_ms=1");
    wait_until(ended_as(server, waiting, "failed"), SOON_MS);
    assert_string_equal(test_server_status(server, running), "running");
    scoped_json task = shown(server, waiting);
    assert_string_equal(json_get_str(task, "error_code"), "launch_failed");
}

static void test_frozen_runner_is_lost(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.lost_after_s = 2});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "frozen run_ms=600000");

    (void)state;
    wait_until(ended_as(server, id, "failed"), SOON_MS);
    scoped_json task = shown(server, id);
    assert_string_equal(json_get_str(task, "error_code"), "lost");
}

/* A day ahead no run is late or lost; a day back the frozen one is found out as ever. */
static void test_a_clock_that_is_set_moves_no_deadline(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.lost_after_s = 9, .max_workers = 2});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str lively = test_server_dispatch(server, token, "run_ms=7000");
    scoped_str waits = test_server_dispatch(server, token, "frozen run_ms=600000");

    (void)state;
    clock_jump_for_test(86400000LL);
    wait_until(ended_as(server, lively, "completed"), SOON_MS);
    clock_jump_for_test(-86400000LL);
    scoped_str frozen = test_server_dispatch(server, token, "frozen run_ms=600000");
    wait_until(ended_as(server, waits, "failed"), SOON_MS);
    wait_until(ended_as(server, frozen, "failed"), SOON_MS);
    clock_jump_for_test(0);
    scoped_json task = shown(server, frozen);
    assert_string_equal(json_get_str(task, "error_code"), "lost");
}

static int64_t active_of(struct test_server *server)
{
    struct service_gauges gauges;

    service_gauges(server->service, &gauges);
    return gauges.active;
}

static void test_worker_limit_holds(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = 2});
    scoped_str token = test_server_token(server, "octo/hello");
    char *ids[8];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        ids[i] = test_server_dispatch(server, token, i < 2 ? "run_ms=600000" : "run_ms=30");
    wait_until(active_of(server) == 2, SOON_MS);
    for (size_t i = 0; i < 2; i++) {
        scoped_str path = xasprintf("/api/tasks/%s/stop", ids[i]);

        assert_int_equal(test_server_call(server, "POST", path, TEST_API_KEY, NULL, NULL, NULL),
                         202);
    }
    for (size_t done = 0; done < ARRAY_SIZE(ids);) {
        assert_in_range(active_of(server), 0, 2);
        done += ended_as(server, ids[done], done < 2 ? "stopped" : "completed");
    }
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        free(ids[i]);
}

static void test_gauges_return_to_zero(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    struct service_gauges gauges;

    (void)state;
    for (int i = 0; i < 200; i++) {
        scoped_str id = test_server_dispatch(server, token,
                                             i % 4 == 0   ? "end=crash"
                                             : i % 4 == 1 ? "end=failed"
                                                          : "run_ms=1");

        assert_non_null(id);
    }
    wait_until((service_gauges(server->service, &gauges),
                gauges.ended[RUN_COMPLETED] + gauges.ended[RUN_FAILED] == 200),
               SOON_MS);
    /* They were read before the ends were. */
    service_gauges(server->service, &gauges);
    assert_int_equal(gauges.pending, 0);
    assert_int_equal(gauges.active, 0);
}

static void test_stop_ends_a_pending_and_a_running_run(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = 1});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str running = test_server_dispatch(server, token, "run_ms=600000");
    scoped_str pending = test_server_dispatch(server, token, "run_ms=600000");
    scoped_str path = NULL;

    (void)state;
    wait_until(ended_as(server, running, "running"), SOON_MS);
    path = xasprintf("/api/tasks/%s/stop", pending);
    assert_int_equal(test_server_call(server, "POST", path, TEST_API_KEY, NULL, NULL, NULL),
                     202);
    assert_string_equal(test_server_status(server, pending), "stopped");
    free(path);
    path = xasprintf("/api/tasks/%s/stop", running);
    assert_int_equal(test_server_call(server, "POST", path, TEST_API_KEY, NULL, NULL, NULL),
                     202);
    wait_until(ended_as(server, running, "stopped"), SOON_MS);
    assert_int_equal(test_server_call(server, "POST", path, TEST_API_KEY, NULL, NULL, NULL),
                     409);
}

/* After a restart the fake launcher knows no job: what ran is lost, what waited runs. */
static void test_restart_settles_every_run(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = 1});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str running = test_server_dispatch(server, token, "run_ms=600000");
    scoped_str waiting = test_server_dispatch(server, token, "run_ms=1");

    (void)state;
    wait_until(ended_as(server, running, "running"), SOON_MS);
    test_server_restart(server);
    wait_until(ended_as(server, running, "failed"), SOON_MS);
    wait_until(ended_as(server, waiting, "completed"), SOON_MS);
    scoped_json task = shown(server, running);
    assert_string_equal(json_get_str(task, "error_code"), "lost");
}

/* A crash between the take and the start: the launch is made again, and it is no failure. */
static void test_launch_cut_off_by_a_restart_is_made_again(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});
    scoped_str token = test_server_token(server, "octo/hello");
    struct err err = {0};

    (void)state;
    for (int crash = 0; crash < 5; crash++) {
        scoped_str id = test_server_dispatch(server, token, "run_ms=1");
        struct id parsed;
        uint8_t hash[SHA256_SIZE] = {1};
        int attempt;

        assert_true(id_parse(id, &parsed));
        assert_ok(run_store_launch(server->db, parsed, "fake", hash, clock_wall_ms() + 60000,
                                   &attempt, &err),
                  err);
        server->config.max_workers = 0;
        test_server_restart(server);
        wait_until(ended_as(server, id, "completed"), SOON_MS);
        service_stop(server->service); /* its threads read the setting */
        server->config.max_workers = -1;
        test_server_restart(server);
    }
}

/* --- The task routes
 * --------------------------------------------------------------------------- */

static void test_list_pages_newest_first(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str cursor = xstrdup("");
    int seen = 0;
    int pages = 0;
    char last[ID_TEXT_SIZE] = "zzzzzzzzzzzzzzzzzzzz";

    (void)state;
    for (int i = 0; i < 25; i++)
        free(test_server_dispatch(server, token, "x"));
    while (cursor) {
        scoped_str path = xasprintf("/api/tasks?status=pending&limit=10%s%s",
                                    *cursor ? "&cursor=" : "", cursor);
        scoped_json page = NULL;
        const cJSON *task;

        assert_int_equal(test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, &page),
                         200);
        cJSON_ArrayForEach(task, json_get(page, "tasks"))
        {
            assert_true(strcmp(json_get_str(task, "task_id"), last) < 0);
            (void)snprintf(last, sizeof(last), "%s", json_get_str(task, "task_id"));
            assert_string_equal(json_get_str(task, "description"), "x");
            assert_string_equal(json_get_str(task, "repository_url"),
                                "https://github.com/octo/hello.git");
            seen++;
        }
        pages++;
        free(cursor);
        cursor = xstrdup(json_get_str(page, "next_cursor"));
    }
    assert_int_equal(seen, 25);
    assert_int_equal(pages, 3);
}

static void test_bad_queries_are_400(void **state)
{
    static const char *const bad[] = {"status=queued", "limit=0", "limit=1001",
                                      "limit=x",       "limit=",  "limit=1e2",
                                      "cursor=zzz",    "page=2",  "limit=1&limit=2"};
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        scoped_str path = xasprintf("/api/tasks?%s", bad[i]);
        int status = test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, NULL);

        if (status != 400)
            fail_msg("%s: %d", bad[i], status);
    }
}

static void test_task_routes_need_an_api_key(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});
    scoped_str token = test_server_token(server, "octo/hello");
    const char *const bad[] = {NULL, "", "wrong", "test-api-ke", "test-api-keyy", token};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(
            test_server_call(server, "GET", "/api/tasks", bad[i], NULL, NULL, NULL), 401);
        assert_int_equal(
            test_server_call(server, "GET", "/api/tasks/x/status", bad[i], NULL, NULL, NULL),
            401);
    }
    assert_int_equal(
        test_server_call(server, "GET", "/api/tasks/x/status", TEST_API_KEY, NULL, NULL, NULL),
        404);
    assert_int_equal(test_server_call(server, "GET", "/api/tasks/00000000000000000000/status",
                                      TEST_API_KEY, NULL, NULL, NULL),
                     404);
}

/* --- The operator's routes
 * ----------------------------------------------------------------------- */

static void test_operator_routes_answer(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "x");
    scoped_json health = NULL;
    scoped_json check = NULL;
    scoped_str text = NULL;

    (void)state;
    assert_non_null(id);
    assert_int_equal(test_server_call(server, "GET", "/health", NULL, NULL, NULL, &health),
                     200);
    assert_string_equal(json_get_str(health, "status"), "healthy");
    assert_int_equal(json_get_int(health, "task_queue_size", -1), 1);
    assert_int_equal(json_get_int(health, "review_queue_size", -1), 0);
    assert_int_equal(test_server_call(server, "GET", "/livez", NULL, NULL, NULL, NULL), 200);
    assert_int_equal(test_server_call(server, "GET", "/readyz", NULL, NULL, NULL, NULL), 200);
    assert_int_equal(test_server_call(server, "GET", "/metrics", NULL, NULL, NULL, NULL), 200);
    assert_int_equal(
        test_server_call(server, "GET", "/api/startup/check", NULL, NULL, NULL, &check), 200);
    assert_true(json_get_bool(check, "ok", false));
    text = json_text(check);
    assert_null(strstr(text, "ghp_test"));
    assert_null(strstr(text, TEST_API_KEY));
}

TEST_MAIN(cmocka_unit_test(test_run_goes_from_queue_to_completed),
          cmocka_unit_test(test_failures_have_a_code_and_a_sentence),
          cmocka_unit_test(test_failed_launch_is_tried_again_as_a_new_attempt),
          cmocka_unit_test(test_pause_after_a_failed_launch_is_no_wait_for_a_worker),
          cmocka_unit_test(test_launch_that_always_fails_ends_after_three_attempts),
          cmocka_unit_test(test_start_that_times_out_after_committing_is_one_job),
          cmocka_unit_test(test_job_that_is_never_claimed_is_launch_failed),
          cmocka_unit_test(test_run_that_waits_too_long_has_failed),
          cmocka_unit_test(test_frozen_runner_is_lost),
          cmocka_unit_test(test_a_clock_that_is_set_moves_no_deadline),
          cmocka_unit_test(test_worker_limit_holds),
          cmocka_unit_test(test_gauges_return_to_zero),
          cmocka_unit_test(test_stop_ends_a_pending_and_a_running_run),
          cmocka_unit_test(test_restart_settles_every_run),
          cmocka_unit_test(test_launch_cut_off_by_a_restart_is_made_again),
          cmocka_unit_test(test_list_pages_newest_first),
          cmocka_unit_test(test_bad_queries_are_400),
          cmocka_unit_test(test_task_routes_need_an_api_key),
          cmocka_unit_test(test_operator_routes_answer))
