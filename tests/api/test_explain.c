/* SPDX-License-Identifier: Apache-2.0 */
/* ?dryRun=All: what would become of a request, with nothing queued. */
#include <string.h>

#include "base/alloc.h"
#include "server.h"
#include "service/state.h"

#define SOON_MS 60000

struct face {
    const char *path;
    const char *body;
    bool by_token; /* an integration token's, else an API key's */
};

static const struct face faces[] = {
    {"/dispatchTask", "{\"prompt\": \"please\", \"model\": \"some/model\"}", true},
    {"/api/tasks",
     "{\"repository_url\": \"https://github.com/octo/hello.git\", \"description\": \"please\"}",
     false},
    {"/api/tasks/submit",
     "{\"repository_url\": \"https://github.com/octo/hello.git\", \"description\": \"please\"}",
     false},
    {"/api/v1/agents", "{\"repo\": \"octo/hello\", \"prompt\": \"please\", \"mode\": \"plan\"}",
     false},
};

static int post(struct test_server *server, const struct face *face, const char *token,
                const char *query, const char *body, cJSON **out)
{
    scoped_str path = xasprintf("%s%s", face->path, query);

    return test_server_call(server, "POST", path, face->by_token ? token : TEST_API_KEY, NULL,
                            body, out);
}

static struct service_gauges gauges_of(struct test_server *server)
{
    struct service_gauges gauges;

    service_gauges(server->service, &gauges);
    return gauges;
}

static void test_each_face_tells_and_queues_nothing(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    int64_t counts[RUN_STATUS_COUNT];
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(faces); i++) {
        scoped_json answer = NULL;
        int status = post(server, &faces[i], token, "?dryRun=All", faces[i].body, &answer);
        const cJSON *run = json_get(answer, "run");
        const cJSON *queue = json_get(answer, "queue");

        if (status != 200)
            fail_msg("%s: %d", faces[i].path, status);
        assert_string_equal(json_get_str(answer, "dryRun"), "All");
        assert_string_equal(json_get_str(answer, "launcher"), "fake");
        assert_string_equal(json_get_str(run, "repo"), "octo/hello");
        assert_string_equal(json_get_str(run, "mode"),
                            strstr(faces[i].body, "plan") ? "plan" : "execute");
        assert_int_equal(json_get_int(run, "priority", -1), 500);
        assert_non_null(json_get(json_get(run, "limits"), "timeout_s"));
        assert_non_null(json_get(run, "policy"));
        assert_null(json_get(run, "prompt"));
        assert_null(json_get(run, "run_id"));
        assert_string_equal(json_get_str(json_get(answer, "object"), "token"), "<secret>");
        assert_int_equal(json_get_int(queue, "position", 0), 1);
        assert_int_equal(json_get_int(queue, "pending", -1), 0);
        assert_int_equal(json_get_int(queue, "active", -1), 0);
        assert_null(json_get(queue, "blocked_by"));
    }
    assert_int_equal(gauges_of(server).pending, 0);
    assert_int_equal(gauges_of(server).active, 0);
    assert_ok(run_store_count(server->db, counts, &err), err);
    for (size_t i = 0; i < RUN_STATUS_COUNT; i++)
        assert_int_equal(counts[i], 0);
}

static void test_other_queries_are_refused(void **state)
{
    static const char *const bad[] = {"?dryRun=",     "?dryRun=all",           "?dryRun=None",
                                      "?dryrun=All",  "?dryRun=All&x=1",       "?x=1",
                                      "?dryRun=true", "?dryRun=All&dryRun=All"};
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});
    scoped_str token = test_server_token(server, "octo/hello");

    (void)state;
    for (size_t face = 0; face < ARRAY_SIZE(faces); face++)
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
            scoped_json answer = NULL;
            int status = post(server, &faces[face], token, bad[i], faces[face].body, &answer);

            if (status != 400)
                fail_msg("%s%s: %d", faces[face].path, bad[i], status);
        }
    assert_int_equal(gauges_of(server).pending, 0);
}

/* What would be refused is refused in the same words. */
static void test_it_checks_what_the_real_thing_checks(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"prompt\": \"\"}",
        "{\"prompt\": 1}",
        "{\"prompt\": \"x\", \"what\": 1}",
        "{\"prompt\": \"x\", \"description\": \"x\"}",
        "{\"prompt\": \"x\", \"model\": \"a b\"}",
        "{\"repository_url\": \"https://example.com/a/b\", \"description\": \"x\"}",
        "{\"repository_url\": \"https://github.com/a/b\", \"description\": \"\"}",
        "{\"repo\": \"a/b\", \"prompt\": \"x\", \"priority\": 1001}",
        "{\"repo\": \"a/b\", \"prompt\": \"x\", \"webhook_url\": \"http://127.0.0.1/\"}",
        "{\"repo\": \"a/b\", \"prompt\": \"x\", \"branch\": \"-x\"}",
    };
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});
    scoped_str token = test_server_token(server, "octo/hello");

    (void)state;
    for (size_t face = 0; face < ARRAY_SIZE(faces); face++)
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
            scoped_json real = NULL;
            scoped_json told = NULL;
            int really = post(server, &faces[face], token, "", bad[i], &real);
            int as_told = post(server, &faces[face], token, "?dryRun=All", bad[i], &told);
            bool taken = really >= 200 && really < 300;

            if (taken ? as_told != 200 : as_told != really || !cJSON_Compare(real, told, true))
                fail_msg("%s %s: %d, told %d", faces[face].path, bad[i], really, as_told);
        }
}

static void test_it_takes_the_same_credential(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(faces); i++) {
        scoped_str path = xasprintf("%s?dryRun=All", faces[i].path);

        assert_int_equal(
            test_server_call(server, "POST", path, NULL, NULL, faces[i].body, NULL), 401);
        assert_int_equal(
            test_server_call(server, "POST", path, "wrong", NULL, faces[i].body, NULL), 401);
    }
}

static void test_an_idempotency_key_is_not_used_up(void **state)
{
    static const char *const headers[] = {"Idempotency-Key: once", NULL};
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});
    scoped_str token = test_server_token(server, "octo/hello");

    (void)state;
    assert_int_equal(test_server_call(server, "POST", "/dispatchTask?dryRun=All", token,
                                      headers, "{\"prompt\": \"one\"}", NULL),
                     200);
    assert_int_equal(test_server_call(server, "POST", "/dispatchTask", token, headers,
                                      "{\"prompt\": \"another\"}", NULL),
                     200);
}

/* --- Where it would stand ----------------------------------------------------------------- */

static void queue(struct test_server *server, const char *more)
{
    scoped_str body = xasprintf("{\"repository_url\": \"https://github.com/octo/a\","
                                " \"description\": \"run_ms=86000000\"%s}",
                                more);

    assert_int_equal(
        test_server_call(server, "POST", "/api/tasks", TEST_API_KEY, NULL, body, NULL), 202);
}

static int64_t position_of(struct test_server *server, const char *more)
{
    scoped_str body = xasprintf("{\"repository_url\": \"https://github.com/octo/a\","
                                " \"description\": \"x\"%s}",
                                more);
    scoped_json answer = NULL;

    assert_int_equal(test_server_call(server, "POST", "/api/tasks?dryRun=All", TEST_API_KEY,
                                      NULL, body, &answer),
                     200);
    return json_get_int(json_get(answer, "queue"), "position", 0);
}

static void test_the_position_counts_those_that_go_before(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});

    (void)state;
    assert_int_equal(position_of(server, ""), 1);
    queue(server, "");
    queue(server, "");
    queue(server, ", \"priority\": 900");
    queue(server, ", \"priority\": 100");
    assert_int_equal(position_of(server, ""), 4);
    assert_int_equal(position_of(server, ", \"priority\": 901"), 1);
    assert_int_equal(position_of(server, ", \"priority\": 900"), 2);
    assert_int_equal(position_of(server, ", \"priority\": 501"), 2);
    assert_int_equal(position_of(server, ", \"priority\": 100"), 5);
    assert_int_equal(position_of(server, ", \"priority\": 99"), 5);
}

static void one_of_each(struct config *config)
{
    config->max_in_flight = 1;
}

static void test_what_it_would_wait_for_is_told(void **state)
{
    static const char body[] = "{\"repo\": \"octo/a\", \"prompt\": \"x\"}";
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = one_of_each});
    scoped_json answer = NULL;

    (void)state;
    queue(server, "");
    wait_until(gauges_of(server).active == 1, SOON_MS);
    assert_int_equal(test_server_call(server, "POST", "/api/v1/agents?dryRun=All", TEST_API_KEY,
                                      NULL, body, &answer),
                     200);
    assert_string_equal(json_get_str(json_get(answer, "queue"), "blocked_by"),
                        "1 run of this repository is in flight, which is its limit");
}

static void test_headers_of_tools_are_not_told(void **state)
{
    static const char body[] =
        "{\"repo\": \"octo/a\", \"prompt\": \"x\", \"tools\": [{\"name\": \"look\","
        " \"description\": \"d\", \"parameters\": {\"type\": \"object\", \"properties\": {}},"
        " \"endpoint\": {\"url\": \"https://example.com/\", \"method\": \"GET\","
        " \"headers\": {\"X-Key\": \"very-hidden\"}}}]}";
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});
    scoped_json answer = NULL;
    scoped_str text = NULL;

    (void)state;
    assert_int_equal(test_server_call(server, "POST", "/api/v1/agents?dryRun=All", TEST_API_KEY,
                                      NULL, body, &answer),
                     200);
    text = json_text(answer);
    assert_null(strstr(text, "very-hidden"));
    assert_non_null(strstr(text, "\"look\""));
}

TEST_MAIN(cmocka_unit_test(test_each_face_tells_and_queues_nothing),
          cmocka_unit_test(test_other_queries_are_refused),
          cmocka_unit_test(test_it_checks_what_the_real_thing_checks),
          cmocka_unit_test(test_it_takes_the_same_credential),
          cmocka_unit_test(test_an_idempotency_key_is_not_used_up),
          cmocka_unit_test(test_the_position_counts_those_that_go_before),
          cmocka_unit_test(test_what_it_would_wait_for_is_told),
          cmocka_unit_test(test_headers_of_tools_are_not_told))
