/* SPDX-License-Identifier: Apache-2.0 */
/* From an agent run's webhook_url to its receiver, and what the delivery routes show of it. */
#include <string.h>

#include "base/alloc.h"
#include "scripted_server.h"
#include "server.h"

#define SOON_MS 60000
#define OTHER_KEY "another-api-key"
#define NO_DELIVERY "00000000000000000000"
#define SECRET "the operator's secret"

static char *configured_url; /* of a receiver that all ends are told to; NULL: none */

static void configure(struct config *config)
{
    struct err err = {0};

    config->allow_private_urls.all = xcalloc(1, sizeof(*config->allow_private_urls.all));
    config->allow_private_urls.texts = xcalloc(2, sizeof(char *));
    config->allow_private_urls.texts[0] = xstrdup("127.0.0.0/8");
    assert_ok(address_range_parse("127.0.0.0/8", config->allow_private_urls.all, &err), err);
    config->allow_private_urls.count = 1;
    secret_free(config->webhook_secret);
    config->webhook_secret = secret_new(SECRET);
    if (!configured_url)
        return;
    config->receivers.all = xcalloc(1, sizeof(*config->receivers.all));
    config->receivers.all[0] = (struct config_receiver){
        .url = xstrdup(configured_url),
        .events = 1U << RUN_COMPLETED | 1U << RUN_FAILED | 1U << RUN_STOPPED};
    config->receivers.count = 1;
}

/* Nothing is launched: runs end by being stopped. */
static struct test_server *open_server(void)
{
    return test_server_new(&(struct test_server_options){
        .max_workers = -1, .more_api_keys = OTHER_KEY, .configure = configure});
}

static char *create(struct test_server *server, const char *key, const char *webhook_url)
{
    scoped_json body = jobj({"prompt", jstr("do it")}, {"blank_workspace", jbool(true)},
                            {"webhook_url", jstr(webhook_url)});
    scoped_str text = json_text(body);
    scoped_json answer = NULL;

    assert_int_equal(
        test_server_call(server, "POST", "/api/v1/agents", key, NULL, text, &answer), 201);
    return xstrdup(json_get_str(answer, "id"));
}

/* A run of this key that has ended and whose end is told; its id. */
static char *ended(struct test_server *server, const char *key, const char *webhook_url)
{
    scoped_str id = create(server, key, webhook_url);
    scoped_str path = xasprintf("/api/v1/agents/%s/stop", id);

    assert_int_equal(test_server_call(server, "POST", path, key, NULL, NULL, NULL), 202);
    return TAKE(id);
}

static cJSON *list(struct test_server *server, const char *key, const char *query)
{
    scoped_str path = xasprintf("/api/deliveries?%s", query);
    cJSON *answer = NULL;

    assert_int_equal(test_server_call(server, "GET", path, key, NULL, NULL, &answer), 200);
    assert_int_equal(json_get_int(answer, "count", -1),
                     cJSON_GetArraySize(json_get(answer, "deliveries")));
    return answer;
}

static int count_of(struct test_server *server, const char *key, const char *query)
{
    scoped_json page = list(server, key, query);

    return (int)json_get_int(page, "count", -1);
}

/* The id of the only delivery of this run; NULL unless it is `status`. */
static char *delivery_id(struct test_server *server, const char *run, const char *status)
{
    scoped_str query = xasprintf("run=%s&status=%s", run, status);
    scoped_json page = list(server, TEST_API_KEY, query);
    const cJSON *first = cJSON_GetArrayItem(json_get(page, "deliveries"), 0);

    return xstrdup(json_get_str(first, "id"));
}

static bool is_now(struct test_server *server, const char *run, const char *status)
{
    scoped_str id = delivery_id(server, run, status);

    return id != NULL;
}

static cJSON *shown(struct test_server *server, const char *key, const char *id)
{
    scoped_str path = xasprintf("/api/deliveries/%s", id);
    cJSON *answer = NULL;

    assert_int_equal(test_server_call(server, "GET", path, key, NULL, NULL, &answer), 200);
    return answer;
}

static bool was_tried(struct test_server *server, const char *id)
{
    scoped_json delivery = shown(server, TEST_API_KEY, id);

    return json_get_int(delivery, "attempts", 0) > 0;
}

/* --- From a run to its receiver -------------------------------------------------------------
 */

static void test_the_receiver_of_a_run_is_told_of_its_end(void **state)
{
    struct server receiver;

    (void)state;
    configured_url = NULL;
    server_start(&receiver, serve_say, NULL);
    scoped(test_server) server = open_server();
    scoped_str url = server_url(&receiver, "/hook?secret=canary");
    scoped_str run = ended(server, TEST_API_KEY, url);
    wait_until(is_now(server, run, "delivered"), SOON_MS);
    scoped_str id = delivery_id(server, run, "delivered");
    scoped_json delivery = shown(server, TEST_API_KEY, id);
    const cJSON *payload = json_get(delivery, "payload");
    assert_string_equal(json_get_str(delivery, "id"), id);
    assert_string_equal(json_get_str(delivery, "run_id"), run);
    assert_string_equal(json_get_str(delivery, "event"), "run.stopped");
    assert_string_equal(json_get_str(delivery, "url"), url);
    assert_int_equal(json_get_int(delivery, "attempts", -1), 1);
    assert_int_equal(json_get_int(delivery, "last_status", -1), 200);
    assert_non_null(json_get_str(delivery, "ended_at"));
    assert_null(json_get(delivery, "next_attempt_at"));
    assert_string_equal(json_get_str(payload, "id"), run);
    assert_string_equal(json_get_str(payload, "event"), "run.stopped");
    assert_null(json_get(payload, "prompt"));
    scoped_str said = json_text(payload);
    assert_true(server_saw(&receiver, said)); /* byte for byte */
    server_stop(&receiver);
}

static void test_a_failing_receiver_is_shown_with_what_it_said(void **state)
{
    static const struct scripted_answer answers[] = {{500, NULL, "I'm <broken>"}};
    struct script script = {.answers = answers, .n_answers = 1};
    struct server receiver;

    (void)state;
    configured_url = NULL;
    script_start(&receiver, &script);
    scoped(test_server) server = open_server();
    scoped_str url = server_url(&receiver, "/");
    scoped_str run = ended(server, TEST_API_KEY, url);
    scoped_str id = delivery_id(server, run, "pending");
    wait_until(was_tried(server, id), SOON_MS);
    scoped_json delivery = shown(server, TEST_API_KEY, id);
    assert_string_equal(json_get_str(delivery, "status"), "pending");
    assert_string_equal(json_get_str(delivery, "last_error"),
                        "the receiver answered 500: I'm <broken>");
    assert_non_null(json_get_str(delivery, "next_attempt_at"));
    assert_null(json_get(delivery, "ended_at"));
    server_stop(&receiver);
}

static void test_a_delivery_can_be_made_again(void **state)
{
    struct server receiver;

    (void)state;
    configured_url = NULL;
    server_start(&receiver, serve_say, NULL);
    scoped(test_server) server = open_server();
    scoped_str url = server_url(&receiver, "/");
    scoped_str run = ended(server, TEST_API_KEY, url);
    wait_until(is_now(server, run, "delivered"), SOON_MS);
    scoped_str id = delivery_id(server, run, "delivered");
    scoped_str path = xasprintf("/api/deliveries/%s/redeliver", id);
    scoped_json answer = NULL;
    assert_int_equal(test_server_call(server, "POST", path, TEST_API_KEY, NULL, NULL, &answer),
                     202);
    assert_string_equal(json_get_str(answer, "id"), id);
    wait_until(receiver.requests == 2, SOON_MS);
    wait_until(is_now(server, run, "delivered"), SOON_MS);
    server_stop(&receiver);
}

static void test_what_a_restart_finds_is_delivered(void **state)
{
    struct server receiver;

    (void)state;
    configured_url = NULL;
    server_start(&receiver, serve_say, NULL);
    scoped(test_server) server = open_server();
    deliveries_stop(server->deliveries);
    scoped_str url = server_url(&receiver, "/");
    scoped_str run = ended(server, TEST_API_KEY, url);
    assert_true(is_now(server, run, "pending"));
    assert_int_equal(receiver.requests, 0);
    test_server_restart(server);
    wait_until(is_now(server, run, "delivered"), SOON_MS);
    server_stop(&receiver);
}

static void test_metrics_count_deliveries(void **state)
{
    struct server receiver;
    struct err err = {0};

    (void)state;
    configured_url = NULL;
    server_start(&receiver, serve_say, NULL);
    scoped(test_server) server = open_server();
    scoped_str url = server_url(&receiver, "/");
    scoped_str run = ended(server, TEST_API_KEY, url);
    wait_until(is_now(server, run, "delivered"), SOON_MS);
    struct deliveries_stats stats = {0};
    wait_until(deliveries_stats(server->deliveries, &stats, &err) == 0 && stats.delivered == 1,
               SOON_MS);
    scoped_str metrics = xasprintf("%s/metrics", server->url);
    scoped_net_answer answer = {0};
    struct net_request request = {.method = "GET", .url = metrics, .timeout_ms = SOON_MS};
    assert_ok(net_call(server->net, &request, &answer, &err), err);
    assert_non_null(strstr(answer.body.data, "\ndispatch_deliveries_pending 0\n"));
    assert_non_null(strstr(answer.body.data, "\ndispatch_deliveries_delivered_total 1\n"));
    assert_non_null(strstr(answer.body.data, "\ndispatch_deliveries_failed_total 0\n"));
    assert_non_null(strstr(answer.body.data, "\ndispatch_wal_pages "));
    server_stop(&receiver);
}

/* --- Who sees what --------------------------------------------------------------------------
 */

static void test_anothers_delivery_is_as_one_that_is_not_there(void **state)
{
    static const char *const paths[] = {"/api/deliveries/%s", "/api/deliveries/%s/redeliver"};
    static const char *const methods[] = {"GET", "POST"};

    (void)state;
    configured_url = NULL;
    scoped(test_server) server = open_server();
    free(ended(server, OTHER_KEY, "http://127.0.0.1:9/"));
    assert_int_equal(count_of(server, TEST_API_KEY, ""), 0);
    assert_int_equal(count_of(server, OTHER_KEY, ""), 1);
    scoped_json page = list(server, OTHER_KEY, "");
    const char *id = json_get_str(json_get(page, "deliveries")->child, "id");
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        for (int exists = 0; exists <= 1; exists++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            scoped_str path = xasprintf(paths[i], exists ? id : NO_DELIVERY);
#pragma GCC diagnostic pop
            scoped_json answer = NULL;
            scoped_str sentence =
                xasprintf("there is no delivery %s", exists ? id : NO_DELIVERY);

            assert_int_equal(
                test_server_call(server, methods[i], path, TEST_API_KEY, NULL, NULL, &answer),
                404);
            assert_string_equal(json_get_str(answer, "error"), sentence);
        }
    }
}

/* Its URL may be as good as a password, and what it answers is the operator's. */
static void test_a_configured_receiver_is_shown_to_administrators_only(void **state)
{
    (void)state;
    configured_url = xstrdup("http://127.0.0.1:9/secret-path");
    scoped(test_server) server = open_server();
    scoped_str admin = test_server_admin(server);
    free(ended(server, TEST_API_KEY, NULL));
    scoped_json page = list(server, TEST_API_KEY, "");
    const cJSON *delivery = json_get(page, "deliveries")->child;
    scoped_json all = list(server, admin, "");
    const cJSON *same = json_get(all, "deliveries")->child;
    assert_true(json_get_bool(delivery, "configured", false));
    assert_null(json_get(delivery, "url"));
    assert_null(json_get(delivery, "last_error"));
    assert_string_equal(json_get_str(same, "url"), configured_url);
    free(TAKE(configured_url));
}

/* --- Lists ----------------------------------------------------------------------------------
 */

static void test_lists_are_filtered_and_paged(void **state)
{
    char *runs[5];
    size_t seen = 0;
    scoped_str cursor = xstrdup("");

    (void)state;
    configured_url = NULL;
    scoped(test_server) server = open_server();
    deliveries_stop(server->deliveries); /* they all stay pending */
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
        runs[i] = ended(server, TEST_API_KEY, "http://127.0.0.1:9/");
    assert_int_equal(count_of(server, TEST_API_KEY, "status=pending"), 5);
    assert_int_equal(count_of(server, TEST_API_KEY, "status=failed"), 0);
    do {
        scoped_str query = xasprintf("limit=2%s%s", *cursor ? "&cursor=" : "", cursor);
        scoped_json page = list(server, TEST_API_KEY, query);
        const cJSON *delivery;

        cJSON_ArrayForEach(delivery, json_get(page, "deliveries"))
        {
            assert_string_equal(json_get_str(delivery, "run_id"), runs[4 - seen]);
            assert_null(json_get(delivery, "payload"));
            seen++;
        }
        free(cursor);
        cursor = xstrdup(json_get_str(page, "next_cursor"));
    } while (cursor);
    assert_int_equal(seen, 5);
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
        free(runs[i]);
}

static void test_bad_questions_are_refused(void **state)
{
    static const struct {
        const char *query;
        const char *field;
    } cases[] = {
        {"status=sent", "status"},
        {"status=", "status"},
        {"status=pending&status=failed", "status"},
        {"run=7", "run"},
        {"run=0MHYV1X3K9Q2ZJ7W4B8T", "run"},
        {"limit=0", "limit"},
        {"limit=1001", "limit"},
        {"limit=-1", "limit"},
        {"limit=ten", "limit"},
        {"limit=", "limit"},
        {"cursor=1", "cursor"},
        {"cursor=0mhyv1x3k9q2zj7w4b8tx", "cursor"},
        {"colour=red", "colour"},
    };
    scoped(test_server) server = open_server();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str path = xasprintf("/api/deliveries?%s", cases[i].query);
        scoped_json answer = NULL;
        int status = test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, &answer);

        if (status != 400)
            fail_msg("%s: %d", cases[i].query, status);
        assert_string_equal(json_get_str(json_get(answer, "details"), "field"), cases[i].field);
    }
    assert_int_equal(test_server_call(server, "GET", "/api/deliveries", NULL, NULL, NULL, NULL),
                     401);
    assert_int_equal(test_server_call(server, "POST", "/api/deliveries/x/redeliver",
                                      TEST_API_KEY, NULL, NULL, NULL),
                     404);
}

TEST_MAIN(cmocka_unit_test(test_the_receiver_of_a_run_is_told_of_its_end),
          cmocka_unit_test(test_a_failing_receiver_is_shown_with_what_it_said),
          cmocka_unit_test(test_a_delivery_can_be_made_again),
          cmocka_unit_test(test_what_a_restart_finds_is_delivered),
          cmocka_unit_test(test_metrics_count_deliveries),
          cmocka_unit_test(test_anothers_delivery_is_as_one_that_is_not_there),
          cmocka_unit_test(test_a_configured_receiver_is_shown_to_administrators_only),
          cmocka_unit_test(test_lists_are_filtered_and_paged),
          cmocka_unit_test(test_bad_questions_are_refused))
