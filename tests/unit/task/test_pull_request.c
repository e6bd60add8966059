/* SPDX-License-Identifier: Apache-2.0 */
#include "task/pull_request.h"

#include "scripted_server.h"

#define PULL "{\"html_url\":\"https://h/o/n/pull/7\",\"draft\":true}"
#define EXISTS                                                                                 \
    "{\"message\":\"Validation Failed\",\"errors\":[{\"message\":"                             \
    "\"A pull request already exists for o:b.\"}]}"
#define NO_DRAFTS "{\"message\":\"Draft pull requests are not supported in this repository.\"}"

/* Opens a draft against the script; the caller frees out->opened.url. */
static int open_against(struct script *script, struct server *server,
                        struct opened_pull_request *out, struct err *err)
{
    static const struct net_options options = {.user_agent = "tester/1"};
    scoped(net) net = net_new(&options, err);
    scoped(secret) token = secret_new("ghs_pulltoken");
    scoped_str url = NULL;
    struct pull_request wanted = {
        .repo = "o/n",
        .title = "T",
        .description = "D",
        .head = "u/dispatch/x/y",
        .base = "main",
        .draft = true,
    };

    assert_non_null(net);
    script_start(server, script);
    url = server_url(server, "");
    wanted.api_url = url;
    return pull_request_open(net, token, &wanted, out, err);
}

static void test_opening_sends_what_github_wants(void **state)
{
    static const struct scripted_answer answers[] = {{201, NULL, PULL}};
    struct script script = {answers, ARRAY_SIZE(answers), 0};
    struct opened_pull_request opened = {0};
    scoped_server server;
    struct err err = {0};

    (void)state;
    assert_ok(open_against(&script, &server, &opened, &err), err);
    scoped_str url = opened.url;
    assert_string_equal(url, "https://h/o/n/pull/7");
    assert_true(opened.draft);
    assert_true(server_saw(&server, "POST /repos/o/n/pulls HTTP/1.1\r\n"));
    assert_true(server_saw(&server, "Accept: application/vnd.github+json\r\n"));
    assert_true(server_saw(&server, "X-GitHub-Api-Version: 2022-11-28\r\n"));
    assert_true(server_saw(&server, "Authorization: Bearer ghs_pulltoken\r\n"));
    assert_true(server_saw(&server,
                           "{\"title\":\"T\",\"body\":\"D\",\"head\":\"u/dispatch/x/y\","
                           "\"base\":\"main\",\"draft\":true,\"maintainer_can_modify\":true}"));
    assert_int_equal(server.requests, 1);
}

static void test_one_that_exists_is_the_one_we_wanted(void **state)
{
    static const struct scripted_answer answers[] = {{422, NULL, EXISTS},
                                                     {200, NULL, "[" PULL "]"}};
    struct script script = {answers, ARRAY_SIZE(answers), 0};
    struct opened_pull_request opened = {0};
    scoped_server server;
    struct err err = {0};

    (void)state;
    assert_ok(open_against(&script, &server, &opened, &err), err);
    scoped_str url = opened.url;
    assert_string_equal(url, "https://h/o/n/pull/7");
    assert_true(server_saw(
        &server, "GET /repos/o/n/pulls?head=o%3Au%2Fdispatch%2Fx%2Fy&base=main&state=open "));
}

static void test_repository_without_drafts_gets_a_plain_one(void **state)
{
    static const struct scripted_answer answers[] = {
        {422, NULL, NO_DRAFTS}, {201, NULL, "{\"html_url\":\"https://h/1\",\"draft\":false}"}};
    struct script script = {answers, ARRAY_SIZE(answers), 0};
    struct opened_pull_request opened = {0};
    scoped_server server;
    struct err err = {0};

    (void)state;
    assert_ok(open_against(&script, &server, &opened, &err), err);
    scoped_str url = opened.url;
    assert_string_equal(url, "https://h/1");
    assert_false(opened.draft);
    assert_true(server_saw(&server, "\"draft\":false"));
    assert_int_equal(server.requests, 2);
}

static void test_after_an_unclear_failure_we_look_before_we_ask_again(void **state)
{
    static const struct scripted_answer happened[] = {{502, NULL, "<html>"},
                                                      {200, NULL, "[" PULL "]"}};
    static const struct scripted_answer did_not[] = {
        {0, NULL, ""}, {200, NULL, "[]"}, {201, NULL, PULL}};
    struct script script = {happened, ARRAY_SIZE(happened), 0};
    struct script other = {did_not, ARRAY_SIZE(did_not), 0};
    struct opened_pull_request opened = {0};
    struct opened_pull_request later = {0};
    scoped_server server;
    scoped_server second;
    struct err err = {0};

    (void)state;
    assert_ok(open_against(&script, &server, &opened, &err), err);
    scoped_str url = opened.url;
    assert_string_equal(url, "https://h/o/n/pull/7");
    assert_int_equal(server.requests, 2);

    assert_ok(open_against(&other, &second, &later, &err), err);
    scoped_str other_url = later.url;
    assert_string_equal(other_url, "https://h/o/n/pull/7");
    assert_int_equal(second.requests, 3);
}

static void test_rate_limit_is_waited_for(void **state)
{
    static const struct scripted_answer answers[] = {
        {403, "Retry-After: 1\r\n",
         "{\"message\":\"You have exceeded a secondary rate limit\"}"},
        {429, "Retry-After: 1\r\n", "{}"},
        {201, NULL, PULL}};
    struct script script = {answers, ARRAY_SIZE(answers), 0};
    struct opened_pull_request opened = {0};
    scoped_server server;
    struct err err = {0};
    int64_t began_ms = clock_monotonic_ms();

    (void)state;
    assert_ok(open_against(&script, &server, &opened, &err), err);
    free(opened.url);
    assert_true(clock_monotonic_ms() - began_ms >= 2000);
    assert_int_equal(server.requests, 3);
}

static void test_refusal_says_what_github_said(void **state)
{
    static const struct scripted_answer answers[] = {
        {422, NULL,
         "{\"message\":\"Validation Failed\",\"errors\":[{\"message\":\"No commits "
         "between\"}]}"}};
    struct script script = {answers, ARRAY_SIZE(answers), 0};
    struct opened_pull_request opened = {0};
    scoped_server server;
    struct err err = {0};

    (void)state;
    assert_int_equal(open_against(&script, &server, &opened, &err), -1);
    assert_string_equal(err.text, "opening the pull request: GitHub answered 422: "
                                  "Validation Failed; No commits between");
    assert_int_equal(server.requests, 1);
}

TEST_MAIN(cmocka_unit_test(test_opening_sends_what_github_wants),
          cmocka_unit_test(test_one_that_exists_is_the_one_we_wanted),
          cmocka_unit_test(test_repository_without_drafts_gets_a_plain_one),
          cmocka_unit_test(test_after_an_unclear_failure_we_look_before_we_ask_again),
          cmocka_unit_test(test_rate_limit_is_waited_for),
          cmocka_unit_test(test_refusal_says_what_github_said))
