/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher_world.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "launch/job_ref.h"

/* What every launcher promises, case by case, over every backend. */

/* --- Start and end -------------------------------------------------------------------- */

static void test_a_job_runs_and_ends(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);
    struct job_view view = await_end(world, ref);

    assert_int_equal(view.exit_code, 0);
    assert_int_equal(view.reason, FAILURE_NONE);
    assert_int_equal(executions(world, ref), 1);
}

static void test_a_failing_job_ends_with_its_exit_code(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, FAILING);

    assert_int_equal(await_end(world, ref).exit_code, world->backend->failing_exit_code);
}

static void test_a_job_is_named_after_its_run_and_attempt(void **state)
{
    scoped(world) world = world_of(state);
    struct id run = run_doing(world, world->backend->scripts[QUICK]);
    scoped_str ref = start_again(world, run, world->backend->scripts[QUICK]);

    assert_string_equal(ref, job_ref_make(run, 1).text);
    (void)await_end(world, ref);
}

static void test_a_running_job_is_running(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);

    await_started(world, ref);
    assert_int_equal(phase_of(world, ref), JOB_RUNNING);
    stop(world, ref);
    (void)await_end(world, ref);
}

static void test_starting_twice_gives_one_job(void **state)
{
    scoped(world) world = world_of(state);
    const char *script = world->backend->scripts[LONG];
    struct id run = run_doing(world, script);
    scoped_str first = start_again(world, run, script);
    scoped_str second = start_again(world, run, script);

    assert_string_equal(first, second);
    await_started(world, first);
    stop(world, first);
    (void)await_end(world, first);
    assert_int_equal(executions(world, first), 1);
}

static void test_starting_an_ended_job_does_not_run_it_again(void **state)
{
    scoped(world) world = world_of(state);
    const char *script = world->backend->scripts[QUICK];
    struct id run = run_doing(world, script);
    scoped_str first = start_again(world, run, script);
    scoped_str second = NULL;

    (void)await_end(world, first);
    second = start_again(world, run, script);
    assert_string_equal(first, second);
    assert_int_equal(phase_of(world, second), JOB_ENDED);
    assert_int_equal(executions(world, second), 1);
}

struct racer {
    pthread_t thread;
    pthread_barrier_t *line;
    struct world *world;
    struct id run;
    const char *script;
    char *ref;
    int result;
};

static void *race(void *ctx)
{
    struct racer *racer = ctx;
    struct err err = {0};

    (void)pthread_barrier_wait(racer->line);
    racer->result = try_start(racer->world, racer->run, racer->script, &racer->ref, &err);
    return NULL;
}

static void race_once(struct world *world)
{
    enum { RACERS = 8 };
    const char *script = world->backend->scripts[QUICK];
    struct racer racers[RACERS];
    pthread_barrier_t line;
    struct id run = run_doing(world, script);

    assert_int_equal(pthread_barrier_init(&line, NULL, RACERS), 0);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){
            .line = &line, .world = world, .run = run, .script = script, .result = -1};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
    (void)await_end(world, job_ref_make(run, 1).text);
    assert_int_equal(executions(world, job_ref_make(run, 1).text), 1);
    for (int i = 0; i < RACERS; i++) {
        assert_int_equal(racers[i].result, 0);
        assert_string_equal(racers[i].ref, job_ref_make(run, 1).text);
        free(racers[i].ref);
    }
    (void)pthread_barrier_destroy(&line);
}

static void test_eight_starts_at_once_run_it_once(void **state)
{
    scoped(world) world = world_of(state);

    for (int round = 0; round < 5; round++)
        race_once(world);
}

static void test_a_hundred_jobs_at_once_all_end(void **state)
{
    enum { JOBS = 100 };
    scoped(world) world = world_of(state);
    int jobs = world_crowd(world);
    char *refs[JOBS];

    for (int i = 0; i < jobs; i++)
        refs[i] = start(world, QUICK);
    for (int i = 0; i < jobs; i++) {
        assert_int_equal(await_end(world, refs[i]).exit_code, 0);
        assert_int_equal(executions(world, refs[i]), 1);
        free(refs[i]);
    }
    wait_until(atomic_load(&world->changes) >= jobs, SOON_MS);
}

/* Whoever looks only when told so sees the end. */
static void test_the_end_is_told(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);
    int seen = 0;

    do {
        wait_until(atomic_load(&world->changes) > seen, SOON_MS);
        seen = atomic_load(&world->changes);
    } while (phase_of(world, ref) != JOB_ENDED);
}

/* --- Stop, forget, unknown names ------------------------------------------------------ */

static void test_an_unknown_job_is_lost(void **state)
{
    static const char *const names[] = {"run-0000000000000000000z-1",
                                        "",
                                        "run-",
                                        "..",
                                        "run-../../../etc/passwd-1",
                                        "x",
                                        "run-0000000000000000000z-01",
                                        "run-0000000000000000000z--1"};
    scoped(world) world = world_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(phase_of(world, names[i]), JOB_LOST);
}

static void test_stopping_ends_a_running_job(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);

    await_started(world, ref);
    stop(world, ref);
    (void)await_end(world, ref);
    wait_until(atomic_load(&world->changes) > 0, SOON_MS);
}

static void test_a_job_that_ignores_term_is_killed(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, STUBBORN);

    await_started(world, ref);
    stop(world, ref);
    stop(world, ref);
    assert_int_equal(await_end(world, ref).exit_code, -1);
}

static void test_stopping_an_ended_job_succeeds(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);

    (void)await_end(world, ref);
    stop(world, ref);
    stop(world, ref);
    assert_int_equal(view_of(world, ref).exit_code, 0);
}

static void test_stopping_an_unknown_job_succeeds(void **state)
{
    scoped(world) world = world_of(state);

    stop(world, job_ref_make(new_run(), 1).text);
}

static void test_a_forgotten_job_is_lost(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);
    struct err err = {0};

    (void)await_end(world, ref);
    assert_ok(launcher_forget(world->launcher, ref, &err), err);
    assert_int_equal(phase_of(world, ref), JOB_LOST);
    assert_ok(launcher_forget(world->launcher, ref, &err), err);
}

static void test_forgetting_an_unknown_job_succeeds(void **state)
{
    scoped(world) world = world_of(state);
    struct err err = {0};

    assert_ok(launcher_forget(world->launcher, job_ref_make(new_run(), 1).text, &err), err);
}

static void test_a_running_job_is_not_forgotten(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);
    struct err err = {0};

    await_started(world, ref);
    assert_int_equal(launcher_forget(world->launcher, ref, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_int_equal(phase_of(world, ref), JOB_RUNNING);
    stop(world, ref);
    (void)await_end(world, ref);
}

static void test_logs_are_the_tail_of_what_was_written(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, QUICK);
    scoped_str all = NULL;
    scoped_str tail = NULL;

    (void)await_end(world, ref);
    all = logs_of(world, ref, 65536);
    tail = logs_of(world, ref, 3);
    assert_int_equal(times_in(all, "started\n"), 1);
    assert_int_equal(strlen(tail), 3);
    assert_string_equal(tail, all + strlen(all) - 3);
}

static void test_logs_of_an_unknown_job_are_not_found(void **state)
{
    scoped(world) world = world_of(state);
    scoped_buf logs = {0};
    struct err err = {0};

    assert_int_equal(
        launcher_logs(world->launcher, job_ref_make(new_run(), 1).text, 100, &logs, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void test_after_reopening_a_job_is_known_or_lost(void **state)
{
    scoped(world) world = world_of(state);
    scoped_str ref = start(world, LONG);

    await_started(world, ref);
    reopen(world);
    if (!world->backend->survives_reopening) {
        assert_int_equal(phase_of(world, ref), JOB_LOST);
        return;
    }
    assert_int_equal(phase_of(world, ref), JOB_RUNNING);
    stop(world, ref);
    (void)await_end(world, ref);
    wait_until(atomic_load(&world->changes) > 0, SOON_MS);
    assert_int_equal(executions(world, ref), 1);
}

#define OVER_ALL(test)                                                                         \
    OVER(process, test), OVER(kubernetes, test), OVER(cloudrun, test), OVER(docker, test),     \
        OVER(fake, test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER_ALL(test_a_job_runs_and_ends),
        OVER_ALL(test_a_failing_job_ends_with_its_exit_code),
        OVER_ALL(test_a_job_is_named_after_its_run_and_attempt),
        OVER_ALL(test_a_running_job_is_running),
        OVER_ALL(test_starting_twice_gives_one_job),
        OVER_ALL(test_starting_an_ended_job_does_not_run_it_again),
        OVER_ALL(test_eight_starts_at_once_run_it_once),
        OVER_ALL(test_a_hundred_jobs_at_once_all_end),
        OVER_ALL(test_the_end_is_told),
        OVER_ALL(test_an_unknown_job_is_lost),
        OVER_ALL(test_stopping_ends_a_running_job),
        OVER_ALL(test_a_job_that_ignores_term_is_killed),
        OVER_ALL(test_stopping_an_ended_job_succeeds),
        OVER_ALL(test_stopping_an_unknown_job_succeeds),
        OVER_ALL(test_a_forgotten_job_is_lost),
        OVER_ALL(test_forgetting_an_unknown_job_succeeds),
        OVER_ALL(test_a_running_job_is_not_forgotten),
        OVER_ALL(test_logs_are_the_tail_of_what_was_written),
        OVER_ALL(test_logs_of_an_unknown_job_are_not_found),
        OVER_ALL(test_after_reopening_a_job_is_known_or_lost),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
