/* SPDX-License-Identifier: Apache-2.0 */
/* Who is launched next: priorities, limits of repositories, one run of a branch at a time; also
 * across a restart. A `silent` job of the fake launcher runs until it is stopped. */
#include <string.h>

#include "base/alloc.h"
#include "server.h"
#include "service/state.h"
#include "store/run_store.h"

#define SOON_MS 60000
/* Claims, and doesn't end: it is told to by a stop. */
#define LONG "run_ms=86000000"

struct asked {
    const char *repo; /* "octo/hello" */
    const char *branch;
    int priority; /* RUN_PRIORITY_UNSAID: isn't said */
};

static char *submit(struct test_server *server, struct asked asked)
{
    scoped_str url = xasprintf("https://github.com/%s", asked.repo);
    scoped_json body = jobj({"repository_url", jstr(url)}, {"description", jstr(LONG)},
                            {"base_branch", jstr(asked.branch)},
                            {"priority", asked.priority >= 0 ? jint(asked.priority) : NULL});
    scoped_str text = json_text(body);
    scoped_json answer = NULL;
    int status =
        test_server_call(server, "POST", "/api/tasks", TEST_API_KEY, NULL, text, &answer);

    if (status != 202)
        fail_msg("%d: %s", status, json_get_str(answer, "error"));
    return xstrdup(json_get_str(answer, "task_id"));
}

static bool is(struct test_server *server, const char *id, const char *status)
{
    return strcmp(test_server_status(server, id), status) == 0;
}

static void stop(struct test_server *server, const char *id)
{
    scoped_str path = xasprintf("/api/tasks/%s/stop", id);

    assert_int_equal(test_server_call(server, "POST", path, TEST_API_KEY, NULL, NULL, NULL),
                     202);
}

static char *reason_of(struct test_server *server, const char *id)
{
    scoped_str path = xasprintf("/api/tasks/%s/status", id);
    scoped_json answer = NULL;

    assert_int_equal(test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, &answer),
                     200);
    return xstrdup(json_get_str(answer, "reason"));
}

static void assert_reason(struct test_server *server, const char *id, const char *wanted)
{
    scoped_str reason = reason_of(server, id);

    assert_non_null(reason);
    assert_string_equal(reason, wanted);
}

static int64_t started_ms(struct test_server *server, const char *text)
{
    struct err err = {0};
    struct id id;

    assert_true(id_parse(text, &id));
    scoped(run) run = run_store_load(server->db, id, &err);
    assert_made(run, err);
    return run->started_ms;
}

static int64_t active_of(struct test_server *server)
{
    struct service_gauges gauges;

    service_gauges(server->service, &gauges);
    return gauges.active;
}

/* --- Priority ----------------------------------------------------------------------------- */

static void urgent_repository(struct config *config)
{
    config->repositories.all = xcalloc(1, sizeof(struct override));
    config->repositories.all[0] =
        (struct override){.name = xstrdup("octo/Urgent"), .priority = 900, .max_in_flight = 0};
    config->repositories.count = 1;
}

/* With one worker, each run is started when the one before has ended. */
static void test_higher_priorities_are_started_first(void **state)
{
    static const struct asked asked[] = {
        {"octo/hello", NULL, 100},  {"octo/hello", NULL, RUN_PRIORITY_UNSAID},
        {"octo/hello", NULL, 1000}, {"octo/urgent", NULL, RUN_PRIORITY_UNSAID},
        {"octo/hello", NULL, 500},  {"octo/hello", NULL, 501},
        {"octo/urgent", NULL, 0},   {"octo/hello", NULL, 1000},
    };
    static const size_t order[] = {2, 7, 3, 5, 1, 4, 0, 6};
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.max_workers = 1, .configure = urgent_repository});
    scoped_str first = submit(server, (struct asked){"octo/hello", NULL, RUN_PRIORITY_UNSAID});
    char *ids[ARRAY_SIZE(asked)];
    int64_t before_ms;

    (void)state;
    wait_until(is(server, first, "running"), SOON_MS);
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
        ids[i] = submit(server, asked[i]);
    assert_reason(server, ids[0], "1 run is in flight, which is the limit");
    before_ms = started_ms(server, first);
    stop(server, first);
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        const char *id = ids[order[i]];

        wait_until(is(server, id, "running"), SOON_MS);
        assert_true(started_ms(server, id) >= before_ms);
        before_ms = started_ms(server, id);
        for (size_t later = i + 1; later < ARRAY_SIZE(order); later++)
            assert_true(is(server, ids[order[later]], "pending"));
        stop(server, id);
    }
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
        free(ids[i]);
}

static void test_priorities_out_of_range_are_refused(void **state)
{
    static const char *const bad[] = {"-1", "1001", "1.5", "\"high\"", "true", "1e9", "[]"};
    static const char *const faces[][2] = {
        {"/api/tasks",
         "{\"repository_url\": \"https://github.com/a/b\", \"description\": \"x\","
         " \"priority\": %s}"},
        {"/api/tasks/submit", "{\"repository_url\": \"https://github.com/a/b\","
                              " \"description\": \"x\", \"priority\": %s}"},
        {"/api/v1/agents", "{\"repo\": \"a/b\", \"prompt\": \"x\", \"priority\": %s}"},
    };
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});

    (void)state;
    for (size_t face = 0; face < ARRAY_SIZE(faces); face++)
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
            scoped_str before = xstrndup(faces[face][1], strcspn(faces[face][1], "%"));
            scoped_str body = xasprintf("%s%s}", before, bad[i]);
            scoped_json answer = NULL;
            int status = test_server_call(server, "POST", faces[face][0], TEST_API_KEY, NULL,
                                          body, &answer);
            scoped_str text = json_text(answer);

            if (status != 400 || !strstr(text, "priority: "))
                fail_msg("%s %s: %d %s", faces[face][0], body, status, text);
        }
}

/* --- Limits ------------------------------------------------------------------------------- */

static void two_of_octo_two(struct config *config)
{
    config->repositories.all = xcalloc(1, sizeof(struct override));
    config->repositories.all[0] = (struct override){
        .name = xstrdup("octo/two"), .priority = RUN_PRIORITY_UNSAID, .max_in_flight = 2};
    config->repositories.count = 1;
}

static void one_of_each(struct config *config)
{
    config->max_in_flight = 1;
}

static void test_a_repository_has_no_more_in_flight_than_its_limit(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = two_of_octo_two});
    char *ids[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        ids[i] = submit(server, (struct asked){"octo/two", NULL, RUN_PRIORITY_UNSAID});
    scoped_str other = submit(server, (struct asked){"octo/hello", NULL, RUN_PRIORITY_UNSAID});
    /* the one behind them isn't held up */
    wait_until(is(server, other, "running"), SOON_MS);
    wait_until(is(server, ids[0], "running") && is(server, ids[1], "running"), SOON_MS);
    assert_reason(server, ids[2],
                  "2 runs of this repository are in flight, which is its limit");
    assert_int_equal(active_of(server), 3);
    stop(server, ids[0]);
    wait_until(is(server, ids[2], "running"), SOON_MS);
    assert_true(is(server, ids[3], "pending"));
    /* An end gives its place to the next one before it is counted. */
    wait_until(active_of(server) == 3, SOON_MS);
    stop(server, ids[3]); /* one that waits leaves no gap and no trace */
    stop(server, ids[1]);
    stop(server, ids[2]);
    wait_until(active_of(server) == 1, SOON_MS);
    for (size_t i = 0; i < 4; i++)
        free(ids[i]);
    scoped_str last = submit(server, (struct asked){"octo/two", NULL, RUN_PRIORITY_UNSAID});
    wait_until(is(server, last, "running"), SOON_MS);
}

static void test_a_limit_of_all_is_one_of_each(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = one_of_each});
    scoped_str a = submit(server, (struct asked){"octo/a", NULL, RUN_PRIORITY_UNSAID});
    scoped_str again = submit(server, (struct asked){"Octo/A", NULL, RUN_PRIORITY_UNSAID});
    scoped_str b = submit(server, (struct asked){"octo/b", NULL, RUN_PRIORITY_UNSAID});

    (void)state;
    wait_until(is(server, a, "running") && is(server, b, "running"), SOON_MS);
    assert_reason(server, again, "1 run of this repository is in flight, which is its limit");
}

static void test_integration_tokens_runs_count_too(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = one_of_each});
    scoped_str token = test_server_token(server, "octo/a");
    scoped_str first = test_server_dispatch(server, token, LONG);
    scoped_str second = test_server_dispatch(server, token, LONG);

    (void)state;
    wait_until(is(server, first, "running"), SOON_MS);
    assert_reason(server, second, "1 run of this repository is in flight, which is its limit");
    stop(server, first);
    wait_until(is(server, second, "running"), SOON_MS);
}

/* --- Branches ----------------------------------------------------------------------------- */

static void test_a_named_branch_has_one_run_at_a_time(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str first = submit(server, (struct asked){"octo/a", "main", RUN_PRIORITY_UNSAID});
    scoped_str second = submit(server, (struct asked){"octo/a", "main", RUN_PRIORITY_UNSAID});
    scoped_str beside = submit(server, (struct asked){"octo/a", "next", RUN_PRIORITY_UNSAID});
    scoped_str unnamed = submit(server, (struct asked){"octo/a", NULL, RUN_PRIORITY_UNSAID});

    (void)state;
    wait_until(is(server, first, "running"), SOON_MS);
    wait_until(is(server, beside, "running") && is(server, unnamed, "running"), SOON_MS);
    assert_reason(server, second, "a run of this repository and branch is in flight");
    stop(server, first);
    wait_until(is(server, second, "running"), SOON_MS);
}

/* --- Across a restart --------------------------------------------------------------------- */

static void launch_all(struct test_server *server)
{
    server->config.max_workers = 0;
}

static void launch_one_of_each(struct test_server *server)
{
    server->config.max_workers = 0;
    server->config.max_in_flight = 1;
}

static void test_what_waits_its_turn_waits_on_after_a_restart(void **state)
{
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.max_workers = -1, .configure = two_of_octo_two});
    char *ids[3];

    (void)state;
    scoped_str low = submit(server, (struct asked){"octo/a", NULL, 1});
    for (size_t i = 0; i < 3; i++)
        ids[i] = submit(server, (struct asked){"octo/two", NULL, RUN_PRIORITY_UNSAID});
    test_server_restart_with(server, launch_all);
    wait_until(is(server, ids[0], "running") && is(server, ids[1], "running"), SOON_MS);
    wait_until(is(server, low, "running"), SOON_MS);
    assert_reason(server, ids[2],
                  "2 runs of this repository are in flight, which is its limit");
    for (size_t i = 0; i < 3; i++)
        free(ids[i]);
}

static void launch_three(struct test_server *server)
{
    server->config.max_workers = 3;
}

#define MANY 10

static void queue_many(struct test_server *server, char *ids[MANY])
{
    scoped_str token = test_server_token(server, "octo/a");

    for (size_t i = 0; i < MANY; i++)
        ids[i] = test_server_dispatch(server, token, "silent");
}

/* Of those queued, so many have a job, and so many aren't taken. */
static size_t n_started(struct test_server *server, char *const ids[MANY],
                        size_t *out_n_pending)
{
    size_t count = 0;

    *out_n_pending = 0;

    for (size_t i = 0; i < MANY; i++) {
        struct err err = {0};
        struct id id;

        assert_true(id_parse(ids[i], &id));
        scoped(run) run = run_store_load(server->db, id, &err);

        assert_made(run, err);
        assert_true(run->status == RUN_PENDING || run->status == RUN_LAUNCHING);
        assert_true(run->attempt == (run->status == RUN_LAUNCHING));
        count += run->job_ref != NULL;
        *out_n_pending += run->status == RUN_PENDING;
    }
    return count;
}

static void forget(char *ids[MANY])
{
    for (size_t i = 0; i < MANY; i++)
        free(ids[i]);
}

static void test_what_is_queued_is_taken_together(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});
    struct db_stats stats;
    size_t n_pending;
    char *ids[MANY];

    (void)state;
    queue_many(server, ids);
    test_server_restart_with(server, launch_all);
    wait_until(n_started(server, ids, &n_pending) == MANY, SOON_MS);
    db_stats(server->db, &stats);
    /* One for each job that has started; the takes, which would be as many again; the start. */
    assert_in_range(stats.writes, MANY, MANY + MANY / 2);
    forget(ids);
}

static void test_no_more_are_taken_together_than_there_are_workers(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});
    size_t n_pending;
    char *ids[MANY];

    (void)state;
    queue_many(server, ids);
    test_server_restart_with(server, launch_three);
    wait_until(n_started(server, ids, &n_pending) == 3, SOON_MS);
    assert_int_equal(n_pending, MANY - 3);
    forget(ids);
}

/* Queued without a limit, launched under one. */
static void test_a_limit_that_is_new_holds_for_what_was_queued_before(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});
    scoped_str token = test_server_token(server, "octo/a");
    scoped_str first = test_server_dispatch(server, token, LONG);
    scoped_str second = test_server_dispatch(server, token, LONG);

    (void)state;
    test_server_restart_with(server, launch_one_of_each);
    wait_until(is(server, first, "running"), SOON_MS);
    assert_reason(server, second, "1 run of this repository is in flight, which is its limit");
    stop(server, first);
    wait_until(is(server, second, "running"), SOON_MS);
}

static void test_one_that_waits_its_turn_gives_up_in_time(void **state)
{
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.configure = one_of_each, .queue_timeout_s = 5});
    scoped_str first = submit(server, (struct asked){"octo/a", NULL, RUN_PRIORITY_UNSAID});

    (void)state;
    wait_until(is(server, first, "running"), SOON_MS);
    scoped_str second = submit(server, (struct asked){"octo/a", NULL, RUN_PRIORITY_UNSAID});
    wait_until(is(server, second, "failed"), SOON_MS);
    assert_true(is(server, first, "running"));
}

/* A launch that failed goes back to its place, and gives its repository's to the next. */
static void test_a_failed_launch_gives_its_place_to_the_next(void **state)
{
    static const char body[] = "{\"repository_url\": \"https://github.com/octo/a\","
                               " \"description\": \"start=error\"}";
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = one_of_each});
    scoped_json answer = NULL;

    (void)state;
    assert_int_equal(
        test_server_call(server, "POST", "/api/tasks", TEST_API_KEY, NULL, body, &answer), 202);
    scoped_str next = submit(server, (struct asked){"octo/a", NULL, RUN_PRIORITY_UNSAID});
    wait_until(is(server, next, "running"), SOON_MS);
    stop(server, next);
    wait_until(is(server, json_get_str(answer, "task_id"), "failed"), SOON_MS);
}

TEST_MAIN(cmocka_unit_test(test_higher_priorities_are_started_first),
          cmocka_unit_test(test_priorities_out_of_range_are_refused),
          cmocka_unit_test(test_a_repository_has_no_more_in_flight_than_its_limit),
          cmocka_unit_test(test_a_limit_of_all_is_one_of_each),
          cmocka_unit_test(test_integration_tokens_runs_count_too),
          cmocka_unit_test(test_a_named_branch_has_one_run_at_a_time),
          cmocka_unit_test(test_what_waits_its_turn_waits_on_after_a_restart),
          cmocka_unit_test(test_what_is_queued_is_taken_together),
          cmocka_unit_test(test_no_more_are_taken_together_than_there_are_workers),
          cmocka_unit_test(test_a_limit_that_is_new_holds_for_what_was_queued_before),
          cmocka_unit_test(test_one_that_waits_its_turn_gives_up_in_time),
          cmocka_unit_test(test_a_failed_launch_gives_its_place_to_the_next))
