/* SPDX-License-Identifier: Apache-2.0 */
/* Launching when the backend is away, slow to answer, or makes jobs wait; what it is told of
 * runs; and jobs that no run needs. The fake launcher's scripts make the trouble. */
#include <string.h>

#include "base/alloc.h"
#include "launch/job_ref.h"
#include "model/token.h"
#include "server.h"
#include "service/state.h"
#include "store/run_store.h"

#define SOON_MS 60000

/* --- One run
 * ----------------------------------------------------------------------------------- */

static struct id id_of(const char *text)
{
    struct id id;

    assert_true(id_parse(text, &id));
    return id;
}

static struct run *stored(struct test_server *server, const char *id)
{
    struct err err = {0};
    struct run *run = run_store_load(server->db, id_of(id), &err);

    assert_made(run, err);
    return run;
}

static int attempts(struct test_server *server, const char *id)
{
    scoped(run) run = stored(server, id);

    return run->attempt;
}

static bool is(struct test_server *server, const char *id, const char *status)
{
    return strcmp(test_server_status(server, id), status) == 0;
}

static bool is_launching(struct test_server *server, const char *id)
{
    scoped(run) run = stored(server, id);

    return run->status == RUN_LAUNCHING;
}

static bool is_started(struct test_server *server, const char *id)
{
    scoped(run) run = stored(server, id);

    return run->job_ref != NULL;
}

/* A field of the status document, for the caller to free; NULL when it isn't there. */
static char *shown(struct test_server *server, const char *id, const char *field)
{
    scoped_str path = xasprintf("/api/tasks/%s/status", id);
    scoped_json answer = NULL;

    assert_int_equal(test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, &answer),
                     200);
    return xstrdup(json_get_str(answer, field));
}

static bool shows(struct test_server *server, const char *id, const char *field,
                  const char *part)
{
    scoped_str text = shown(server, id, field);

    return text && strstr(text, part);
}

static void stop(struct test_server *server, const char *id)
{
    scoped_str path = xasprintf("/api/tasks/%s/stop", id);

    assert_int_equal(test_server_call(server, "POST", path, TEST_API_KEY, NULL, NULL, NULL),
                     202);
}

static char *log_of(struct test_server *server, const char *id, int attempt)
{
    struct job_ref ref = job_ref_make(id_of(id), attempt);
    scoped_buf text = {0};
    struct err err = {0};

    if (launcher_logs(server->service->backends.all[0].launcher, ref.text, 65536, &text, &err)
        < 0)
        return xstrdup("");
    return buf_take(&text);
}

static bool has_logged(struct test_server *server, const char *id, const char *part)
{
    scoped_str text = log_of(server, id, 1);

    return text && strstr(text, part);
}

static struct service_gauges gauges_of(struct test_server *server)
{
    struct service_gauges gauges;

    service_gauges(server->service, &gauges);
    return gauges;
}

/* --- A backend that is away
 * -------------------------------------------------------------------- */

static void test_a_backend_that_is_away_fails_no_run(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    char *ids[20];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        ids[i] = test_server_dispatch(server, token, i % 2 ? "run_ms=1" : "start_away=1");
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        wait_until(is(server, ids[i], "completed"), SOON_MS);
        assert_int_equal(attempts(server, ids[i]), 1);
        free(ids[i]);
    }
    assert_int_equal(gauges_of(server).launch_failures, 0);
    /* A quick runner is done before its start is noted, and its end is counted once it is
     * stored. */
    wait_until(!gauges_of(server).launching_paused, SOON_MS);
    wait_until(gauges_of(server).active == 0, SOON_MS);
    assert_int_equal(gauges_of(server).pending, 0);
}

/* Five pauses: more than all the attempts that a failing launch gets, and longer than the time
 * to claim. Each attempt is refused as often, so that none has a job unless it was kept. */
static void test_it_is_asked_until_it_is_back(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.claim_timeout_s = 2});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "start_away=5");

    (void)state;
    wait_until(has_logged(server, id, "started\n"), SOON_MS);
    wait_until(is(server, id, "completed"), SOON_MS);
}

static void test_while_it_is_away_runs_are_taken_in_up_to_the_cap(void **state)
{
    enum { CAP = 5 };
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_queue_size = CAP});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str first = test_server_dispatch(server, token, "start_away=1000000");
    int status = 200;
    int taken = 0;

    (void)state;
    wait_until(gauges_of(server).launching_paused, SOON_MS);
    for (; taken < 100 && status == 200; taken += status == 200)
        status = test_server_call(server, "POST", "/dispatchTask", token, NULL,
                                  "{\"prompt\":\"start_away=1000000\"}", NULL);
    assert_int_equal(status, 429);
    assert_in_range(taken, CAP, CAP + LAUNCHES_WAITING_MAX);
    assert_string_equal(test_server_status(server, first), "pending");
    assert_true(shows(server, first, "reason", "does not answer"));
    assert_int_equal(gauges_of(server).launch_failures, 0);
}

static void test_a_run_can_be_stopped_while_the_backend_is_away(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "start_away=1000000");

    (void)state;
    wait_until(gauges_of(server).launching_paused, SOON_MS);
    stop(server, id);
    wait_until(is(server, id, "stopped"), SOON_MS);
    wait_until(gauges_of(server).active == 0, SOON_MS);
    /* and nobody is held up by it */
    scoped_str next = test_server_dispatch(server, token, "run_ms=1");
    wait_until(is(server, next, "completed"), SOON_MS);
}

static void test_a_run_waits_for_it_no_longer_than_it_may(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.queue_timeout_s = 5});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "start_away=1000000");

    (void)state;
    wait_until(is(server, id, "failed"), SOON_MS);
    assert_true(shows(server, id, "error_code", "launch_failed"));
    assert_true(shows(server, id, "error", "away as asked"));
}

/* --- Starts that go unanswered
 * ----------------------------------------------------------------- */

static void test_an_unanswered_start_is_asked_for_until_it_is_known(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.claim_timeout_s = 2});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "start_timeouts=5 end=silent");
    scoped_str log = NULL;

    (void)state;
    /* Longer than the time to claim, which begins when the start is known: an attempt that was
     * given up meanwhile would never be known to have started, and neither would the next. */
    wait_until(gauges_of(server).launched > 0, SOON_MS);
    log = log_of(server, id, 1);
    assert_int_equal(strncmp(log, "started\n", strlen("started\n")), 0);
    assert_null(strstr(log + 1, "started\n"));
    wait_until(attempts(server, id) >= 2, SOON_MS);
}

static void test_a_launch_cut_off_by_a_restart_goes_on_under_its_attempt(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "start_away=2");
    scoped(secret) task_token = task_token_derive(id_of(id), 1, server->service->token_key);
    uint8_t hash[SHA256_SIZE];
    struct err err = {0};
    int attempt;

    (void)state;
    token_hash(secret_reveal(task_token), hash);
    assert_ok(run_store_launch(server->db, id_of(id), "fake", hash, clock_wall_ms() + 60000,
                               &attempt, &err),
              err);
    server->config.max_workers = 0;
    test_server_restart(server);
    wait_until(is(server, id, "completed"), SOON_MS);
    assert_int_equal(attempts(server, id), 1);
}

/* --- Jobs that wait
 * ---------------------------------------------------------------------------- */

static void test_a_job_that_waits_for_others_has_time_to_claim_afterwards(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.claim_timeout_s = 4});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "waiting_ms=12000");

    (void)state;
    wait_until(shows(server, id, "reason", "it waits as asked"), SOON_MS);
    assert_true(is(server, id, "pending"));
    wait_until(is(server, id, "completed"), SOON_MS);
    assert_int_equal(attempts(server, id), 1);
    assert_false(shows(server, id, "reason", ""));
}

static void test_a_job_that_has_waited_is_still_to_be_claimed_in_time(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.claim_timeout_s = 1});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "waiting_ms=2000 end=silent");

    (void)state;
    wait_until(attempts(server, id) >= 2, SOON_MS);
}

static void test_a_job_waits_no_longer_than_its_run_may(void **state)
{
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.claim_timeout_s = 1, .queue_timeout_s = 6});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "waiting_ms=80000000");

    (void)state;
    wait_until(is(server, id, "failed"), SOON_MS);
    assert_true(shows(server, id, "error", "it waits as asked"));
    assert_int_equal(attempts(server, id), 1);
    wait_until(has_logged(server, id, "ended\n"), SOON_MS);
}

/* --- What the backend is told
 * ------------------------------------------------------------------ */

static void post_pull_request(struct test_server *server, const char *id)
{
    static const char event[] = "{\"events\":[{\"seq\":1,\"at\":\"2026-01-01T00:00:00Z\","
                                "\"type\":\"pull_request\","
                                "\"url\":\"https://github.com/octo/hello/pull/7\"}]}";
    static const char *const headers[] = {"X-Dispatch-Attempt: 1", NULL};
    scoped(secret) token = task_token_derive(id_of(id), 1, server->service->token_key);

    for (int times = 0; times < 2; times++) /* the second is a repeat */
        assert_int_equal(test_server_call(server, "POST", "/runner/v1/events",
                                          secret_reveal(token), headers, event, NULL),
                         200);
}

static void test_the_story_of_a_run_is_told_beside_its_job(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "run_ms=600000");

    (void)state;
    /* Told once it is stored, and the order is that of the telling. */
    wait_until(has_logged(server, id, "Claimed: "), SOON_MS);
    post_pull_request(server, id);
    stop(server, id);
    wait_until(is(server, id, "stopped"), SOON_MS);
    wait_until(has_logged(server, id,
                          "started\nClaimed: the runner has claimed the run\n"
                          "PullRequestOpened: the pull request is open: "
                          "https://github.com/octo/hello/pull/7\n"
                          "Stopped: the run was stopped\n"),
               SOON_MS);
}

static void test_each_end_is_told_beside_its_job(void **state)
{
    static const struct {
        const char *script;
        const char *status;
        const char *note;
    } cases[] = {
        {"pr=https://github.com/o/n/pull/1", "completed",
         "Completed: the run completed: https://github.com/o/n/pull/1\n"},
        {"end=failed", "failed", "Failed: the run failed (agent_failed): The fake"},
        {"end=oom", "failed", "Failed: the run failed (out_of_memory): the job ended"},
    };
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str id = test_server_dispatch(server, token, cases[i].script);

        wait_until(is(server, id, cases[i].status), SOON_MS);
        wait_until(has_logged(server, id, cases[i].note), SOON_MS);
    }
}

/* --- Jobs that no run needs
 * -------------------------------------------------------------------- */

static void start_job(struct test_server *server, struct id run, int attempt)
{
    scoped(secret) token = task_token_make(run);
    struct job_spec spec = {
        .run = run, .attempt = attempt, .task_token = token, .script = "run_ms=80000000"};
    struct err err = {0};
    scoped_str ref = NULL;

    assert_ok(launcher_start(server->service->backends.all[0].launcher, &spec, &ref, &err),
              err);
}

static enum job_phase phase(struct test_server *server, struct id run, int attempt)
{
    struct job_ref ref = job_ref_make(run, attempt);
    struct job_view view;
    struct err err = {0};

    assert_ok(launcher_poll(server->service->backends.all[0].launcher, ref.text, &view, &err),
              err);
    return view.phase;
}

static int end_earlier(struct db_conn *conn, void *ctx, struct err *err)
{
    struct id *id = ctx;

    return db_exec(conn, err, "UPDATE run SET ended_ms = ended_ms - 3600000 WHERE key = ?1",
                   B(id->key))
                   == 1
               ? 0
               : -1;
}

static void test_only_jobs_known_to_be_over_are_stopped(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str live = test_server_dispatch(server, token, "start_errors=1 run_ms=600000");
    scoped_str ended = test_server_dispatch(server, token, "start_errors=1 run_ms=1");
    struct id unknown = id_make(clock_wall_ms(), 7);
    struct id old = id_of(ended);

    (void)state;
    wait_until(is(server, live, "running"), SOON_MS);
    wait_until(is(server, ended, "completed"), SOON_MS);
    assert_int_equal(attempts(server, live), 2);
    start_job(server, id_of(live), 1);
    start_job(server, id_of(live), 9);
    start_job(server, old, 1);
    start_job(server, unknown, 1);
    assert_true(orphans_sweep(server->service));
    wait_until(phase(server, id_of(live), 1) == JOB_ENDED, SOON_MS);
    wait_until(phase(server, old, 1) == JOB_ENDED, SOON_MS);
    assert_int_equal(phase(server, id_of(live), 2), JOB_RUNNING);
    assert_int_equal(phase(server, id_of(live), 9), JOB_RUNNING);
    assert_int_equal(phase(server, unknown, 1), JOB_RUNNING);
    assert_int_equal(gauges_of(server).strangers, 2);
    assert_int_equal(gauges_of(server).orphans, 2);
}

/* The runner is given time to leave by itself. */
static void test_the_job_of_an_ended_run_is_stopped_after_a_grace(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "end=frozen stubborn");
    struct id run = id_of(id);
    struct err err = {0};

    (void)state;
    wait_until(is(server, id, "running"), SOON_MS);
    wait_until(is_started(server, id), SOON_MS); /* else its launch would stop it */
    scoped(run) seen = stored(server, id);
    assert_true(
        service_end_run(server->service, seen, &(struct run_end){.status = RUN_STOPPED}));
    assert_true(orphans_sweep(server->service));
    assert_int_equal(phase(server, run, 1), JOB_RUNNING);
    assert_ok(db_write(server->db, end_earlier, &run, &err), err);
    assert_true(orphans_sweep(server->service));
    wait_until(phase(server, run, 1) == JOB_ENDED, SOON_MS);
}

static void test_a_launch_under_way_is_no_orphan(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "start_timeouts=1000000 end=silent");

    (void)state;
    wait_until(is_launching(server, id) && phase(server, id_of(id), 1) == JOB_RUNNING, SOON_MS);
    assert_true(orphans_sweep(server->service));
    assert_int_equal(phase(server, id_of(id), 1), JOB_RUNNING);
    assert_int_equal(gauges_of(server).orphans, 0);
}

/* Its start was never answered: whether there is a job, only stopping it makes sure. */
static void test_the_job_of_a_run_stopped_before_its_start_was_known_ends(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "start_timeouts=1000000 end=silent");

    (void)state;
    wait_until(is_launching(server, id) && phase(server, id_of(id), 1) == JOB_RUNNING, SOON_MS);
    stop(server, id);
    wait_until(is(server, id, "stopped"), SOON_MS);
    wait_until(phase(server, id_of(id), 1) == JOB_ENDED, SOON_MS);
}

TEST_MAIN(cmocka_unit_test(test_a_backend_that_is_away_fails_no_run),
          cmocka_unit_test(test_it_is_asked_until_it_is_back),
          cmocka_unit_test(test_while_it_is_away_runs_are_taken_in_up_to_the_cap),
          cmocka_unit_test(test_a_run_can_be_stopped_while_the_backend_is_away),
          cmocka_unit_test(test_a_run_waits_for_it_no_longer_than_it_may),
          cmocka_unit_test(test_an_unanswered_start_is_asked_for_until_it_is_known),
          cmocka_unit_test(test_a_launch_cut_off_by_a_restart_goes_on_under_its_attempt),
          cmocka_unit_test(test_a_job_that_waits_for_others_has_time_to_claim_afterwards),
          cmocka_unit_test(test_a_job_that_has_waited_is_still_to_be_claimed_in_time),
          cmocka_unit_test(test_a_job_waits_no_longer_than_its_run_may),
          cmocka_unit_test(test_the_story_of_a_run_is_told_beside_its_job),
          cmocka_unit_test(test_each_end_is_told_beside_its_job),
          cmocka_unit_test(test_only_jobs_known_to_be_over_are_stopped),
          cmocka_unit_test(test_the_job_of_an_ended_run_is_stopped_after_a_grace),
          cmocka_unit_test(test_a_launch_under_way_is_no_orphan),
          cmocka_unit_test(test_the_job_of_a_run_stopped_before_its_start_was_known_ends))
