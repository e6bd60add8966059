/* SPDX-License-Identifier: Apache-2.0 */
#include "google_server.h"

#include "googleapis/google_api.h"

/* A metadata server and an API, each with its script. */
struct bed {
    struct server metadata;
    struct server server;
    struct script tokens;
    struct script answers;
    struct keyring *keyring;
    struct net *net;
    struct google_api *api;
};

static void bed_make(struct bed *bed)
{
    const struct net_options net_options = {.user_agent = "test/1"};
    struct google_api_options options = {.name = "Things", .qps = 10000, .burst = 10000};
    scoped_str url = NULL;
    struct err err = {0};

    script_start(&bed->metadata, &bed->tokens);
    script_start(&bed->server, &bed->answers);
    bed->keyring = keyring_new(metadata_source(&bed->metadata));
    bed->net = net_new(&net_options, &err);
    assert_made(bed->net, err);
    url = xasprintf("http://127.0.0.1:%d", bed->server.port);
    options.url = url;
    options.keyring = bed->keyring;
    options.net = bed->net;
    bed->api = google_api_new(&options);
}

static void bed_done(struct bed *bed)
{
    google_api_free(bed->api);
    keyring_free(bed->keyring);
    net_free(bed->net);
    server_stop(&bed->metadata);
    server_stop(&bed->server);
}

/* With this answer of the metadata server, and those of the API. */
#define BED(bed, token, ...)                                                                   \
    do {                                                                                       \
        SCRIPT(&(bed)->tokens, token);                                                         \
        SCRIPT(&(bed)->answers, __VA_ARGS__);                                                  \
        bed_make(bed);                                                                         \
    } while (0)
#define GOOD_FOR(life)                                                                         \
    {                                                                                          \
        200, FLAVOUR, TOKEN_ANSWER("t1", life)                                                 \
    }
#define DENIED                                                                                 \
    {                                                                                          \
        403, FLAVOUR, "{}"                                                                     \
    }

#define scoped_bed __attribute__((cleanup(bed_done))) struct bed

static int call(struct bed *bed, const char *method, struct err *err)
{
    const struct google_request request = {.method = method, .path = "/v1/things"};
    scoped_json answer = NULL;

    *err = (struct err){0};
    return google_api_call(bed->api, &request, &answer, err);
}

static int times_asked(const struct server *server)
{
    int times = 0;

    for (const char *at = server->seen.data; at && (at = strstr(at, " HTTP/1.1\r\n")); at++)
        times++;
    return times;
}

static void test_one_access_token_serves_many_calls(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, GOOD_FOR("3600"), {200, NULL, "{}"});
    for (int i = 0; i < 5; i++)
        assert_ok(call(&bed, "GET", &err), err);
    assert_int_equal(times_asked(&bed.metadata), 1);
    assert_non_null(strstr(bed.server.seen.data, "Authorization: Bearer t1\r\n"));
}

/* One that ends within the early minutes is renewed, but no more often than every few seconds;
 * one that is about to end isn't used any more. */
static void test_a_token_near_its_end_is_used_while_it_lasts(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, GOOD_FOR("100"), {200, NULL, "{}"});
    for (int i = 0; i < 5; i++)
        assert_ok(call(&bed, "GET", &err), err);
    assert_int_equal(times_asked(&bed.metadata), 1);
}

static void test_a_token_that_is_not_accepted_is_renewed_once(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, GOOD_FOR("3600"), {401, NULL, "{}"});
    for (int i = 0; i < 3; i++) {
        assert_int_equal(call(&bed, "POST", &err), -1);
        assert_int_equal(err.kind, ERR_UNAUTHENTICATED);
    }
    assert_int_equal(times_asked(&bed.metadata), 1); /* it was only just asked */
}

static void test_without_an_access_token_nothing_is_sent(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, DENIED, {200, NULL, "{}"});
    for (int i = 0; i < 3; i++) {
        assert_int_equal(call(&bed, "POST", &err), -1);
        assert_int_equal(err.kind, ERR_DENIED);
    }
    assert_int_equal(times_asked(&bed.metadata), 1);
    assert_int_equal(times_asked(&bed.server), 0);
}

static void test_a_get_survives_trouble_and_a_post_does_not_risk_it(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, GOOD_FOR("3600"), {500, NULL, "{}"}, {0, NULL, ""}, {200, NULL, "{}"},
        {500, NULL, "{}"}, {0, NULL, ""}, {200, NULL, "not JSON"});
    assert_ok(call(&bed, "GET", &err), err);
    assert_int_equal(times_asked(&bed.server), 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(call(&bed, "POST", &err), -1);
        assert_int_equal(err.kind, ERR_TIMEOUT);
    }
    assert_int_equal(times_asked(&bed.server), 6);
}

static void test_a_post_that_was_turned_away_is_asked_again(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, GOOD_FOR("3600"), {429, "Retry-After: 1\r\n", "{}"}, {200, NULL, "{}"});
    assert_ok(call(&bed, "POST", &err), err);
    assert_int_equal(times_asked(&bed.server), 2);
}

static void test_a_stopped_api_sends_nothing(void **state)
{
    scoped_bed bed = {0};
    struct err err;

    (void)state;
    BED(&bed, GOOD_FOR("3600"), {200, NULL, "{}"});
    google_api_stop(bed.api);
    assert_int_equal(call(&bed, "GET", &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_int_equal(times_asked(&bed.server), 0);
}

struct caller {
    pthread_t thread;
    struct bed *bed;
    int result;
};

static void *call_once(void *ctx)
{
    struct caller *caller = ctx;
    struct err err;

    caller->result = call(caller->bed, "GET", &err);
    return NULL;
}

static void test_many_callers_fetch_one_token(void **state)
{
    enum { CALLERS = 8 };
    struct caller callers[CALLERS];
    scoped_bed bed = {0};

    (void)state;
    BED(&bed, GOOD_FOR("3600"), {200, NULL, "{}"});
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.bed = &bed};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_once, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
        assert_int_equal(callers[i].result, 0);
    }
    assert_int_equal(times_asked(&bed.metadata), 1);
}

static int setup(void **state)
{
    (void)state;
    json_setup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_access_token_serves_many_calls),
        cmocka_unit_test(test_a_token_near_its_end_is_used_while_it_lasts),
        cmocka_unit_test(test_a_token_that_is_not_accepted_is_renewed_once),
        cmocka_unit_test(test_without_an_access_token_nothing_is_sent),
        cmocka_unit_test(test_a_get_survives_trouble_and_a_post_does_not_risk_it),
        cmocka_unit_test(test_a_post_that_was_turned_away_is_asked_again),
        cmocka_unit_test(test_a_stopped_api_sends_nothing),
        cmocka_unit_test(test_many_callers_fetch_one_token),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, setup, NULL);
}
