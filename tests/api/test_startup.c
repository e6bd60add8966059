/* SPDX-License-Identifier: Apache-2.0 */
/* GET /api/startup/check: each thing that dispatchd needs, well or why not. */
#include <string.h>

#include "base/alloc.h"
#include "server.h"

#define SOON_MS 60000

/* The answer to "/api/startup/check", for the caller to free. */
static cJSON *check_of(struct test_server *server)
{
    cJSON *check = NULL;

    assert_int_equal(
        test_server_call(server, "GET", "/api/startup/check", NULL, NULL, NULL, &check), 200);
    return check;
}

static const cJSON *part(const cJSON *check, const char *name)
{
    const cJSON *one;

    cJSON_ArrayForEach(one, json_get(check, "checks"))
    {
        if (strcmp(json_get_str(one, "name"), name) == 0)
            return one;
    }
    return NULL;
}

static bool is_well(struct test_server *server, const char *name)
{
    scoped_json check = check_of(server);

    return json_get_bool(part(check, name), "ok", false);
}

/* This one is named with a reason, the others are well. */
static void assert_only_bad(struct test_server *server, const char *name, const char *why)
{
    scoped_json check = check_of(server);
    const cJSON *one;

    assert_false(json_get_bool(check, "ok", true));
    cJSON_ArrayForEach(one, json_get(check, "checks"))
    {
        bool is_it = strcmp(json_get_str(one, "name"), name) == 0;

        if (json_get_bool(one, "ok", false) == is_it)
            fail_msg("%s", json_get_str(one, "name"));
    }
    assert_non_null(part(check, name));
    assert_non_null(strstr(json_get_str(part(check, name), "detail"), why));
}

static void no_github(struct config *config)
{
    secret_free(TAKE(config->github_token));
}

static void no_keys(struct config *config)
{
    while (config->n_api_keys)
        secret_free(config->api_keys[--config->n_api_keys]);
}

static void a_runner(struct config *config)
{
    free(config->runner);
    config->runner = xstrdup("/bin/true");
}

static void test_all_that_is_needed_is_named(void **state)
{
    static const char *const names[] = {"store",    "github",        "api_keys",
                                        "launcher", "default_agent", "public_url"};
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});
    scoped_json check = check_of(server);
    scoped_str text = json_text(check);

    (void)state;
    assert_true(json_get_bool(check, "ok", false));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_true(json_get_bool(part(check, names[i]), "ok", false));
    assert_null(strstr(text, "ghp_test"));
    assert_null(strstr(text, TEST_API_KEY));
}

static void test_what_is_missing_is_said(void **state)
{
    static const struct {
        void (*configure)(struct config *config);
        const char *name;
        const char *why;
    } cases[] = {
        {no_github, "github", "GITHUB_TOKEN"},
        {no_keys, "api_keys", "CODEBOT_API_KEYS"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped(test_server) server = test_server_new(
            &(struct test_server_options){.max_workers = -1, .configure = cases[i].configure});

        assert_only_bad(server, cases[i].name, cases[i].why);
    }
}

/* It was there at the start. */
static void test_a_runner_that_has_gone_is_said(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){
        .max_workers = -1, .launcher = "process", .configure = a_runner});

    (void)state;
    assert_true(is_well(server, "runner"));
    free(server->config.runner);
    server->config.runner = xstrdup("/nowhere/dispatch-runner");
    assert_only_bad(server, "runner", "DISPATCH_RUNNER");
}

static void test_a_backend_that_is_away_is_said_until_it_is_back(void **state)
{
    scoped(test_server) server = test_server_new(&(struct test_server_options){0});
    scoped_str token = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, token, "start_away=4");

    (void)state;
    wait_until(!is_well(server, "launcher"), SOON_MS);
    wait_until(strcmp(test_server_status(server, id), "completed") == 0, SOON_MS);
    /* A quick runner is done before its start is noted. */
    wait_until(is_well(server, "launcher"), SOON_MS);
}

TEST_MAIN(cmocka_unit_test(test_all_that_is_needed_is_named),
          cmocka_unit_test(test_what_is_missing_is_said),
          cmocka_unit_test(test_a_runner_that_has_gone_is_said),
          cmocka_unit_test(test_a_backend_that_is_away_is_said_until_it_is_back))
