/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/cluster.h"

#include "api_server.h"

#define LONG_MS 60000

/* A server with its script and a cluster that is it. */
struct bed {
    struct server server;
    struct script script;
    char *dir;
    struct cluster *cluster;
};

static void bed_make(struct bed *bed, const struct said *all, size_t count,
                     struct cluster_options options)
{
    bed->script.all = all;
    bed->script.count = count;
    bed->dir = test_dir_new();
    api_server_start(&bed->server, &bed->script);
    bed->cluster = open_cluster(&bed->server, bed->dir, options);
}

#define BED(bed, options, ...)                                                                 \
    static const struct said said_[] = {__VA_ARGS__};                                          \
                                                                                               \
    bed_make((bed), said_, ARRAY_SIZE(said_), (options))
#define DEFAULTS ((struct cluster_options){0})

static void bed_done(struct bed *bed)
{
    cluster_free(bed->cluster);
    server_stop(&bed->server);
    test_dir_remove(bed->dir);
    free(bed->dir);
}

#define scoped_bed __attribute__((cleanup(bed_done))) struct bed

static int call(struct bed *bed, const char *method, int timeout_ms, cJSON **out,
                struct err *err)
{
    struct cluster_request request = {
        .method = method, .path = "/api/v1/things", .timeout_ms = timeout_ms};

    *err = (struct err){0};
    return cluster_call(bed->cluster, &request, out, err);
}

static struct cluster_counts counts(struct bed *bed)
{
    struct cluster_counts now;

    cluster_counts(bed->cluster, &now);
    return now;
}

static void test_a_call_goes_out_as_it_should_and_its_answer_is_read(void **state)
{
    scoped_bed bed = {0};
    scoped_json body = jobj({"kind", jstr("Thing")});
    scoped_json answer = NULL;
    struct cluster_request request = {
        .method = "PATCH",
        .path = "/api/v1/things/a",
        .query = "fieldManager=x",
        .body = body,
        .content_type = "application/merge-patch+json",
    };
    struct err err = {0};

    (void)state;
    BED(&bed, DEFAULTS, {200, WHOLE, NULL, "{\"kind\":\"Answer\"}"});
    assert_ok(cluster_call(bed.cluster, &request, &answer, &err), err);
    assert_string_equal(json_get_str(answer, "kind"), "Answer");
    assert_true(server_saw(&bed.server, "PATCH /api/v1/things/a?fieldManager=x HTTP/1.1\r\n"));
    assert_true(server_saw(&bed.server, "Authorization: Bearer sesame\r\n"));
    assert_true(server_saw(&bed.server, "Content-Type: application/merge-patch+json\r\n"));
    assert_true(server_saw(&bed.server, "Accept: application/json\r\n"));
    assert_true(server_saw(&bed.server, "User-Agent: dispatchd/"));
    assert_true(server_saw(&bed.server, "\r\n\r\n{\"kind\":\"Thing\"}"));
    assert_ok(cluster_call(bed.cluster, &request, NULL, &err), err);
    assert_int_equal(counts(&bed).calls, 2);
    assert_int_equal(counts(&bed).failures, 0);
    assert_string_equal(cluster_namespace(bed.cluster), "runs");
    assert_non_null(strstr(cluster_server(bed.cluster), "http://127.0.0.1:"));
}

static void test_a_refusal_is_the_servers_sentence(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, DEFAULTS,
        {409, WHOLE, NULL,
         "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\",\"message\":\"is there\"}"});
    assert_int_equal(call(&bed, "POST", 0, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_string_equal(err.code, "AlreadyExists");
    assert_string_equal(err.text, "POST /api/v1/things: 409 AlreadyExists: is there");
    assert_int_equal(bed.server.requests, 1);
}

static void test_what_the_server_may_have_done_is_never_repeated(void **state)
{
    static const struct said answers[] = {
        {500, WHOLE, NULL, ""}, {502, WHOLE, NULL, ""}, {503, WHOLE, NULL, ""},
        {504, WHOLE, NULL, ""}, {200, CUT, NULL, "{"},  {0, RESET, NULL, NULL},
    };
    static const char *const methods[] = {"POST", "PATCH", "DELETE", "PUT"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(answers) * ARRAY_SIZE(methods); i++) {
        scoped_bed bed = {0};
        struct err err;

        bed_make(&bed, &answers[i / ARRAY_SIZE(methods)], 1, DEFAULTS);
        assert_int_equal(call(&bed, methods[i % ARRAY_SIZE(methods)], 0, NULL, &err), -1);
        assert_int_equal(err.kind, ERR_TIMEOUT);
        assert_int_equal(bed.server.requests, 1);
        assert_int_equal(counts(&bed).failures, 1);
    }
}

static void test_a_get_is_tried_again(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, DEFAULTS, {500, WHOLE, NULL, ""}, {0, RESET, NULL, NULL}, {200, CUT, NULL, "{"},
        {200, WHOLE, NULL, "{}"});
    assert_int_equal(call(&bed, "GET", LONG_MS, NULL, &err), 0);
    assert_int_equal(bed.server.requests, 4);
    assert_in_range(counts(&bed).failures, 2, 3); /* libcurl may repeat one by itself */
}

static void test_a_get_that_never_works_ends_as_unknown(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, DEFAULTS, {500, WHOLE, NULL, ""});
    assert_int_equal(call(&bed, "GET", LONG_MS, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_int_equal(bed.server.requests, 4);
}

static void test_no_answer_in_time_is_unknown(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, DEFAULTS, {200, HANG, NULL, ""});
    assert_int_equal(call(&bed, "POST", 200, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
}

static void test_an_answer_that_is_no_json_is_unknown(void **state)
{
    scoped_bed bed = {0};
    scoped_json answer = NULL;
    struct err err;

    (void)state;
    BED(&bed, DEFAULTS, {201, WHOLE, NULL, "<html>"});
    assert_int_equal(call(&bed, "POST", 0, &answer, &err), -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_null(answer);
}

static void test_no_connection_means_that_nothing_was_done(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, DEFAULTS, {200, WHOLE, NULL, "{}"});
    server_stop(&bed.server);
    assert_int_equal(call(&bed, "POST", 0, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    server_start(&bed.server, serve_script, NULL); /* for bed_done */
}

static void test_an_answer_beyond_its_limit(void **state)
{
    scoped_bed bed = {0};
    struct cluster_request request = {.method = "GET", .path = "/x", .answer_max_bytes = 10};
    struct err err = {0};

    (void)state;
    BED(&bed, DEFAULTS, {200, WHOLE, NULL, "{\"a\":\"123456789\"}"});
    assert_int_equal(cluster_call(bed.cluster, &request, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_TOO_LARGE);
    assert_int_equal(bed.server.requests, 1);
}

static void test_429_is_waited_out_and_asked_again(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, DEFAULTS, {429, WHOLE, "Retry-After: 1\r\n", ""}, {201, WHOLE, NULL, "{}"});
    assert_int_equal(call(&bed, "POST", LONG_MS, NULL, &err), 0);
    assert_int_equal(bed.server.requests, 2);
    assert_true(counts(&bed).throttled >= 1);
    assert_int_equal(counts(&bed).failures, 0);
}

static void test_after_a_429_that_lasts_nobody_asks(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, DEFAULTS, {429, WHOLE, "Retry-After: 100\r\n", ""});
    assert_int_equal(call(&bed, "POST", 0, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_int_equal(err.retry_after_s, 100);
    assert_int_equal(call(&bed, "GET", 1000, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_in_range(err.retry_after_s, 1, 30);
    assert_int_equal(bed.server.requests, 1);
}

static void test_calls_beyond_the_budget_are_not_sent(void **state)
{
    scoped_bed bed = {0};
    struct cluster_options options = {.qps = 0.001, .burst = 2};
    struct err err;

    (void)state;
    BED(&bed, options, {200, WHOLE, NULL, "{}"});
    assert_int_equal(call(&bed, "GET", 0, NULL, &err), 0);
    assert_int_equal(call(&bed, "GET", 0, NULL, &err), 0);
    assert_int_equal(call(&bed, "GET", 0, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_in_range(err.retry_after_s, 500, 1000);
    assert_int_equal(bed.server.requests, 2);
    assert_int_equal(counts(&bed).calls, 2);
    assert_int_equal(counts(&bed).throttled, 1);
}

/* --- Credentials ---------------------------------------------------------------------- */

/* The same with the token in a file. */
static void use_token_file(struct bed *bed, const char *token)
{
    scoped_str url = server_url(&bed->server, "");
    scoped_str path = kubeconfig_for(bed->dir, url, "tokenFile: token");
    struct cluster_options options = {.kubeconfig = path};
    struct err err = {0};

    test_file_write(bed->dir, "token", token);
    cluster_free(bed->cluster);
    bed->cluster = cluster_open(&options, &err);
    assert_made(bed->cluster, err);
}

static void test_after_a_401_a_token_that_has_changed_is_tried_once(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, DEFAULTS, {401, WHOLE, NULL, ""}, {201, WHOLE, NULL, "{}"},
        {401, WHOLE, NULL, ""});
    use_token_file(&bed, "old");
    test_file_write(bed.dir, "token", "new");
    assert_int_equal(call(&bed, "POST", 0, NULL, &err), 0);
    assert_true(server_saw(&bed.server, "Bearer old\r\n"));
    assert_true(server_saw(&bed.server, "Bearer new\r\n"));
    assert_int_equal(bed.server.requests, 2);

    test_file_write(bed.dir, "token", "newer");
    assert_int_equal(call(&bed, "POST", 0, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_UNAUTHENTICATED);
    assert_int_equal(bed.server.requests, 4);
}

static void test_after_a_401_the_same_token_is_not_tried_again(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, DEFAULTS, {401, WHOLE, NULL, ""});
    use_token_file(&bed, "old");
    assert_int_equal(call(&bed, "GET", 0, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_UNAUTHENTICATED);
    assert_int_equal(bed.server.requests, 1);
}

/* --- Streams -------------------------------------------------------------------------- */

struct heard {
    struct buf text;
    _Atomic size_t size;
};

static int hear(void *ctx, const char *data, size_t size)
{
    struct heard *heard = ctx;

    buf_append(&heard->text, data, size);
    heard->size += size;
    return 0;
}

static void test_a_stream_is_given_in_pieces_until_it_ends(void **state)
{
    static const struct {
        struct said said;
        int result;
        enum err_kind kind;
        const char *heard;
    } cases[] = {
        {{200, END, NULL, "log\n"}, 0, ERR_NONE, "log\n"},
        {{200, WHOLE, NULL, "log\n"}, 0, ERR_NONE, "log\n"},
        {{200, CUT, NULL, "log\n"}, -1, ERR_TIMEOUT, "log\n"},
        {{404, WHOLE, NULL, "no"}, -1, ERR_NOT_FOUND, NULL},
        {{500, WHOLE, NULL, "no"}, -1, ERR_TIMEOUT, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_bed bed = {0};
        struct heard heard = {.size = 0};
        struct err err = {0};

        bed_make(&bed, &cases[i].said, 1, DEFAULTS);
        assert_int_equal(
            cluster_stream(bed.cluster, "/log", "follow=true", 0, hear, &heard, NULL, &err),
            cases[i].result);
        assert_int_equal(err.kind, cases[i].kind);
        if (cases[i].heard)
            assert_string_equal(heard.text.data, cases[i].heard);
        else
            assert_null(heard.text.data);
        assert_int_equal(bed.server.requests, 1);
        assert_true(server_saw(&bed.server, "GET /log?follow=true "));
        buf_done(&heard.text);
    }
}

/* One thing that another thread does meanwhile. */
struct other {
    struct bed *bed;
    const char *method; /* NULL: a stream */
    volatile bool cancel;
    struct heard heard;
    struct err err;
    int result;
    pthread_t thread;
};

static void *do_other(void *ctx)
{
    struct other *other = ctx;
    struct cluster_request request = {.method = other->method,
                                      .path = "/x",
                                      .timeout_ms = 10 * LONG_MS,
                                      .cancel = &other->cancel};

    if (other->method)
        other->result = cluster_call(other->bed->cluster, &request, NULL, &other->err);
    else
        other->result = cluster_stream(other->bed->cluster, "/x", NULL, 0, hear, &other->heard,
                                       &other->cancel, &other->err);
    return NULL;
}

static void other_start(struct other *other)
{
    assert_int_equal(pthread_create(&other->thread, NULL, do_other, other), 0);
}

static void other_end(struct other *other)
{
    assert_int_equal(pthread_join(other->thread, NULL), 0);
    buf_done(&other->heard.text);
}

static void test_streams_never_take_a_connection_from_calls(void **state)
{
    scoped_bed bed = {0};
    struct cluster_options options = {.connections = 1};
    struct other streams[5] = {
        {.bed = &bed}, {.bed = &bed}, {.bed = &bed}, {.bed = &bed}, {.bed = &bed}};
    struct err err;

    (void)state;
    BED(&bed, options, {200, HANG, NULL, "a"}, {200, HANG, NULL, "b"}, {200, HANG, NULL, "c"},
        {200, HANG, NULL, "d"}, {200, HANG, NULL, "e"}, {200, WHOLE, NULL, "{}"});
    for (size_t i = 0; i < ARRAY_SIZE(streams); i++)
        other_start(&streams[i]);
    for (size_t i = 0; i < ARRAY_SIZE(streams); i++)
        wait_until(streams[i].heard.size == 1, LONG_MS);
    for (int i = 0; i < 3; i++)
        assert_int_equal(call(&bed, "GET", LONG_MS, NULL, &err), 0);
    for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
        __atomic_store_n(&streams[i].cancel, true, __ATOMIC_RELEASE);
        other_end(&streams[i]);
        assert_int_equal(streams[i].err.kind, ERR_UNAVAILABLE);
    }
    assert_int_equal(counts(&bed).failures, 0);
}

static void test_what_is_under_way_can_be_cancelled(void **state)
{
    scoped_bed bed = {0};
    struct cluster_options options = {.qps = 0.01, .burst = 1};
    struct other calling = {.bed = &bed, .method = "POST"};
    struct other waiting = {.bed = &bed, .method = "POST"};

    (void)state;
    BED(&bed, options, {200, HANG, NULL, ""});
    other_start(&calling);
    wait_until(bed.server.requests == 1, LONG_MS);
    other_start(&waiting);
    wait_until(counts(&bed).throttled == 1, LONG_MS);
    __atomic_store_n(&calling.cancel, true, __ATOMIC_RELEASE);
    __atomic_store_n(&waiting.cancel, true, __ATOMIC_RELEASE);
    other_end(&calling);
    other_end(&waiting);
    assert_int_equal(calling.err.kind, ERR_UNAVAILABLE);
    assert_int_equal(waiting.err.kind, ERR_UNAVAILABLE);
    assert_int_equal(bed.server.requests, 1);
}

static void test_free_ends_what_is_under_way(void **state)
{
    scoped_bed bed = {0};
    struct cluster_options options = {.qps = 0.01, .burst = 2};
    struct other calling = {.bed = &bed, .method = "POST"};
    struct other streaming = {.bed = &bed};
    struct other waiting = {.bed = &bed, .method = "GET"};

    (void)state;
    BED(&bed, options, {200, HANG, NULL, ""});
    other_start(&calling);
    wait_until(bed.server.requests == 1, LONG_MS);
    other_start(&streaming);
    wait_until(bed.server.requests == 2, LONG_MS);
    other_start(&waiting);
    wait_until(counts(&bed).throttled == 1, LONG_MS);
    cluster_free(bed.cluster);
    bed.cluster = NULL;
    other_end(&calling);
    other_end(&streaming);
    other_end(&waiting);
    assert_int_equal(calling.err.kind, ERR_UNAVAILABLE);
    assert_int_equal(streaming.err.kind, ERR_UNAVAILABLE);
    assert_int_equal(waiting.err.kind, ERR_UNAVAILABLE);
}

TEST_MAIN(cmocka_unit_test(test_a_call_goes_out_as_it_should_and_its_answer_is_read),
          cmocka_unit_test(test_a_refusal_is_the_servers_sentence),
          cmocka_unit_test(test_what_the_server_may_have_done_is_never_repeated),
          cmocka_unit_test(test_a_get_is_tried_again),
          cmocka_unit_test(test_a_get_that_never_works_ends_as_unknown),
          cmocka_unit_test(test_no_answer_in_time_is_unknown),
          cmocka_unit_test(test_an_answer_that_is_no_json_is_unknown),
          cmocka_unit_test(test_no_connection_means_that_nothing_was_done),
          cmocka_unit_test(test_an_answer_beyond_its_limit),
          cmocka_unit_test(test_429_is_waited_out_and_asked_again),
          cmocka_unit_test(test_after_a_429_that_lasts_nobody_asks),
          cmocka_unit_test(test_calls_beyond_the_budget_are_not_sent),
          cmocka_unit_test(test_after_a_401_a_token_that_has_changed_is_tried_once),
          cmocka_unit_test(test_after_a_401_the_same_token_is_not_tried_again),
          cmocka_unit_test(test_a_stream_is_given_in_pieces_until_it_ends),
          cmocka_unit_test(test_streams_never_take_a_connection_from_calls),
          cmocka_unit_test(test_what_is_under_way_can_be_cancelled),
          cmocka_unit_test(test_free_ends_what_is_under_way))
