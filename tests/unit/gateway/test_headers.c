/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/headers.h"

#include "gateway_run.h"

static void test_only_headers_of_model_calls_go_out(void **state)
{
    struct run run;
    scoped_buf got = {0};
    scoped_str text = NULL;
    int fd;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){0});
    fd = agent_connect(&run);
    text = xasprintf("POST /anthropic/v1/messages?beta=true HTTP/1.1\r\nHost: evil.example\r\n"
                     "x-api-key: %s\r\nAuthorization: Bearer other\r\nCookie: a=b\r\n"
                     "Forwarded: for=1\r\nX-Forwarded-For: 1.2.3.4\r\nProxy-Connection: x\r\n"
                     "X-HTTP-Method-Override: DELETE\r\nx-goog-user-project: p\r\n"
                     "OpenAI-Organization: o\r\nConnection: keep-alive, X-Stainless-Lang\r\n"
                     "Accept-Encoding: gzip, br\r\nTE: trailers\r\n"
                     "User-Agent: agent/1\r\nanthropic-version: 2023-06-01\r\n"
                     "anthropic-beta: one\r\nX-Stainless-OS: Linux\r\n"
                     "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
                     run.access.key);
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    agent_read_until(fd, &got, "20}");
    (void)close(fd);
    assert_true(
        server_saw(&run.server, "POST /v1/messages?beta=true HTTP/1.1\r\nHost: 127.0.0.1:"));
    assert_true(server_saw(&run.server, "\r\nUser-Agent: agent/1\r\n"));
    assert_true(server_saw(&run.server, "\r\nanthropic-version: 2023-06-01\r\n"));
    assert_true(server_saw(&run.server, "\r\nanthropic-beta: one\r\n"));
    assert_true(server_saw(&run.server, "\r\nX-Stainless-OS: Linux\r\n"));
    assert_true(server_saw(&run.server, "\r\nAccept-Encoding: identity\r\n"));
    assert_true(server_saw(&run.server, "\r\n\r\n{}"));
    for (const char *const *no =
             (const char *const[]){"evil", "ther", "Cookie", "orwarded", "roxy", "Override",
                                   "project", "Organization", "gzip", "TE:", "keep-alive",
                                   NULL};
         *no; no++) {
        if (server_saw(&run.server, *no))
            fail_msg("the provider saw %s", *no);
    }
    run_end(&run);
}

static void test_answers_come_back_as_they_are_but_for_the_connections_headers(void **state)
{
    struct run run;
    scoped_net_answer answer = {0};
    scoped_str kept = NULL;
    scoped_str type = NULL;

    (void)state;
    run_start(
        &run, serve_say,
        "HTTP/1.1 529 Overloaded\r\nRetry-After: 7\r\nLocation: http://evil.example/\r\n"
        "Set-Cookie: a=b\r\nAlt-Svc: h3\r\nrequest-id: req_1\r\nContent-Type: text/plain\r\n"
        "Content-Length: 5\r\n\r\nhello",
        (struct gateway_options){0});
    assert_int_equal(
        call(&run, (struct call){.base = run.access.anthropic_url, .path = "/v1/messages"},
             &answer),
        529);
    kept = net_answer_header(&answer, "request-id");
    type = net_answer_header(&answer, "content-type");
    assert_string_equal(kept, "req_1");
    assert_string_equal(type, "text/plain");
    assert_int_equal(net_answer_retry_after_s(&answer), 7);
    assert_string_equal(answer.body.data, "hello");
    assert_null(strstr(answer.headers.data, "location"));
    assert_null(strstr(answer.headers.data, "set-cookie"));
    assert_null(strstr(answer.headers.data, "alt-svc"));
    run_end(&run);
}

static void test_redirects_are_not_followed(void **state)
{
    struct run run;

    (void)state;
    run_start(&run, serve_say,
              "HTTP/1.1 307 Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
              (struct gateway_options){0});
    assert_int_equal(
        status_of(&run, (struct call){.base = run.access.openai_url, .path = "/responses"}),
        307);
    assert_int_equal(run.server.requests, 1);
    assert_false(server_saw(&run.server, "/elsewhere"));
    run_end(&run);
}

TEST_MAIN(cmocka_unit_test(test_only_headers_of_model_calls_go_out),
          cmocka_unit_test(test_answers_come_back_as_they_are_but_for_the_connections_headers),
          cmocka_unit_test(test_redirects_are_not_followed))
