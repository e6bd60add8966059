/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#define JSON "Content-Type: application/json\r\n"

static struct app *app;
static struct httpd *httpd;

static int set_up(void **state)
{
    (void)state;
    app = app_new();
    httpd = start(app);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    httpd_free(httpd);
    app_free(app);
    return 0;
}

/* --- Answers ------------------------------------------------------------------------------ */

static void test_every_answer_carries_the_safe_headers(void **state)
{
    static const char *const paths[] = {"/inline", "/worker",        "/nope",        "/fail/12",
                                        "/within", "/api/v1/fail/9", "/inline?a=%zz"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        scoped_answer answer = get(httpd, paths[i]);

        assert_string_equal(header_of(&answer, "Content-Type"), "application/json");
        assert_string_equal(header_of(&answer, "Cache-Control"), "no-store");
        assert_string_equal(header_of(&answer, "X-Content-Type-Options"), "nosniff");
        assert_int_equal(strspn(header_of(&answer, "X-Request-Id"), "0123456789abcdef"), 16);
    }
}

static void test_request_ids_differ_unless_the_client_names_its_own(void **state)
{
    scoped_str first = NULL;
    scoped_answer one = get(httpd, "/inline");
    scoped_answer two = get(httpd, "/inline");
    scoped_answer named = ask(httpd, "GET /inline HTTP/1.1\r\nHost: x\r\nX-Request-Id: "
                                     "a.B-c_9\r\n\r\n");
    scoped_answer bad =
        ask(httpd, "GET /inline HTTP/1.1\r\nHost: x\r\nX-Request-Id: a b\r\n\r\n");
    scoped_answer empty =
        ask(httpd, "GET /inline HTTP/1.1\r\nHost: x\r\nX-Request-Id:\r\n\r\n");
    scoped_answer refused =
        ask(httpd, "GET /nope HTTP/1.1\r\nHost: x\r\nX-Request-Id: r1\r\n\r\n");

    (void)state;
    first = xstrdup(header_of(&one, "X-Request-Id"));
    assert_string_not_equal(first, header_of(&two, "X-Request-Id"));
    assert_string_equal(header_of(&named, "X-Request-Id"), "a.B-c_9");
    assert_int_equal(strlen(header_of(&bad, "X-Request-Id")), 16);
    assert_int_equal(strlen(header_of(&empty, "X-Request-Id")), 16);
    assert_string_equal(header_of(&refused, "X-Request-Id"), "r1");
}

static void test_a_request_id_is_64_characters_at_most(void **state)
{
    char longest[65] = "";
    scoped_str fits = NULL;
    scoped_str over = NULL;

    (void)state;
    memset(longest, 'a', 64);
    fits = xasprintf("GET /inline HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n", longest);
    over = xasprintf("GET /inline HTTP/1.1\r\nHost: x\r\nX-Request-Id: %sa\r\n\r\n", longest);
    scoped_answer kept = ask(httpd, fits);
    scoped_answer replaced = ask(httpd, over);

    assert_string_equal(header_of(&kept, "X-Request-Id"), longest);
    assert_int_equal(strlen(header_of(&replaced, "X-Request-Id")), 16);
}

static void test_each_kind_of_error_has_its_status(void **state)
{
    static const struct {
        enum err_kind kind;
        int status;
        const char *v1_type;
    } cases[] = {
        {ERR_INVALID, 400, "Validation Error"},
        {ERR_UNAUTHENTICATED, 401, "Unauthorized"},
        {ERR_DENIED, 403, "Forbidden"},
        {ERR_NOT_FOUND, 404, "Not Found"},
        {ERR_CONFLICT, 409, "Conflict"},
        {ERR_TOO_LARGE, 413, "Content Too Large"},
        {ERR_UNSUPPORTED, 415, "Unsupported Media Type"},
        {ERR_LIMITED, 429, "Too Many Requests"},
        {ERR_TIMEOUT, 503, "Service Unavailable"},
        {ERR_UPSTREAM, 503, "Service Unavailable"},
        {ERR_UNAVAILABLE, 503, "Service Unavailable"},
        {ERR_INTERNAL, 500, "Internal Server Error"},
        {ERR_NONE, 500, "Internal Server Error"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str path = xasprintf("/fail/%d", cases[i].kind);
        scoped_str v1_path = xasprintf("/api/v1/fail/%d", cases[i].kind);
        scoped_str v1_start = xasprintf("{\"error\":\"%s\",\"message\":\"", cases[i].v1_type);
        scoped_answer plain = get(httpd, path);
        scoped_answer v1 = get(httpd, v1_path);

        assert_int_equal(plain.status, cases[i].status);
        assert_int_equal(v1.status, cases[i].status);
        assert_int_equal(http_status_of(cases[i].kind), cases[i].status);
        assert_memory_equal(v1.body, v1_start, strlen(v1_start));
    }
}

static void test_an_error_is_a_sentence_a_code_and_the_field(void **state)
{
    scoped_answer plain = get(httpd, "/fail/5");
    scoped_answer coded = get(httpd, "/fail/5?coded=1");
    scoped_answer field = get(httpd, "/fail/1?field=jobs[2].x");
    scoped_answer v1 = get(httpd, "/api/v1/fail/1?field=model");

    (void)state;
    assert_string_equal(plain.body, "{\"error\":\"it went wrong\",\"code\":\"conflict\"}");
    assert_string_equal(coded.body, "{\"error\":\"it went wrong\",\"code\":\"odd_one\"}");
    assert_string_equal(field.body,
                        "{\"error\":\"jobs[2].x: too odd\",\"code\":"
                        "\"invalid_request\",\"details\":{\"field\":\"jobs[2].x\"}}");
    assert_string_equal(v1.body, "{\"error\":\"Validation Error\",\"message\":"
                                 "\"model: too odd\",\"code\":\"invalid_request\"}");
}

static void test_inner_failures_are_not_told_to_the_client(void **state)
{
    scoped_answer answer = get(httpd, "/fail/12");

    (void)state;
    assert_int_equal(answer.status, 500);
    assert_null(strstr(answer.body, "it went wrong"));
    assert_non_null(strstr(answer.body, "\"code\":\"internal\""));
}

static void test_a_status_no_handler_may_return_is_an_inner_failure(void **state)
{
    static const char *const paths[] = {"/status/0", "/status/99", "/status/100",
                                        "/status/600"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        scoped_answer answer = get(httpd, paths[i]);

        assert_int_equal(answer.status, 500);
    }
}

static void test_limits_and_outages_say_when_to_come_back(void **state)
{
    scoped_answer limited = get(httpd, "/fail/8?after=17");
    scoped_answer v1 = get(httpd, "/api/v1/fail/8?after=17");
    scoped_answer unknown = get(httpd, "/fail/11");

    (void)state;
    assert_string_equal(header_of(&limited, "Retry-After"), "17");
    assert_non_null(strstr(limited.body, "\"retryAfter\":17"));
    assert_non_null(strstr(v1.body, "\"retryAfter\":17"));
    assert_string_equal(header_of(&unknown, "Retry-After"), "1");
    assert_non_null(strstr(unknown.body, "\"retryAfter\":1"));
}

static void test_a_text_has_its_own_type_and_headers(void **state)
{
    scoped_answer answer = get(httpd, "/text/300000");

    (void)state;
    assert_int_equal(answer.status, 200);
    assert_int_equal(strlen(answer.body), 300000);
    assert_string_equal(header_of(&answer, "Content-Type"), "text/plain; charset=utf-8");
    assert_string_equal(header_of(&answer, "X-Extra"), "one");
    assert_string_equal(header_of(&answer, "Cache-Control"), "max-age=60");
}

/* --- Routes ------------------------------------------------------------------------------- */

static void test_parameters_are_decoded_once(void **state)
{
    scoped_answer answer = get(httpd, "/items/a%2Fb%2520?a=1+2%2B3&b=%C3%A4");

    (void)state;
    assert_string_equal(answer.body, "{\"id\":\"a/b%20\",\"path\":\"/items/a%2Fb%2520\","
                                     "\"a\":\"1 2+3\",\"b\":\"\xc3\xa4\",\"missing\":\"\"}");
}

static void test_a_query_may_be_held_to_known_names(void **state)
{
    scoped_answer unknown = get(httpd, "/items/1?a=1&c=2");
    scoped_answer twice = get(httpd, "/items/1?a=1&a=2");

    (void)state;
    assert_int_equal(unknown.status, 400);
    assert_non_null(strstr(unknown.body, "\"field\":\"c\""));
    assert_int_equal(twice.status, 400);
    assert_non_null(strstr(twice.body, "a: given twice"));
}

static void test_a_bad_query_is_refused(void **state)
{
    static const char *const paths[] = {"/inline?a=%00", "/inline?a=%", "/inline?%4=b",
                                        "/inline?a=%xx", "/inline?%00"};
    scoped_buf many = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        scoped_answer answer = get(httpd, paths[i]);

        assert_int_equal(answer.status, 400);
        assert_non_null(strstr(answer.body, "invalid_query"));
    }
    buf_append_str(&many, "/inline?");
    for (int i = 0; i < 33; i++)
        buf_printf(&many, "p%d=&", i);
    scoped_answer answer = get(httpd, many.data);

    assert_int_equal(answer.status, 400);
    assert_int_equal(app->n_handled, 0);
}

static void test_a_path_without_a_route_is_not_found(void **state)
{
    static const char *const paths[] = {
        "/",         "/inlin",     "/inline/",   "/inlinex",        "//inline",
        "/items/",   "/items",     "/items/a/",  "/items//parts/1", "/items/1/parts/",
        "/%69nline", "/items/1/x", "/../inline", "http://x/inline", "*"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        scoped_answer answer = get(httpd, paths[i]);

        if (answer.status != 404)
            fail_msg("%s: %d", paths[i], answer.status);
        assert_non_null(strstr(answer.body, "\"code\":\"not_found\""));
    }
    assert_int_equal(app->n_handled, 0);
}

static void test_paths_under_the_v1_face_are_missed_in_its_words(void **state)
{
    scoped_answer answer = get(httpd, "/api/v1/nope");

    (void)state;
    assert_int_equal(answer.status, 404);
    assert_non_null(strstr(answer.body, "{\"error\":\"Not Found\",\"message\":"));
}

static void test_a_literal_path_goes_before_parameters(void **state)
{
    scoped_answer literal = get(httpd, "/items/special");
    scoped_answer other = get(httpd, "/items/speciale");
    scoped_answer put = ask(httpd, "PUT /items/special HTTP/1.1\r\nHost: x\r\n\r\n");

    (void)state;
    assert_string_equal(literal.body, "{\"special\":true}");
    assert_non_null(strstr(other.body, "\"id\":\"speciale\""));
    assert_int_equal(put.status, 405);
    assert_string_equal(header_of(&put, "Allow"), "GET");
}

static void test_another_method_is_told_the_right_ones(void **state)
{
    static const char *const methods[] = {"DELETE", "OPTIONS", "TRACE",
                                          "BREW",   "get",     "CONNECT"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        scoped_str request = xasprintf("%s /items/7 HTTP/1.1\r\nHost: x\r\n\r\n", methods[i]);
        scoped_answer answer = ask(httpd, request);

        assert_int_equal(answer.status, 405);
        assert_string_equal(header_of(&answer, "Allow"), "GET, PUT");
        assert_non_null(strstr(answer.body, "method_not_allowed"));
    }
    assert_int_equal(app->n_handled, 0);
}

static void test_head_is_answered_without_a_body(void **state)
{
    scoped_fd fd = connect_to(httpd);
    char got[2048];
    ssize_t size;

    (void)state;
    assert_true(send_str(fd, "HEAD /inline HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    size = recv(fd, got, sizeof(got) - 1, MSG_WAITALL);
    assert_true(size > 4);
    got[size] = '\0';
    assert_non_null(strstr(got, "HTTP/1.1 200"));
    assert_non_null(strstr(got, "Content-Length: "));
    assert_memory_equal(got + size - 4, "\r\n\r\n", 4);
}

/* --- Bodies ------------------------------------------------------------------------------- */

static void test_a_document_is_parsed_and_none_is_none(void **state)
{
    scoped_answer document = post(httpd, "/echo", JSON, "{\"a\": [1]}");
    scoped_answer untyped = post(httpd, "/echo", "", "{\"a\": [1]}");
    scoped_answer charset =
        post(httpd, "/echo", "Content-Type: Application/JSON; charset=utf-8\r\n", "[]");
    scoped_answer none = post(httpd, "/echo", JSON, "");

    (void)state;
    assert_int_equal(document.status, 201);
    assert_string_equal(document.body, "{\"a\":[1]}");
    assert_int_equal(untyped.status, 201);
    assert_int_equal(charset.status, 201);
    assert_int_equal(none.status, 204);
}

static void test_a_body_that_isnt_json_is_refused(void **state)
{
    static const char *const bodies[] = {"{",           "nope",    "{}x", "{\"a\":1,\"a\":2}",
                                         "\"\\u0000\"", "\"\xff\""};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        scoped_answer answer = post(httpd, "/echo", JSON, bodies[i]);

        assert_int_equal(answer.status, 400);
        assert_non_null(strstr(answer.body, "\"code\":\"invalid_json\""));
    }
    assert_int_equal(app->n_handled, 0);
}

static void test_another_media_type_is_unsupported(void **state)
{
    static const char *const types[] = {
        "Content-Type: text/plain\r\n", "Content-Type: application/jsonx\r\n",
        "Content-Type:\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        scoped_answer answer = post(httpd, "/echo", types[i], "{}");

        assert_int_equal(answer.status, 415);
    }
    assert_int_equal(app->n_handled, 0);
}

static void test_a_route_may_take_any_bytes(void **state)
{
    scoped_answer answer = post(httpd, "/measure", "Content-Type: text/plain\r\n", "not json");

    (void)state;
    assert_string_equal(answer.body, "{\"size\":8,\"parsed\":false}");
}

static void test_the_credential_is_checked_before_the_body(void **state)
{
    static const char *const paths[] = {"/members/echo", "/members/inline"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        scoped_answer none = post(httpd, paths[i], "Content-Type: text/plain\r\n", "{");
        scoped_answer wrong = post(httpd, paths[i], "Authorization: Bearer bad\r\n", "{");
        scoped_answer good = post(httpd, paths[i], "authorization: bearer  good\r\n", "{");
        scoped_answer basic = post(httpd, paths[i], "Authorization: Basic good\r\n", "{}");
        scoped_answer split = post(httpd, paths[i], "Authorization: Bearer go od\r\n", "{}");

        assert_int_equal(none.status, 401);
        assert_string_equal(header_of(&none, "WWW-Authenticate"), "Bearer");
        assert_int_equal(wrong.status, 403);
        assert_int_equal(good.status, 400);
        assert_int_equal(basic.status, 401);
        assert_int_equal(split.status, 401);
    }
    assert_int_equal(app->n_handled, 0);
    wait_until(app->n_principals == 0, ANSWER_MS);
}

static void test_a_body_over_the_limit_is_refused_before_it_is_sent(void **state)
{
    scoped_fd fd = connect_to(httpd);

    (void)state;
    assert_true(send_str(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n"
                             "Expect: 100-continue\r\n\r\n"));
    scoped_answer answer = read_answer(fd);

    assert_int_equal(answer.status, 413);
    assert_string_equal(header_of(&answer, "Connection"), "close");
    assert_closed(fd);
    assert_int_equal(app->n_handled + app->n_authorized, 0);
}

/* The answer arrives although the client is still sending, whatever the order of things. */
static void test_a_client_that_sends_on_still_reads_the_refusal(void **state)
{
    scoped_fd fd = connect_to(httpd);
    char piece[8192] = "";

    (void)state;
    assert_true(
        send_str(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4194304\r\n\r\n"));
    for (int i = 0; i < 512; i++)
        assert_true(send_bytes(fd, piece, sizeof(piece)));
    scoped_answer answer = read_answer(fd);

    assert_int_equal(answer.status, 413);
    assert_int_equal(receive(fd, piece, sizeof(piece)), 0);
}

/* Nor does the end of the connection reach it as a reset. */
static void test_a_refused_client_may_send_on_after_the_answer(void **state)
{
    scoped_fd fd = connect_to(httpd);

    (void)state;
    assert_true(
        send_str(fd, "POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n"));
    wait_until(stats_of(httpd).requests == 1 && stats_of(httpd).connections == 0, ANSWER_MS);
    for (int i = 0; i < 10; i++) {
        assert_true(send_str(fd, "more of the body"));
        (void)usleep(2000);
    }
    scoped_answer answer = read_answer(fd);

    assert_int_equal(answer.status, 404);
}

static void test_chunks_over_the_limit_are_refused_when_they_pass_it(void **state)
{
    scoped_fd fd = connect_to(httpd);
    char chunk[4096 + 16] = "";
    int head = snprintf(chunk, sizeof(chunk), "1000\r\n");

    (void)state;
    memset(chunk + head, 'x', 4096);
    memcpy(chunk + head + 4096, "\r\n", 2);
    assert_true(send_str(fd, "POST /measure HTTP/1.1\r\nHost: x\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 300; i++)
        (void)send_bytes(fd, chunk, (size_t)head + 4096 + 2);
    scoped_answer answer = read_answer(fd);

    assert_int_equal(answer.status, 413);
    assert_non_null(header_of(&answer, "X-Request-Id"));
    assert_non_null(strstr(answer.body, "\"code\":\"too_large\""));
    assert_closed(fd);
    assert_int_equal(app->n_handled, 0);
    wait_until(stats_of(httpd).by_status[4] == 1, ANSWER_MS);
}

static void test_a_body_of_exactly_the_limit_is_taken(void **state)
{
    scoped_buf body = {0};

    (void)state;
    while (body.size < 1 << 20)
        buf_append_str(&body, "xxxxxxxxxxxxxxxx");
    scoped_answer answer = post(httpd, "/measure", "", body.data);

    assert_string_equal(answer.body, "{\"size\":1048576,\"parsed\":false}");
}

/* --- Connections -------------------------------------------------------------------------- */

static void test_a_connection_is_kept_over_answers_of_all_kinds(void **state)
{
    static const struct {
        const char *request;
        int status;
    } turns[] = {
        {"GET /inline HTTP/1.1\r\nHost: x\r\n\r\n", 200},
        {"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n", 404},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 201},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{", 400},
        {"DELETE /inline HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        {"POST /inline HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405},
        {"GET /inline HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /", 200},
        {"POST /members/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 401},
        {"GET /worker HTTP/1.1\r\nHost: x\r\n\r\n", 200},
        {"GET /text/100000 HTTP/1.1\r\nHost: x\r\n\r\n", 200},
        {"GET /within HTTP/1.1\r\nHost: x\r\n\r\n", 202},
        {"GET /items/7?a=b HTTP/1.1\r\nHost: x\r\n\r\n", 200},
    };
    scoped_fd fd = connect_to(httpd);

    (void)state;
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
            assert_true(send_str(fd, turns[i].request));
            scoped_answer answer = read_answer(fd);

            assert_int_equal(answer.status, turns[i].status);
        }
    assert_true(is_still_open(fd));
    assert_int_equal(stats_of(httpd).connections, 1);
}

static void test_requests_sent_at_once_are_answered_in_order(void **state)
{
    scoped_fd fd = connect_to(httpd);

    (void)state;
    assert_true(send_str(fd, "GET /inline?name=1 HTTP/1.1\r\nHost: x\r\n\r\n"
                             "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n2"
                             "GET /worker?name=3 HTTP/1.1\r\nHost: x\r\n\r\n"
                             "GET /nope HTTP/1.1\r\nHost: x\r\n\r\n"
                             "GET /within HTTP/1.1\r\nHost: x\r\n\r\n"));
    scoped_answer first = read_answer(fd);
    scoped_answer second = read_answer(fd);
    scoped_answer third = read_answer(fd);
    scoped_answer fourth = read_answer(fd);
    scoped_answer fifth = read_answer(fd);

    assert_non_null(strstr(first.body, "\"hello\":\"1\""));
    assert_string_equal(second.body, "2");
    assert_non_null(strstr(third.body, "\"hello\":\"3\""));
    assert_int_equal(fourth.status, 404);
    assert_int_equal(fifth.status, 202);
}

static void test_a_refused_body_is_not_taken_for_a_request(void **state)
{
    static const char *const heads[] = {
        "GET /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n",
        "DELETE /inline HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n",
        "GET /inline?a=%zz HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n",
        "GET /inline HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        scoped_fd fd = connect_to(httpd);

        assert_true(send_str(fd, heads[i]));
        (void)send_str(fd, "GET /inline HTTP/1.1\r\nHost: smuggled\r\n\r\n");
        scoped_answer answer = read_answer(fd);

        assert_int_equal(answer.status / 100, 4);
        assert_string_equal(header_of(&answer, "Connection"), "close");
        assert_closed(fd);
    }
    assert_int_equal(app->n_handled, 0);
}

static void test_counts_are_kept(void **state)
{
    static const char *const paths[] = {"/inline", "/nope", "/fail/12"};
    struct httpd_stats stats;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        scoped_answer answer = get(httpd, paths[i]);

        assert_true(answer.status > 0);
    }
    wait_until(stats_of(httpd).connections == 0, ANSWER_MS);
    stats = stats_of(httpd);
    assert_int_equal(stats.requests, 3);
    assert_int_equal(stats.by_status[2], 1);
    assert_int_equal(stats.by_status[4], 1);
    assert_int_equal(stats.by_status[5], 1);
    assert_int_equal(stats.by_status[0] + stats.refused_malformed + stats.cut_late, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TEST_MAIN(CASE(test_every_answer_carries_the_safe_headers),
          CASE(test_request_ids_differ_unless_the_client_names_its_own),
          CASE(test_a_request_id_is_64_characters_at_most),
          CASE(test_each_kind_of_error_has_its_status),
          CASE(test_an_error_is_a_sentence_a_code_and_the_field),
          CASE(test_inner_failures_are_not_told_to_the_client),
          CASE(test_a_status_no_handler_may_return_is_an_inner_failure),
          CASE(test_limits_and_outages_say_when_to_come_back),
          CASE(test_a_text_has_its_own_type_and_headers),
          CASE(test_parameters_are_decoded_once), CASE(test_a_query_may_be_held_to_known_names),
          CASE(test_a_bad_query_is_refused), CASE(test_a_path_without_a_route_is_not_found),
          CASE(test_paths_under_the_v1_face_are_missed_in_its_words),
          CASE(test_a_literal_path_goes_before_parameters),
          CASE(test_another_method_is_told_the_right_ones),
          CASE(test_head_is_answered_without_a_body),
          CASE(test_a_document_is_parsed_and_none_is_none),
          CASE(test_a_body_that_isnt_json_is_refused),
          CASE(test_another_media_type_is_unsupported), CASE(test_a_route_may_take_any_bytes),
          CASE(test_the_credential_is_checked_before_the_body),
          CASE(test_a_body_over_the_limit_is_refused_before_it_is_sent),
          CASE(test_a_client_that_sends_on_still_reads_the_refusal),
          CASE(test_a_refused_client_may_send_on_after_the_answer),
          CASE(test_chunks_over_the_limit_are_refused_when_they_pass_it),
          CASE(test_a_body_of_exactly_the_limit_is_taken),
          CASE(test_a_connection_is_kept_over_answers_of_all_kinds),
          CASE(test_requests_sent_at_once_are_answered_in_order),
          CASE(test_a_refused_body_is_not_taken_for_a_request), CASE(test_counts_are_kept))
