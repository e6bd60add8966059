/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <pthread.h>
#include <string.h>

#include "base/scoped.h"
#include "httpd/rate_table.h"

#define START_MS 1000000

static struct rate_state take(struct rate_table *table, const char *name,
                              const struct rate_limit *limit, int64_t now_ms)
{
    struct rate_state state;

    rate_table_take(table, name, strlen(name), limit, now_ms, &state);
    return state;
}

static int allowed_of(struct rate_table *table, const char *name,
                      const struct rate_limit *limit, int times, int64_t now_ms)
{
    int allowed = 0;

    for (int i = 0; i < times; i++)
        allowed += take(table, name, limit, now_ms).allowed;
    return allowed;
}

static void test_a_burst_is_exact_and_comes_back_one_by_one(void **state)
{
    scoped(rate_table) table = rate_table_new(64);
    const struct rate_limit limit = {.per_minute = 60, .burst = 5};

    (void)state;
    assert_int_equal(allowed_of(table, "a", &limit, 20, START_MS), 5);
    assert_int_equal(allowed_of(table, "a", &limit, 20, START_MS + 999), 0);
    assert_int_equal(allowed_of(table, "a", &limit, 20, START_MS + 1000), 1);
    assert_int_equal(allowed_of(table, "a", &limit, 20, START_MS + 3500), 2);
    assert_int_equal(allowed_of(table, "a", &limit, 20, START_MS + 4000), 1);
    assert_int_equal(allowed_of(table, "a", &limit, 20, START_MS + 600000), 5);
}

static void test_over_a_minute_it_is_never_more_than_the_burst_and_the_rate(void **state)
{
    static const int64_t rates[] = {1, 7, 59, 60, 61, 1000, 59999, 60001, 1000000};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        scoped(rate_table) table = rate_table_new(8);
        const struct rate_limit limit = {.per_minute = rates[i], .burst = 1000};
        int64_t allowed = 0;

        for (int64_t ms = 0; ms < 60000; ms++)
            while (take(table, "a", &limit, START_MS + ms).allowed)
                allowed++;
        if (allowed > rates[i] + 1000 || allowed < rates[i] - rates[i] / 50)
            fail_msg("%lld a minute let %lld pass", (long long)rates[i], (long long)allowed);
    }
}

static void test_without_a_burst_it_is_a_whole_minutes(void **state)
{
    scoped(rate_table) table = rate_table_new(8);
    const struct rate_limit limit = {.per_minute = 30};

    (void)state;
    assert_int_equal(allowed_of(table, "a", &limit, 100, START_MS), 30);
}

static void test_the_state_says_how_it_stands(void **state)
{
    scoped(rate_table) table = rate_table_new(8);
    const struct rate_limit limit = {.per_minute = 6, .burst = 2};
    struct rate_state first = take(table, "a", &limit, START_MS);
    struct rate_state second = take(table, "a", &limit, START_MS);
    struct rate_state third = take(table, "a", &limit, START_MS + 1);

    (void)state;
    assert_true(first.allowed);
    assert_int_equal(first.limit, 2);
    assert_int_equal(first.remaining, 1);
    assert_int_equal(first.reset_s, 10);
    assert_int_equal(second.remaining, 0);
    assert_int_equal(second.reset_s, 20);
    assert_false(third.allowed);
    assert_int_equal(third.remaining, 0);
    assert_int_equal(third.retry_after_s, 10);
}

static void test_waiting_as_long_as_was_said_is_enough(void **state)
{
    scoped(rate_table) table = rate_table_new(8);
    const struct rate_limit limit = {.per_minute = 7, .burst = 3};
    int64_t now_ms = START_MS;

    (void)state;
    for (int i = 0; i < 100; i++) {
        struct rate_state said = take(table, "a", &limit, now_ms);

        if (said.allowed)
            continue;
        assert_in_range(said.retry_after_s, 1, 60);
        now_ms += said.retry_after_s * 1000;
        assert_true(take(table, "a", &limit, now_ms).allowed);
    }
}

static void test_looking_counts_nothing(void **state)
{
    scoped(rate_table) table = rate_table_new(8);
    const struct rate_limit limit = {.per_minute = 60, .burst = 1};
    struct rate_state seen;

    (void)state;
    for (int i = 0; i < 10; i++) {
        rate_table_look(table, "a", 1, &limit, START_MS, &seen);
        assert_true(seen.allowed);
    }
    assert_true(take(table, "a", &limit, START_MS).allowed);
    rate_table_look(table, "a", 1, &limit, START_MS, &seen);
    assert_false(seen.allowed);
}

static void test_names_have_buckets_of_their_own(void **state)
{
    scoped(rate_table) table = rate_table_new(1024);
    const struct rate_limit limit = {.per_minute = 60, .burst = 1};
    char name[32];

    (void)state;
    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof(name), "%d", i);
        assert_true(take(table, name, &limit, START_MS).allowed);
        assert_false(take(table, name, &limit, START_MS).allowed);
    }
}

/* What a flood pushes out are buckets that are nearly full: one that is empty stays. */
static void test_a_flood_of_names_pushes_out_none_that_is_emptier(void **state)
{
    scoped(rate_table) table = rate_table_new(64);
    const struct rate_limit slow = {.per_minute = 1, .burst = 100};
    const struct rate_limit limit = {.per_minute = 60, .burst = 2};
    char name[32];

    (void)state;
    assert_int_equal(allowed_of(table, "the one", &slow, 100, START_MS), 100);
    for (int i = 0; i < 100000; i++) {
        (void)snprintf(name, sizeof(name), "flood %d", i);
        assert_true(take(table, name, &limit, START_MS + i / 100).allowed);
    }
    assert_false(take(table, "the one", &slow, START_MS + 1000).allowed);
}

static void test_extremes_neither_overflow_nor_divide_by_nothing(void **state)
{
    scoped(rate_table) table = rate_table_new(1);
    static const struct rate_limit limits[] = {
        {.per_minute = 1, .burst = RATE_BURST_MAX},
        {.per_minute = RATE_PER_MINUTE_MAX, .burst = 1},
        {.per_minute = RATE_PER_MINUTE_MAX, .burst = RATE_BURST_MAX},
        {.per_minute = 1, .burst = 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        scoped_str name = NULL;
        struct rate_state said;

        assert_true(asprintf(&name, "%zu", i) > 0);
        said = take(table, name, &limits[i], INT64_MAX / 1000000);
        assert_true(said.allowed);
        assert_int_equal(said.remaining, limits[i].burst - 1);
        assert_true(said.reset_s >= 0 && said.retry_after_s == 0);
    }
}

/* --- Threads ------------------------------------------------------------------------------ */

#define THREADS 8
#define TAKES 2000

struct crowd {
    struct rate_table *table;
    const struct rate_limit *limit;
};

static void *take_many(void *ctx)
{
    const struct crowd *crowd = ctx;
    intptr_t allowed = 0;

    for (int i = 0; i < TAKES; i++)
        allowed += take(crowd->table, "shared", crowd->limit, START_MS).allowed;
    return (void *)allowed;
}

static void test_threads_share_one_bucket(void **state)
{
    scoped(rate_table) table = rate_table_new(64);
    const struct rate_limit limit = {.per_minute = 60, .burst = 777};
    struct crowd crowd = {table, &limit};
    pthread_t threads[THREADS];
    intptr_t sum = 0;

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &crowd), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *allowed = NULL;

        assert_int_equal(pthread_join(threads[i], &allowed), 0);
        sum += (intptr_t)allowed;
    }
    assert_int_equal(sum, 777);
}

TEST_MAIN(cmocka_unit_test(test_a_burst_is_exact_and_comes_back_one_by_one),
          cmocka_unit_test(test_over_a_minute_it_is_never_more_than_the_burst_and_the_rate),
          cmocka_unit_test(test_without_a_burst_it_is_a_whole_minutes),
          cmocka_unit_test(test_the_state_says_how_it_stands),
          cmocka_unit_test(test_waiting_as_long_as_was_said_is_enough),
          cmocka_unit_test(test_looking_counts_nothing),
          cmocka_unit_test(test_names_have_buckets_of_their_own),
          cmocka_unit_test(test_a_flood_of_names_pushes_out_none_that_is_emptier),
          cmocka_unit_test(test_extremes_neither_overflow_nor_divide_by_nothing),
          cmocka_unit_test(test_threads_share_one_bucket))
