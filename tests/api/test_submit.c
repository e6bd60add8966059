/* SPDX-License-Identifier: Apache-2.0 */
/* The task surface's ways in (CONTRACT section 4): submit, retry, history. */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "launched.h"

static const struct test_server_options quiet = {.max_workers = -1};

#define GOOD                                                                                   \
    "\"repository_url\": \"https://github.com/octo/hello.git\", \"description\": \"Do it\""

static int post(struct test_server *server, const char *path, const char *body, cJSON **out)
{
    return test_server_call(server, "POST", path, TEST_API_KEY, NULL, body, out);
}

static int get(struct test_server *server, const char *path, cJSON **out)
{
    return test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, out);
}

/* A submitted run's id, for the caller to free. */
static char *submitted(struct test_server *server, const char *body)
{
    scoped_json answer = NULL;

    assert_int_equal(post(server, "/api/tasks/submit", body, &answer), 202);
    return xstrdup(json_get_str(answer, "task_id"));
}

static void test_submit_answers_as_the_guide_says(void **state)
{
    static const char *const paths[] = {"/api/tasks/submit", "/api/tasks"};
    scoped(test_server) server = test_server_new(&quiet);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        scoped_json answer = NULL;
        struct id id;

        assert_int_equal(post(server, paths[i], "{" GOOD "}", &answer), 202);
        assert_true(id_parse(json_get_str(answer, "task_id"), &id));
        assert_string_equal(json_get_str(answer, "status"), "pending");
        assert_string_equal(json_get_str(answer, "message"), "Task queued successfully");
        assert_null(json_get(answer, "retry_of"));
    }
}

static void test_what_was_submitted_reaches_the_runner(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str id = submitted(server, "{\"repository_url\": \"git@github.com:octo/hello.git\","
                                      " \"description\": \"Add dark mode\","
                                      " \"ticket_id\": \"FEAT-123\","
                                      " \"ticket_summary\": \"add-dark-mode\","
                                      " \"test_command\": \"make test\","
                                      " \"base_branch\": \"release/1.0\"}");
    scoped_launched run;
    scoped_json given = NULL;

    (void)state;
    launch_id(&run, server, id);
    assert_int_equal(claim(&run, "a", &given), 200);
    assert_string_equal(json_get_str(given, "repo"), "octo/hello");
    assert_string_equal(json_get_str(given, "clone_url"), "https://github.com/octo/hello.git");
    assert_string_equal(json_get_str(given, "prompt"), "Add dark mode");
    assert_string_equal(json_get_str(given, "ticket_id"), "FEAT-123");
    assert_string_equal(json_get_str(given, "ticket_summary"), "add-dark-mode");
    assert_string_equal(json_get_str(given, "test_command"), "make test");
    assert_string_equal(json_get_str(given, "base_branch"), "release/1.0");
    assert_string_equal(json_get_str(given, "agent"), "claude-code");
}

static void test_bad_submissions_are_refused_by_field(void **state)
{
    static const struct {
        const char *body;
        const char *complaint; /* how "error" begins */
    } cases[] = {
        {NULL, "expected an object"},
        {"[]", "expected an object"},
        {"{", ""},
        {"{}", "repository_url: required"},
        {"{\"description\": \"x\"}", "repository_url: required"},
        {"{\"repository_url\": \"https://github.com/o/r\"}", "description: required"},
        {"{\"repository_url\": 3, \"description\": \"x\"}",
         "repository_url: expected a string"},
        {"{\"repository_url\": \"\", \"description\": \"x\"}",
         "repository_url: expected a git"},
        {"{\"repository_url\": \"https://gitlab.com/o/r\", \"description\": \"x\"}",
         "repository_url: only repositories of github.com are served"},
        {"{\"repository_url\": \"https://t@github.com/o/r\", \"description\": \"x\"}",
         "repository_url: a URL with a user name"},
        {"{\"repository_url\": \"https://github.com/o\", \"description\": \"x\"}",
         "repository_url: expected OWNER/NAME"},
        {"{\"repository_url\": \"https://github.com/o/r\", \"description\": \" \\n\"}",
         "description: expected some text"},
        {"{" GOOD ", \"description\": \"y\"}", ""},
        {"{" GOOD ", \"ticket\": \"x\"}", "ticket: unknown field"},
        {"{" GOOD ", \"prompt\": \"x\"}", "prompt: unknown field"},
        {"{" GOOD ", \"ticket_id\": 7}", "ticket_id: expected a string"},
        {"{" GOOD ", \"ticket_id\": \"\"}", "ticket_id: expected some text"},
        {"{" GOOD ", \"ticket_id\": \"a\\nb\"}", "ticket_id: expected one line"},
        {"{" GOOD ", \"ticket_summary\": \"\\t\"}", "ticket_summary: expected some text"},
        {"{" GOOD ", \"ticket_summary\": \"a\\u007f\"}", "ticket_summary: expected one line"},
        {"{" GOOD ", \"ticket_summary\": []}", "ticket_summary: expected a string"},
        {"{" GOOD ", \"test_command\": false}", "test_command: expected a string"},
        {"{" GOOD ", \"test_command\": \"a\\nb\"}", "test_command: expected one line"},
        {"{" GOOD ", \"base_branch\": \"\"}", "base_branch: "},
        {"{" GOOD ", \"base_branch\": \"-x\"}", "base_branch: "},
        {"{" GOOD ", \"base_branch\": \"a..b\"}", "base_branch: "},
        {"{" GOOD ", \"base_branch\": \"a b\"}", "base_branch: "},
        {"{" GOOD ", \"base_branch\": \"HEAD\"}", "base_branch: "},
        {"{" GOOD ", \"base_branch\": {}}", "base_branch: expected a string"},
        {"{" GOOD ", \"description2\": \"\xff\"}", ""},
        {"{" GOOD ", \"ticket_id\": \"\\u0000\"}", ""},
    };
    scoped(test_server) server = test_server_new(&quiet);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_json answer = NULL;
        int status = post(server, "/api/tasks/submit", cases[i].body, &answer);
        const char *error = json_get_str(answer, "error");

        if (status != 400 || !error || !json_get_str(answer, "code")
            || strncmp(error, cases[i].complaint, strlen(cases[i].complaint)) != 0)
            fail_msg("%s: %d %s", cases[i].body, status, error ? error : "no error");
    }
}

static void test_each_text_has_its_bound(void **state)
{
    static const struct {
        const char *field;
        size_t most;
    } cases[] = {
        {"description", 65536}, {"ticket_id", 128},   {"ticket_summary", 256},
        {"test_command", 4096}, {"base_branch", 244},
    };
    scoped(test_server) server = test_server_new(&quiet);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t over = 0; over < 2; over++) {
            scoped_str text = xcalloc(1, cases[i].most + 2);
            scoped_json body = jobj({"repository_url", jstr("https://github.com/octo/hello")});
            scoped_str sent = NULL;
            int status;

            memset(text, 'a', cases[i].most + over);
            cJSON_AddItemToObject(body, cases[i].field, jstr(text));
            if (!json_get(body, "description"))
                cJSON_AddItemToObject(body, "description", jstr("x"));
            sent = json_text(body);
            status = post(server, "/api/tasks/submit", sent, NULL);
            if (status != (over ? 400 : 202))
                fail_msg("%s of %zu bytes: %d", cases[i].field, cases[i].most + over, status);
        }
    }
}

static void test_a_credential_of_another_kind_opens_nothing(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str token = test_server_token(server, "octo/hello");
    const char *const bad[] = {NULL, "wrong", token};
    static const char *const paths[] = {
        "/api/tasks/submit", "/api/tasks", "/api/tasks/00000000000000000000/retry",
        "/api/v1/agents", "/api/v1/agents/00000000000000000000/stop"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        for (size_t j = 0; j < ARRAY_SIZE(paths); j++)
            assert_int_equal(
                test_server_call(server, "POST", paths[j], bad[i], NULL, "{", NULL), 401);
}

static void test_a_full_queue_refuses_each_way_in(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1, .max_queue_size = 1});
    scoped_json task = NULL;
    scoped_json agent = NULL;

    (void)state;
    assert_int_equal(post(server, "/api/tasks", "{" GOOD "}", NULL), 202);
    assert_int_equal(post(server, "/api/tasks", "{" GOOD "}", &task), 429);
    assert_string_equal(json_get_str(task, "code"), "queue_full");
    assert_int_equal(json_get_int(task, "retryAfter", 0), 5);
    assert_int_equal(
        post(server, "/api/v1/agents", "{\"repo\": \"o/r\", \"prompt\": \"x\"}", &agent), 429);
    assert_string_equal(json_get_str(agent, "error"), "Too Many Requests");
    assert_int_equal(json_get_int(agent, "retryAfter", 0), 5);
}

/* --- Retry -------------------------------------------------------------------------------- */

static int retry(struct test_server *server, const char *id, cJSON **out)
{
    scoped_str path = xasprintf("/api/tasks/%s/retry", id);

    return post(server, path, NULL, out);
}

static void fail_run(struct test_server *server, const char *id)
{
    scoped_launched run;

    launch_id(&run, server, id);
    assert_int_equal(claim(&run, "a", NULL), 200);
    assert_int_equal(complete_with(&run, "failed", ", \"error_code\": \"agent_failed\""), 200);
}

static void test_a_retry_is_the_same_request_as_a_new_run(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str id = submitted(server, "{" GOOD ", \"base_branch\": \"dev\","
                                      " \"ticket_id\": \"T-1\", \"test_command\": \"true\"}");
    scoped_str path = NULL;
    scoped_launched again;
    scoped_json answer = NULL;
    scoped_json given = NULL;
    scoped_json shown = NULL;

    (void)state;
    fail_run(server, id);
    assert_int_equal(retry(server, id, &answer), 202);
    assert_string_equal(json_get_str(answer, "retry_of"), id);
    assert_string_not_equal(json_get_str(answer, "task_id"), id);
    launch_id(&again, server, json_get_str(answer, "task_id"));
    assert_int_equal(claim(&again, "a", &given), 200);
    assert_string_equal(json_get_str(given, "repo"), "octo/hello");
    assert_string_equal(json_get_str(given, "prompt"), "Do it");
    assert_string_equal(json_get_str(given, "base_branch"), "dev");
    assert_string_equal(json_get_str(given, "ticket_id"), "T-1");
    assert_string_equal(json_get_str(given, "test_command"), "true");
    path = xasprintf("/api/tasks/%s/status", again.id_text);
    assert_int_equal(get(server, path, &shown), 200);
    assert_string_equal(json_get_str(shown, "retry_of"), id);
    assert_string_equal(test_server_status(server, id), "failed");
}

static void test_only_failed_and_stopped_runs_are_tried_again(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str id = submitted(server, "{" GOOD "}");
    scoped_str other = submitted(server, "{" GOOD "}");
    scoped_str stop = xasprintf("/api/tasks/%s/stop", other);
    scoped_launched run;
    scoped_json refused = NULL;

    (void)state;
    assert_int_equal(retry(server, id, &refused), 409);
    assert_string_equal(json_get_str(refused, "code"), "not_retryable");
    launch_id(&run, server, id);
    assert_int_equal(retry(server, id, NULL), 409);
    assert_int_equal(claim(&run, "a", NULL), 200);
    assert_int_equal(retry(server, id, NULL), 409);
    assert_int_equal(complete_with(&run, "completed", ""), 200);
    assert_int_equal(retry(server, id, NULL), 409);
    assert_int_equal(post(server, stop, NULL, NULL), 202);
    assert_int_equal(retry(server, other, NULL), 202);
    assert_int_equal(retry(server, "00000000000000000000", NULL), 404);
    assert_int_equal(retry(server, "nonsense", NULL), 404);
}

#define TOOL_WITH(headers)                                                                     \
    "{\"repo\": \"octo/hello\", \"prompt\": \"x\", \"tools\": [{\"name\": \"t\","              \
    " \"description\": \"d\", \"parameters\": {\"properties\": {}}, \"endpoint\":"             \
    " {\"url\": \"https://example.com\", \"method\": \"GET\"" headers "}}]}"

static void test_tools_with_headers_are_not_tried_again(void **state)
{
    static const struct {
        const char *body;
        int status;
    } cases[] = {{TOOL_WITH(""), 202},
                 {TOOL_WITH(", \"headers\": {}"), 202},
                 {TOOL_WITH(", \"headers\": {\"A\": \"b\"}"), 409}};
    scoped(test_server) server = test_server_new(&quiet);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_json queued = NULL;
        scoped_json answer = NULL;

        assert_int_equal(post(server, "/api/v1/agents", cases[i].body, &queued), 201);
        fail_run(server, json_get_str(queued, "id"));
        assert_int_equal(retry(server, json_get_str(queued, "id"), &answer), cases[i].status);
        if (cases[i].status == 409)
            assert_string_equal(json_get_str(answer, "code"), "headers_gone");
    }
}

/* --- History ------------------------------------------------------------------------------ */

static void test_history_has_the_ended_ones(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str failed = submitted(server, "{" GOOD "}");
    scoped_str stopped = submitted(server, "{" GOOD "}");
    scoped_str stop = xasprintf("/api/tasks/%s/stop", stopped);
    scoped_json all = NULL;
    scoped_json first = NULL;
    scoped_json next = NULL;
    scoped_json of_one = NULL;
    scoped_str path = NULL;

    (void)state;
    fail_run(server, failed);
    assert_int_equal(post(server, stop, NULL, NULL), 202);
    assert_int_equal(post(server, "/api/tasks", "{" GOOD "}", NULL), 202); /* it waits */
    assert_int_equal(get(server, "/api/tasks/history", &all), 200);
    assert_int_equal(json_get_int(all, "count", 0), 2);
    assert_int_equal(get(server, "/api/tasks/history?limit=1", &first), 200);
    assert_string_equal(
        json_get_str(cJSON_GetArrayItem(json_get(first, "tasks"), 0), "task_id"), stopped);
    path =
        xasprintf("/api/tasks/history?limit=1&cursor=%s", json_get_str(first, "next_cursor"));
    assert_int_equal(get(server, path, &next), 200);
    assert_string_equal(json_get_str(cJSON_GetArrayItem(json_get(next, "tasks"), 0), "task_id"),
                        failed);
    assert_null(json_get(next, "next_cursor"));
    assert_int_equal(get(server, "/api/tasks/history?status=failed", &of_one), 200);
    assert_int_equal(json_get_int(of_one, "count", 0), 1);
}

static void test_bad_queries_are_refused(void **state)
{
    static const char *const lists[] = {"/api/tasks/history", "/api/tasks", "/api/v1/agents"};
    static const char *const queries[] = {
        "status=done", "status=",  "limit=0", "limit=1001", "limit=x",         "limit=",
        "limit=-1",    "cursor=x", "cursor=", "other=1",    "limit=1&limit=2",
    };
    scoped(test_server) server = test_server_new(&quiet);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(queries); j++) {
            scoped_str path = xasprintf("%s?%s", lists[i], queries[j]);

            if (get(server, path, NULL) != 400)
                fail_msg("%s was answered", path);
        }
    }
    assert_int_equal(get(server, "/api/tasks/history?status=running", NULL), 400);
    assert_int_equal(get(server, "/api/v1/agents?status=pending", NULL), 400);
    assert_int_equal(get(server, "/api/v1/agents?status=queued", NULL), 200);
}

TEST_MAIN(cmocka_unit_test(test_submit_answers_as_the_guide_says),
          cmocka_unit_test(test_what_was_submitted_reaches_the_runner),
          cmocka_unit_test(test_bad_submissions_are_refused_by_field),
          cmocka_unit_test(test_each_text_has_its_bound),
          cmocka_unit_test(test_a_credential_of_another_kind_opens_nothing),
          cmocka_unit_test(test_a_full_queue_refuses_each_way_in),
          cmocka_unit_test(test_a_retry_is_the_same_request_as_a_new_run),
          cmocka_unit_test(test_only_failed_and_stopped_runs_are_tried_again),
          cmocka_unit_test(test_tools_with_headers_are_not_tried_again),
          cmocka_unit_test(test_history_has_the_ended_ones),
          cmocka_unit_test(test_bad_queries_are_refused))
