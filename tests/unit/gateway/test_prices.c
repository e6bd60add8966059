/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/prices.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

static const struct model_totals million_each = {
    .input_tokens = 1000000,
    .output_tokens = 1000000,
    .cache_read_tokens = 1000000,
    .cache_write_tokens = 1000000,
};

static void expect_cost(const struct prices *prices, const char *model, double expected)
{
    double cost = -1;

    assert_true(prices_cost(prices, model, &million_each, &cost));
    if (cost < expected - 0.0001 || cost > expected + 0.0001)
        fail_msg("%s: %f instead of %f", model, cost, expected);
}

static void test_the_longest_prefix_counts(void **state)
{
    struct err err = {0};
    scoped(prices) prices = prices_load(NULL, &err);

    (void)state;
    assert_made(prices, err);
    expect_cost(prices, "claude-opus-4-20250514", 15 + 75 + 1.5 + 18.75);
    expect_cost(prices, "claude-opus-4-5-20251101", 5 + 25 + 0.5 + 6.25);
    expect_cost(prices, "anthropic/claude-sonnet-4.5", 3 + 15 + 0.3 + 3.75);
    expect_cost(prices, "gpt-5-mini-2025-08-07", 0.25 + 2 + 0.025 + 0.25);
    expect_cost(prices, "models/gemini-2.5-flash-lite", 0.1 + 0.4 + 0.01 + 0.1);
}

static void test_an_unknown_model_has_no_price(void **state)
{
    struct err err = {0};
    scoped(prices) prices = prices_load(NULL, &err);
    double cost = -1;

    (void)state;
    assert_made(prices, err);
    assert_false(prices_cost(prices, "llama-local", &million_each, &cost));
    assert_false(prices_cost(prices, "", &million_each, &cost));
    assert_false(prices_cost(prices, "claude", &million_each, &cost));
    assert_true(cost < 0);
}

static struct prices *load(const char *text, struct err *err)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/prices.yaml", dir);
    struct prices *prices;

    test_file_write(dir, "prices.yaml", text);
    prices = prices_load(path, err);
    test_dir_remove(dir);
    return prices;
}

static void test_a_file_comes_before_what_is_built_in(void **state)
{
    struct err err = {0};
    scoped(prices) prices = load("models:\n"
                                 "  gpt-5: {input: 1, output: 2}\n"
                                 "  ours/llama: {input: 0, output: 0}\n",
                                 &err);

    (void)state;
    assert_made(prices, err);
    expect_cost(prices, "gpt-5", 1 + 2 + 1 + 1);
    expect_cost(prices, "gpt-5-mini", 0.25 + 2 + 0.025 + 0.25);
    expect_cost(prices, "ours/llama-70b", 0);
}

static void test_a_wrong_file_is_told_with_its_line(void **state)
{
    static const char *const wrong[] = {
        "models: 5\n",
        "other: {}\n",
        "models:\n  a: {input: 1, output: 1}\n  b: {input: 1}\n",
        "models:\n  a: {input: 1, output: 1}\n  b: {input: -1, output: 1}\n",
        "models:\n  a: {input: 1, output: 1}\n  b: {input: 1, output: 1, typo: 1}\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct err err = {0};

        assert_null(load(wrong[i], &err));
        assert_int_equal(err.kind, ERR_INVALID);
        assert_non_null(strstr(err.text, i < 2 ? "prices.yaml" : "prices.yaml:3: models.b"));
    }
}

TEST_MAIN(cmocka_unit_test(test_the_longest_prefix_counts),
          cmocka_unit_test(test_an_unknown_model_has_no_price),
          cmocka_unit_test(test_a_file_comes_before_what_is_built_in),
          cmocka_unit_test(test_a_wrong_file_is_told_with_its_line))
