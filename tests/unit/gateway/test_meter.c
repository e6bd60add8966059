/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/meter.h"

#include "scripted_server.h"

#include "base/alloc.h"

/* A meter whose events go home to a server that takes all. */
struct story {
    struct server server;
    struct script script;
    struct settings settings;
    struct net *net;
    struct home *home;
    struct redaction *redaction;
    struct events *events;
    struct meter *meter;
};

static const struct scripted_answer takes_all[] = {{200, NULL, "{\"stored\":1}"}};

static void begin(struct story *at, struct meter_options options)
{
    static const struct net_options net_options = {.user_agent = "tester/1"};
    struct err err = {0};

    *at = (struct story){.script = {takes_all, 1, 0}};
    script_start(&at->server, &at->script);
    at->settings = (struct settings){
        .home_url = server_url(&at->server, ""),
        .attempt = 1,
        .task_token = secret_new("vgvtask_metertest"),
    };
    at->net = net_new(&net_options, &err);
    assert_made(at->net, err);
    at->home = home_new(at->net, &at->settings);
    at->redaction = redaction_new();
    at->events = events_new(at->home, at->redaction);
    options.events = at->events;
    at->meter = meter_new(&options, &err);
    assert_made(at->meter, err);
}

static void finish(struct story *at)
{
    meter_free(at->meter);
    events_free(at->events);
    redaction_free(at->redaction);
    home_free(at->home);
    net_free(at->net);
    server_stop(&at->server);
    settings_done(&at->settings);
}

static int times(struct server *server, const char *text)
{
    int n = 0;

    (void)pthread_mutex_lock(&server->lock);
    for (const char *at = server->seen.data; at && (at = strstr(at, text)); at += strlen(text))
        n++;
    (void)pthread_mutex_unlock(&server->lock);
    return n;
}

static const struct model_totals small = {
    .input_tokens = 1000, .output_tokens = 100, .requests = 1};

static void test_each_call_is_an_event_with_the_totals(void **state)
{
    struct story at;

    (void)state;
    begin(&at, (struct meter_options){0});
    meter_add(at.meter, "anthropic", "claude-opus-4-5", &small);
    meter_add(at.meter, "anthropic", "claude-opus-4-5", &small);
    events_finish(at.events, 10000);
    assert_int_equal(times(&at.server, "\"type\":\"usage\""), 2);
    assert_true(server_saw(
        &at.server,
        "\"type\":\"usage\",\"input_tokens\":1000,\"output_tokens\":100,"
        "\"cache_read_tokens\":0,\"cache_write_tokens\":0,\"cost_usd\":0.0075,"
        "\"provider\":\"anthropic\",\"model\":\"claude-opus-4-5\",\"total\":{\"input_tokens\":"
        "2000,\"output_tokens\":200,\"cache_read_tokens\":0,\"cache_write_tokens\":0,"
        "\"requests\":2,\"cost_usd\":0.015}"));
    finish(&at);
}

static void test_an_unknown_price_is_warned_of_once(void **state)
{
    struct story at;

    (void)state;
    begin(&at, (struct meter_options){.max_cost_usd = 1});
    for (int i = 0; i < 3; i++)
        meter_add(at.meter, "openai", "llama", &small);
    events_finish(at.events, 10000);
    assert_int_equal(times(&at.server, "\"type\":\"warning\""), 1);
    assert_true(server_saw(&at.server, "the price of model llama isn't known"));
    assert_int_equal(meter_totals(at.meter).input_tokens, 3000);
    assert_true(meter_totals(at.meter).cost_usd < 0.000001);
    finish(&at);
}

static void test_an_estimate_is_warned_of_once_and_marked(void **state)
{
    struct model_totals guess = small;
    struct story at;

    (void)state;
    guess.estimated = true;
    begin(&at, (struct meter_options){0});
    meter_add(at.meter, "openai", "gpt-5", &guess);
    meter_add(at.meter, "openai", "gpt-5", &guess);
    events_finish(at.events, 10000);
    assert_int_equal(times(&at.server, "\"type\":\"warning\""), 1);
    assert_int_equal(times(&at.server, "\"estimated\":true"), 4);
    finish(&at);
}

static struct meter *meter_of(int64_t max_tokens, double max_cost_usd)
{
    struct meter_options options = {.max_tokens = max_tokens, .max_cost_usd = max_cost_usd};
    struct err err = {0};
    struct meter *meter = meter_new(&options, &err);

    assert_made(meter, err);
    return meter;
}

static void test_without_a_limit_all_calls_are_let_in(void **state)
{
    scoped(meter) meter = meter_of(0, 0);
    bool first;

    (void)state;
    meter_add(meter, "anthropic", "claude-opus-4-5",
              &(struct model_totals){.input_tokens = 1000000000});
    assert_true(meter_admit(meter, &first));
    assert_false(meter_exceeded(meter));
}

static void test_all_kinds_of_tokens_count(void **state)
{
    scoped(meter) meter = meter_of(10, 0);
    bool first = true;

    (void)state;
    meter_add(meter, "anthropic", "m",
              &(struct model_totals){.input_tokens = 2,
                                     .output_tokens = 2,
                                     .cache_read_tokens = 3,
                                     .cache_write_tokens = 2});
    assert_true(meter_admit(meter, &first));
    assert_false(first);
    meter_add(meter, "anthropic", "m", &(struct model_totals){.output_tokens = 1});
    assert_false(meter_exceeded(meter)); /* nobody has asked for more yet */
    assert_false(meter_admit(meter, &first));
    assert_true(first);
    assert_false(meter_admit(meter, &first));
    assert_false(first);
    assert_true(meter_exceeded(meter));
}

static void test_a_stated_cost_counts_as_it_is(void **state)
{
    scoped(meter) meter = meter_of(0, 0.5);
    scoped_str sentence = meter_sentence(meter);
    bool first;

    (void)state;
    meter_add(meter, "openrouter", "anthropic/claude-opus-4-5",
              &(struct model_totals){.input_tokens = 1, .cost_usd = 0.75});
    assert_true(meter_totals(meter).cost_usd > 0.7499);
    assert_false(meter_admit(meter, &first));
    assert_string_equal(sentence, "The budget of this run is spent (at most $0.50). No further "
                                  "model calls are made.");
}

static void test_failed_calls_are_requests_that_cost_nothing(void **state)
{
    scoped(meter) meter = meter_of(1, 0);
    bool first;

    (void)state;
    meter_add_failed(meter);
    assert_int_equal(meter_totals(meter).requests, 1);
    assert_true(meter_admit(meter, &first));
}

TEST_MAIN(cmocka_unit_test(test_each_call_is_an_event_with_the_totals),
          cmocka_unit_test(test_an_unknown_price_is_warned_of_once),
          cmocka_unit_test(test_an_estimate_is_warned_of_once_and_marked),
          cmocka_unit_test(test_without_a_limit_all_calls_are_let_in),
          cmocka_unit_test(test_all_kinds_of_tokens_count),
          cmocka_unit_test(test_a_stated_cost_counts_as_it_is),
          cmocka_unit_test(test_failed_calls_are_requests_that_cost_nothing))
