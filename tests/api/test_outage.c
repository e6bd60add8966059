/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of runs while something under them fails: runners that never get as far as a
 * claim, a database that can't be written. */
#include <sqlite3.h>
#include <string.h>

#include "base/alloc.h"
#include "server.h"

#define SOON_MS 120000

static cJSON *task(struct test_server *server, const char *id)
{
    scoped_str path = xasprintf("/api/tasks/%s/status", id);
    cJSON *answer = NULL;

    assert_int_equal(test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, &answer),
                     200);
    return answer;
}

static bool is(struct test_server *server, const char *id, const char *status)
{
    return strcmp(test_server_status(server, id), status) == 0;
}

/* --- Runners ------------------------------------------------------------------------------ */

static void use_broken_runner(struct config *config)
{
    free(config->runner);
    config->runner = xstrdup("/bin/false");
}

static void test_a_runner_that_never_claims_ends_the_run_with_the_reason(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){
        .launcher = "process", .agent_command = "true", .configure = use_broken_runner});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "Fix it");
    scoped_json ended = NULL;

    (void)state;
    wait_until(is(server, id, "failed"), SOON_MS);
    ended = task(server, id);
    assert_string_equal(json_get_str(ended, "error_code"), "launch_failed");
    assert_non_null(strstr(json_get_str(ended, "error"), "before its runner claimed the run"));
}

/* --- The database ------------------------------------------------------------------------- */

static void say(sqlite3 *other, const char *sql)
{
    if (sqlite3_exec(other, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(other));
}

static int try_to_dispatch(struct test_server *server, const char *token)
{
    return test_server_call(server, "POST", "/dispatchTask", token, NULL, "{\"prompt\": \"x\"}",
                            NULL);
}

/* Somebody holds it longer than a write waits. What is due meanwhile, runs to be launched again
 * and runs that end, is done once it is let go. */
static void test_what_is_due_while_the_database_is_held_happens_afterwards(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    sqlite3 *other = NULL;
    char *ids[4];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        ids[i] = test_server_dispatch(server, token, i % 2 ? "start_errors=1" : "run_ms=3000");
    assert_int_equal(sqlite3_open(server->config.database, &other), SQLITE_OK);
    (void)sqlite3_busy_timeout(other, SOON_MS);
    say(other, "BEGIN IMMEDIATE");
    assert_int_equal(try_to_dispatch(server, token), 503);
    assert_int_equal(try_to_dispatch(server, token), 503);
    say(other, "ROLLBACK");
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        wait_until(is(server, ids[i], "completed"), SOON_MS);
        free(ids[i]);
    }
    assert_int_equal(try_to_dispatch(server, token), 200);
}

TEST_MAIN(cmocka_unit_test(test_a_runner_that_never_claims_ends_the_run_with_the_reason),
          cmocka_unit_test(test_what_is_due_while_the_database_is_held_happens_afterwards))
