/* SPDX-License-Identifier: Apache-2.0 */
/* The runner protocol (CONTRACT section 6): one claim, fenced attempts, first report wins. */
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "launched.h"
#include "server.h"
#include "store/backup.h"
#include "store/run_details.h"
#include "store/run_store.h"

static const struct test_server_options quiet = {.max_workers = -1};

static char *report_text(const struct launched *run, const char *status, const char *pr_url)
{
    scoped_json report = jobj({"task_id", jstr(run->id_text)}, {"status", jstr(status)},
                              {"pr_url", jstr(pr_url)});

    return json_text(report);
}

static int complete(const struct launched *run, const char *status, const char *pr_url)
{
    scoped_str body = report_text(run, status, pr_url);

    return call(run, "/api/callbacks/complete", body, NULL);
}

static void test_claim_gives_what_the_runner_needs_and_no_secret(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_launched run;
    scoped_json answer = NULL;
    scoped_str text = NULL;

    (void)state;
    launch(&run, server, "Fix the bug");
    assert_int_equal(claim(&run, "runner-a", &answer), 200);
    assert_string_equal(json_get_str(answer, "run_id"), run.id_text);
    assert_int_equal(json_get_int(answer, "attempt", 0), 1);
    assert_string_equal(json_get_str(answer, "repo"), "octo/hello");
    assert_string_equal(json_get_str(answer, "prompt"), "Fix the bug");
    assert_string_equal(json_get_str(answer, "mode"), "execute");
    assert_non_null(json_get_str(answer, "clone_url"));
    assert_non_null(json_get(answer, "bot"));
    text = json_text(answer);
    assert_null(strstr(text, "ghp_test"));
    assert_null(strstr(text, run.task_token));
    assert_string_equal(test_server_status(server, run.id_text), "running");
}

/* As the credential's part wrote it down. */
static int write_requester(struct db_conn *conn, void *ctx, struct err *err)
{
    return db_exec(conn, err, "UPDATE run_input SET requester = ?1", B((const char *)ctx)) < 0
               ? -1
               : 0;
}

static void test_claim_names_who_asked_and_nobody_else(void **state)
{
    static const struct {
        const char *requester;
        const char *name;
        const char *email;
    } cases[] = {
        {"Ada L <ada@example.org>", "Ada L", "ada@example.org"},
        {"Ada\nSigned-off-by: Eve <e@x>", NULL, NULL},
        {"Ada L", NULL, NULL},
        {NULL, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped(test_server) server = test_server_new(&quiet);
        scoped_launched run;
        scoped_json answer = NULL;
        struct err err = {0};
        const cJSON *requester;

        launch(&run, server, "x");
        scoped_str text = xstrdup(cases[i].requester);
        assert_ok(db_write(server->db, write_requester, text, &err), err);
        assert_int_equal(claim(&run, "a", &answer), 200);
        requester = json_get(answer, "requester");
        assert_int_equal(requester != NULL, cases[i].name != NULL);
        if (cases[i].name) {
            assert_string_equal(json_get_str(requester, "name"), cases[i].name);
            assert_string_equal(json_get_str(requester, "email"), cases[i].email);
        }
    }
}

/* Else every run that takes longer than lost_after_s would be ended as lost. */
static void test_runner_is_told_to_call_more_often_than_it_may_be_silent(void **state)
{
    static const int cases[][2] = {{2, 1}, {6, 2}, {30, 10}, {60, 10}, {86400, 10}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped(test_server) server = test_server_new(
            &(struct test_server_options){.max_workers = -1, .lost_after_s = cases[i][0]});
        scoped_launched run;
        scoped_json answer = NULL;

        launch(&run, server, "x");
        assert_int_equal(claim(&run, "a", &answer), 200);
        assert_int_equal(json_get_int(json_get(answer, "limits"), "heartbeat_s", 0),
                         cases[i][1]);
    }
}

static void test_second_runner_is_refused_and_the_first_may_repeat(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_launched run;
    scoped_json refused = NULL;

    (void)state;
    launch(&run, server, "x");
    assert_int_equal(claim(&run, "runner-a", NULL), 200);
    assert_int_equal(claim(&run, "runner-a", NULL), 200);
    assert_int_equal(claim(&run, "runner-b", &refused), 409);
    assert_string_equal(json_get_str(refused, "code"), "claimed");
}

struct claimer {
    pthread_t thread;
    const struct launched *run;
    char name[32];
    int status;
};

static void *race_claim(void *arg)
{
    struct claimer *claimer = arg;

    claimer->status = claim(claimer->run, claimer->name, NULL);
    return NULL;
}

static void test_one_of_many_racing_runners_claims(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);

    (void)state;
    for (int round = 0; round < 20; round++) {
        scoped_launched run;
        struct claimer claimers[8] = {0};
        int won = 0;

        launch(&run, server, "x");
        for (size_t i = 0; i < ARRAY_SIZE(claimers); i++) {
            claimers[i].run = &run;
            (void)snprintf(claimers[i].name, sizeof(claimers[i].name), "runner-%zu", i);
            assert_int_equal(
                pthread_create(&claimers[i].thread, NULL, race_claim, &claimers[i]), 0);
        }
        for (size_t i = 0; i < ARRAY_SIZE(claimers); i++) {
            (void)pthread_join(claimers[i].thread, NULL);
            won += claimers[i].status == 200;
            if (claimers[i].status != 200)
                assert_int_equal(claimers[i].status, 409);
        }
        assert_int_equal(won, 1);
    }
}

static void test_old_attempt_is_fenced(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_launched run;
    scoped_json refused = NULL;
    scoped_str old_token = NULL;
    scoped_str report = NULL;
    struct err err = {0};

    (void)state;
    launch(&run, server, "x");
    old_token = xstrdup(run.task_token);
    assert_ok(run_store_requeue(server->db, run.id, 1, 0, clock_wall_ms() + 60000, "test", true,
                                &err),
              err);
    relaunch(&run);
    assert_int_equal(run.attempt, 2);
    /* The old attempt's token ended with it; the right token with the old number is told. */
    assert_int_equal(
        call_as(&run, old_token, 1, "/runner/v1/claim", "{\"runner_id\": \"a\"}", NULL), 401);
    assert_int_equal(call_as(&run, run.task_token, 1, "/runner/v1/claim",
                             "{\"runner_id\": \"a\"}", &refused),
                     409);
    assert_string_equal(json_get_str(refused, "code"), "stale_attempt");
    report = report_text(&run, "completed", NULL);
    assert_int_equal(call_as(&run, run.task_token, 1, "/api/callbacks/complete", report, NULL),
                     409);
    assert_int_equal(claim(&run, "b", NULL), 200);
}

static void test_attempt_header_is_required(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_launched run;

    (void)state;
    launch(&run, server, "x");
    assert_int_equal(test_server_call(server, "POST", "/runner/v1/claim", run.task_token, NULL,
                                      "{\"runner_id\": \"a\"}", NULL),
                     400);
}

static void test_task_token_opens_nothing_else(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_launched run;
    scoped_launched other;
    scoped_str integration = test_server_token(server, "octo/hello");
    scoped_str body = NULL;

    (void)state;
    launch(&run, server, "x");
    launch(&other, server, "y");
    assert_int_equal(test_server_call(server, "POST", "/dispatchTask", run.task_token, NULL,
                                      "{\"prompt\": \"x\"}", NULL),
                     401);
    assert_int_equal(
        test_server_call(server, "GET", "/api/tasks", run.task_token, NULL, NULL, NULL), 401);
    /* and nothing else opens the runner's routes */
    assert_int_equal(call_as(&run, integration, 1, "/runner/v1/heartbeat", "{}", NULL), 401);
    assert_int_equal(call_as(&run, TEST_API_KEY, 1, "/runner/v1/heartbeat", "{}", NULL), 401);
    assert_int_equal(call_as(&run, NULL, 1, "/runner/v1/heartbeat", "{}", NULL), 401);
    /* nor does one run's token report another's end */
    assert_int_equal(claim(&run, "a", NULL), 200);
    body = report_text(&other, "completed", NULL);
    assert_int_equal(call(&run, "/api/callbacks/complete", body, NULL), 400);
}

static void test_first_report_wins(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_launched run;

    (void)state;
    launch(&run, server, "x");
    assert_int_equal(complete(&run, "completed", "https://example.com/pull/1"), 409);
    assert_int_equal(claim(&run, "a", NULL), 200);
    assert_int_equal(complete(&run, "completed", "https://example.com/pull/1"), 200);
    assert_int_equal(complete(&run, "completed", "https://example.com/pull/1"), 200);
    assert_int_equal(complete(&run, "completed", "https://example.com/pull/2"), 409);
    assert_int_equal(complete(&run, "failed", NULL), 409);
    assert_string_equal(test_server_status(server, run.id_text), "completed");
}

static void test_reports_are_checked(void **state)
{
    static const struct {
        const char *rest; /* after task_id */
        int status;
    } cases[] = {
        {"", 400},
        {", \"status\": \"running\"", 400},
        {", \"status\": \"done\"", 400},
        {", \"status\": \"failed\", \"error_code\": \"bored\"", 400},
        {", \"status\": \"completed\", \"pr\": 1", 400},
        {", \"status\": \"completed\", \"draft\": \"yes\"", 400},
        {", \"status\": \"completed\", \"usage\": 3", 400},
        {", \"status\": \"completed\", \"pr_url\": \"javascript:alert(1)\"", 400},
        {", \"status\": \"completed\", \"result\": 3", 400},
        {", \"status\": \"completed\", \"error_code\": \"tests_failed\"", 400},
        {", \"status\": \"failed\", \"error_code\": \"agent_failed\", \"error\": \"no\"", 200},
    };
    scoped(test_server) server = test_server_new(&quiet);
    scoped_launched run;
    scoped_str path = NULL;
    scoped_json shown = NULL;

    (void)state;
    launch(&run, server, "x");
    assert_int_equal(claim(&run, "a", NULL), 200);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str body = xasprintf("{\"task_id\": \"%s\"%s}", run.id_text, cases[i].rest);
        int status = call(&run, "/api/callbacks/complete", body, NULL);

        if (status != cases[i].status)
            fail_msg("%s: %d", body, status);
    }
    path = xasprintf("/api/tasks/%s/status", run.id_text);
    assert_int_equal(test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, &shown),
                     200);
    assert_string_equal(json_get_str(shown, "error"), "no");
    assert_string_equal(json_get_str(shown, "error_code"), "agent_failed");
}

/* What a run was for, where that is a text; with a bound, and not in lists. */
static void test_a_result_is_shown_on_the_runs_own_page(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_launched run;
    scoped_str path = NULL;
    scoped_str longest = xcalloc(1, RESULT_MAX_BYTES + 2);
    scoped_str body = NULL;
    scoped_str too_long = NULL;
    scoped_json shown = NULL;
    scoped_json list = NULL;

    (void)state;
    launch(&run, server, "x");
    assert_int_equal(claim(&run, "a", NULL), 200);
    memset(longest, 'r', RESULT_MAX_BYTES + 1);
    too_long = xasprintf(", \"result\": \"%s\"", longest);
    assert_int_equal(complete_with(&run, "completed", too_long), 400);
    longest[RESULT_MAX_BYTES] = '\0';
    body = xasprintf(", \"result\": \"%s\"", longest);
    assert_int_equal(complete_with(&run, "completed", body), 200);
    assert_int_equal(complete_with(&run, "completed", body), 200);
    assert_int_equal(complete_with(&run, "completed", ", \"result\": \"another\""), 409);
    path = xasprintf("/api/tasks/%s/status", run.id_text);
    assert_int_equal(test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, &shown),
                     200);
    assert_string_equal(json_get_str(json_get(shown, "result"), "text"), longest);
    assert_int_equal(
        test_server_call(server, "GET", "/api/tasks", TEST_API_KEY, NULL, NULL, &list), 200);
    assert_null(
        json_get(json_get(cJSON_GetArrayItem(json_get(list, "tasks"), 0), "result"), "text"));
}

/* Failing tests, a budget that was used up: the failure and the draft stand side by side. */
static void test_a_failed_run_may_have_left_a_draft(void **state)
{
    static const char *const codes[] = {"tests_failed", "budget_exceeded"};
    scoped(test_server) server = test_server_new(&quiet);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        scoped_launched run;
        scoped_str path = NULL;
        scoped_str rest = xasprintf(", \"error\": \"why\", \"error_code\": \"%s\","
                                    " \"pr_url\": \"https://github.com/o/r/pull/1\","
                                    " \"branch_name\": \"u/x\", \"draft\": true",
                                    codes[i]);
        scoped_json shown = NULL;

        launch(&run, server, "x");
        assert_int_equal(claim(&run, "a", NULL), 200);
        assert_int_equal(complete_with(&run, "failed", rest), 200);
        path = xasprintf("/api/tasks/%s/status", run.id_text);
        assert_int_equal(
            test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, &shown), 200);
        assert_string_equal(json_get_str(shown, "status"), "failed");
        assert_string_equal(json_get_str(shown, "error"), "why");
        assert_string_equal(json_get_str(shown, "error_code"), codes[i]);
        assert_string_equal(json_get_str(json_get(shown, "result"), "pr_url"),
                            "https://github.com/o/r/pull/1");
        assert_true(json_get_bool(json_get(shown, "result"), "draft", false));
    }
}

static void test_token_ends_with_its_run_after_the_grace(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_launched run;
    int64_t now_ms = clock_wall_ms();

    (void)state;
    launch(&run, server, "x");
    assert_int_equal(claim(&run, "a", NULL), 200);
    assert_int_equal(complete(&run, "completed", NULL), 200);
    assert_int_equal(call(&run, "/runner/v1/git-token", "{}", NULL), 409);
    clock_set_for_test(now_ms + 9 * 60 * 1000);
    assert_int_equal(complete(&run, "completed", NULL), 200);
    clock_set_for_test(now_ms + 11 * 60 * 1000);
    assert_int_equal(complete(&run, "completed", NULL), 401);
    clock_set_for_test(-1);
}

static void test_events_are_stored_once(void **state)
{
    static const char batch[] =
        "{\"events\": [{\"seq\": 1, \"at\": \"2026-01-02T03:04:05Z\", \"type\": \"started\"},"
        "{\"seq\": 2, \"at\": \"2026-01-02T03:04:05.5Z\", \"type\": \"log\", \"line\": "
        "\"hi\"}]}";
    scoped(test_server) server = test_server_new(&quiet);
    scoped_launched run;
    scoped_json first = NULL;
    scoped_json again = NULL;

    (void)state;
    launch(&run, server, "x");
    assert_int_equal(claim(&run, "a", NULL), 200);
    assert_int_equal(call(&run, "/runner/v1/events", batch, &first), 200);
    assert_int_equal(json_get_int(first, "stored", -1), 2);
    assert_int_equal(call(&run, "/runner/v1/events", batch, &again), 200);
    assert_int_equal(json_get_int(again, "stored", -1), 0);
}

static void test_events_are_checked(void **state)
{
    static const char *const bad[] = {
        "{}",
        "{\"events\": 1}",
        "{\"events\": [], \"evnts\": []}",
        "{\"events\": [1]}",
        "{\"events\": [{\"seq\": 1, \"type\": \"log\"}]}",
        "{\"events\": [{\"seq\": 0, \"at\": \"2026-01-02T03:04:05Z\", \"type\": \"log\"}]}",
        "{\"events\": [{\"seq\": 1, \"at\": \"yesterday\", \"type\": \"log\"}]}",
        "{\"events\": [{\"seq\": 1, \"at\": \"2026-01-02T03:04:05Z\", \"type\": \"boo\"}]}",
    };
    scoped(test_server) server = test_server_new(&quiet);
    scoped_launched run;

    (void)state;
    launch(&run, server, "x");
    assert_int_equal(claim(&run, "a", NULL), 200);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (call(&run, "/runner/v1/events", bad[i], NULL) != 400)
            fail_msg("%s was taken", bad[i]);
}

static void test_heartbeat_tells_of_a_stop(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_launched run;
    scoped_str path = NULL;
    scoped_json before = NULL;
    scoped_json after = NULL;

    (void)state;
    launch(&run, server, "x");
    assert_int_equal(claim(&run, "a", NULL), 200);
    assert_int_equal(call(&run, "/runner/v1/heartbeat", "{}", &before), 200);
    assert_false(json_get_bool(before, "stop", true));
    path = xasprintf("/api/tasks/%s/stop", run.id_text);
    assert_int_equal(test_server_call(server, "POST", path, TEST_API_KEY, NULL, NULL, NULL),
                     202);
    assert_int_equal(call(&run, "/runner/v1/heartbeat", "{}", &after), 200);
    assert_true(json_get_bool(after, "stop", false));
    assert_int_equal(complete(&run, "stopped", NULL), 200);
    assert_int_equal(test_server_call(server, "POST", path, TEST_API_KEY, NULL, NULL, NULL),
                     409);
}

static void test_git_token_is_given_while_running(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_launched run;
    scoped_json answer = NULL;
    int64_t expires_ms;

    (void)state;
    launch(&run, server, "x");
    assert_int_equal(call(&run, "/runner/v1/git-token", "{}", NULL), 409);
    assert_int_equal(claim(&run, "a", NULL), 200);
    assert_int_equal(call(&run, "/runner/v1/git-token", "{}", &answer), 200);
    assert_string_equal(json_get_str(answer, "token"), "ghp_test");
    assert_true(clock_parse(json_get_str(answer, "expires_at"), &expires_ms));
    assert_true(expires_ms > clock_wall_ms());
}

/* --- After a restore -----------------------------------------------------------------------
 */

static int write_restored(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    return db_exec(conn, err,
                   "INSERT INTO backup (taken_ms, restored_ms, newest_key)"
                   " SELECT ?1, ?1, max(key) FROM run",
                   B(clock_wall_ms()))
                   < 0
               ? -1
               : 0;
}

/* Whose API server nobody listens at: it doesn't say which jobs there are. */
static void use_a_silent_cluster(struct test_server *server)
{
    test_file_write(server->dir, "kubeconfig",
                    "current-context: a\n"
                    "contexts: [{name: a, context: {cluster: a}}]\n"
                    "clusters: [{name: a, cluster: {server: \"http://127.0.0.1:9\"}}]\n");
    free(server->config.launcher);
    server->config.launcher = xstrdup("kubernetes");
    free(server->config.kubernetes.kubeconfig);
    server->config.kubernetes.kubeconfig = xasprintf("%s/kubeconfig", server->dir);
    free(server->config.kubernetes.image);
    server->config.kubernetes.image = xstrdup("runner:1");
}

static void use_the_fake(struct test_server *server)
{
    free(server->config.launcher);
    server->config.launcher = xstrdup("fake");
}

/* What a runner says can't be judged before the launchers have said what there is. */
static void test_runners_are_told_to_wait_while_a_restore_is_unsettled(void **state)
{
    static const char *const paths[] = {
        "/runner/v1/claim",     "/runner/v1/git-token", "/runner/v1/tool-headers",
        "/runner/v1/heartbeat", "/runner/v1/events",    "/api/callbacks/complete",
    };
    scoped(test_server) server = test_server_new(&quiet);
    scoped_launched run;
    struct err err = {0};

    (void)state;
    launch(&run, server, "x");
    assert_int_equal(claim(&run, "runner-a", NULL), 200);
    assert_ok(db_write(server->db, write_restored, NULL, &err), err);
    test_server_restart_with(server, use_a_silent_cluster);
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        scoped_json answer = NULL;

        assert_int_equal(call(&run, paths[i], "{}", &answer), 503);
        assert_string_equal(json_get_str(answer, "code"), "restoring");
    }
    assert_string_equal(test_server_status(server, run.id_text), "running");
    assert_ok(backup_settle(server->db, &err), err);
    test_server_restart_with(server, use_the_fake);
    assert_int_equal(call(&run, "/runner/v1/heartbeat", "{}", NULL), 200);
}

TEST_MAIN(cmocka_unit_test(test_claim_gives_what_the_runner_needs_and_no_secret),
          cmocka_unit_test(test_claim_names_who_asked_and_nobody_else),
          cmocka_unit_test(test_runner_is_told_to_call_more_often_than_it_may_be_silent),
          cmocka_unit_test(test_second_runner_is_refused_and_the_first_may_repeat),
          cmocka_unit_test(test_one_of_many_racing_runners_claims),
          cmocka_unit_test(test_old_attempt_is_fenced),
          cmocka_unit_test(test_attempt_header_is_required),
          cmocka_unit_test(test_task_token_opens_nothing_else),
          cmocka_unit_test(test_first_report_wins), cmocka_unit_test(test_reports_are_checked),
          cmocka_unit_test(test_a_result_is_shown_on_the_runs_own_page),
          cmocka_unit_test(test_a_failed_run_may_have_left_a_draft),
          cmocka_unit_test(test_token_ends_with_its_run_after_the_grace),
          cmocka_unit_test(test_events_are_stored_once),
          cmocka_unit_test(test_events_are_checked),
          cmocka_unit_test(test_heartbeat_tells_of_a_stop),
          cmocka_unit_test(test_runners_are_told_to_wait_while_a_restore_is_unsettled),
          cmocka_unit_test(test_git_token_is_given_while_running))
