/* SPDX-License-Identifier: Apache-2.0 */
#include "oidc/issuer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "oidc_issuer.h"
#include "test.h"

static _Atomic int64_t now_ms;

static int64_t our_clock(void)
{
    return atomic_load(&now_ms);
}

struct world {
    struct net *net;
    struct oidc_issuer *there;
    struct issuer *here;
};

static void world_open(struct world *world)
{
    struct net_options options = {.user_agent = "test/1"};
    struct err err = {0};

    json_setup();
    atomic_store(&now_ms, 1000000);
    assert_made(world->net = net_new(&options, &err), err);
    world->there = oidc_issuer_new();
    world->here = issuer_new(oidc_issuer_url(world->there), world->net, our_clock);
}

static void world_close(struct world *world)
{
    issuer_free(world->here);
    oidc_issuer_free(world->there);
    net_free(world->net);
}

#define scoped_world __attribute__((cleanup(world_close))) struct world

/* A token as the issuer signs them now. */
static char *token_of(struct world *world)
{
    return oidc_issuer_token(world->there, ",\"sub\":\"x\"");
}

static enum err_kind verify(struct world *world, const char *text)
{
    scoped_jwt_token token = {0};
    struct err err = {0};

    assert_ok(jwt_token_parse(text, &token, &err), err);
    return issuer_verify(world->here, &token, &err) == 0 ? ERR_NONE : err.kind;
}

static void test_keys_are_fetched_once_and_kept(void **state)
{
    scoped_world world = {0};
    scoped_str text = NULL;

    (void)state;
    world_open(&world);
    text = token_of(&world);
    for (int i = 0; i < 5; i++)
        assert_int_equal(verify(&world, text), ERR_NONE);
    atomic_fetch_add(&now_ms, ISSUER_AGE_USUAL_MS - 1);
    assert_int_equal(verify(&world, text), ERR_NONE);
    assert_int_equal(oidc_issuer_fetches(world.there), 1);
    atomic_fetch_add(&now_ms, 1);
    assert_int_equal(verify(&world, text), ERR_NONE);
    assert_int_equal(oidc_issuer_fetches(world.there), 2);
}

static void test_how_long_they_are_kept_has_bounds(void **state)
{
    static const struct {
        const char *said;
        int64_t kept_ms;
    } cases[] = {
        {"max-age=1", ISSUER_AGE_MIN_MS},
        {"no-store", ISSUER_AGE_MIN_MS},
        {"max-age=600", 600 * 1000},
        {"max-age=900000000", ISSUER_AGE_MAX_MS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_world world = {0};
        scoped_str text = NULL;

        world_open(&world);
        oidc_issuer_answer(world.there, 200, cases[i].said);
        text = token_of(&world);
        assert_int_equal(verify(&world, text), ERR_NONE);
        atomic_fetch_add(&now_ms, cases[i].kept_ms - 1);
        assert_int_equal(verify(&world, text), ERR_NONE);
        assert_int_equal(oidc_issuer_fetches(world.there), 1);
        atomic_fetch_add(&now_ms, 1);
        assert_int_equal(verify(&world, text), ERR_NONE);
        assert_int_equal(oidc_issuer_fetches(world.there), 2);
    }
}

static void test_a_new_key_is_looked_for_at_once_and_then_once_a_minute(void **state)
{
    scoped_world world = {0};
    scoped_str first = NULL;
    scoped_str second = NULL;
    scoped_str third = NULL;

    (void)state;
    world_open(&world);
    first = token_of(&world);
    assert_int_equal(verify(&world, first), ERR_NONE);
    oidc_issuer_rotate(world.there, "second");
    second = token_of(&world);
    assert_int_equal(verify(&world, second), ERR_NONE);
    assert_int_equal(verify(&world, first), ERR_INVALID); /* its key is gone */
    oidc_issuer_rotate(world.there, "third");
    third = token_of(&world);
    for (int i = 0; i < 5; i++)
        assert_int_equal(verify(&world, third), ERR_INVALID);
    assert_int_equal(oidc_issuer_fetches(world.there), 2);
    atomic_fetch_add(&now_ms, ISSUER_LOOK_AGAIN_MS);
    assert_int_equal(verify(&world, third), ERR_NONE);
    assert_int_equal(oidc_issuer_fetches(world.there), 3);
}

static void test_a_fetch_that_fails_keeps_the_old_keys_for_a_day(void **state)
{
    scoped_world world = {0};
    scoped_str text = NULL;
    scoped_str of_new_key = NULL;

    (void)state;
    world_open(&world);
    text = token_of(&world);
    assert_int_equal(verify(&world, text), ERR_NONE);
    oidc_issuer_answer(world.there, 404, NULL);
    atomic_fetch_add(&now_ms, ISSUER_AGE_USUAL_MS);
    assert_int_equal(verify(&world, text), ERR_NONE);
    assert_int_equal(verify(&world, text), ERR_NONE);
    assert_int_equal(oidc_issuer_fetches(world.there), 2); /* and doesn't ask again at once */
    oidc_issuer_rotate(world.there, "second");
    of_new_key = token_of(&world);
    assert_int_equal(verify(&world, of_new_key), ERR_UNAVAILABLE);
    atomic_fetch_add(&now_ms, ISSUER_STALE_MAX_MS);
    assert_int_equal(verify(&world, text), ERR_UNAVAILABLE);
    oidc_issuer_answer(world.there, 200, NULL);
    atomic_fetch_add(&now_ms, ISSUER_LOOK_AGAIN_MS);
    assert_int_equal(verify(&world, of_new_key), ERR_NONE);
    assert_int_equal(verify(&world, text), ERR_INVALID);
}

static void test_without_any_keys_it_is_not_the_tokens_fault(void **state)
{
    scoped_world world = {0};
    scoped_str text = NULL;

    (void)state;
    world_open(&world);
    oidc_issuer_answer(world.there, 500, NULL);
    text = token_of(&world);
    assert_int_equal(verify(&world, text), ERR_UNAVAILABLE);
    oidc_issuer_answer(world.there, 200, NULL);
    assert_int_equal(verify(&world, text), ERR_UNAVAILABLE); /* for a minute */
    atomic_fetch_add(&now_ms, ISSUER_LOOK_AGAIN_MS);
    assert_int_equal(verify(&world, text), ERR_NONE);
}

/* --- Many at once ---------------------------------------------------------------------------
 */

struct caller {
    struct world *world;
    const char *text;
    pthread_t thread;
    _Atomic bool done;
    enum err_kind result;
};

static void *call(void *arg)
{
    struct caller *caller = arg;

    caller->result = verify(caller->world, caller->text);
    atomic_store(&caller->done, true);
    return NULL;
}

static int count_done(struct caller *callers, size_t n)
{
    int done = 0;

    for (size_t i = 0; i < n; i++)
        done += atomic_load(&callers[i].done);
    return done;
}

/* One fetches, a few wait for it, the others are free again at once. */
static void test_a_slow_issuer_holds_few_of_our_threads(void **state)
{
    scoped_world world = {0};
    struct caller callers[12];
    scoped_str text = NULL;
    int let_in = 0;

    (void)state;
    world_open(&world);
    oidc_issuer_hold(world.there, true);
    text = token_of(&world);
    for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
        callers[i] = (struct caller){.world = &world, .text = text};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    wait_until(count_done(callers, ARRAY_SIZE(callers))
                   == (int)ARRAY_SIZE(callers) - 1 - ISSUER_WAITERS_MAX,
               3000);
    oidc_issuer_hold(world.there, false);
    for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
        (void)pthread_join(callers[i].thread, NULL);
        let_in += callers[i].result == ERR_NONE;
        assert_true(callers[i].result == ERR_NONE || callers[i].result == ERR_UNAVAILABLE);
    }
    assert_int_equal(let_in, 1 + ISSUER_WAITERS_MAX);
    assert_int_equal(oidc_issuer_fetches(world.there), 1);
}

/* While new ones are fetched, those with a known key don't wait. */
static void test_known_keys_do_while_others_are_fetched(void **state)
{
    scoped_world world = {0};
    struct caller stranger = {.world = &world};
    scoped_str text = NULL;
    scoped_str new_text = NULL;

    (void)state;
    world_open(&world);
    text = token_of(&world);
    assert_int_equal(verify(&world, text), ERR_NONE);
    oidc_issuer_rotate(world.there, "second");
    new_text = token_of(&world);
    stranger.text = new_text;
    oidc_issuer_hold(world.there, true);
    assert_int_equal(pthread_create(&stranger.thread, NULL, call, &stranger), 0);
    wait_until(oidc_issuer_fetches(world.there) == 2, 60000);
    assert_int_equal(verify(&world, text), ERR_NONE);
    assert_false(atomic_load(&stranger.done));
    oidc_issuer_hold(world.there, false);
    (void)pthread_join(stranger.thread, NULL);
    assert_int_equal(stranger.result, ERR_NONE);
}

TEST_MAIN(cmocka_unit_test(test_keys_are_fetched_once_and_kept),
          cmocka_unit_test(test_how_long_they_are_kept_has_bounds),
          cmocka_unit_test(test_a_new_key_is_looked_for_at_once_and_then_once_a_minute),
          cmocka_unit_test(test_a_fetch_that_fails_keeps_the_old_keys_for_a_day),
          cmocka_unit_test(test_without_any_keys_it_is_not_the_tokens_fault),
          cmocka_unit_test(test_a_slow_issuer_holds_few_of_our_threads),
          cmocka_unit_test(test_known_keys_do_while_others_are_fetched))
