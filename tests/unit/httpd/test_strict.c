/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

/* A request as bytes: NULs in it are part of the case. */
#define BYTES(text) (text), sizeof(text) - 1

#define GET_LINE "GET /inline HTTP/1.1\r\n"
#define POST_LINE "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
#define CHUNKS "2\r\n{}\r\n0\r\n\r\n"
#define SMUGGLED "GET /inline HTTP/1.1\r\nHost: smuggled\r\n\r\n"

struct malformed {
    const char *bytes;
    size_t size;
};

/* strict.c's own business: libmicrohttpd takes all of these. */
static const struct malformed ours[] = {
    /* the request line */
    {BYTES("GET  /inline HTTP/1.1\r\nHost: x\r\n\r\n")},
    {BYTES("GET /inline  HTTP/1.1\r\nHost: x\r\n\r\n")},
    {BYTES("GET /inline x HTTP/1.1\r\nHost: x\r\n\r\n")},
    {BYTES("GET /inline?a=1 2 HTTP/1.1\r\nHost: x\r\n\r\n")},
    {BYTES("GET /inline\t HTTP/1.1\r\nHost: x\r\n\r\n")},
    {BYTES("GET /inline\0x HTTP/1.1\r\nHost: x\r\n\r\n")},
    {BYTES("GET /inline?a\0x=1 HTTP/1.1\r\nHost: x\r\n\r\n")},
    {BYTES("GET /inline?a=1\0 HTTP/1.1\r\nHost: x\r\n\r\n")},
    {BYTES("GET /inline\x01 HTTP/1.1\r\nHost: x\r\n\r\n")},
    {BYTES("GET\0 /inline HTTP/1.1\r\nHost: x\r\n\r\n")},
    {BYTES("G(T /inline HTTP/1.1\r\nHost: x\r\n\r\n")},
    {BYTES("GET /inline HTTP/1.2\r\nHost: x\r\n\r\n")},
    {BYTES("GET /in%00line HTTP/1.1\r\nHost: x\r\n\r\n")},
    {BYTES("GET /inline%4 HTTP/1.1\r\nHost: x\r\n\r\n")},
    {BYTES("GET /inline%zz HTTP/1.1\r\nHost: x\r\n\r\n")},
    /* the lines of the head */
    {BYTES("GET /inline HTTP/1.1\nHost: x\n\n")},
    {BYTES(GET_LINE "Host: x\n\r\n")},
    {BYTES(GET_LINE "Host: x\r\n\n")},
    {BYTES(GET_LINE "Host: x\r\nA: b\nC: d\r\n\r\n")},
    {BYTES(GET_LINE "Host: x\r\nA: b\r\n folded\r\n\r\n")},
    {BYTES(GET_LINE "Host: x\r\n\tA: b\r\n\r\n")},
    {BYTES(GET_LINE "Host: x\r\n: b\r\n\r\n")},
    /* the values */
    {BYTES(GET_LINE "Host: x\r\nA: b\0c\r\n\r\n")},
    {BYTES(GET_LINE "Host: x\r\nA: b\0\r\n\r\n")},
    {BYTES(GET_LINE "Host: x\r\nA: b\rc\r\n\r\n")},
    {BYTES(GET_LINE "Host: x\r\nA: b\r\r\n\r\n")},
    {BYTES(GET_LINE "Host: x\r\nA: \x01\r\n\r\n")},
    {BYTES(GET_LINE "Host: x\r\nA: \x7f\r\n\r\n")},
    /* the names */
    {BYTES(GET_LINE "Host: x\r\nA(: b\r\n\r\n")},
    {BYTES(GET_LINE "Host: x\r\n\xe4: b\r\n\r\n")},
    /* headers that there is one of */
    {BYTES(GET_LINE "\r\n")},
    {BYTES(GET_LINE "Host: x\r\nHost: x\r\n\r\n")},
    {BYTES(GET_LINE "Host: x\r\nhOST: y\r\n\r\n")},
    {BYTES(GET_LINE "Host: x\r\nAuthorization: a\r\nAuthorization: a\r\n\r\n")},
    {BYTES(POST_LINE "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}")},
    /* how long the body is */
    {BYTES(POST_LINE "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}")},
    {BYTES(POST_LINE "Content-Length: 2\r\nContent-Length: 1\r\n\r\n{}")},
    {BYTES(POST_LINE "Content-Length: 2\0\r\n\r\n{}")},
    {BYTES(POST_LINE "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n" CHUNKS)},
    {BYTES(POST_LINE "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n" CHUNKS)},
    {BYTES(POST_LINE
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" CHUNKS)},
    {BYTES(POST_LINE "Transfer-Encoding: xchunked\r\n\r\n" CHUNKS)},
    {BYTES(POST_LINE "Transfer-Encoding: gzip, chunked\r\n\r\n" CHUNKS)},
    {BYTES(POST_LINE "Transfer-Encoding: identity\r\n\r\n" CHUNKS)},
    {BYTES(POST_LINE "Transfer-Encoding: chunked \r\n\r\n" CHUNKS)},
    {BYTES(POST_LINE "Transfer-Encoding: \x0b"
                     "chunked\r\n\r\n" CHUNKS)},
    {BYTES(POST_LINE "Transfer-Encoding:\r\n chunked\r\n\r\n" CHUNKS)},
    {BYTES("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" CHUNKS)},
};

/* libmicrohttpd answers these by itself, before we see them. */
static const struct malformed theirs[] = {
    {BYTES("GET /inline\r\n\r\n")},
    {BYTES("GET /inline HTTP/0.9\r\nHost: x\r\n\r\n")},
    {BYTES("GET /inline HTTP/2.0\r\nHost: x\r\n\r\n")},
    {BYTES("GET /inline HTTP/1.1x\r\nHost: x\r\n\r\n")},
    {BYTES("GET /inline http/1.1\r\nHost: x\r\n\r\n")},
    {BYTES(" /inline HTTP/1.1\r\nHost: x\r\n\r\n")},
    {BYTES(GET_LINE "Host: x\r\nnocolon\r\n\r\n")},
    {BYTES(GET_LINE "Host : x\r\n\r\n")},
    {BYTES(GET_LINE " Host: x\r\n\r\n")},
    {BYTES(GET_LINE "Host: x\r\nA\0B: c\r\n\r\n")},
    {BYTES(POST_LINE "Content-Length: +2\r\n\r\n{}")},
    {BYTES(POST_LINE "Content-Length: -2\r\n\r\n{}")},
    {BYTES(POST_LINE "Content-Length: 0x2\r\n\r\n{}")},
    {BYTES(POST_LINE "Content-Length: 2, 2\r\n\r\n{}")},
    {BYTES(POST_LINE "Content-Length: 2 \r\n\r\n{}")},
    {BYTES(POST_LINE "Content-Length:\r\n\r\n{}")},
    {BYTES(POST_LINE "Content-Length: 99999999999999999999\r\n\r\n{}")},
    {BYTES(POST_LINE "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n")},
    {BYTES(POST_LINE "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n")},
    {BYTES(POST_LINE "Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n")},
    {BYTES(POST_LINE "Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n")},
};

/* Each case is followed by a good request that must not be served. */
static struct answer send_case(const struct httpd *httpd, const struct malformed *one)
{
    scoped_fd fd = connect_to(httpd);
    struct answer answer;

    (void)send_bytes(fd, one->bytes, one->size);
    (void)send_str(fd, SMUGGLED);
    answer = read_answer(fd);
    assert_closed(fd);
    return answer;
}

static void test_what_could_be_read_in_two_ways_is_refused_and_closed(void **state)
{
    struct app *app = app_new();
    struct httpd *httpd = start(app);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        scoped_answer answer = send_case(httpd, &ours[i]);

        if (answer.status != 400 || !header_of(&answer, "X-Request-Id")
            || strcmp(header_of(&answer, "Connection"), "close") != 0
            || !strstr(answer.body, "\"code\":\"") || app->n_handled || app->n_authorized)
            fail_msg("case %zu: %d, %s: %s", i, answer.status, answer.body, ours[i].bytes);
    }
    assert_int_equal(stats_of(httpd).refused_malformed, ARRAY_SIZE(ours));
    httpd_free(httpd);
    app_free(app);
}

static void test_what_libmicrohttpd_refuses_reaches_no_handler(void **state)
{
    struct app *app = app_new();
    struct httpd *httpd = start(app);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(theirs); i++) {
        scoped_answer answer = send_case(httpd, &theirs[i]);

        if ((answer.status && answer.status / 100 == 2) || app->n_handled)
            fail_msg("case %zu: %d: %s", i, answer.status, theirs[i].bytes);
    }
    httpd_free(httpd);
    app_free(app);
}

static void test_what_libmicrohttpd_refuses_is_counted(void **state)
{
    static const struct malformed one = {BYTES(POST_LINE "Content-Length: +2\r\n\r\n{}")};
    struct app *app = app_new();
    struct httpd *httpd = start(app);
    scoped_answer answer = send_case(httpd, &one);

    (void)state;
    assert_int_equal(answer.status, 400);
    wait_until(stats_of(httpd).refused_malformed == 1, ANSWER_MS);
    wait_until(stats_of(httpd).by_status[4] == 1, ANSWER_MS);
    httpd_free(httpd);
    app_free(app);
}

static void test_a_head_over_the_connections_memory_is_refused(void **state)
{
    struct app *app = app_new();
    struct httpd *httpd = start(app);
    scoped_buf request = {0};
    struct malformed one;

    (void)state;
    buf_append_str(&request, GET_LINE "Host: x\r\nA: ");
    for (int i = 0; i < 70000; i++)
        buf_append_str(&request, "a");
    buf_append_str(&request, "\r\n\r\n");
    one = (struct malformed){request.data, request.size};
    {
        scoped_answer answer = send_case(httpd, &one);

        assert_int_equal(answer.status / 100, 4);
    }
    assert_int_equal(app->n_handled, 0);
    httpd_free(httpd);
    app_free(app);
}

static void test_unusual_but_good_requests_are_served(void **state)
{
    static const struct malformed good[] = {
        {BYTES("\r\n\r\n" GET_LINE "Host: x\r\n\r\n")},
        {BYTES(GET_LINE "Host:\r\n\r\n")},
        {BYTES(GET_LINE "Host:x\r\n\r\n")},
        {BYTES(GET_LINE "Host: \t  x\r\nA:\r\nB: \xe4 c\td  \r\n\r\n")},
        {BYTES(GET_LINE "Cookie: a=b; c=d\r\nHost: x\r\nCookie: e=f\r\n\r\n")},
        {BYTES("GET /inline?name=a&b&=c&& HTTP/1.1\r\nHost: x\r\n\r\n")},
        {BYTES("GET /inline? HTTP/1.1\r\nHost: x\r\n\r\n")},
        {BYTES("GET /inline HTTP/1.0\r\n\r\n")},
        {BYTES(POST_LINE "Transfer-Encoding: Chunked\r\n\r\n" CHUNKS)},
        {BYTES(POST_LINE "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n")},
    };
    struct app *app = app_new();
    struct httpd *httpd = start(app);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        scoped_fd fd = connect_to(httpd);

        assert_true(send_bytes(fd, good[i].bytes, good[i].size));
        {
            scoped_answer answer = read_answer(fd);

            if (answer.status / 100 != 2)
                fail_msg("case %zu: %d %s: %s", i, answer.status, answer.body, good[i].bytes);
        }
    }
    assert_int_equal(app->n_handled, ARRAY_SIZE(good));
    httpd_free(httpd);
    app_free(app);
}

/* The line ends of chunks are libmicrohttpd's, and it takes a lone LF. */
static void test_nothing_is_served_after_a_chunked_request(void **state)
{
    static const struct malformed one = {
        BYTES(POST_LINE "Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n")};
    struct app *app = app_new();
    struct httpd *httpd = start(app);

    (void)state;
    {
        scoped_answer answer = send_case(httpd, &one);

        assert_int_equal(answer.status, 201);
    }
    assert_int_equal(app->n_handled, 1);
    httpd_free(httpd);
    app_free(app);
}

/* Byte by byte, the head lies in memory as it does in one piece. */
static void test_a_request_may_come_in_single_bytes(void **state)
{
    static const char request[] = POST_LINE "Content-Length: 8\r\nA: b\r\n\r\n{\"a\": 1}";
    struct app *app = app_new();
    struct httpd *httpd = start(app);
    scoped_fd fd = connect_to(httpd);

    (void)state;
    for (const char *at = request; *at; at++) {
        assert_true(send_bytes(fd, at, 1));
        (void)usleep(200);
    }
    {
        scoped_answer answer = read_answer(fd);

        assert_int_equal(answer.status, 201);
        assert_string_equal(answer.body, "{\"a\":1}");
    }
    httpd_free(httpd);
    app_free(app);
}

TEST_MAIN(cmocka_unit_test(test_what_could_be_read_in_two_ways_is_refused_and_closed),
          cmocka_unit_test(test_what_libmicrohttpd_refuses_reaches_no_handler),
          cmocka_unit_test(test_what_libmicrohttpd_refuses_is_counted),
          cmocka_unit_test(test_a_head_over_the_connections_memory_is_refused),
          cmocka_unit_test(test_unusual_but_good_requests_are_served),
          cmocka_unit_test(test_nothing_is_served_after_a_chunked_request),
          cmocka_unit_test(test_a_request_may_come_in_single_bytes))
