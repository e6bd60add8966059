/* SPDX-License-Identifier: Apache-2.0 */
#include "home/home.h"

#include "scripted_server.h"

#include "home/heartbeat.h"
#include "home/stop.h"

/* A home that answers by script, and us calling it. */
struct call_home {
    struct server server;
    struct script script;
    struct settings settings;
    struct net *net;
    struct home *home;
};

static void begin(struct call_home *at, const struct scripted_answer *answers, size_t n)
{
    static const struct net_options options = {.user_agent = "tester/1"};
    struct err err = {0};

    at->script = (struct script){answers, n, 0};
    script_start(&at->server, &at->script);
    at->settings = (struct settings){
        .home_url = server_url(&at->server, ""),
        .attempt = 3,
        .task_token = secret_new("vgvtask_hometest"),
    };
    at->net = net_new(&options, &err);
    assert_made(at->net, err);
    at->home = home_new(at->net, &at->settings);
}

static void finish(struct call_home *at)
{
    home_free(at->home);
    net_free(at->net);
    server_stop(&at->server);
    settings_done(&at->settings);
}

#define begin_with(at, answers) begin((at), (answers), ARRAY_SIZE(answers))

static void test_claim_carries_token_attempt_and_runner_id(void **state)
{
    static const struct scripted_answer answers[] = {{503, "Retry-After: 0\r\n", "{}"},
                                                     {200, NULL, "{\"run_id\":\"r\"}"}};
    struct call_home at;
    struct err err = {0};

    (void)state;
    begin_with(&at, answers);
    scoped_json answer = home_claim(at.home, "me-1", &err);
    assert_made(answer, err);
    assert_string_equal(json_get_str(answer, "run_id"), "r");
    assert_true(server_saw(&at.server, "POST /runner/v1/claim HTTP/1.1\r\n"));
    assert_true(server_saw(&at.server, "Authorization: Bearer vgvtask_hometest\r\n"));
    assert_true(server_saw(&at.server, "X-Dispatch-Attempt: 3\r\n"));
    assert_true(server_saw(&at.server, "{\"runner_id\":\"me-1\"}"));
    finish(&at);
}

static void test_refused_claim_is_not_asked_again(void **state)
{
    static const struct {
        struct scripted_answer answer;
        enum err_kind kind;
    } cases[] = {
        {{409, NULL, "{\"error\":\"another runner has it\",\"code\":\"claimed\"}"},
         ERR_CONFLICT},
        {{401, NULL, "not json"}, ERR_UNAUTHENTICATED},
        {{404, NULL, "{\"error\":\"no\",\"code\":\"not_found\"}"}, ERR_NOT_FOUND},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct call_home at;
        struct err err = {0};

        begin(&at, &cases[i].answer, 1);
        assert_null(home_claim(at.home, "me-1", &err));
        assert_int_equal(err.kind, cases[i].kind);
        assert_int_equal(at.server.requests, 1);
        finish(&at);
    }
}

/* An Ingress that is being rolled out, a Service nobody serves yet. */
static void test_404_of_a_stranger_is_not_homes_answer(void **state)
{
    static const struct scripted_answer answers[] = {
        {404, NULL, "404 page not found\n"},
        {404, "Content-Type: text/html\r\n", "<html>default backend</html>"},
        {404, NULL, "{\"message\":\"no Route matched with those values\"}"},
        {200, NULL, "{\"run_id\":\"x\"}"},
    };
    struct call_home at;
    struct err err = {0};

    (void)state;
    begin_with(&at, answers);
    scoped_json answer = home_claim(at.home, "me-1", &err);
    assert_made(answer, err);
    assert_int_equal(at.server.requests, ARRAY_SIZE(answers));
    finish(&at);
}

static void test_git_token_comes_with_its_end(void **state)
{
    static const struct scripted_answer answers[] = {
        {200, NULL, "{\"token\":\"ghs_one\",\"expires_at\":\"2030-01-02T03:04:05Z\"}"},
        {200, NULL, "{\"token\":\"ghs_two\"}"},
        {200, NULL, "{\"token\":\"two\\nlines\"}"}};
    struct call_home at;
    struct git_token token = {0};
    struct err err = {0};

    (void)state;
    begin_with(&at, answers);
    assert_ok(home_git_token(at.home, &token, &err), err);
    assert_string_equal(secret_reveal(token.secret), "ghs_one");
    assert_int_equal(token.expires_ms, 1893553445000);
    assert_ok(home_git_token(at.home, &token, &err), err);
    assert_string_equal(secret_reveal(token.secret), "ghs_two");
    assert_int_equal(token.expires_ms, 0);
    assert_int_equal(home_git_token(at.home, &token, &err), -1);
    assert_string_equal(secret_reveal(token.secret), "ghs_two");
    secret_free(token.secret);
    finish(&at);
}

static void test_tool_headers_come_as_they_are_at_home(void **state)
{
    static const struct scripted_answer answers[] = {
        {503, "Retry-After: 0\r\n", "{}"},
        {200, NULL, "{\"tools\":{\"find\":{\"X-Key\":\"k\"}}}"},
        {200, NULL, "{}"}};
    struct call_home at;
    struct err err = {0};

    (void)state;
    begin_with(&at, answers);
    scoped_json headers = home_tool_headers(at.home, &err);
    assert_made(headers, err);
    assert_string_equal(json_get_str(json_get(headers, "find"), "X-Key"), "k");
    assert_true(server_saw(&at.server, "POST /runner/v1/tool-headers HTTP/1.1\r\n"));
    assert_null(home_tool_headers(at.home, &err));
    assert_int_equal(err.kind, ERR_UPSTREAM);
    finish(&at);
}

static void test_outcome_is_repeated_until_home_has_it(void **state)
{
    static const struct scripted_answer answers[] = {
        {0, NULL, ""}, {500, NULL, "{}"}, {404, NULL, "{}"}, {200, NULL, "{\"ok\":true}"}};
    struct call_home at;
    struct err err = {0};

    (void)state;
    begin_with(&at, answers);
    assert_ok(home_complete(at.home, "{\"task_id\":\"r\"}", &err), err);
    assert_int_equal(at.server.requests, 4);
    finish(&at);
}

static void test_outcome_that_someone_else_reported_is_not_repeated(void **state)
{
    static const struct scripted_answer answers[] = {{409, NULL, "{\"code\":\"run_ended\"}"}};
    struct call_home at;
    struct err err = {0};

    (void)state;
    begin_with(&at, answers);
    assert_int_equal(home_complete(at.home, "{}", &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_int_equal(at.server.requests, 1);
    finish(&at);
}

/* After a stop: home that asks us to wait is not waited for. */
static void test_git_token_is_not_waited_for_when_stopped(void **state)
{
    static const struct scripted_answer answers[] = {{503, "Retry-After: 60\r\n", "{}"}};
    int64_t began_ms = clock_monotonic_ms();
    struct git_token token = {0};
    struct call_home at;
    struct err err = {0};

    (void)state;
    assert_true(stop_requested());
    begin_with(&at, answers);
    assert_int_equal(home_git_token(at.home, &token, &err), -1);
    assert_true(clock_monotonic_ms() - began_ms < 50000);
    finish(&at);
}

/* From here on: the request to stop is for good. */
static void test_heartbeat_goes_on_when_home_is_away_and_stops_us_when_told(void **state)
{
    static const struct scripted_answer answers[] = {
        {500, NULL, "{}"}, {200, NULL, "{\"stop\":false}"}, {200, NULL, "{\"stop\":true}"}};
    struct call_home at;

    (void)state;
    begin_with(&at, answers);
    scoped(heartbeat) heartbeat = heartbeat_new(at.home, 20);
    assert_false(stop_requested());
    wait_until(stop_requested(), 60000);
    assert_true(at.server.requests >= 3);
    heartbeat_free(TAKE(heartbeat));
    finish(&at);
}

TEST_MAIN(cmocka_unit_test(test_claim_carries_token_attempt_and_runner_id),
          cmocka_unit_test(test_refused_claim_is_not_asked_again),
          cmocka_unit_test(test_404_of_a_stranger_is_not_homes_answer),
          cmocka_unit_test(test_git_token_comes_with_its_end),
          cmocka_unit_test(test_tool_headers_come_as_they_are_at_home),
          cmocka_unit_test(test_outcome_is_repeated_until_home_has_it),
          cmocka_unit_test(test_outcome_that_someone_else_reported_is_not_repeated),
          cmocka_unit_test(test_heartbeat_goes_on_when_home_is_away_and_stops_us_when_told),
          cmocka_unit_test(test_git_token_is_not_waited_for_when_stopped))
