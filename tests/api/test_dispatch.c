/* SPDX-License-Identifier: Apache-2.0 */
/* POST /dispatchTask as CONTRACT section 3 has it, and everything a client can get wrong. */
#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "crypto/random.h"
#include "server.h"
#include "store/run_store.h"

static const struct test_server_options quiet = {.max_workers = -1};

static int post(struct test_server *server, const char *token, const char *body, cJSON **out)
{
    return test_server_call(server, "POST", "/dispatchTask", token, NULL, body, out);
}

static void test_dispatch_answers_with_the_run_id(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "Add a button");
    struct id parsed;
    struct err err = {0};

    (void)state;
    assert_true(id_parse(id, &parsed));
    scoped(run) run = run_store_load(server->db, parsed, &err);
    assert_made(run, err);
    assert_string_equal(run->repo, "octo/hello");
    assert_string_equal(run->prompt, "Add a button");
    assert_string_equal(run->agent, "claude-code");
    assert_int_equal(run->status, RUN_PENDING);
}

static void test_dispatch_refuses_bad_bodies(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *complaint; /* part of "error" */
    } cases[] = {
        {NULL, 400, "expected an object"},
        {"", 400, "expected an object"},
        {"{", 400, ""},
        {"[]", 400, "expected an object"},
        {"{}", 400, "prompt: required"},
        {"{\"prompt\": null}", 400, "prompt: required"},
        {"{\"prompt\": 3}", 400, "prompt: expected a string"},
        {"{\"prompt\": \"\"}", 400, "prompt: "},
        {"{\"prompt\": \" \\n\\t\"}", 400, "prompt: "},
        {"{\"prompt\": \"x\", \"promt\": \"y\"}", 400, "promt: unknown field"},
        {"{\"prompt\": \"x\", \"owner\": \"evil\"}", 400, "owner: unknown field"},
        {"{\"prompt\": \"x\", \"prompt\": \"y\"}", 400, "prompt"},
        {"{\"prompt\": \"x\", \"codingAgent\": \"hal\"}", 400, "codingAgent: "},
        {"{\"prompt\": \"x\", \"codingAgent\": \"command\"}", 400, "codingAgent: "},
        {"{\"prompt\": \"x\", \"codingAgent\": 1}", 400, "codingAgent: expected a string"},
        {"{\"prompt\": \"x\", \"model\": \"\"}", 400, "model: "},
        {"{\"prompt\": \"x\", \"model\": \"a b\"}", 400, "model: "},
        {"{\"prompt\": \"x\", \"model\": \"--flag\"}", 400, "model: "},
        {"{\"prompt\": \"a\\u0000b\"}", 400, ""},
        {"{\"prompt\": \"\xff\xfe\"}", 400, ""},
        {"{\"prompt\": \"\\ud800\"}", 400, ""},
        {"{\"prompt\": \"x\"} trailing", 400, ""},
    };
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str token = test_server_token(server, "octo/hello");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_json answer = NULL;
        int status = post(server, token, cases[i].body, &answer);
        const char *error = json_get_str(answer, "error");

        if (status != cases[i].status || !error || !strstr(error, cases[i].complaint)
            || !json_get_str(answer, "code"))
            fail_msg("%s: %d %s", cases[i].body, status, error ? error : "no error");
    }
}

static void test_dispatch_bounds_the_prompt(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str longest = xcalloc(65536 + 2, 1);
    struct buf body = {0};
    scoped_json refused = NULL;

    (void)state;
    memset(longest, 'a', 65536);
    buf_printf(&body, "{\"prompt\": \"%s\"}", longest);
    assert_int_equal(post(server, token, body.data, NULL), 200);
    longest[65536] = 'a';
    buf_clear(&body);
    buf_printf(&body, "{\"prompt\": \"%s\"}", longest);
    assert_int_equal(post(server, token, body.data, &refused), 400);
    assert_string_equal(json_get_str(json_get(refused, "details"), "field"), "prompt");
    buf_done(&body);
}

static void test_dispatch_refuses_huge_and_deep_bodies(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str huge = xcalloc(1024 * 1024 + 2, 1);
    scoped_str deep = xcalloc(1000 * 1000 + 1, 1);

    (void)state;
    memset(huge, ' ', 1024 * 1024 + 1);
    assert_int_equal(post(server, token, huge, NULL), 413);
    memset(deep, '[', 1000 * 1000);
    assert_int_equal(post(server, token, deep, NULL), 400);
}

static void test_dispatch_refuses_wrong_credentials(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str other = xstrdup(token);
    const char *const bad[] = {
        NULL,
        "",
        "nonsense",
        "vgvbot_",
        "vgvbot_short",
        other,
        TEST_API_KEY,
        "vgvtask_mabcdefg000000000000_0123456789012345678901234567890123456789012",
        "dsp_live_0123456789012345678901234567890123456789012",
    };

    (void)state;
    other[strlen(other) - 1] = other[strlen(other) - 1] == 'A' ? 'B' : 'A';
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        scoped_json answer = NULL;

        assert_int_equal(post(server, bad[i], "{\"prompt\": \"x\"}", &answer), 401);
        assert_string_equal(json_get_str(answer, "code"), "unauthenticated");
    }
    /* Whatever the body: nothing of it is judged before the credential. */
    assert_int_equal(post(server, "vgvbot_x", "{", NULL), 401);
    assert_int_equal(post(server, token, "{\"prompt\": \"x\"}", NULL), 200);
}

static void test_blanks_around_a_credential_are_no_part_of_it(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str padded = xasprintf("Authorization:   bearer  %s \t ", token);
    scoped_str two = xasprintf("Authorization: Bearer %s x", token);
    const char *const padded_headers[] = {padded, NULL};
    const char *const two_headers[] = {two, NULL};

    (void)state;
    assert_int_equal(test_server_call(server, "POST", "/dispatchTask", NULL, padded_headers,
                                      "{\"prompt\": \"x\"}", NULL),
                     200);
    assert_int_equal(test_server_call(server, "POST", "/dispatchTask", NULL, two_headers,
                                      "{\"prompt\": \"x\"}", NULL),
                     401);
}

static void test_last_use_survives_a_restart(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    struct integration_token **all = NULL;
    size_t count = 0;
    struct err err = {0};
    int64_t used_ms = 0;

    (void)state;
    assert_int_equal(post(server, token, "{\"prompt\": \"x\"}", NULL), 200);
    test_server_restart(server);
    assert_ok(token_store_list(server->tokens, &all, &count, &err), err);
    for (size_t i = 0; i < count; i++) {
        used_ms = all[i]->last_used_ms;
        integration_token_free(all[i]);
    }
    free(all);
    assert_int_equal(count, 1);
    assert_true(used_ms > 0);
}

static void test_revoked_token_is_refused_at_once(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str prefix = xstrndup(token, 12);
    struct err err = {0};

    (void)state;
    assert_int_equal(post(server, token, "{\"prompt\": \"x\"}", NULL), 200);
    assert_ok(token_store_revoke(server->tokens, prefix, clock_wall_ms(), NULL, &err), err);
    assert_int_equal(post(server, token, "{\"prompt\": \"x\"}", NULL), 401);
}

static void test_wrong_method_and_path(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str token = test_server_token(server, "octo/hello");

    (void)state;
    assert_int_equal(test_server_call(server, "GET", "/dispatchTask", token, NULL, NULL, NULL),
                     405);
    assert_int_equal(
        test_server_call(server, "DELETE", "/dispatchTask", token, NULL, NULL, NULL), 405);
    assert_int_equal(test_server_call(server, "POST", "/dispatchtask", token, NULL, "{}", NULL),
                     404);
    assert_int_equal(test_server_call(server, "GET", "/", token, NULL, NULL, NULL), 404);
}

/* --- Idempotency
 * ------------------------------------------------------------------------------ */

static int post_with_key(struct test_server *server, const char *token, const char *key,
                         const char *body, char **out_id)
{
    scoped_str header = xasprintf("Idempotency-Key: %s", key);
    const char *const headers[] = {header, NULL};
    scoped_json answer = NULL;
    int status =
        test_server_call(server, "POST", "/dispatchTask", token, headers, body, &answer);

    if (out_id)
        *out_id = xstrdup(json_get_str(answer, "runId"));
    return status;
}

static void test_same_key_and_body_is_the_same_run(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str other_token = test_server_token(server, "octo/hello");
    scoped_str first = NULL;
    scoped_str again = NULL;
    scoped_str others = NULL;

    (void)state;
    assert_int_equal(post_with_key(server, token, "k-1", "{\"prompt\": \"x\"}", &first), 200);
    assert_int_equal(post_with_key(server, token, "k-1", "{\"prompt\": \"x\"}", &again), 200);
    assert_string_equal(first, again);
    assert_int_equal(post_with_key(server, token, "k-1", "{\"prompt\": \"y\"}", NULL), 409);
    assert_int_equal(post_with_key(server, other_token, "k-1", "{\"prompt\": \"x\"}", &others),
                     200);
    assert_string_not_equal(first, others);
    assert_int_equal(post_with_key(server, token, "a b", "{\"prompt\": \"x\"}", NULL), 400);
}

struct racer {
    pthread_t thread;
    struct test_server *server;
    const char *token;
    char *id;
};

static void *race(void *arg)
{
    struct racer *racer = arg;

    if (post_with_key(racer->server, racer->token, "race", "{\"prompt\": \"x\"}", &racer->id)
        != 200)
        racer->id = NULL;
    return NULL;
}

static void test_fifty_at_once_with_one_key_make_one_run(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str token = test_server_token(server, "octo/hello");
    struct racer racers[50] = {0};
    int64_t counts[RUN_STATUS_COUNT];
    struct err err = {0};
    bool same = true;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(racers); i++) {
        racers[i].server = server;
        racers[i].token = token;
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(racers); i++)
        (void)pthread_join(racers[i].thread, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(racers); i++) {
        same &= racers[i].id && racers[0].id && strcmp(racers[i].id, racers[0].id) == 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(racers); i++)
        free(racers[i].id);
    assert_true(same);
    assert_ok(run_store_count(server->db, counts, &err), err);
    assert_int_equal(counts[RUN_PENDING], 1);
}

/* --- Limits
 * ----------------------------------------------------------------------------------- */

static void test_full_queue_is_429_with_retry_after(void **state)
{
    static const struct test_server_options small = {.max_workers = -1, .max_queue_size = 2};
    scoped(test_server) server = test_server_new(&small);
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_json refused = NULL;

    (void)state;
    assert_int_equal(post(server, token, "{\"prompt\": \"1\"}", NULL), 200);
    assert_int_equal(post(server, token, "{\"prompt\": \"2\"}", NULL), 200);
    assert_int_equal(post(server, token, "{\"prompt\": \"3\"}", &refused), 429);
    assert_string_equal(json_get_str(refused, "code"), "queue_full");
    assert_true(json_get_int(refused, "retryAfter", 0) > 0);
}

static void test_repeat_of_a_key_is_answered_when_the_queue_is_full(void **state)
{
    static const struct test_server_options small = {.max_workers = -1, .max_queue_size = 1};
    scoped(test_server) server = test_server_new(&small);
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str first = NULL;
    scoped_str again = NULL;

    (void)state;
    assert_int_equal(post_with_key(server, token, "k-1", "{\"prompt\": \"x\"}", &first), 200);
    assert_int_equal(post_with_key(server, token, "k-1", "{\"prompt\": \"x\"}", &again), 200);
    assert_string_equal(first, again);
    assert_int_equal(post_with_key(server, token, "k-1", "{\"prompt\": \"y\"}", NULL), 409);
    assert_int_equal(post_with_key(server, token, "k-2", "{\"prompt\": \"x\"}", NULL), 429);
    assert_int_equal(post(server, token, "{\"prompt\": \"x\"}", NULL), 429);
}

/* The key of a request that the full queue refused is free for the client's next try. */
static void test_key_refused_by_a_full_queue_is_not_kept(void **state)
{
    static const struct test_server_options small = {.max_workers = -1, .max_queue_size = 1};
    scoped(test_server) server = test_server_new(&small);
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str waiting = test_server_dispatch(server, token, "x");
    scoped_str path = xasprintf("/api/tasks/%s/stop", waiting);

    (void)state;
    assert_int_equal(post_with_key(server, token, "k", "{\"prompt\": \"x\"}", NULL), 429);
    assert_int_equal(test_server_call(server, "POST", path, TEST_API_KEY, NULL, NULL, NULL),
                     202);
    assert_int_equal(post_with_key(server, token, "k", "{\"prompt\": \"x\"}", NULL), 200);
    assert_int_equal(post(server, token, "{\"prompt\": \"x\"}", NULL), 429);
}

static void test_body_that_stops_half_way_makes_no_run(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str token = test_server_token(server, "octo/hello");
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)httpd_port(server->httpd)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    scoped_fd fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    scoped_str head = xasprintf("POST /dispatchTask HTTP/1.1\r\nHost: x\r\n"
                                "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
                                "Content-Length: 100\r\n\r\n{\"prompt\": \"x\"",
                                token);
    int64_t counts[RUN_STATUS_COUNT];
    struct err err = {0};
    char rest[512];

    (void)state;
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(send(fd, head, strlen(head), 0), (ssize_t)strlen(head));
    (void)shutdown(fd, SHUT_WR);
    while (recv(fd, rest, sizeof(rest), 0) > 0)
        ;
    assert_ok(run_store_count(server->db, counts, &err), err);
    assert_int_equal(counts[RUN_PENDING], 0);
    assert_int_equal(post(server, token, "{\"prompt\": \"x\"}", NULL), 200);
}

static void test_queued_runs_survive_a_restart(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "survive");

    (void)state;
    test_server_restart(server);
    assert_string_equal(test_server_status(server, id), "pending");
    assert_int_equal(post(server, token, "{\"prompt\": \"x\"}", NULL), 200);
}

TEST_MAIN(cmocka_unit_test(test_dispatch_answers_with_the_run_id),
          cmocka_unit_test(test_dispatch_refuses_bad_bodies),
          cmocka_unit_test(test_dispatch_bounds_the_prompt),
          cmocka_unit_test(test_dispatch_refuses_huge_and_deep_bodies),
          cmocka_unit_test(test_dispatch_refuses_wrong_credentials),
          cmocka_unit_test(test_blanks_around_a_credential_are_no_part_of_it),
          cmocka_unit_test(test_last_use_survives_a_restart),
          cmocka_unit_test(test_revoked_token_is_refused_at_once),
          cmocka_unit_test(test_wrong_method_and_path),
          cmocka_unit_test(test_same_key_and_body_is_the_same_run),
          cmocka_unit_test(test_fifty_at_once_with_one_key_make_one_run),
          cmocka_unit_test(test_full_queue_is_429_with_retry_after),
          cmocka_unit_test(test_repeat_of_a_key_is_answered_when_the_queue_is_full),
          cmocka_unit_test(test_key_refused_by_a_full_queue_is_not_kept),
          cmocka_unit_test(test_body_that_stops_half_way_makes_no_run),
          cmocka_unit_test(test_queued_runs_survive_a_restart))
