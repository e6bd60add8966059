/* SPDX-License-Identifier: Apache-2.0 */
/* Several launchers at once: who chooses, what follows when one refuses, and that one that is
 * away holds up no run of another. The two fake ones have each its part of a script. */
#include <string.h>

#include "base/alloc.h"
#include "launch/job_ref.h"
#include "server.h"
#include "service/integration_tokens.h"
#include "service/personal_tokens.h"
#include "service/state.h"
#include "store/run_store.h"

#define SOON_MS 60000
#define AWAY "start_away=100000"

/* --- One run ------------------------------------------------------------------------------ */

static struct id id_of(const char *text)
{
    struct id id;

    assert_true(id_parse(text, &id));
    return id;
}

static struct run *stored(struct test_server *server, const char *id)
{
    struct err err = {0};
    struct run *run = run_store_load(server->db, id_of(id), &err);

    assert_made(run, err);
    return run;
}

static bool is(struct test_server *server, const char *id, const char *status)
{
    return strcmp(test_server_status(server, id), status) == 0;
}

static bool is_stored(struct test_server *server, const char *id, enum run_status status)
{
    scoped(run) run = stored(server, id);

    return run->status == status && (status != RUN_LAUNCHING || run->job_ref);
}

static void assert_by(struct test_server *server, const char *id, const char *launcher,
                      int attempt)
{
    scoped(run) run = stored(server, id);

    assert_string_equal(run->launcher, launcher);
    if (attempt)
        assert_int_equal(run->attempt, attempt);
}

/* How many jobs of the run a backend has begun, whatever the attempt. */
struct counted {
    struct id run;
    int count;
};

static void count_job(void *ctx, struct id run, int attempt, const char *ref)
{
    struct counted *counted = ctx;

    (void)attempt;
    (void)ref;
    counted->count += id_equal(run, counted->run);
}

static int jobs_in(struct test_server *server, size_t backend, const char *id)
{
    struct counted counted = {.run = id_of(id)};
    struct err err = {0};

    assert_ok(launcher_list(server->service->backends.all[backend].launcher, count_job,
                            &counted, &err),
              err);
    return counted.count;
}

static char *token_for(struct test_server *server, const char *repo, const char *launcher)
{
    struct err err = {0};
    struct token_wish wish = {TOKEN_WISH_DEFAULTS, .repo = repo, .name = "test",
                              .launcher = launcher};
    scoped_json made = integration_token_mint(server->tokens, &wish, NULL, &err);

    assert_made(made, err);
    return xstrdup(json_get_str(made, "token"));
}

/* --- Configurations ------------------------------------------------------------------------
 */

static struct config_list second_list(void)
{
    struct config_list list = {.texts = xcalloc(1, sizeof(char *)), .count = 1};

    list.texts[0] = xstrdup("fake-2");
    return list;
}

/* octo/second's runs go to the second; nobody falls back. */
static void two(struct config *config)
{
    config->launchers = second_list();
    config->repositories.all = xcalloc(1, sizeof(struct override));
    config->repositories.count = 1;
    config->repositories.all[0] = (struct override){.name = xstrdup("octo/second"),
                                                    .launcher = xstrdup("fake-2"),
                                                    .priority = RUN_PRIORITY_UNSAID};
}

static void fall_back_at_once(struct config *config)
{
    config->launcher_fallback = second_list();
    config->launcher_fallback_after_s = 0;
}

static void fall_back_late(struct config *config)
{
    config->launcher_fallback = second_list();
    config->launcher_fallback_after_s = 86400;
}

/* --- Choosing ------------------------------------------------------------------------------
 */

static void test_a_token_chooses_over_its_repository_over_the_usual(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = two});
    const struct {
        const char *repo;
        const char *token_says;
        const char *launcher;
    } cases[] = {{"octo/hello", NULL, "fake"},
                 {"octo/second", NULL, "fake-2"},
                 {"octo/second", "fake", "fake"},
                 {"octo/hello", "fake-2", "fake-2"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str token = token_for(server, cases[i].repo, cases[i].token_says);
        scoped_str id = test_server_dispatch(server, token, "run_ms=1");

        wait_until(is(server, id, "completed"), SOON_MS);
        assert_by(server, id, cases[i].launcher, 1);
    }
}

static cJSON *admin_of(struct test_server *server)
{
    struct err err = {0};
    scoped_json scopes = jarr(jstr("admin"));
    struct personal_wish wish = {.user = "Ada", .scopes = scopes};
    cJSON *made = personal_token_mint(server->personal_tokens, &wish, NULL, &err);

    assert_made(made, err);
    return made;
}

static void test_a_token_may_name_what_is_open_only(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = two});
    scoped_json admin = admin_of(server);
    const struct {
        const char *launcher;
        int status;
        const char *says;
    } cases[] = {{"fake-2", 201, NULL},
                 {"process", 400, "no launcher \"process\" is open here"},
                 {"fly", 400, "no launcher \"fly\" is open here"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_json body =
            jobj({"repo", jstr("octo/hello")}, {"launcher", jstr(cases[i].launcher)});
        scoped_str text = json_text(body);
        scoped_json answer = NULL;

        assert_int_equal(test_server_call(server, "POST", "/api/tokens/integration",
                                          json_get_str(admin, "token"), NULL, text, &answer),
                         cases[i].status);
        if (cases[i].says)
            assert_non_null(strstr(json_get_str(answer, "error"), cases[i].says));
        else
            assert_string_equal(json_get_str(answer, "launcher"), "fake-2");
    }
}

static const char *launcher_in(cJSON **answer, struct test_server *server, const char *face,
                               const char *id, const char *rest)
{
    scoped_str path = xasprintf("%s/%s%s", face, id, rest);

    cJSON_Delete(TAKE(*answer));
    assert_int_equal(test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, answer),
                     200);
    return json_get_str(*answer, "launcher");
}

static void test_both_faces_say_who_has_it(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = two});
    scoped_str second = test_server_token(server, "octo/second");
    scoped_str usual = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, second, "run_ms=1");
    scoped_str away = test_server_dispatch(server, usual, AWAY);
    scoped_json answer = NULL;

    (void)state;
    wait_until(is(server, id, "completed"), SOON_MS);
    assert_string_equal(launcher_in(&answer, server, "/api/tasks", id, "/status"), "fake-2");
    assert_string_equal(launcher_in(&answer, server, "/api/v1/agents", id, ""), "fake-2");
    /* Nobody has the one that waits. */
    assert_null(launcher_in(&answer, server, "/api/tasks", away, "/status"));
    assert_null(launcher_in(&answer, server, "/api/v1/agents", away, ""));
}

static void test_a_dry_run_says_who_would_get_it(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = two});
    scoped_str token = test_server_token(server, "octo/second");
    scoped_json answer = NULL;

    (void)state;
    assert_int_equal(test_server_call(server, "POST", "/dispatchTask?dryRun=All", token, NULL,
                                      "{\"prompt\":\"a\"}", &answer),
                     200);
    assert_string_equal(json_get_str(answer, "launcher"), "fake-2");
}

/* --- One that is away -----------------------------------------------------------------------
 */

/* Not even by the one worker that there is. */
static void test_one_that_is_away_holds_up_no_run_of_another(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = two, .max_workers = 1});
    scoped_str usual = test_server_token(server, "octo/hello");
    scoped_str second = test_server_token(server, "octo/second");
    struct service_gauges gauges;

    (void)state;
    for (int i = 0; i < 3; i++) {
        scoped_str away = test_server_dispatch(server, usual, AWAY);
        scoped_str id = test_server_dispatch(server, second, "run_ms=1");

        wait_until(is(server, id, "completed"), SOON_MS);
        assert_true(is(server, away, "pending"));
    }
    service_gauges(server->service, &gauges);
    assert_int_equal(gauges.n_backends, 2);
    assert_string_equal(gauges.backends[0].launcher, "fake");
    assert_true(gauges.backends[0].paused);
    assert_false(gauges.backends[1].paused);
}

static bool is_check_ok(struct test_server *server, const char *name)
{
    scoped_json answer = NULL;
    const cJSON *check;

    assert_int_equal(
        test_server_call(server, "GET", "/api/startup/check", NULL, NULL, NULL, &answer), 200);
    cJSON_ArrayForEach(check, json_get(answer, "checks"))
    {
        if (strcmp(json_get_str(check, "name"), name) == 0)
            return cJSON_IsTrue(json_get(check, "ok"));
    }
    fail_msg("no check of %s", name);
    return false;
}

static void test_which_one_is_away_is_said(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = two});
    scoped_str second = test_server_token(server, "octo/second");
    scoped_str id = test_server_dispatch(server, second, AWAY);

    (void)state;
    wait_until(!is_check_ok(server, "launcher.fake-2"), SOON_MS);
    assert_true(is_check_ok(server, "launcher"));
    assert_true(is(server, id, "pending"));
}

/* --- Falling back ---------------------------------------------------------------------------
 */

/* As a new attempt, so that a job of the old one would be nobody's. */
static void test_what_one_refuses_the_next_one_gets(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = fall_back_at_once});
    scoped_str token = test_server_token(server, "octo/hello");
    char *ids[20];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        ids[i] = test_server_dispatch(server, token, AWAY " fake-2: run_ms=1");
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        wait_until(is(server, ids[i], "completed"), SOON_MS);
        assert_by(server, ids[i], "fake-2", 0);
        assert_int_equal(jobs_in(server, 0, ids[i]), 0);
        assert_int_equal(jobs_in(server, 1, ids[i]), 1);
        if (i == 0)
            assert_by(server, ids[i], "fake-2", 2);
        free(ids[i]);
    }
    /* Counted after it is stored, and what a client reads comes from the store. */
    wait_until(atomic_load(&server->service->active) == 0, SOON_MS);
    assert_int_equal(atomic_load(&server->service->pending), 0);
}

static void test_it_is_waited_for_as_long_as_is_set(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = fall_back_late});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "start_away=3 fake-2: run_ms=1");

    (void)state;
    wait_until(is(server, id, "completed"), SOON_MS);
    assert_by(server, id, "fake", 1);
}

/* It may have a job by now: it is asked until that is known. */
static void test_an_unanswered_start_never_moves(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = fall_back_at_once});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id =
        test_server_dispatch(server, token, "start_timeouts=4 run_ms=2000 fake-2: run_ms=1");

    (void)state;
    wait_until(is(server, id, "completed"), SOON_MS);
    assert_by(server, id, "fake", 1);
    assert_int_equal(jobs_in(server, 1, id), 0);
}

static void test_what_fails_for_good_is_tried_elsewhere(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = fall_back_late});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "start=error fake-2: run_ms=1");
    scoped(run) run = NULL;

    (void)state;
    wait_until(is(server, id, "completed"), SOON_MS);
    assert_by(server, id, "fake-2", 4);
    run = stored(server, id);
    assert_int_equal(run->launch_failures, 0);
}

static void test_when_all_refuse_it_fails(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = fall_back_late});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "start=error");

    (void)state;
    wait_until(is(server, id, "failed"), SOON_MS);
    assert_by(server, id, "fake-2", 6);
}

/* --- After a restart ------------------------------------------------------------------------
 */

static void forget_second(struct test_server *server)
{
    server->config.lost_after_s = 3;
    config_list_done(&server->config.launchers);
    overrides_done(&server->config.repositories);
}

static void forget_second_and_work(struct test_server *server)
{
    forget_second(server);
    server->config.max_workers = 0;
}

static void let_one_work(struct test_server *server)
{
    server->config.max_workers = 1;
}

static void assert_failed_as_homeless(struct test_server *server, const char *id)
{
    scoped(run) run = NULL;

    wait_until(is(server, id, "failed"), SOON_MS);
    run = stored(server, id);
    assert_non_null(strstr(run->error, "not configured any more"));
}

static void test_a_run_whose_launcher_is_gone_is_not_lost_silently(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = two, .claim_timeout_s = 4});
    scoped_str token = test_server_token(server, "octo/second");
    scoped_str running = test_server_dispatch(server, token, "frozen");
    scoped_str launching = test_server_dispatch(server, token, "silent");

    (void)state;
    wait_until(is_stored(server, running, RUN_RUNNING), SOON_MS);
    wait_until(is_stored(server, launching, RUN_LAUNCHING), SOON_MS);
    test_server_restart_with(server, forget_second);
    assert_int_equal(server->service->backends.count, 1);
    assert_failed_as_homeless(server, running);
    assert_failed_as_homeless(server, launching);
}

static void test_a_pending_run_of_a_launcher_that_is_gone_fails_with_its_name(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = two, .max_workers = -1});
    scoped_str token = token_for(server, "octo/hello", "fake-2");
    scoped_str id = test_server_dispatch(server, token, "run_ms=1");
    struct err err = {0};

    (void)state;
    assert_ok(token_store_revoke(server->tokens, "1", clock_wall_ms(), NULL, &err), err);
    test_server_restart_with(server, forget_second_and_work);
    assert_failed_as_homeless(server, id);
}

/* It has moved on, and what it waits in is in the store. */
static void test_runs_of_two_launchers_go_on_after_a_restart(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.configure = two, .max_workers = -1});
    scoped_str usual = test_server_token(server, "octo/hello");
    scoped_str second = test_server_token(server, "octo/second");
    scoped_str one = test_server_dispatch(server, usual, "run_ms=1");
    scoped_str other = test_server_dispatch(server, second, "run_ms=1");

    (void)state;
    test_server_restart_with(server, let_one_work);
    wait_until(is(server, one, "completed"), SOON_MS);
    wait_until(is(server, other, "completed"), SOON_MS);
    assert_by(server, one, "fake", 1);
    assert_by(server, other, "fake-2", 1);
}

TEST_MAIN(cmocka_unit_test(test_a_token_chooses_over_its_repository_over_the_usual),
          cmocka_unit_test(test_a_token_may_name_what_is_open_only),
          cmocka_unit_test(test_both_faces_say_who_has_it),
          cmocka_unit_test(test_a_dry_run_says_who_would_get_it),
          cmocka_unit_test(test_one_that_is_away_holds_up_no_run_of_another),
          cmocka_unit_test(test_which_one_is_away_is_said),
          cmocka_unit_test(test_what_one_refuses_the_next_one_gets),
          cmocka_unit_test(test_it_is_waited_for_as_long_as_is_set),
          cmocka_unit_test(test_an_unanswered_start_never_moves),
          cmocka_unit_test(test_what_fails_for_good_is_tried_elsewhere),
          cmocka_unit_test(test_when_all_refuse_it_fails),
          cmocka_unit_test(test_a_run_whose_launcher_is_gone_is_not_lost_silently),
          cmocka_unit_test(test_a_pending_run_of_a_launcher_that_is_gone_fails_with_its_name),
          cmocka_unit_test(test_runs_of_two_launchers_go_on_after_a_restart))
