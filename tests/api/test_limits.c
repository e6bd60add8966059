/* SPDX-License-Identifier: Apache-2.0 */
/* How often somebody may ask: by credential, by address, with bad credentials; and what GitHub
 * says of its own limits. */
#include <string.h>

#include "../support/scripted_server.h"
#include "api/rate.h"
#include "base/alloc.h"
#include "server.h"
#include "service/integration_tokens.h"

#define OTHER_KEY "other-api-key"

struct said {
    int status;
    int retry_after_s; /* of the header; 0: none */
    int in_body_s;     /* the same in the document */
    int64_t limit;     /* of the headers; -1: none */
    int64_t remaining;
    int64_t reset_s;
    char code[40];
};

static int64_t number_of(const struct net_answer *answer, const char *name)
{
    scoped_str text = net_answer_header(answer, name);

    return text ? strtoll(text, NULL, 10) : -1;
}

static struct said ask(struct test_server *server, const char *method, const char *path,
                       const char *bearer, const char *const *headers, const char *body)
{
    struct err err = {0};
    scoped_str url = xasprintf("%s%s", server->url, path);
    scoped(secret) secret = secret_new(bearer);
    scoped_net_answer answer = {0};
    struct net_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .bearer = secret,
        .body = body,
        .body_size = body ? strlen(body) : 0,
        .timeout_ms = 20000,
        .answer_max_bytes = 1024 * 1024,
        .tries_max = 1,
    };
    struct said said = {0};

    assert_ok(net_call(server->net, &request, &answer, &err), err);
    scoped_json document = net_answer_json(&answer, &err);
    const char *code = json_get_str(document, "code");

    said.status = answer.status;
    said.retry_after_s = (int)(number_of(&answer, "retry-after") + 1) - 1;
    said.in_body_s = (int)json_get_int(document, "retryAfter", 0);
    said.limit = number_of(&answer, "ratelimit-limit");
    said.remaining = number_of(&answer, "ratelimit-remaining");
    said.reset_s = number_of(&answer, "ratelimit-reset");
    (void)snprintf(said.code, sizeof(said.code), "%s", code ? code : "");
    return said;
}

static struct said list(struct test_server *server, const char *key)
{
    return ask(server, "GET", "/api/tasks", key, NULL, NULL);
}

static struct said list_from(struct test_server *server, const char *key, const char *forwarded)
{
    scoped_str header = xasprintf("X-Forwarded-For: %s", forwarded);
    const char *const headers[] = {header, NULL};

    return ask(server, "GET", "/api/tasks", key, headers, NULL);
}

static void assert_limited(struct said said)
{
    assert_int_equal(said.status, 429);
    assert_string_equal(said.code, "rate_limited");
    assert_in_range(said.retry_after_s, 1, 60);
    assert_int_equal(said.retry_after_s, said.in_body_s);
}

/* --- By credential ------------------------------------------------------------------------ */

static void three_at_once(struct config *config)
{
    config->rate_limit.per_credential_per_minute = 1;
    config->rate_limit.per_credential_burst = 3;
}

static void test_without_a_limit_nobody_is_told_of_one(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});

    (void)state;
    for (int i = 0; i < 300; i++) {
        struct said said = list(server, TEST_API_KEY);

        assert_int_equal(said.status, 200);
        assert_int_equal(said.limit, -1);
    }
}

static void test_a_credential_has_its_burst_and_then_waits(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){
        .max_workers = -1, .configure = three_at_once, .more_api_keys = OTHER_KEY});

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct said said = list(server, TEST_API_KEY);

        assert_int_equal(said.status, 200);
        assert_int_equal(said.limit, 3);
        assert_int_equal(said.remaining, 2 - i);
        assert_in_range(said.reset_s, 1, 60 * (i + 1));
    }
    assert_limited(list(server, TEST_API_KEY));
    assert_int_equal(list(server, OTHER_KEY).status, 200);
}

static void test_what_is_open_to_anyone_is_not_limited(void **state)
{
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.max_workers = -1, .configure = three_at_once});

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(ask(server, "GET", "/livez", NULL, NULL, NULL).status, 200);
}

static char *token_with_rate(struct test_server *server, int64_t per_minute)
{
    struct err err = {0};
    struct token_wish wish = {TOKEN_WISH_DEFAULTS, .repo = "octo/hello", .created_by = "test"};
    const struct audit_source source = {.actor = "test"};

    wish.rate_per_minute = per_minute;
    scoped_json made = integration_token_mint(server->tokens, &wish, &source, &err);
    assert_made(made, err);
    return xstrdup(json_get_str(made, "token"));
}

static void test_a_tokens_own_rate_goes_before_the_configured_one(void **state)
{
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.max_workers = -1, .configure = three_at_once});
    scoped_str two = token_with_rate(server, 2);
    scoped_str usual = token_with_rate(server, TOKEN_UNSAID);
    static const char body[] = "{\"prompt\": \"x\"}";

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask(server, "POST", "/dispatchTask", two, NULL, body).status, 200);
    assert_limited(ask(server, "POST", "/dispatchTask", two, NULL, body));
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(server, "POST", "/dispatchTask", usual, NULL, body).status, 200);
    assert_limited(ask(server, "POST", "/dispatchTask", usual, NULL, body));
}

static void test_limits_speak_the_language_of_the_agents_face(void **state)
{
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.max_workers = -1, .configure = three_at_once});
    scoped_json answer = NULL;

    (void)state;
    for (int i = 0; i < 3; i++)
        (void)list(server, TEST_API_KEY);
    assert_int_equal(
        test_server_call(server, "GET", "/api/v1/agents", TEST_API_KEY, NULL, NULL, &answer),
        429);
    assert_string_equal(json_get_str(answer, "error"), "Too Many Requests");
    assert_string_equal(json_get_str(answer, "code"), "rate_limited");
}

/* --- By address --------------------------------------------------------------------------- */

static void add_range(struct config_ranges *ranges, const char *text)
{
    struct err err = {0};

    ranges->all = xrealloc(ranges->all, (ranges->count + 1) * sizeof(*ranges->all));
    ranges->texts = xrealloc(ranges->texts, (ranges->count + 2) * sizeof(*ranges->texts));
    assert_ok(address_range_parse(text, &ranges->all[ranges->count], &err), err);
    ranges->texts[ranges->count++] = xstrdup(text);
    ranges->texts[ranges->count] = NULL;
}

static void two_an_address(struct config *config)
{
    config->rate_limit.per_address_per_minute = 1;
    config->rate_limit.per_address_burst = 2;
}

static void two_behind_proxies(struct config *config)
{
    two_an_address(config);
    add_range(&config->trusted_proxies, "127.0.0.1");
    add_range(&config->trusted_proxies, "10.0.0.0/8");
}

static void two_but_for_loopback(struct config *config)
{
    two_an_address(config);
    add_range(&config->rate_limit.exempt, "127.0.0.0/8");
}

static void test_an_address_is_limited_whatever_its_credentials(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){
        .max_workers = -1, .configure = two_an_address, .more_api_keys = OTHER_KEY});

    (void)state;
    assert_int_equal(list(server, TEST_API_KEY).status, 200);
    assert_int_equal(list(server, OTHER_KEY).status, 200);
    assert_limited(list(server, TEST_API_KEY));
}

static void test_addresses_that_are_exempt_are_not_counted(void **state)
{
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.max_workers = -1, .configure = two_but_for_loopback});

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(list(server, TEST_API_KEY).status, 200);
}

static void test_who_is_no_trusted_proxy_speaks_for_itself_alone(void **state)
{
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.max_workers = -1, .configure = two_an_address});

    (void)state;
    assert_int_equal(list_from(server, TEST_API_KEY, "192.0.2.1").status, 200);
    assert_int_equal(list_from(server, TEST_API_KEY, "192.0.2.2").status, 200);
    assert_limited(list_from(server, TEST_API_KEY, "192.0.2.3"));
}

/* Each pair of requests comes from one address, and the third of each is too much; so a table
 * of what counts as the same. */
static void test_behind_trusted_proxies_the_client_counts(void **state)
{
    static const char *const same[][3] = {
        {"192.0.2.1", "192.0.2.1", "192.0.2.1"},
        {"192.0.2.2, 10.0.0.1", "192.0.2.2", "192.0.2.2,10.9.9.9 , 10.0.0.3"},
        /* what a client says of itself comes first, and isn't believed */
        {"198.51.100.1, 192.0.2.3", "198.51.100.2, 192.0.2.3", "10.0.0.1, 192.0.2.3"},
        {"192.0.2.4:1234", "192.0.2.4", "192.0.2.4:99"},
        /* one has a whole /64 */
        {"2001:db8:1:1::1", "2001:db8:1:1::2", "[2001:db8:1:1:ffff::3]:443"},
        /* nonsense ends the walk at whom we know */
        {"192.0.2.9, what, 10.0.0.7", "192.0.2.10, , 10.0.0.7",
         "192.0.2.11, 300.1.1.1, 10.0.0.7"},
    };
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.max_workers = -1, .configure = two_behind_proxies});

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        assert_int_equal(list_from(server, TEST_API_KEY, same[i][0]).status, 200);
        assert_int_equal(list_from(server, TEST_API_KEY, same[i][1]).status, 200);
        assert_limited(list_from(server, TEST_API_KEY, same[i][2]));
    }
}

/* A proxy that adds a header of its own instead of appending to the client's. */
static void test_several_headers_are_one_list(void **state)
{
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.max_workers = -1, .configure = two_behind_proxies});

    (void)state;
    for (int i = 0; i < 3; i++) {
        scoped_str theirs = xasprintf("X-Forwarded-For: 198.51.100.%d", i);
        const char *const headers[] = {theirs, "X-Forwarded-For: 192.0.2.77", NULL};
        struct said said = ask(server, "GET", "/api/tasks", TEST_API_KEY, headers, NULL);

        assert_int_equal(said.status, i < 2 ? 200 : 429);
    }
}

/* --- Bad credentials ---------------------------------------------------------------------- */

static void five_failures(struct config *config)
{
    config->rate_limit.failures_per_minute = 5;
    add_range(&config->trusted_proxies, "127.0.0.1");
}

static void use_up(struct test_server *server, const char *from)
{
    for (int i = 0; i < 5; i++)
        assert_int_equal(list_from(server, "guess", from).status, 401);
}

static void test_an_address_may_guess_only_so_often(void **state)
{
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.max_workers = -1, .configure = five_failures});

    (void)state;
    use_up(server, "192.0.2.1");
    assert_limited(list_from(server, "guess", "192.0.2.1"));
    assert_limited(list_from(server, NULL, "192.0.2.1"));
    /* a guess that is right is no longer heard either */
    assert_limited(list_from(server, TEST_API_KEY, "192.0.2.1"));
    assert_int_equal(list_from(server, TEST_API_KEY, "192.0.2.2").status, 200);
    assert_int_equal(list_from(server, "guess", "192.0.2.2").status, 401);
}

/* Nobody guesses 256 bits: one bad client doesn't lock out the others behind its address. */
static void test_what_cannot_be_guessed_is_heard_all_the_same(void **state)
{
    static const char unknown[] = "vgvbot_0123456789012345678901234567890123456789012";
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.max_workers = -1, .configure = five_failures});
    scoped_str token = test_server_token(server, "octo/hello");
    static const char *const headers[] = {"X-Forwarded-For: 192.0.2.1", NULL};
    static const char body[] = "{\"prompt\": \"x\"}";

    (void)state;
    use_up(server, "192.0.2.1");
    assert_int_equal(ask(server, "POST", "/dispatchTask", token, headers, body).status, 200);
    assert_limited(ask(server, "POST", "/dispatchTask", unknown, headers, body));
}

/* The 401 is what a runner ends by, and there may be thousands behind an address. */
static void test_a_runner_is_told_that_its_run_has_ended(void **state)
{
    static const char token[] =
        "vgvtask_0mabcdefg00000000000_0123456789012345678901234567890123456789012";
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.max_workers = -1, .configure = five_failures});
    static const char *const headers[] = {"X-Dispatch-Attempt: 1", "X-Forwarded-For: 192.0.2.1",
                                          NULL};

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(
            ask(server, "POST", "/runner/v1/heartbeat", token, headers, NULL).status, 401);
    assert_int_equal(list_from(server, "guess", "192.0.2.1").status, 401);
}

/* --- The queue's cap ---------------------------------------------------------------------- */

static void test_a_full_queue_says_when_to_come_again(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1, .max_queue_size = 1});
    scoped_str token = test_server_token(server, "octo/hello");
    static const char body[] = "{\"prompt\": \"x\"}";
    struct said said;

    (void)state;
    assert_int_equal(ask(server, "POST", "/dispatchTask", token, NULL, body).status, 200);
    said = ask(server, "POST", "/dispatchTask", token, NULL, body);
    assert_int_equal(said.status, 429);
    assert_string_equal(said.code, "queue_full");
    assert_true(said.retry_after_s >= 1 && said.retry_after_s == said.in_body_s);
}

/* --- GitHub's ----------------------------------------------------------------------------- */

#define LIMITS                                                                                 \
    "{\"resources\": {\"core\": {\"limit\": 5000, \"remaining\": 4999}}, \"rate\": {}}"

static int github_limits_of(struct test_server *server, const char *path, cJSON **out)
{
    return test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, out);
}

static void test_githubs_own_answer_is_handed_on_and_kept_for_a_moment(void **state)
{
    static const struct scripted_answer answers[] = {{200, NULL, LIMITS}};
    struct script script = {.answers = answers, .n_answers = 1};
    struct server github;
    scoped_json answer = NULL;
    scoped_str url = NULL;

    (void)state;
    script_start(&github, &script);
    url = server_url(&github, "");
    {
        scoped(test_server) server = test_server_new(
            &(struct test_server_options){.max_workers = -1, .github_api_url = url});

        for (int i = 0; i < 3; i++) {
            cJSON_Delete(TAKE(answer));
            assert_int_equal(github_limits_of(server, "/api/rate-limit", &answer), 200);
            assert_int_equal(
                json_get_int(json_get(json_get(answer, "resources"), "core"), "remaining", 0),
                4999);
        }
        assert_in_range(script.next, 1, 2);
    }
    server_stop(&github);
}

static void test_a_github_that_is_away_or_refuses_is_a_503(void **state)
{
    static const struct scripted_answer answers[] = {
        {401, NULL, "{\"message\": \"Bad credentials\"}"},
        {200, NULL, "{\"message\": \"no limits here\"}"},
        {500, NULL, "{}"},
    };
    struct script script = {.answers = answers, .n_answers = ARRAY_SIZE(answers)};
    struct server github;
    scoped_str url = NULL;

    (void)state;
    script_start(&github, &script);
    url = server_url(&github, "");
    {
        scoped(test_server) server = test_server_new(
            &(struct test_server_options){.max_workers = -1, .github_api_url = url});

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
            assert_int_equal(github_limits_of(server, "/api/rate-limit", NULL), 503);
    }
    server_stop(&github);
}

static void test_githubs_limits_take_a_good_question(void **state)
{
    static const char *const bad[] = {"/api/rate-limit?repo=", "/api/rate-limit?repo=octo",
                                      "/api/rate-limit?repo=a/b/c", "/api/rate-limit?what=1",
                                      "/api/rate-limit?repo=a/b&repo=a/b"};
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(github_limits_of(server, bad[i], NULL), 400);
    assert_int_equal(test_server_call(server, "GET", "/api/rate-limit", NULL, NULL, NULL, NULL),
                     401);
}

TEST_MAIN(cmocka_unit_test(test_without_a_limit_nobody_is_told_of_one),
          cmocka_unit_test(test_a_credential_has_its_burst_and_then_waits),
          cmocka_unit_test(test_what_is_open_to_anyone_is_not_limited),
          cmocka_unit_test(test_a_tokens_own_rate_goes_before_the_configured_one),
          cmocka_unit_test(test_limits_speak_the_language_of_the_agents_face),
          cmocka_unit_test(test_an_address_is_limited_whatever_its_credentials),
          cmocka_unit_test(test_addresses_that_are_exempt_are_not_counted),
          cmocka_unit_test(test_who_is_no_trusted_proxy_speaks_for_itself_alone),
          cmocka_unit_test(test_behind_trusted_proxies_the_client_counts),
          cmocka_unit_test(test_several_headers_are_one_list),
          cmocka_unit_test(test_an_address_may_guess_only_so_often),
          cmocka_unit_test(test_what_cannot_be_guessed_is_heard_all_the_same),
          cmocka_unit_test(test_a_runner_is_told_that_its_run_has_ended),
          cmocka_unit_test(test_a_full_queue_says_when_to_come_again),
          cmocka_unit_test(test_githubs_own_answer_is_handed_on_and_kept_for_a_moment),
          cmocka_unit_test(test_a_github_that_is_away_or_refuses_is_a_503),
          cmocka_unit_test(test_githubs_limits_take_a_good_question))
