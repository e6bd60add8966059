/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/refusal.h"

#include "gateway_run.h"

static void expect_refusal(struct run *run, const char *base, const char *path,
                           const char *words)
{
    scoped_net_answer answer = {0};
    scoped_str retry = NULL;

    assert_int_equal(call(run, (struct call){.base = base, .path = path}, &answer), 400);
    assert_non_null(strstr(answer.body.data, words));
    assert_non_null(strstr(answer.body.data, "The budget of this run is spent"));
    retry = net_answer_header(&answer, "x-should-retry");
    assert_string_equal(retry, "false");
}

static void test_a_spent_budget_ends_further_calls_in_the_providers_words(void **state)
{
    struct run run;

    (void)state;
    run_start(&run, serve_say, anthropic_answer, (struct gateway_options){.max_tokens = 200});
    for (int i = 0; i < 2; i++) /* 120 of 200, then 240 */
        assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                       .path = "/v1/messages"}),
                         200);
    assert_false(gateway_budget_exceeded(run.gateway));
    assert_int_equal(run.budget_calls, 0);
    expect_refusal(&run, run.access.anthropic_url, "/v1/messages",
                   "\"type\":\"invalid_request_error\"");
    assert_true(gateway_budget_exceeded(run.gateway));
    expect_refusal(&run, run.access.openai_url, "/responses", "\"code\":\"budget_exceeded\"");
    expect_refusal(&run, run.access.gemini_url, "/v1beta/models/m:generateContent",
                   "\"status\":\"FAILED_PRECONDITION\"");
    assert_int_equal(run.budget_calls, 1);
    assert_int_equal(run.server.requests, 2);
    assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                   .path = "/v1/models",
                                                   .method = "GET"}),
                     200); /* lists cost nothing */
    run_end(&run);
}

static void test_a_budget_in_dollars_holds(void **state)
{
    struct run run;

    (void)state;
    /* Each call costs (100 * 5 + 20 * 25) / 1e6 = $0.001. */
    run_start(&run, serve_say, anthropic_answer,
              (struct gateway_options){.max_cost_usd = 0.0015});
    for (int i = 0; i < 2; i++)
        assert_int_equal(status_of(&run, (struct call){.base = run.access.anthropic_url,
                                                       .path = "/v1/messages"}),
                         200);
    expect_refusal(&run, run.access.anthropic_url, "/v1/messages", "at most $0.00");
    run_end(&run);
}

TEST_MAIN(cmocka_unit_test(test_a_spent_budget_ends_further_calls_in_the_providers_words),
          cmocka_unit_test(test_a_budget_in_dollars_holds))
