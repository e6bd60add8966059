/* SPDX-License-Identifier: Apache-2.0 */
/* A database that gives up every so often, reading and writing, while runs are dispatched and
 * under way: those that were acknowledged end, each once, and there are no others. */
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/random.h"
#include "server.h"
#include "store/run_store.h"

#define SOON_MS 240000
#define LOOKS_MAX 400 /* between two times, as chance has it: never always at one place */
#define GIVES_UP 150
#define RUNS_MAX 40

/* --- Giving up ---------------------------------------------------------------------------- */

static atomic_bool shaky;
static _Atomic int64_t looks_left;
static _Atomic int64_t given_up;

/* Outside of a transaction not: SQLite looks once more when a COMMIT is made already. */
static int look(void *ctx)
{
    if (!atomic_load(&shaky) || atomic_fetch_sub(&looks_left, 1) > 0
        || sqlite3_get_autocommit(ctx))
        return 0;
    atomic_store(&looks_left, (int64_t)(random_u64() % LOOKS_MAX));
    atomic_fetch_add(&given_up, 1);
    return 1;
}

/* Called by SQLite for each connection that is opened. */
static int watch(sqlite3 *raw, char **out_error, const void *api)
{
    (void)out_error;
    (void)api;
    sqlite3_progress_handler(raw, 1, look, raw);
    return SQLITE_OK;
}

static int watch_all(void **state)
{
    (void)state;
    return sqlite3_auto_extension((void (*)(void))watch) == SQLITE_OK ? 0 : -1;
}

static int watch_no_more(void **state)
{
    (void)state;
    sqlite3_reset_auto_extension();
    return 0;
}

/* --- Runs --------------------------------------------------------------------------------- */

struct dispatched {
    char *ids[RUNS_MAX];
    size_t count;
};

/* One more, if there is still room for it; it is refused or acknowledged. */
static void dispatch_one(struct test_server *server, const char *token, struct dispatched *all)
{
    scoped_str body = xasprintf("{\"prompt\": \"%s\"}",
                                all->count % 3 ? "run_ms=300" : "start_errors=1 run_ms=100");
    scoped_json answer = NULL;
    int status;

    if (all->count == RUNS_MAX)
        return;
    status = test_server_call(server, "POST", "/dispatchTask", token, NULL, body, &answer);
    if (status == 200)
        all->ids[all->count++] = xstrdup(json_get_str(answer, "runId"));
    else
        assert_int_equal(status, 503);
}

static bool is_enough(struct test_server *server, const char *token, struct dispatched *all)
{
    dispatch_one(server, token, all);
    return all->count == RUNS_MAX && atomic_load(&given_up) >= GIVES_UP;
}

static void count_end(void *ctx, const struct audit_entry *entry)
{
    if (strcmp(entry->action, "run.end") == 0)
        ++*(int *)ctx;
}

/* How often it ended, by the audit log. */
static int ends_of(struct test_server *server, const char *id)
{
    struct audit_filter filter = {.target = id, .limit = 100};
    struct err err = {0};
    int64_t next;
    int ends = 0;

    assert_ok(audit_page(server->db, &filter, count_end, &ends, &next, &err), err);
    return ends;
}

static int64_t count_all(struct test_server *server)
{
    int64_t counts[RUN_STATUS_COUNT];
    struct err err = {0};
    int64_t all = 0;

    assert_ok(run_store_count(server->db, counts, &err), err);
    for (int i = 0; i < RUN_STATUS_COUNT; i++)
        all += counts[i];
    return all;
}

static bool has_ended(struct test_server *server, const char *id)
{
    const char *status = test_server_status(server, id);

    return strcmp(status, "completed") == 0 || strcmp(status, "stopped") == 0;
}

static void assert_each_ended_once(struct test_server *server, const struct dispatched *all)
{
    for (size_t i = 0; i < all->count; i++) {
        wait_until(has_ended(server, all->ids[i]), SOON_MS);
        assert_int_equal(ends_of(server, all->ids[i]), 1);
        free(all->ids[i]);
    }
    assert_int_equal(count_all(server), all->count);
}

static void test_a_database_that_gives_up_now_and_then_loses_and_doubles_nothing(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.claim_timeout_s = 20});
    scoped_str token = test_server_token(server, "octo/hello");
    struct dispatched all = {0};

    (void)state;
    atomic_store(&shaky, true);
    wait_until(is_enough(server, token, &all), SOON_MS);
    atomic_store(&shaky, false);
    for (size_t i = 0; i < all.count; i++)
        wait_until(strcmp(test_server_status(server, all.ids[i]), "completed") == 0, SOON_MS);
    assert_each_ended_once(server, &all);
}

static void two_at_a_time(struct config *config)
{
    config->max_in_flight = 2;
}

/* Refused, or asked for; of one that has ended too. */
static void stop_some(struct test_server *server, const struct dispatched *all)
{
    for (size_t i = 0; i < all->count; i += 4) {
        scoped_str path = xasprintf("/api/tasks/%s/stop", all->ids[i]);
        int status = test_server_call(server, "POST", path, TEST_API_KEY, NULL, NULL, NULL);

        assert_true(status == 202 || status == 409 || status == 503);
    }
}

static void test_nor_when_runs_wait_their_turn_and_some_are_stopped(void **state)
{
    scoped(test_server) server = test_server_new(
        &(struct test_server_options){.claim_timeout_s = 20, .configure = two_at_a_time});
    scoped_str token = test_server_token(server, "octo/hello");
    struct dispatched all = {0};

    (void)state;
    atomic_store(&given_up, 0);
    atomic_store(&shaky, true);
    wait_until(is_enough(server, token, &all), SOON_MS);
    stop_some(server, &all);
    atomic_store(&shaky, false);
    assert_each_ended_once(server, &all);
}

TEST_MAIN(
    cmocka_unit_test_setup_teardown(
        test_a_database_that_gives_up_now_and_then_loses_and_doubles_nothing, watch_all,
        watch_no_more),
    cmocka_unit_test_setup_teardown(test_nor_when_runs_wait_their_turn_and_some_are_stopped,
                                    watch_all, watch_no_more))
