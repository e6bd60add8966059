/* SPDX-License-Identifier: Apache-2.0 */
#include "service/backends.h"
#include "test.h"

#include <string.h>

#include "base/alloc.h"
#include "model/token.h"
#include "json/json.h"

#define AFTER_MS 30000

static char first_name[] = "fake";
static char second_name[] = "fake-2";
static char unknown_name[] = "fly";
static char repository[] = "octo/second";
static char *fallback_names[] = {second_name, first_name};
static struct override repositories[] = {
    {.name = repository, .launcher = second_name, .priority = RUN_PRIORITY_UNSAID},
};

static struct config config_of(size_t n_fallback)
{
    return (struct config){.launcher = first_name,
                           .launcher_fallback = {fallback_names, n_fallback},
                           .launcher_fallback_after_s = AFTER_MS / 1000,
                           .repositories = {repositories, 1}};
}

static struct backends *backends_new(const struct config *config)
{
    struct backends *backends = xcalloc(1, sizeof(*backends));
    struct err err = {0};

    json_setup();
    assert_ok(backends_open(backends, config, NULL, NULL, NULL, &err), err);
    return backends;
}

static void backends_free(struct backends *backends)
{
    if (!backends)
        return;
    backends_done(backends);
    free(backends);
}
DEFINE_SCOPED(backends)

/* So long ago that its runs go elsewhere. */
static void go_away(struct backend *backend, int64_t since_ms)
{
    struct err err = {0};
    struct run *run = xcalloc(1, sizeof(*run));
    struct launch *launch;

    run->attempt = 1;
    launch = launches_begin(&backend->launches, run, NULL);
    launch->asked = 1;
    (void)err_set(&err, ERR_UNAVAILABLE, "connection refused");
    launches_missed(&backend->launches, launch, &err, since_ms);
}

static bool always(const void *ctx, const struct run *run)
{
    (void)ctx;
    (void)run;
    return true;
}

static void test_a_token_chooses_over_the_repository_over_the_usual(void **state)
{
    struct config config = config_of(0);
    scoped(backends) backends = backends_new(&config);
    const struct {
        const char *wanted;
        const char *repo;
        int chosen;
    } cases[] = {
        {NULL, "octo/hello", 0},     {NULL, NULL, 0},
        {NULL, "OCTO/second", 1},    {"fake", "octo/second", 0},
        {"fake-2", "octo/hello", 1}, {"docker", "octo/hello", BACKEND_NONE},
    };

    (void)state;
    assert_int_equal(backends->count, 2);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct backend_route route =
            backends_route(backends, cases[i].wanted, cases[i].repo, NULL);

        assert_int_equal(route.chosen, cases[i].chosen);
        assert_int_equal(route.at, cases[i].chosen);
    }
    assert_ptr_equal(backends_find(backends, "fake-2"), &backends->all[1]);
    assert_null(backends_find(backends, "docker"));
    assert_null(backends_find(backends, NULL));
}

static void test_each_is_tried_once_in_the_order_of_the_list(void **state)
{
    struct config config = config_of(2);
    scoped(backends) backends = backends_new(&config);
    const struct {
        struct backend_route route;
        int next;
    } cases[] = {
        {{0, 0}, 1},            /* the usual one is in the list too: not again */
        {{0, 1}, BACKEND_NONE}, /* the last */
        {{1, 1}, 0},
        {{1, 0}, BACKEND_NONE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(backends_next(backends, cases[i].route), cases[i].next);
}

static void test_a_run_goes_where_it_has_moved_to(void **state)
{
    struct config config = config_of(2);
    scoped(backends) backends = backends_new(&config);
    struct backend_route route = backends_route(backends, NULL, "octo/hello", "fake-2");

    (void)state;
    assert_int_equal(route.chosen, 0);
    assert_int_equal(route.at, 1);
    route = backends_route(backends, NULL, "octo/hello", "docker"); /* not open any more */
    assert_int_equal(route.at, 0);
}

static void test_one_that_is_away_is_waited_for_before_another_is_tried(void **state)
{
    struct config config = config_of(2);
    scoped(backends) backends = backends_new(&config);
    struct backend_route route = {0, 0};
    struct backend *first = &backends->all[0];
    struct backend *second = &backends->all[1];

    (void)state;
    second->ready = true;
    assert_null(backends_ready(backends, route)); /* busy, not gone */
    first->gone = true;
    assert_ptr_equal(backends_ready(backends, route), second);
    first->ready = true; /* its turn to be asked again */
    assert_ptr_equal(backends_ready(backends, route), first);
    assert_null(backends_ready(backends, (struct backend_route){BACKEND_NONE, BACKEND_NONE}));
}

static void test_the_pause_is_each_ones_own(void **state)
{
    struct config config = config_of(2);
    scoped(backends) backends = backends_new(&config);
    int64_t now_ms = clock_monotonic_ms();
    int64_t in_ms;

    (void)state;
    go_away(&backends->all[0], now_ms - AFTER_MS + 1);
    assert_true(launches_paused(&backends->all[0].launches, NULL, 0));
    assert_false(launches_paused(&backends->all[1].launches, NULL, 0));
    assert_false(launches_gone(&backends->all[0].launches, now_ms, AFTER_MS, &in_ms));
    assert_int_equal(in_ms, 1);
    assert_true(launches_gone(&backends->all[0].launches, now_ms + 1, AFTER_MS, &in_ms));
    assert_false(launches_gone(&backends->all[1].launches, now_ms, 0, &in_ms));
    assert_int_equal(in_ms, -1);
    assert_int_equal(backends_refuge(backends, (struct backend_route){0, 0}, now_ms), 1);
    go_away(&backends->all[1], now_ms - AFTER_MS);
    assert_int_equal(backends_refuge(backends, (struct backend_route){0, 0}, now_ms),
                     BACKEND_NONE);
}

/* One that may have led to a job isn't let go. */
static void test_only_what_is_known_not_to_have_started_parts(void **state)
{
    struct config config = config_of(2);
    scoped(backends) backends = backends_new(&config);
    struct launches *launches = &backends->all[0].launches;
    struct run *run = xcalloc(1, sizeof(*run));
    struct launch *launch;

    (void)state;
    run->attempt = 1;
    launches_resume(launches, run, NULL); /* of the last process: it may exist */
    assert_null(launches_part(launches, always, NULL));
    assert_int_equal(launches_parked(launches), 0);
    go_away(&backends->all[0], clock_monotonic_ms());
    assert_int_equal(launches_parked(launches), 1);
    launch = launches_part(launches, always, NULL);
    assert_non_null(launch);
    assert_ptr_not_equal(launch->run, run);
    assert_int_equal(launches_parked(launches), 0);
    launches_parted(launches, launch);
    assert_true(launches_paused(launches, NULL, 0)); /* nobody has answered */
    assert_int_equal(launches_in_hand(launches), 0);
}

static void test_a_name_that_is_not_known_is_refused_with_its_place(void **state)
{
    char *unknown[] = {unknown_name};
    struct override odd[] = {{.name = repository, .launcher = unknown_name}};
    struct {
        struct config config;
        const char *says;
    } cases[] = {
        {{.launcher = unknown_name}, "there is no launcher \"fly\""},
        {{.launcher = first_name, .launcher_fallback = {unknown, 1}},
         "launcher_fallback: there is no launcher \"fly\""},
        {{.launcher = first_name, .launchers = {unknown, 1}},
         "launchers: there is no launcher \"fly\""},
        {{.launcher = first_name, .repositories = {odd, 1}},
         "repositories.octo/second.launcher: there is no launcher \"fly\""},
    };

    (void)state;
    json_setup();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct backends backends;
        struct err err = {0};

        assert_int_equal(backends_open(&backends, &cases[i].config, NULL, NULL, NULL, &err),
                         -1);
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.text, cases[i].says))
            fail_msg("%s doesn't say %s", err.text, cases[i].says);
        backends_done(&backends);
    }
}

TEST_MAIN(cmocka_unit_test(test_a_token_chooses_over_the_repository_over_the_usual),
          cmocka_unit_test(test_each_is_tried_once_in_the_order_of_the_list),
          cmocka_unit_test(test_a_run_goes_where_it_has_moved_to),
          cmocka_unit_test(test_one_that_is_away_is_waited_for_before_another_is_tried),
          cmocka_unit_test(test_the_pause_is_each_ones_own),
          cmocka_unit_test(test_only_what_is_known_not_to_have_started_parts),
          cmocka_unit_test(test_a_name_that_is_not_known_is_refused_with_its_place))
