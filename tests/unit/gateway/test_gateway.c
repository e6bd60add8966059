/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway.h"

#include "gateway_run.h"

/* --- Keys --------------------------------------------------------------------------------- */

static void test_key_is_replaced_in_each_protocols_own_header(void **state)
{
    struct run run;
    scoped_str google = NULL;
    scoped_str bearer = NULL;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    google = xasprintf("x-goog-api-key: %s", run.access.key);
    bearer = xasprintf("Authorization: Bearer %s", run.access.key);
    assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                   .path = "/v1/messages"}),
                     200);
    assert_true(server_saw(&run.server, "POST /v1/messages HTTP/1.1\r\n"));
    assert_true(server_saw(&run.server, "\r\nx-api-key: " REAL_KEY "\r\n"));
    assert_int_equal(status_of(&run, (struct call){.base = run.access.openai_url,
                                                   .path = "/chat/completions",
                                                   .header = bearer}),
                     200);
    assert_true(server_saw(&run.server, "POST /v1/chat/completions HTTP/1.1\r\n"));
    assert_true(server_saw(&run.server, "\r\nAuthorization: Bearer " REAL_KEY "\r\n"));
    assert_int_equal(
        status_of(&run, (struct call){.base = run.access.gemini_url,
                                      .path = "/v1beta/models/gemini-2.5-pro:generateContent",
                                      .header = google}),
        200);
    assert_true(server_saw(&run.server, "\r\nx-goog-api-key: " REAL_KEY "\r\n"));
    assert_false(server_saw(&run.server, run.access.key));
    run_end(&run);
}

static void test_key_in_a_query_opens_and_stays_here(void **state)
{
    struct run run;
    scoped_str path = NULL;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    path = xasprintf("/v1beta/models/m:streamGenerateContent?alt=sse&key=%s&quotaUser=x",
                     run.access.key);
    assert_int_equal(
        status_of(&run,
                  (struct call){.base = run.access.gemini_url, .path = path, .header = "A: b"}),
        200);
    assert_true(server_saw(&run.server,
                           "POST /v1beta/models/m:streamGenerateContent?alt=sse HTTP/1.1\r\n"));
    assert_false(server_saw(&run.server, run.access.key));
    run_end(&run);
}

static void test_another_key_is_refused_and_nothing_is_sent(void **state)
{
    static const char *const wrong[] = {
        "A: b",
        "x-api-key: ",
        ("x-api-key: " REAL_KEY),
        "Authorization: Bearer ",
        "Authorization:",
        "x-goog-api-key: none",
    };
    struct run run;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        scoped_net_answer answer = {0};

        assert_int_equal(call(&run,
                              (struct call){.base = run.access.anthropic_url,
                                            .path = "/v1/messages",
                                            .header = wrong[i]},
                              &answer),
                         401);
        assert_non_null(strstr(answer.body.data, "\"type\":\"authentication_error\""));
    }
    assert_int_equal(run.server.requests, 0);
    run_end(&run);
}

/* Shows what it was sent, as debugging pages do: in a header, in the body, in pieces. */
static void serve_echo(struct conn *conn)
{
    (void)conn_read(conn);
    (void)conn_say(conn, "HTTP/1.1 401 Unauthorized\r\nX-Seen: key=" REAL_KEY
                         "\r\nContent-Type: application/json\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n");
    (void)say_chunk(conn, "{\"seen\":\"" REAL_KEY "\",\"again\":\"sk-real-0123");
    (void)say_chunk(conn, "456789abcdef\"}");
    (void)say_chunk(conn, "");
}

static void test_the_real_key_is_in_nothing_the_agent_sees(void **state)
{
    struct run run;
    scoped_buf got = {0};
    int fd;

    (void)state;
    run_start(&run, serve_echo, NULL, (struct gateway_options){0});
    fd = agent_connect(&run);
    agent_say(&run, fd, "/anthropic/v1/messages", "{}");
    agent_read_until(fd, &got, "0\r\n\r\n");
    assert_non_null(strstr(got.data, "HTTP/1.1 401 "));
    assert_non_null(strstr(got.data, "{\"seen\":\"************************\""));
    assert_null(strstr(got.data, REAL_KEY));
    assert_null(strstr(got.data, "sk-real-"));
    (void)close(fd);
    run_end(&run);
}

static void test_keys_leave_the_environment(void **state)
{
    struct run run;
    scoped_str said = xstrdup("the key is " REAL_KEY);

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    assert_null(getenv("ANTHROPIC_API_KEY"));
    assert_null(getenv("ANTHROPIC_BASE_URL"));
    redaction_apply(run.redaction, said);
    assert_null(strstr(said, REAL_KEY));
    run_end(&run);
}

static void test_the_rest_of_a_providers_api_isnt_served(void **state)
{
    static const struct {
        const char *method;
        const char *path;
    } not_served[] = {
        {"GET", "/anthropic/v1/files"},
        {"POST", "/anthropic/v1/messages/batches"},
        {"GET", "/anthropic/v1/messages"},
        {"DELETE", "/anthropic/v1/models/m"},
        {"POST", "/anthropic/v1/messages/../files"},
        {"POST", "/anthropic/v1//messages"},
        {"POST", "/anthropic/v1/%6dessages"},
        {"POST", "/openai/v1/files"},
        {"GET", "/openai/v1/responses/resp_1"},
        {"POST", "/openai/v1/fine_tuning/jobs"},
        {"GET", "/gemini/v1beta/files"},
        {"POST", "/gemini/v1beta/cachedContents"},
        {"POST", "/groq/v1/chat/completions"}, /* this run has no key for it */
        {"POST", "/nobody/v1/messages"},
        {"POST", "/anthropic"},
        {"GET", "/"},
    };
    struct run run;
    scoped_str base = NULL;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    base = xstrndup(run.access.gemini_url, strlen(run.access.gemini_url) - strlen("/gemini"));
    for (size_t i = 0; i < ARRAY_SIZE(not_served); i++) {
        int status = status_of(&run, (struct call){.base = base,
                                                   .path = not_served[i].path,
                                                   .method = not_served[i].method});

        if (status != 404)
            fail_msg("%s %s: %d", not_served[i].method, not_served[i].path, status);
    }
    assert_int_equal(run.server.requests, 0);
    assert_null(gateway_url(run.gateway, "groq"));
    assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                   .path = "/v1/models",
                                                   .method = "GET"}),
                     200);
    run_end(&run);
}

/* --- Many at once ------------------------------------------------------------------------- */

struct caller {
    struct run *run;
    pthread_t thread;
    int good;
};

static void *call_many(void *ctx)
{
    struct caller *caller = ctx;

    for (int i = 0; i < 20; i++)
        caller->good +=
            status_of(caller->run, (struct call){.base = caller->run->access.anthropic_url,
                                                 .path = "/v1/messages"})
            == 200;
    return NULL;
}

static void test_many_agents_calls_are_all_counted(void **state)
{
    struct run run;
    struct caller callers[8];
    int good = 0;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
        callers[i] = (struct caller){.run = &run};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_many, &callers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
        (void)pthread_join(callers[i].thread, NULL);
        good += callers[i].good;
    }
    assert_int_equal(good, 160);
    assert_int_equal(gateway_usage(run.gateway).requests, 160);
    assert_int_equal(gateway_usage(run.gateway).output_tokens, 160 * 20);
    run_end(&run);
}

static void test_a_bad_prices_file_or_base_url_is_told(void **state)
{
    struct model_keys keys;
    struct gateway_options options = {.keys = &keys, .prices_file = "/nonexistent.yaml"};
    struct err err = {0};

    (void)state;
    set_environment(1);
    (void)setenv("OPENAI_BASE_URL", "ftp://x", 1);
    assert_ok(model_keys_take(&keys, &err), err);
    assert_null(gateway_start(&options, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    options.prices_file = NULL;
    assert_null(gateway_start(&options, &err));
    assert_non_null(strstr(err.text, "OPENAI_BASE_URL"));
    model_keys_done(&keys);
}

TEST_MAIN(cmocka_unit_test(test_key_is_replaced_in_each_protocols_own_header),
          cmocka_unit_test(test_key_in_a_query_opens_and_stays_here),
          cmocka_unit_test(test_another_key_is_refused_and_nothing_is_sent),
          cmocka_unit_test(test_the_real_key_is_in_nothing_the_agent_sees),
          cmocka_unit_test(test_keys_leave_the_environment),
          cmocka_unit_test(test_the_rest_of_a_providers_api_isnt_served),
          cmocka_unit_test(test_many_agents_calls_are_all_counted),
          cmocka_unit_test(test_a_bad_prices_file_or_base_url_is_told))
