/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>

#include "base/alloc.h"
#include "crypto/random.h"
#include "service/admission.h"

#define NOW_MS 5000000

static struct override rules[] = {
    {.name = (char[]){"Octo/Two"}, .priority = RUN_PRIORITY_UNSAID, .max_in_flight = 2},
    {.name = (char[]){"octo/urgent"}, .priority = 900},
    {.name = (char[]){"octo/late"}, .priority = 0},
};

static const struct config config = {.repositories = {.all = rules, .count = 3}};
static const struct config config_of_one = {
    .max_in_flight = 1,
    .repositories = {.all = rules, .count = 3},
};

/* Runs of rising age, named by a number from 1. */
static struct admission_run run_of(int number, int priority, const char *repo,
                                   const char *branch)
{
    return (struct admission_run){.id = {.key = number, .tail = number},
                                  .priority = priority,
                                  .repo = repo,
                                  .branch = branch};
}

static void wait_for(struct admission *admission, int number, int priority, const char *repo,
                     const char *branch)
{
    struct admission_run run = run_of(number, priority, repo, branch);

    admission_wait(admission, &run);
}

/* The number of the next one, 0 for none; it stays where it is. */
static int next_of(struct admission *admission)
{
    struct admission_run run = {0};
    int64_t next_ms;

    return admission_next(admission, NOW_MS, &run, &next_ms) ? (int)run.id.key : 0;
}

static int take(struct admission *admission)
{
    int number = next_of(admission);

    if (number)
        assert_true(admission_take(admission, (struct id){number, number}));
    return number;
}

static void leave(struct admission *admission, int number)
{
    admission_leave(admission, (struct id){number, number});
}

static void test_only_some_runs_are_concerned(void **state)
{
    static const struct {
        struct admission_run run;
        bool concerned;
    } cases[] = {
        {{.priority = 500, .repo = "octo/hello"}, false},
        {{.priority = 500}, false},
        {{.priority = 501, .repo = "octo/hello"}, true},
        {{.priority = 0}, true},
        {{.priority = 500, .repo = "octo/hello", .branch = "main"}, true},
        {{.priority = 500, .repo = "octo/two"}, true},
        {{.priority = 500, .repo = "OCTO/TWO"}, true},
        {{.priority = 500, .repo = "octo/urgent"}, false},
    };
    scoped(admission) admission = admission_new(&config);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(admission_concerns(admission, &cases[i].run), cases[i].concerned);
}

static void test_a_repository_says_the_priority_where_the_request_does_not(void **state)
{
    scoped(admission) admission = admission_new(&config);

    (void)state;
    assert_int_equal(admission_priority(admission, "octo/urgent", RUN_PRIORITY_UNSAID), 900);
    assert_int_equal(admission_priority(admission, "octo/late", RUN_PRIORITY_UNSAID), 0);
    assert_int_equal(admission_priority(admission, "octo/urgent", 500), 500);
    assert_int_equal(admission_priority(admission, "octo/two", RUN_PRIORITY_UNSAID), 500);
    assert_int_equal(admission_priority(admission, NULL, RUN_PRIORITY_UNSAID), 500);
    assert_int_equal(admission_priority(admission, NULL, 7), 7);
}

static void test_higher_goes_first_and_equal_the_older_one(void **state)
{
    scoped(admission) admission = admission_new(&config);

    (void)state;
    wait_for(admission, 1, 10, "a/a", NULL);
    wait_for(admission, 4, 900, "b/b", NULL);
    wait_for(admission, 3, 900, NULL, NULL);
    wait_for(admission, 2, 1000, "a/a", NULL);
    wait_for(admission, 5, 10, NULL, NULL);
    assert_int_equal(take(admission), 2);
    assert_int_equal(take(admission), 3);
    assert_int_equal(take(admission), 4);
    assert_int_equal(take(admission), 1);
    assert_int_equal(take(admission), 5);
    assert_int_equal(take(admission), 0);
}

static void test_any_order_of_arrival_comes_out_sorted(void **state)
{
    enum { N = 500 };
    scoped(admission) admission = admission_new(&config);
    bool gone[N + 1] = {false};
    int last_priority = RUN_PRIORITY_MAX + 1;
    int last = 0;
    int left = 0;

    (void)state;
    for (int i = 1; i <= N; i++)
        wait_for(admission, (i * 7919) % 503 ? (i * 7919) % 503 : 503, i % 11, NULL, NULL);
    for (int i = 1; i <= N; i += 3) {
        leave(admission, i);
        gone[i] = true;
    }
    for (;; left++) {
        struct admission_run run;
        int64_t next_ms;

        if (!admission_next(admission, NOW_MS, &run, &next_ms))
            break;
        assert_true(run.priority < last_priority
                    || (run.priority == last_priority && run.id.key > last));
        assert_true(run.id.key > N || !gone[run.id.key]);
        last_priority = run.priority;
        last = (int)run.id.key;
        assert_true(admission_take(admission, run.id));
    }
    assert_in_range(left, N - N / 3 - 2, N - N / 3 + 2);
}

static void test_a_limit_holds_and_opens_again(void **state)
{
    scoped(admission) admission = admission_new(&config);

    (void)state;
    for (int i = 1; i <= 4; i++)
        wait_for(admission, i, 500, i % 2 ? "octo/two" : "Octo/TWO", NULL);
    assert_int_equal(take(admission), 1);
    assert_int_equal(take(admission), 2);
    assert_int_equal(take(admission), 0);
    leave(admission, 1);
    assert_int_equal(take(admission), 3);
    assert_int_equal(take(admission), 0);
    admission_put_back(admission, (struct id){2, 2}, 0);
    assert_int_equal(take(admission), 2);
    assert_int_equal(take(admission), 0);
}

static void test_the_default_limit_is_every_repositorys(void **state)
{
    scoped(admission) admission = admission_new(&config_of_one);

    (void)state;
    wait_for(admission, 1, 500, "a/a", NULL);
    wait_for(admission, 2, 500, "a/a", NULL);
    wait_for(admission, 3, 500, "b/b", NULL);
    wait_for(admission, 4, 500, "octo/two", NULL);
    wait_for(admission, 5, 500, "octo/two", NULL);
    assert_int_equal(take(admission), 1);
    assert_int_equal(take(admission), 3);
    assert_int_equal(take(admission), 4);
    assert_int_equal(take(admission), 5);
    assert_int_equal(take(admission), 0);
}

static void test_a_branch_has_one_run_at_a_time(void **state)
{
    scoped(admission) admission = admission_new(&config);

    (void)state;
    wait_for(admission, 1, 500, "a/a", "main");
    wait_for(admission, 2, 500, "A/A", "main");
    wait_for(admission, 3, 500, "a/a", "Main");
    wait_for(admission, 4, 500, "b/b", "main");
    wait_for(admission, 5, 600, "a/a", NULL);
    assert_int_equal(take(admission), 5);
    assert_int_equal(take(admission), 1);
    assert_int_equal(take(admission), 3);
    assert_int_equal(take(admission), 4);
    assert_int_equal(take(admission), 0);
    leave(admission, 1);
    assert_int_equal(take(admission), 2);
}

static void test_a_branch_of_a_full_repository_waits_as_well(void **state)
{
    scoped(admission) admission = admission_new(&config);

    (void)state;
    wait_for(admission, 1, 500, "octo/two", "a");
    wait_for(admission, 2, 500, "octo/two", "a");
    wait_for(admission, 3, 500, "octo/two", "b");
    wait_for(admission, 4, 500, "octo/two", NULL);
    assert_int_equal(take(admission), 1);
    assert_int_equal(take(admission), 3);
    assert_int_equal(take(admission), 0);
    leave(admission, 3);
    assert_int_equal(take(admission), 4);
    leave(admission, 1);
    assert_int_equal(take(admission), 2);
}

/* The time of a take doesn't grow with those that are blocked: it asks each lane, not each run.
 * What would be noticed here is a take that walks over them. */
static void test_a_hundred_thousand_blocked_runs_hold_up_nobody(void **state)
{
    enum { BLOCKED = 100000, OTHERS = 2000 };
    scoped(admission) admission = admission_new(&config);

    (void)state;
    for (int i = 1; i <= BLOCKED; i++)
        wait_for(admission, i, 1000, "octo/two", NULL);
    assert_int_equal(take(admission), 1);
    assert_int_equal(take(admission), 2);
    for (int i = 1; i <= OTHERS; i++)
        wait_for(admission, BLOCKED + i, 600, "a/a", NULL);
    for (int i = 1; i <= OTHERS; i++)
        assert_int_equal(take(admission), BLOCKED + i);
    assert_int_equal(take(admission), 0);
}

static void test_those_in_flight_at_the_start_count(void **state)
{
    scoped(admission) admission = admission_new(&config);
    struct admission_run flying = run_of(1, 500, "octo/two", NULL);
    struct admission_run branch = run_of(2, 500, "a/a", "main");

    (void)state;
    admission_fly(admission, &flying);
    admission_fly(admission, &branch);
    wait_for(admission, 3, 500, "octo/two", NULL);
    wait_for(admission, 4, 500, "octo/two", NULL);
    wait_for(admission, 5, 500, "a/a", "main");
    assert_int_equal(take(admission), 3);
    assert_int_equal(take(admission), 0);
    leave(admission, 2);
    assert_int_equal(take(admission), 5);
}

static void test_one_that_came_back_waits_until_its_time(void **state)
{
    scoped(admission) admission = admission_new(&config);
    struct admission_run run;
    int64_t next_ms;

    (void)state;
    wait_for(admission, 1, 900, NULL, NULL);
    wait_for(admission, 2, 800, NULL, NULL);
    assert_int_equal(take(admission), 1);
    admission_put_back(admission, (struct id){1, 1}, NOW_MS + 100);
    assert_true(admission_next(admission, NOW_MS, &run, &next_ms));
    assert_int_equal(run.id.key, 2);
    assert_int_equal(next_ms, NOW_MS + 100);
    assert_int_equal(take(admission), 2);
    assert_false(admission_next(admission, NOW_MS + 99, &run, &next_ms));
    assert_int_equal(next_ms, NOW_MS + 100);
    assert_true(admission_next(admission, NOW_MS + 100, &run, &next_ms));
    assert_int_equal(run.id.key, 1);
}

static void test_one_is_taken_once(void **state)
{
    scoped(admission) admission = admission_new(&config);

    (void)state;
    wait_for(admission, 1, 900, NULL, NULL);
    wait_for(admission, 1, 100, "octo/two", NULL); /* known already */
    assert_true(admission_knows(admission, (struct id){1, 1}));
    assert_int_equal(take(admission), 1);
    assert_false(admission_take(admission, (struct id){1, 1}));
    leave(admission, 1);
    leave(admission, 1);
    assert_false(admission_knows(admission, (struct id){1, 1}));
    admission_put_back(admission, (struct id){1, 1}, 0);
    assert_int_equal(take(admission), 0);
}

static void test_what_a_run_waits_for_is_said(void **state)
{
    scoped(admission) admission = admission_new(&config);
    char why[128];

    (void)state;
    assert_false(admission_blocked(admission, "octo/two", NULL, why, sizeof(why)));
    wait_for(admission, 1, 500, "octo/two", NULL);
    wait_for(admission, 2, 500, "octo/two", "main");
    assert_int_equal(take(admission), 1);
    assert_int_equal(take(admission), 2);
    assert_true(admission_blocked(admission, "OCTO/two", NULL, why, sizeof(why)));
    assert_string_equal(why, "2 runs of this repository are in flight, which is its limit");
    assert_true(admission_blocked(admission, "octo/two", "main", why, sizeof(why)));
    assert_string_equal(why, "a run of this repository and branch is in flight");
    assert_false(admission_blocked(admission, "octo/hello", "main", why, sizeof(why)));
    assert_false(admission_blocked(admission, NULL, NULL, why, sizeof(why)));
}

static void test_how_many_go_before_is_counted(void **state)
{
    scoped(admission) admission = admission_new(&config);
    int64_t waiting;

    (void)state;
    wait_for(admission, 1, 900, NULL, NULL);
    wait_for(admission, 2, 500, "a/a", "b");
    wait_for(admission, 3, 100, NULL, NULL);
    assert_int_equal(admission_ahead(admission, 500, &waiting), 2);
    assert_int_equal(waiting, 3);
    assert_int_equal(admission_ahead(admission, 1000, &waiting), 0);
    assert_int_equal(admission_ahead(admission, 0, &waiting), 3);
    assert_int_equal(take(admission), 1);
    assert_int_equal(admission_ahead(admission, 500, &waiting), 1);
}

TEST_MAIN(cmocka_unit_test(test_only_some_runs_are_concerned),
          cmocka_unit_test(test_a_repository_says_the_priority_where_the_request_does_not),
          cmocka_unit_test(test_higher_goes_first_and_equal_the_older_one),
          cmocka_unit_test(test_any_order_of_arrival_comes_out_sorted),
          cmocka_unit_test(test_a_limit_holds_and_opens_again),
          cmocka_unit_test(test_the_default_limit_is_every_repositorys),
          cmocka_unit_test(test_a_branch_has_one_run_at_a_time),
          cmocka_unit_test(test_a_branch_of_a_full_repository_waits_as_well),
          cmocka_unit_test(test_a_hundred_thousand_blocked_runs_hold_up_nobody),
          cmocka_unit_test(test_those_in_flight_at_the_start_count),
          cmocka_unit_test(test_one_that_came_back_waits_until_its_time),
          cmocka_unit_test(test_one_is_taken_once),
          cmocka_unit_test(test_what_a_run_waits_for_is_said),
          cmocka_unit_test(test_how_many_go_before_is_counted))
