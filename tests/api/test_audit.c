/* SPDX-License-Identifier: Apache-2.0 */
/* Each thing that is done is in the audit log, with who did it; everybody sees their own. */
#include "store/audit.h"

#include <string.h>

#include "base/alloc.h"
#include "server.h"

#define SOON_MS 60000
#define OTHER_KEY "another-api-key"

static struct test_server *open_server(int max_workers)
{
    return test_server_new(
        &(struct test_server_options){.max_workers = max_workers, .more_api_keys = OTHER_KEY});
}

static cJSON *audit(struct test_server *server, const char *bearer, const char *query)
{
    scoped_str path = xasprintf("/api/audit?%s", query);
    cJSON *answer = NULL;

    assert_int_equal(test_server_call(server, "GET", path, bearer, NULL, NULL, &answer), 200);
    return answer;
}

static char *submit(struct test_server *server, const char *key)
{
    scoped_json answer = NULL;

    assert_int_equal(test_server_call(server, "POST", "/api/tasks", key, NULL,
                                      "{\"repository_url\":\"https://github.com/octo/hello\","
                                      "\"description\":\"the prompt-canary\"}",
                                      &answer),
                     202);
    return xstrdup(json_get_str(answer, "task_id"));
}

static int do_to(struct test_server *server, const char *key, const char *format,
                 const char *id)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    scoped_str path = xasprintf(format, id);
#pragma GCC diagnostic pop

    return test_server_call(server, "POST", path, key, NULL, NULL, NULL);
}

/* The entry with this action and target; NULL. */
static const cJSON *find(const cJSON *page, const char *action, const char *target)
{
    const cJSON *entry;

    cJSON_ArrayForEach(entry, json_get(page, "entries"))
    {
        if (strcmp(json_get_str(entry, "action"), action) == 0
            && (!target || strcmp(json_get_str(entry, "target"), target) == 0))
            return entry;
    }
    return NULL;
}

static const char *actor_of(const cJSON *page, const char *action, const char *target)
{
    const cJSON *entry = find(page, action, target);

    if (!entry)
        fail_msg("no %s of %s", action, target ? target : "anything");
    return json_get_str(entry, "actor");
}

/* --- What is in it --------------------------------------------------------------------------
 */

static void test_what_people_do_to_a_run_is_in_it(void **state)
{
    scoped(test_server) server = open_server(-1);
    scoped_str admin = test_server_admin(server);
    scoped_str run = submit(server, TEST_API_KEY);

    (void)state;
    assert_int_equal(do_to(server, TEST_API_KEY, "/api/tasks/%s/stop", run), 202);
    assert_int_equal(do_to(server, TEST_API_KEY, "/api/tasks/%s/stop", run), 409);
    assert_int_equal(do_to(server, TEST_API_KEY, "/api/tasks/%s/retry", run), 202);
    scoped_json mine = audit(server, TEST_API_KEY, "order=asc");
    assert_int_equal(cJSON_GetArraySize(json_get(mine, "entries")), 4);
    const cJSON *queued = find(mine, "run.queue", run);
    assert_non_null(queued);
    assert_int_equal(strncmp(json_get_str(queued, "actor"), "key:", 4), 0);
    assert_string_equal(json_get_str(queued, "address"), "127.0.0.1");
    assert_string_equal(json_get_str(queued, "detail"), "octo/hello");
    assert_non_null(json_get_str(queued, "request_id"));
    assert_int_equal(strlen(json_get_str(queued, "hash")), 64);
    assert_non_null(find(mine, "run.stop", run));
    assert_string_equal(json_get_str(find(mine, "run.end", run), "detail"), "stopped");
    assert_string_equal(json_get_str(find(mine, "run.retry", NULL), "detail"), run);
    scoped_json all = audit(server, admin, "");
    scoped_str text = json_text(all);
    assert_null(strstr(text, "canary"));
    assert_null(strstr(text, TEST_API_KEY));
    assert_null(strstr(text, admin));
}

static void test_the_request_id_is_that_of_the_request(void **state)
{
    static const char *const headers[] = {"X-Request-Id: my-own-id", NULL};
    scoped(test_server) server = open_server(-1);
    scoped_json answer = NULL;

    (void)state;
    assert_int_equal(test_server_call(server, "POST", "/api/tasks", TEST_API_KEY, headers,
                                      "{\"repository_url\":\"https://github.com/octo/hello\","
                                      "\"description\":\"x\"}",
                                      &answer),
                     202);
    scoped_json mine = audit(server, TEST_API_KEY, "");
    assert_string_equal(
        json_get_str(find(mine, "run.queue", json_get_str(answer, "task_id")), "request_id"),
        "my-own-id");
}

static void test_the_life_of_a_dispatched_run_is_in_it(void **state)
{
    scoped(test_server) server = open_server(0);
    scoped_str admin = test_server_admin(server);
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str done = test_server_dispatch(server, token, "claim_ms=1 run_ms=1");
    scoped_str lost = test_server_dispatch(server, token, "run_ms=5 end=crash");
    scoped_str runner = xasprintf("runner:%s", done);

    (void)state;
    wait_until(strcmp(test_server_status(server, done), "completed") == 0, SOON_MS);
    wait_until(strcmp(test_server_status(server, lost), "failed") == 0, SOON_MS);
    scoped_json all = audit(server, admin, "");
    assert_int_equal(strncmp(actor_of(all, "run.queue", done), "token:", 6), 0);
    assert_string_equal(actor_of(all, "run.claim", done), runner);
    assert_string_equal(json_get_str(find(all, "run.claim", done), "detail"), "attempt 1");
    assert_string_equal(actor_of(all, "run.end", done), runner);
    assert_string_equal(json_get_str(find(all, "run.end", done), "detail"), "completed");
    assert_string_equal(actor_of(all, "run.end", lost), "dispatchd");
    assert_string_equal(json_get_str(find(all, "run.end", lost), "detail"), "failed lost");
    /* of one run */
    scoped_str query = xasprintf("order=asc&run=%s", done);
    scoped_json of_run = audit(server, admin, query);
    assert_int_equal(cJSON_GetArraySize(json_get(of_run, "entries")), 3);
    assert_string_equal(json_get_str(json_get(of_run, "entries")->child, "action"),
                        "run.queue");
}

static void test_a_repeated_dispatch_is_in_it_once(void **state)
{
    static const char *const headers[] = {"Idempotency-Key: k1", NULL};
    scoped(test_server) server = open_server(-1);
    scoped_str admin = test_server_admin(server);
    scoped_str token = test_server_token(server, "octo/hello");
    int queued = 0;
    const cJSON *entry;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(test_server_call(server, "POST", "/dispatchTask", token, headers,
                                          "{\"prompt\":\"x\"}", NULL),
                         200);
    scoped_json all = audit(server, admin, "");
    cJSON_ArrayForEach(entry, json_get(all, "entries"))
    {
        queued += strcmp(json_get_str(entry, "action"), "run.queue") == 0;
    }
    assert_int_equal(queued, 1);
}

static void test_tokens_made_and_revoked_are_in_it(void **state)
{
    scoped(test_server) server = open_server(-1);
    scoped_str admin = test_server_admin(server);
    scoped_json made = NULL;
    scoped_json all = NULL;

    (void)state;
    assert_int_equal(test_server_call(server, "POST", "/api/tokens/integration", admin, NULL,
                                      "{\"repo\":\"octo/hello\"}", &made),
                     201);
    scoped_str path = xasprintf("/api/tokens/integration/%s", json_get_str(made, "id"));
    assert_int_equal(test_server_call(server, "DELETE", path, admin, NULL, NULL, NULL), 200);
    all = audit(server, admin, "");
    scoped_str target = xasprintf("token:%s", json_get_str(made, "id"));
    assert_int_equal(strncmp(actor_of(all, "token.create", target), "personal:", 9), 0);
    assert_int_equal(strncmp(actor_of(all, "token.revoke", target), "personal:", 9), 0);
}

static void test_the_chain_of_a_busy_server_is_intact(void **state)
{
    scoped(test_server) server = open_server(0);
    scoped_str token = test_server_token(server, "octo/hello");
    struct audit_verdict verdict;
    struct err err = {0};

    (void)state;
    for (int i = 0; i < 30; i++) {
        scoped_str run = test_server_dispatch(server, token, "run_ms=1");

        if (i % 3 == 0)
            (void)do_to(server, TEST_API_KEY, "/api/tasks/%s/stop", run);
    }
    assert_ok(audit_verify(server->db, NULL, &verdict, &err), err);
    assert_int_equal(verdict.broken, 0);
    assert_true(verdict.entries >= 30);
}

/* --- Who sees what --------------------------------------------------------------------------
 */

static void test_everybody_sees_their_own(void **state)
{
    scoped(test_server) server = open_server(-1);
    scoped_str admin = test_server_admin(server);
    scoped_str mine = submit(server, TEST_API_KEY);
    scoped_str theirs = submit(server, OTHER_KEY);
    scoped_json page = audit(server, TEST_API_KEY, "");
    scoped_json other = audit(server, OTHER_KEY, "");
    scoped_json all = audit(server, admin, "");
    scoped_str query = xasprintf("run=%s", theirs);
    scoped_json none = audit(server, TEST_API_KEY, query);

    (void)state;
    assert_non_null(find(page, "run.queue", mine));
    assert_null(find(page, "run.queue", theirs));
    assert_non_null(find(other, "run.queue", theirs));
    assert_null(find(other, "run.queue", mine));
    assert_non_null(find(all, "run.queue", mine));
    assert_non_null(find(all, "run.queue", theirs));
    assert_int_equal(cJSON_GetArraySize(json_get(none, "entries")), 0);
}

static void test_pages_follow_each_other(void **state)
{
    scoped(test_server) server = open_server(-1);
    scoped_str cursor = xstrdup("");
    int64_t before = INT64_MAX;
    int seen = 0;

    (void)state;
    for (int i = 0; i < 7; i++)
        free(submit(server, TEST_API_KEY));
    do {
        scoped_str query = xasprintf("limit=3%s%s", *cursor ? "&cursor=" : "", cursor);
        scoped_json page = audit(server, TEST_API_KEY, query);
        const cJSON *entry;

        cJSON_ArrayForEach(entry, json_get(page, "entries"))
        {
            assert_true(json_get_int(entry, "number", 0) < before);
            before = json_get_int(entry, "number", 0);
            seen++;
        }
        free(cursor);
        cursor = xstrdup(json_get_str(page, "next_cursor"));
    } while (cursor);
    assert_int_equal(seen, 7);
}

static void test_bad_questions_are_refused(void **state)
{
    static const struct {
        const char *query;
        const char *field;
    } cases[] = {
        {"order=up", "order"},    {"order=", "order"},
        {"run=7", "run"},         {"limit=0", "limit"},
        {"limit=1001", "limit"},  {"limit=1e3", "limit"},
        {"cursor=0", "cursor"},   {"cursor=-1", "cursor"},
        {"cursor=x", "cursor"},   {"cursor=99999999999999999999", "cursor"},
        {"actor=key:1", "actor"},
    };
    scoped(test_server) server = open_server(-1);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str path = xasprintf("/api/audit?%s", cases[i].query);
        scoped_json answer = NULL;
        int status = test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, &answer);

        if (status != 400)
            fail_msg("%s: %d", cases[i].query, status);
        assert_string_equal(json_get_str(json_get(answer, "details"), "field"), cases[i].field);
    }
    assert_int_equal(test_server_call(server, "GET", "/api/audit", NULL, NULL, NULL, NULL),
                     401);
}

TEST_MAIN(cmocka_unit_test(test_what_people_do_to_a_run_is_in_it),
          cmocka_unit_test(test_the_request_id_is_that_of_the_request),
          cmocka_unit_test(test_the_life_of_a_dispatched_run_is_in_it),
          cmocka_unit_test(test_a_repeated_dispatch_is_in_it_once),
          cmocka_unit_test(test_tokens_made_and_revoked_are_in_it),
          cmocka_unit_test(test_the_chain_of_a_busy_server_is_intact),
          cmocka_unit_test(test_everybody_sees_their_own),
          cmocka_unit_test(test_pages_follow_each_other),
          cmocka_unit_test(test_bad_questions_are_refused))
