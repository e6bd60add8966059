/* SPDX-License-Identifier: Apache-2.0 */
/* The calls to receivers, against servers that say what a case needs. The wall clock stands
 * unless a case moves it. */
#include "service/deliveries.h"

#include <inttypes.h>
#include <string.h>

#include "../store/store_test.h"
#include "base/alloc.h"
#include "scripted_server.h"
#include "store/delivery_store.h"
#include "json/json.h"

#define SOON_MS 60000
#define START_MS 1700000000000LL
#define HOUR_MS 3600000LL
#define SECRET "a secret of the operator"

struct world {
    struct config config;
    struct db *db;
    struct vault *vault;
    struct deliveries *deliveries;
};

static void open_deliveries(struct world *world)
{
    struct deliveries_options options = {
        .config = &world->config, .db = world->db, .vault = world->vault};
    struct err err = {0};

    assert_made(world->deliveries = deliveries_new(&options, &err), err);
    assert_ok(deliveries_start(world->deliveries, &err), err);
}

/* Loopback is allowed to runs' own receivers, unless `closed`. */
static struct world *world_new(bool closed)
{
    struct world *world = xcalloc(1, sizeof(*world));
    char *const no_flags[] = {NULL};
    struct err err = {0};

    json_setup();
    (void)setenv("DISPATCH_WEBHOOK_SECRET", SECRET, 1);
    (void)setenv("DISPATCH_ALLOW_PRIVATE_URLS", closed ? "" : "127.0.0.0/8", 1);
    assert_ok(config_load(&world->config, no_flags, &err), err);
    clock_set_for_test(START_MS);
    world->db = open_memory();
    assert_made(world->vault = vault_open(":memory:", NULL, &err), err);
    return world;
}

static void world_free(struct world *world)
{
    deliveries_free(world->deliveries);
    vault_free(world->vault);
    db_free(world->db);
    config_done(&world->config);
    free(world);
    clock_set_for_test(-1);
}
DEFINE_SCOPED(world)

static struct world *world_open(void)
{
    struct world *world = world_new(false);

    open_deliveries(world);
    return world;
}

static void advance_to(struct world *world, int64_t now_ms)
{
    clock_set_for_test(now_ms);
    deliveries_wake(world->deliveries);
}

/* A run that ends, and whom it wants told; the run's id. */
static struct id end_run(struct world *world, const char *url)
{
    struct insert insert = {.run = {.id = id_make(clock_wall_ms(), random_u64()),
                                    .agent = (char *)(uintptr_t) "opencode",
                                    .prompt = (char *)(uintptr_t) "do it",
                                    .webhook_url = (char *)(uintptr_t)url}};
    struct err err = {0};
    bool ended;

    assert_ok(db_write(world->db, insert_write, &insert, &err), err);
    assert_ok(
        run_store_request_stop(world->db, insert.run.id, clock_wall_ms(), NULL, &ended, &err),
        err);
    deliveries_wake(world->deliveries);
    return insert.run.id;
}

/* The one delivery of this run. */
static struct delivery *delivery_of(struct world *world, struct id run)
{
    struct delivery_filter filter = {.all = true, .run = run, .limit = 10};
    struct delivery_page page;
    struct delivery *delivery;
    struct err err = {0};

    assert_ok(delivery_store_page(world->db, &filter, &page, &err), err);
    assert_int_equal(page.count, 1);
    delivery = TAKE(page.all[0]);
    delivery_page_done(&page);
    return delivery;
}

static bool has_ended(struct world *world, struct id run, enum delivery_status status)
{
    scoped(delivery) delivery = delivery_of(world, run);

    return delivery->status == status;
}

static bool was_tried(struct world *world, struct id run, int times)
{
    scoped(delivery) delivery = delivery_of(world, run);

    return delivery->attempts >= times;
}

/* A header's value in the last request that had it, to be freed; and that request's body. */
static char *last_header(struct server *server, const char *name)
{
    scoped_str needle = xasprintf("\r\n%s: ", name);
    const char *found = NULL;
    char *value;

    (void)pthread_mutex_lock(&server->lock);
    for (const char *at = server->seen.data; at && (at = strstr(at, needle)); at++)
        found = at + strlen(needle);
    assert_non_null(found);
    value = xstrndup(found, strcspn(found, "\r"));
    (void)pthread_mutex_unlock(&server->lock);
    return value;
}

static char *last_body(struct server *server)
{
    const char *found = NULL;
    char *body;

    (void)pthread_mutex_lock(&server->lock);
    for (const char *at = server->seen.data; at && (at = strstr(at, "\r\n\r\n")); at++)
        found = at + 4;
    assert_non_null(found);
    body = xstrdup(found);
    (void)pthread_mutex_unlock(&server->lock);
    return body;
}

/* --- A call ------------------------------------------------------------------------------- */

static void assert_signed(struct server *server, const char *secret)
{
    scoped_str body = last_body(server);
    scoped_str timestamp = last_header(server, "X-Dispatch-Timestamp");
    scoped_str first = last_header(server, "X-Dispatch-Signature");
    scoped_str second = last_header(server, "X-Dispatch-Signature-V2");
    scoped_str stamped = xasprintf("%s.%s", timestamp, body);
    uint8_t mac[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    hmac_sha256(secret, strlen(secret), body, strlen(body), mac);
    hex_encode(mac, sizeof(mac), hex);
    assert_string_equal(first, hex);
    hmac_sha256(secret, strlen(secret), stamped, strlen(stamped), mac);
    hex_encode(mac, sizeof(mac), hex);
    assert_string_equal(second, hex);
    assert_true(strtoll(timestamp, NULL, 10) == clock_wall_ms());
}

static void test_a_delivery_is_signed_and_named(void **state)
{
    scoped(world) world = world_open();
    struct server server;
    char id[ID_TEXT_SIZE];

    (void)state;
    server_start(&server, serve_say, NULL);
    scoped_str url = server_url(&server, "/hook?of=me");
    struct id run = end_run(world, url);
    wait_until(has_ended(world, run, DELIVERY_DELIVERED), SOON_MS);
    scoped(delivery) delivery = delivery_of(world, run);
    assert_int_equal(delivery->attempts, 1);
    assert_int_equal(delivery->last_status, 200);
    assert_null(delivery->last_error);
    assert_signed(&server, SECRET);
    scoped_str event = last_header(&server, "X-Dispatch-Event");
    scoped_str number = last_header(&server, "X-Dispatch-Delivery");
    scoped_str type = last_header(&server, "Content-Type");
    id_text(delivery->id, id);
    assert_string_equal(event, "run.stopped");
    assert_string_equal(number, id);
    assert_string_equal(type, "application/json");
    assert_true(server_saw(&server, "POST /hook?of=me HTTP/1.1"));
    server_stop(&server);
}

static void test_without_a_secret_there_is_one_all_the_same(void **state)
{
    scoped(world) world = world_new(false);
    struct server server;

    (void)state;
    secret_free(TAKE(world->config.webhook_secret));
    scoped(secret) made = deliveries_secret(&world->config, world->vault);
    scoped(secret) again = deliveries_secret(&world->config, world->vault);
    assert_int_equal(strlen(secret_reveal(made)), 64);
    assert_string_equal(secret_reveal(made), secret_reveal(again));
    open_deliveries(world);
    server_start(&server, serve_say, NULL);
    scoped_str url = server_url(&server, "/");
    struct id run = end_run(world, url);
    wait_until(has_ended(world, run, DELIVERY_DELIVERED), SOON_MS);
    assert_signed(&server, secret_reveal(made));
    server_stop(&server);
}

static void set_receiver(struct world *world, const char *url, const char *secret)
{
    receivers_done(&world->config.receivers);
    world->config.receivers.all = xcalloc(1, sizeof(struct config_receiver));
    world->config.receivers.all[0] = (struct config_receiver){
        .url = xstrdup(url), .secret = secret_new(secret), .events = 1U << RUN_STOPPED};
    world->config.receivers.count = 1;
}

/* The operator may point at what a client may not. */
static void test_a_configured_receiver_has_its_own_secret_and_may_be_private(void **state)
{
    scoped(world) world = world_new(true);
    struct server server;

    (void)state;
    server_start(&server, serve_say, NULL);
    scoped_str url = server_url(&server, "/all");
    set_receiver(world, url, "another");
    open_deliveries(world);
    struct id run = end_run(world, NULL);
    wait_until(has_ended(world, run, DELIVERY_DELIVERED), SOON_MS);
    assert_signed(&server, "another");
    server_stop(&server);
}

static void test_a_receiver_that_is_configured_no_more_is_given_up(void **state)
{
    scoped(world) world = world_new(true);

    (void)state;
    set_receiver(world, "http://127.0.0.1:9/", NULL);
    open_deliveries(world);
    deliveries_stop(world->deliveries);
    struct id run = end_run(world, NULL);
    deliveries_free(TAKE(world->deliveries));
    receivers_done(&world->config.receivers);
    open_deliveries(world);
    wait_until(has_ended(world, run, DELIVERY_FAILED), SOON_MS);
    scoped(delivery) delivery = delivery_of(world, run);
    assert_non_null(strstr(delivery->last_error, "no more"));
}

/* --- What an answer means ----------------------------------------------------------------- */

static void test_a_failure_is_tried_again_later_under_the_same_id(void **state)
{
    static const struct scripted_answer answers[] = {
        {500, NULL, "first"}, {0, NULL, ""}, {204, NULL, ""}};
    struct script script = {.answers = answers, .n_answers = ARRAY_SIZE(answers)};
    scoped(world) world = world_open();
    struct server server;

    (void)state;
    script_start(&server, &script);
    scoped_str url = server_url(&server, "/");
    struct id run = end_run(world, url);
    wait_until(was_tried(world, run, 1), SOON_MS);
    scoped(delivery) once = delivery_of(world, run);
    assert_int_equal(once->status, DELIVERY_PENDING);
    assert_int_equal(once->last_status, 500);
    assert_string_equal(once->last_error, "the receiver answered 500: first");
    assert_in_range(once->next_ms, START_MS + 4000, START_MS + 5000);
    scoped_str number = last_header(&server, "X-Dispatch-Delivery");
    advance_to(world, once->next_ms);
    wait_until(was_tried(world, run, 2), SOON_MS);
    scoped(delivery) twice = delivery_of(world, run);
    assert_int_equal(twice->last_status, 0); /* the connection was reset */
    assert_in_range(twice->next_ms, once->next_ms + 8000, once->next_ms + 10000);
    advance_to(world, twice->next_ms);
    wait_until(has_ended(world, run, DELIVERY_DELIVERED), SOON_MS);
    assert_signed(&server, SECRET);
    scoped_str same = last_header(&server, "X-Dispatch-Delivery");
    assert_string_equal(number, same);
    server_stop(&server);
}

static void test_the_wait_doubles_up_to_an_hour(void **state)
{
    static const int64_t waits_s[] = {5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(waits_s); i++) {
        int64_t whole_ms = waits_s[i] * 1000;

        assert_int_equal(deliveries_wait_ms((int)i + 1, 0), whole_ms);
        for (uint64_t random = 1; random < 5000; random += 13)
            assert_in_range(deliveries_wait_ms((int)i + 1, random * 1000003), whole_ms * 4 / 5,
                            whole_ms);
    }
    assert_int_equal(deliveries_wait_ms(1000000, 0), 3600000);
}

static void test_gone_is_given_up_at_once(void **state)
{
    static const struct scripted_answer answers[] = {{410, NULL, "gone\n\x01\xff!"}};
    struct script script = {.answers = answers, .n_answers = 1};
    scoped(world) world = world_open();
    struct server server;

    (void)state;
    script_start(&server, &script);
    scoped_str url = server_url(&server, "/");
    struct id run = end_run(world, url);
    wait_until(has_ended(world, run, DELIVERY_FAILED), SOON_MS);
    scoped(delivery) delivery = delivery_of(world, run);
    assert_int_equal(delivery->attempts, 1);
    assert_string_equal(delivery->last_error, "the receiver answered 410: gone   !");
    server_stop(&server);
}

static void test_after_a_day_it_is_given_up(void **state)
{
    static const struct scripted_answer answers[] = {{500, NULL, ""}};
    struct script script = {.answers = answers, .n_answers = 1};
    scoped(world) world = world_open();
    struct server server;
    int tries = 0;

    (void)state;
    script_start(&server, &script);
    scoped_str url = server_url(&server, "/");
    struct id run = end_run(world, url);
    for (;;) {
        wait_until(was_tried(world, run, tries + 1), SOON_MS);
        scoped(delivery) delivery = delivery_of(world, run);
        tries = delivery->attempts;
        if (delivery->status == DELIVERY_FAILED)
            break;
        assert_int_equal(delivery->status, DELIVERY_PENDING);
        assert_true(delivery->next_ms <= START_MS + 24 * HOUR_MS);
        assert_true(delivery->next_ms > clock_wall_ms());
        advance_to(world, delivery->next_ms);
    }
    /* the last try is when the day is over: 11 up to the first hour's wait, then hourly */
    assert_int_equal(clock_wall_ms(), START_MS + 24 * HOUR_MS);
    assert_in_range(tries, 30, 45);
    server_stop(&server);
}

static void test_retry_after_is_heeded(void **state)
{
    static const struct scripted_answer answers[] = {{503, "Retry-After: 120\r\n", ""},
                                                     {200, NULL, ""}};
    struct script script = {.answers = answers, .n_answers = ARRAY_SIZE(answers)};
    scoped(world) world = world_open();
    struct server server;

    (void)state;
    script_start(&server, &script);
    scoped_str url = server_url(&server, "/");
    struct id run = end_run(world, url);
    wait_until(was_tried(world, run, 1), SOON_MS);
    scoped(delivery) delivery = delivery_of(world, run);
    assert_int_equal(delivery->next_ms, START_MS + 120000);
    advance_to(world, START_MS + 120000);
    wait_until(has_ended(world, run, DELIVERY_DELIVERED), SOON_MS);
    server_stop(&server);
}

/* The receiver has it: what else it says, and how much of it, is its own affair. */
static void serve_flood(struct conn *conn)
{
    scoped_str chunk = xcalloc(1, 65537);

    memset(chunk, 'x', 65536);
    if (!conn_read(conn)
        || !conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"))
        return;
    for (int i = 0; i < 100 && conn_say(conn, chunk); i++)
        ;
}

static void test_a_2xx_with_a_huge_body_is_delivered(void **state)
{
    scoped(world) world = world_open();
    struct server server;

    (void)state;
    server_start(&server, serve_flood, NULL);
    scoped_str url = server_url(&server, "/");
    struct id run = end_run(world, url);
    wait_until(has_ended(world, run, DELIVERY_DELIVERED), SOON_MS);
    assert_int_equal(server.requests, 1);
    server_stop(&server);
}

/* --- Where calls may go ------------------------------------------------------------------- */

static void test_a_redirect_is_a_failure_and_leads_nowhere(void **state)
{
    scoped(world) world = world_open();
    struct server inside;
    struct server server;

    (void)state;
    server_start(&inside, serve_say, NULL);
    scoped_str metadata = xasprintf(
        "Location: http://169.254.169.254/latest/\r\nX-Also: http://127.0.0.1:%d/\r\n",
        inside.port);
    scoped_str location = xasprintf("Location: http://127.0.0.1:%d/\r\n", inside.port);
    const struct scripted_answer answers[] = {{302, metadata, ""}, {307, location, ""}};
    struct script script = {.answers = answers, .n_answers = ARRAY_SIZE(answers)};
    script_start(&server, &script);
    scoped_str url = server_url(&server, "/");
    struct id run = end_run(world, url);
    wait_until(was_tried(world, run, 1), SOON_MS);
    scoped(delivery) delivery = delivery_of(world, run);
    assert_int_equal(delivery->status, DELIVERY_PENDING);
    assert_int_equal(delivery->last_status, 302);
    advance_to(world, delivery->next_ms);
    wait_until(was_tried(world, run, 2), SOON_MS);
    assert_int_equal(inside.connections, 0);
    server_stop(&server);
    server_stop(&inside);
}

static void test_a_runs_own_receiver_must_be_public_when_it_is_connected_to(void **state)
{
    scoped(world) world = world_new(true);
    struct server server;

    (void)state;
    open_deliveries(world);
    server_start(&server, serve_say, NULL);
    scoped_str url = xasprintf("http://localhost:%d/", server.port);
    struct id run = end_run(world, url);
    wait_until(was_tried(world, run, 1), SOON_MS);
    scoped(delivery) delivery = delivery_of(world, run);
    assert_int_equal(delivery->status, DELIVERY_PENDING);
    assert_non_null(strstr(delivery->last_error, "neither public nor allowed"));
    assert_int_equal(server.connections, 0);
    server_stop(&server);
}

/* --- Lines -------------------------------------------------------------------------------- */

static int64_t number_at(struct server *server, const char *needle)
{
    int64_t at = -1;

    (void)pthread_mutex_lock(&server->lock);
    if (server->seen.data && strstr(server->seen.data, needle))
        at = strstr(server->seen.data, needle) - server->seen.data;
    (void)pthread_mutex_unlock(&server->lock);
    return at;
}

static void test_one_receiver_is_told_in_order(void **state)
{
    static const struct scripted_answer answers[] = {{500, NULL, ""}, {200, NULL, ""}};
    struct script script = {.answers = answers, .n_answers = ARRAY_SIZE(answers)};
    scoped(world) world = world_open();
    struct server server;
    struct id runs[5];
    int64_t before = -1;

    (void)state;
    script_start(&server, &script);
    scoped_str url = server_url(&server, "/");
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
        runs[i] = end_run(world, url);
    wait_until(was_tried(world, runs[0], 1), SOON_MS);
    scoped(delivery) first = delivery_of(world, runs[0]);
    assert_int_equal(server.requests, 1); /* the others wait behind it */
    advance_to(world, first->next_ms);
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
        wait_until(has_ended(world, runs[i], DELIVERY_DELIVERED), SOON_MS);
    assert_int_equal(server.requests, 6);
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
        char id[ID_TEXT_SIZE];
        scoped_str needle = NULL;

        id_text(runs[i], id);
        needle = xasprintf("\"id\":\"%s\"", id);
        assert_true(number_at(&server, needle) > before);
        before = number_at(&server, needle);
    }
    server_stop(&server);
}

/* Answers 500 until it is let go on; then it says nothing. */
static void serve_bad_then_nothing(struct conn *conn)
{
    _Atomic bool *hangs = conn->server->ctx;

    while (conn_read(conn)) {
        if (*hangs) {
            conn_hang(conn);
            return;
        }
        if (!conn_say(conn, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"))
            return;
    }
}

/* As many receivers as there are threads fail, then hang: one place, called by many names. */
static void test_dead_receivers_leave_room_for_others(void **state)
{
    static const char *const names[] = {
        "127.1",      "127.0.1",      "2130706433", "0x7f.0.0.1", "0x7f000001",
        "0177.0.0.1", "017700000001", "127.0.0x1",  "0x7f.1",     "0177.1"};
    scoped(world) world = world_open();
    _Atomic bool hangs = false;
    struct server dead;
    struct server alive;
    struct id runs[ARRAY_SIZE(names)];

    (void)state;
    server_start(&dead, serve_bad_then_nothing, NULL);
    dead.ctx = &hangs;
    server_start(&alive, serve_say, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        scoped_str url = xasprintf("http://%s:%d/", names[i], dead.port);

        runs[i] = end_run(world, url);
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        wait_until(was_tried(world, runs[i], 1), SOON_MS);
    hangs = true;
    advance_to(world, START_MS + 5000);
    wait_until(dead.requests > (int)ARRAY_SIZE(names), SOON_MS);
    scoped_str url = server_url(&alive, "/");
    struct id run = end_run(world, url);
    wait_until(has_ended(world, run, DELIVERY_DELIVERED), SOON_MS);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_false(was_tried(world, runs[i], 2)); /* none had to be waited for */
    server_stop(&dead);
    server_stop(&alive);
}

/* --- Stops, and people -------------------------------------------------------------------- */

static void serve_nothing_once(struct conn *conn)
{
    if (!conn_read(conn))
        return;
    if (conn->number == 1)
        conn_hang(conn);
    else
        (void)conn_say(conn, OK_HELLO);
}

static void test_a_call_that_is_cut_off_is_made_again_after_the_next_start(void **state)
{
    scoped(world) world = world_open();
    struct server server;

    (void)state;
    server_start(&server, serve_nothing_once, NULL);
    scoped_str url = server_url(&server, "/");
    struct id run = end_run(world, url);
    wait_until(server.requests == 1, SOON_MS);
    scoped_str number = last_header(&server, "X-Dispatch-Delivery");
    deliveries_free(TAKE(world->deliveries));
    assert_false(was_tried(world, run, 1));
    open_deliveries(world);
    wait_until(has_ended(world, run, DELIVERY_DELIVERED), SOON_MS);
    scoped_str same = last_header(&server, "X-Dispatch-Delivery");
    assert_string_equal(number, same);
    server_stop(&server);
}

static void test_a_person_can_have_it_made_again(void **state)
{
    scoped(world) world = world_open();
    struct audit_source somebody = {.actor = "key:1"};
    struct deliveries_stats stats;
    struct server server;
    struct err err = {0};

    (void)state;
    server_start(&server, serve_say, NULL);
    scoped_str url = server_url(&server, "/");
    struct id run = end_run(world, url);
    wait_until(has_ended(world, run, DELIVERY_DELIVERED), SOON_MS);
    scoped(delivery) delivery = delivery_of(world, run);
    assert_ok(
        delivery_store_redeliver(world->db, delivery->id, clock_wall_ms(), &somebody, &err),
        err);
    deliveries_wake(world->deliveries);
    wait_until(was_tried(world, run, 2), SOON_MS);
    wait_until(has_ended(world, run, DELIVERY_DELIVERED), SOON_MS);
    assert_int_equal(server.requests, 2);
    /* Counted after it is stored: the attempt first, then what came of it. */
    wait_until(deliveries_stats(world->deliveries, &stats, &err) == 0 && stats.delivered == 2,
               SOON_MS);
    assert_int_equal(stats.attempts, 2);
    assert_int_equal(stats.pending, 0);
    assert_int_equal(stats.failed, 0);
    server_stop(&server);
}

TEST_MAIN(cmocka_unit_test(test_a_delivery_is_signed_and_named),
          cmocka_unit_test(test_without_a_secret_there_is_one_all_the_same),
          cmocka_unit_test(test_a_configured_receiver_has_its_own_secret_and_may_be_private),
          cmocka_unit_test(test_a_receiver_that_is_configured_no_more_is_given_up),
          cmocka_unit_test(test_a_failure_is_tried_again_later_under_the_same_id),
          cmocka_unit_test(test_the_wait_doubles_up_to_an_hour),
          cmocka_unit_test(test_gone_is_given_up_at_once),
          cmocka_unit_test(test_after_a_day_it_is_given_up),
          cmocka_unit_test(test_retry_after_is_heeded),
          cmocka_unit_test(test_a_2xx_with_a_huge_body_is_delivered),
          cmocka_unit_test(test_a_redirect_is_a_failure_and_leads_nowhere),
          cmocka_unit_test(test_a_runs_own_receiver_must_be_public_when_it_is_connected_to),
          cmocka_unit_test(test_one_receiver_is_told_in_order),
          cmocka_unit_test(test_dead_receivers_leave_room_for_others),
          cmocka_unit_test(test_a_call_that_is_cut_off_is_made_again_after_the_next_start),
          cmocka_unit_test(test_a_person_can_have_it_made_again))
