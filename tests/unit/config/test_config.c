/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "model/run.h"
#include "test.h"
#include "json/json.h"

static const char *const variables[] = {
    "DISPATCH_LISTEN",        "DISPATCH_DATABASE",      "DISPATCH_LAUNCHER",
    "DISPATCH_WORK_DIR",      "CODEBOT_API_KEYS",       "CODEBOT_MAX_WORKERS",
    "DISPATCH_DEFAULT_AGENT", "DISPATCH_AGENT_COMMAND", "GITHUB_API_URL",
    "GITHUB_APP_ID",          "DISPATCH_PUBLIC_URL",    "DISPATCH_DEFAULT_REPO",
    "DISPATCH_MAX_COST_USD",  "DISPATCH_SANDBOX",       "DISPATCH_ALLOW_PRIVATE_URLS",
};

static int clean(void **state)
{
    (void)state;
    json_setup();
    for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
        (void)unsetenv(variables[i]);
    return 0;
}

static int load(struct config *out, const char *const *flags, struct err *err)
{
    char *argv[8] = {NULL};
    int done;

    for (size_t i = 0; flags && flags[i]; i++)
        argv[i] = xstrdup(flags[i]);
    done = config_load(out, argv, err);
    for (size_t i = 0; argv[i]; i++)
        free(argv[i]);
    return done;
}

static void test_defaults_are_those_of_the_contract(void **state)
{
    struct err err = {0};
    scoped_config config = {0};
    char here[4096];

    (void)state;
    assert_ok(load(&config, NULL, &err), err);
    assert_string_equal(config.listen_address, "127.0.0.1");
    assert_int_equal(config.listen_port, 5000);
    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(strncmp(config.database, here, strlen(here)), 0);
    assert_string_equal(config.database + strlen(here), "/var/dispatch.db");
    assert_string_equal(config.work_dir + strlen(here), "/var/work");
    assert_string_equal(config.launcher, "process");
    assert_string_equal(config.default_agent, "claude-code");
    assert_int_equal(config.max_workers, 1);
    assert_int_equal(config.max_queue_size, 100);
    assert_int_equal(config.task_retention_s, 86400);
    assert_string_equal(config.github_api_url, "https://api.github.com");
    assert_string_equal(config.github_server_url, "https://github.com");
    assert_int_equal(config.n_api_keys, 0);
    assert_null(config.agent_command);
    assert_non_null(strstr(config.runner, "/dispatch-runner"));
}

static void test_workers_have_no_limit_elsewhere(void **state)
{
    struct err err = {0};
    scoped_config config = {0};

    (void)state;
    assert_int_equal(setenv("DISPATCH_LAUNCHER", "fake", 1), 0);
    assert_ok(load(&config, NULL, &err), err);
    assert_int_equal(config.max_workers, 0);
}

static void test_flags_win_over_environment_over_file(void **state)
{
    struct err err = {0};
    scoped_config config = {0};
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/dispatch.yaml", dir);
    const char *const flags[] = {"--config", path, "--port=7003", NULL};

    (void)state;
    test_file_write(dir, "dispatch.yaml",
                    "listen: '[::1]:7001'\nmax_workers: 5\nwork_dir: /srv/a\n"
                    "default_agent: opencode\napi_keys: [one, two]\n"
                    "github:\n  api_url: https://ghe.example/api/v3/\n");
    assert_int_equal(setenv("DISPATCH_LISTEN", "127.0.0.1:7002", 1), 0);
    assert_int_equal(setenv("DISPATCH_WORK_DIR", "/srv/b", 1), 0);
    assert_ok(load(&config, flags, &err), err);
    assert_string_equal(config.listen_address, "127.0.0.1");
    assert_int_equal(config.listen_port, 7003);
    assert_string_equal(config.work_dir, "/srv/b");
    assert_int_equal(config.max_workers, 5);
    assert_string_equal(config.default_agent, "opencode");
    assert_int_equal(config.n_api_keys, 2);
    assert_string_equal(secret_reveal(config.api_keys[1]), "two");
    assert_string_equal(config.github_api_url, "https://ghe.example/api/v3");
    test_dir_remove(dir);
}

static void test_api_keys_are_split_at_commas(void **state)
{
    struct err err = {0};
    scoped_config config = {0};

    (void)state;
    assert_int_equal(setenv("CODEBOT_API_KEYS", "one, two,,three ", 1), 0);
    assert_ok(load(&config, NULL, &err), err);
    assert_int_equal(config.n_api_keys, 3);
    assert_string_equal(secret_reveal(config.api_keys[0]), "one");
    assert_string_equal(secret_reveal(config.api_keys[1]), "two");
    assert_string_equal(secret_reveal(config.api_keys[2]), "three");
}

static void test_relative_agent_command_is_taken_from_here(void **state)
{
    static const struct {
        const char *given;
        bool absolute;
    } cases[] = {
        {"hack/agent --fast 'a b'", true},
        {"/usr/bin/agent", false},
        {"python3 agent.py", false},
        {"'my agent' x", false},
    };
    char here[4096];

    (void)state;
    assert_non_null(getcwd(here, sizeof(here)));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        scoped_config config = {0};
        scoped_str wanted = cases[i].absolute
                                ? xasprintf("\"%s/hack/agent\" --fast 'a b'", here)
                                : xstrdup(cases[i].given);

        assert_int_equal(setenv("DISPATCH_AGENT_COMMAND", cases[i].given, 1), 0);
        assert_ok(load(&config, NULL, &err), err);
        assert_string_equal(config.agent_command, wanted);
    }
}

static void test_wrong_values_name_where_they_stood(void **state)
{
    static const struct {
        const char *yaml;
        const char *complaint; /* behind the file's name */
    } cases[] = {
        {"max_workers: many\n", ":1: max_workers: expected a whole number from 0 to 100000"},
        {"\nmax_workers: 1.5\n", ":2: max_workers: expected a whole number from 0 to 100000"},
        {"max_workers: true\n", ":1: max_workers: expected a whole number"},
        {"debug: maybe\n", ":1: debug: expected true or false"},
        {"launcher: [a]\n", ":1: launcher: expected text"},
        {"api_keys: [1]\n", ":1: api_keys: expected a list of texts"},
        {"github:\n  app_id: 0\n",
         ":2: github.app_id: expected a whole number from 1 to 9007199254740992"},
        {"listen: here\n", ":1: listen: expected ADDRESS:PORT, as in 127.0.0.1:5000"},
        {"listen: ::1:80\n", ":1: listen: an IPv6 address stands in brackets: [::1]:5000"},
        {"public_url: https://u:p@x\n", ":1: public_url: a base URL has no query, fragment, "
                                        "user name or blanks"},
        {"bogus: 1\n", ":1: bogus: there is no such setting"},
        {"github: 1\n", ":1: github: there is no such setting"},
        {"policy: {sandbox: loose}\n", ":1: policy.sandbox: expected strict, auto or off"},
        {"policy: {workflow_changes: 'no'}\n",
         ":1: policy.workflow_changes: expected refuse or draft"},
        {"limits: {max_cost_usd: 0}\n",
         ":1: limits.max_cost_usd: expected a number above 0, up to 1000000"},
        {"limits: {max_cost_usd: '1e3'}\n",
         ":1: limits.max_cost_usd: expected a number above 0, up to 1000000"},
        {"limits: {max_cost_usd: much}\n",
         ":1: limits.max_cost_usd: expected a number above 0, up to 1000000"},
        {"limits: {max_tokens: 1.5}\n", ":1: limits.max_tokens: expected a whole number from 1 "
                                        "to 1000000000000"},
        {"allow_private_urls: [10.0.0.0/8, 10.1.2.3/16]\n",
         ":1: allow_private_urls: the range 10.1.2.3/16 has bits beyond its first 16"},
        {"deliveries: {receivers: 1}\n",
         ":1: deliveries.receivers: expected a list of receivers"},
        {"deliveries:\n  receivers:\n    - a\n",
         ":3: deliveries.receivers: expected a map with a url"},
        {"deliveries:\n  receivers:\n    - secret: s\n",
         ":3: deliveries.receivers: url: required"},
        {"deliveries:\n  receivers: [{url: 'ftp://a/'}]\n",
         ":2: deliveries.receivers: url: not a URL of http or https"},
        {"deliveries:\n  receivers: [{url: 'https://u:p@a/'}]\n",
         ":2: deliveries.receivers: url: a URL with a user name or password isn't taken"},
        {"deliveries:\n  receivers:\n    - url: http://a/\n    - url: http://a/\n",
         ":4: deliveries.receivers: url: this one is here twice"},
        {"deliveries:\n  receivers: [{url: 'http://a/', events: []}]\n",
         ":2: deliveries.receivers: events: expected a list of events"},
        {"deliveries:\n  receivers: [{url: 'http://a/', events: [run.running]}]\n",
         ":2: deliveries.receivers: events: expected some of run.completed, run.failed, "
         "run.stopped"},
        {"deliveries:\n  receivers: [{url: 'http://a/', events: [1]}]\n",
         ":2: deliveries.receivers: events: expected some of run.completed, run.failed, "
         "run.stopped"},
        {"deliveries:\n  receivers: [{url: 'http://a/', secret: ''}]\n",
         ":2: deliveries.receivers: secret: expected some text"},
        {"deliveries:\n  receivers: [{url: 'http://a/', event: []}]\n",
         ":2: deliveries.receivers: event: unknown field"},
        {"deliveries: {secrets: s}\n", ":1: deliveries.secrets: there is no such setting"},
        {"allow_private_urls: 10\n", ":1: allow_private_urls: expected a list of texts"},
        {"agents: 1\n", ":1: agents: expected a map of names"},
        {"agents:\n  hal: {model: m}\n", ":2: agents.hal: there is no such name"},
        {"agents:\n  opencode: m\n", ":2: agents.opencode: expected settings as `key: value`"},
        {"agents:\n  opencode:\n    modl: m\n",
         ":3: agents.opencode.modl: there is no such setting"},
        {"agents:\n  opencode:\n    max_turns: 0\n",
         ":3: agents.opencode.max_turns: expected a whole number from 1 to 100000"},
        {"repositories:\n  octo: {model: m}\n", ":2: repositories.octo: there is no such name"},
        {"repositories:\n  octo/a: {model: m}\n  OCTO/a: {model: n}\n",
         ":3: repositories.OCTO/a: this name is here twice"},
        {"agents:\n  opencode: {max_in_flight: 1}\n",
         ":2: agents.opencode.max_in_flight: there is no such setting"},
        {"repositories:\n  octo/a: {max_in_flight: 0}\n",
         ":2: repositories.octo/a.max_in_flight: expected a whole number from 1 to 100000"},
        {"repositories:\n  octo/a: {priority: 1001}\n",
         ":2: repositories.octo/a.priority: expected a whole number from 0 to 1000"},
        {"max_in_flight: -1\n", ":1: max_in_flight: expected a whole number from 0 to 100000"},
        {"rate_limit: {per_credential_per_minute: -1}\n",
         ":1: rate_limit.per_credential_per_minute: expected a whole number from 0 to "
         "60000000"},
        {"rate_limit: {per_hour: 1}\n", ":1: rate_limit.per_hour: there is no such setting"},
        {"repositories:\n  octo/a: {max_tokens: none}\n",
         ":2: repositories.octo/a.max_tokens: expected a whole number from 1 to 1000000000000"},
    };
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/d.yaml", dir);
    const char *const flags[] = {"--config", path, NULL};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        struct config config;
        scoped_str wanted = xasprintf("%s%s", path, cases[i].complaint);

        test_file_write(dir, "d.yaml", cases[i].yaml);
        assert_int_equal(load(&config, flags, &err), -1);
        assert_string_equal(err.text, wanted);
    }
    test_dir_remove(dir);
}

static void test_flags_and_variables_are_named(void **state)
{
    struct err err = {0};
    struct config config;
    const char *const unknown[] = {"--frob", NULL};
    const char *const missing[] = {"--port", NULL};
    const char *const wrong[] = {"--workers", "-1", NULL};

    (void)state;
    assert_int_equal(load(&config, unknown, &err), -1);
    assert_string_equal(err.text, "--frob: there is no such option");
    assert_int_equal(load(&config, missing, &err), -1);
    assert_string_equal(err.text, "--port: a value is missing");
    assert_int_equal(load(&config, wrong, &err), -1);
    assert_string_equal(err.text, "--workers: expected a whole number from 0 to 100000");
    assert_int_equal(setenv("CODEBOT_API_KEYS", "s3cret\x01", 1), 0);
    assert_int_equal(load(&config, NULL, &err), -1);
    assert_string_equal(err.text, "CODEBOT_API_KEYS: control characters are not allowed");
    assert_null(strstr(err.text, "s3cret"));
}

static void test_the_most_particular_default_wins(void **state)
{
    struct err err = {0};
    scoped_config config = {0};
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/d.yaml", dir);
    const char *const flags[] = {"--config", path, NULL};
    struct run_defaults both = {.model = (char *)(uintptr_t) "asked"};
    struct run_defaults agent = {0};
    struct run_defaults none = {0};

    (void)state;
    test_file_write(dir, "d.yaml",
                    "defaults: {model: all, provider: p}\n"
                    "limits: {max_tokens: 1000, max_cost_usd: 2.5}\n"
                    "agents:\n  opencode: {model: o/m, max_tokens: 2000, max_turns: 7}\n"
                    "repositories:\n  octo/Hello: {max_tokens: 3000}\n  octo/idle:\n");
    assert_ok(load(&config, flags, &err), err);
    run_defaults_fill(&both, &config, "Octo/hello", "opencode");
    assert_string_equal(both.model, "asked");
    assert_string_equal(both.provider, "p");
    assert_int_equal(both.max_tokens, 3000);
    assert_true(both.max_cost_usd > 2.49 && both.max_cost_usd < 2.51);
    assert_int_equal(both.max_turns, 7);
    run_defaults_fill(&agent, &config, NULL, "opencode");
    assert_string_equal(agent.model, "o/m");
    assert_int_equal(agent.max_tokens, 2000);
    run_defaults_fill(&none, &config, "octo/idle", "claude-code");
    assert_string_equal(none.model, "all");
    assert_int_equal(none.max_tokens, 1000);
    assert_int_equal(none.max_turns, 0);
    test_dir_remove(dir);
}

static void test_policy_is_strict_where_nobody_says_otherwise(void **state)
{
    struct err err = {0};
    scoped_config config = {0};

    (void)state;
    assert_ok(load(&config, NULL, &err), err);
    assert_string_equal(config.policy.sandbox, "auto");
    assert_false(config.policy.honour_repository_agent_config);
    assert_string_equal(config.policy.workflow_changes, "refuse");
    assert_string_equal(config.policy.credentials_in_diff, "refuse");
    assert_int_equal(config.allow_private_urls.count, 0);
    config_done(&config);
    assert_int_equal(setenv("DISPATCH_SANDBOX", "strict", 1), 0);
    assert_int_equal(setenv("DISPATCH_ALLOW_PRIVATE_URLS", "10.1.0.0/16, fd00::/8", 1), 0);
    assert_int_equal(setenv("DISPATCH_MAX_COST_USD", "0.5", 1), 0);
    assert_ok(load(&config, NULL, &err), err);
    assert_string_equal(config.policy.sandbox, "strict");
    assert_int_equal(config.allow_private_urls.count, 2);
    assert_string_equal(config.allow_private_urls.texts[1], "fd00::/8");
    assert_null(config.allow_private_urls.texts[2]);
    assert_int_equal(config.allow_private_urls.all[1].bits, 8);
    assert_true(config.defaults.max_cost_usd > 0.49 && config.defaults.max_cost_usd < 0.51);
}

static void test_receivers_are_read(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/d.yaml", dir);
    const char *const flags[] = {"--config", path, NULL};
    struct err err = {0};
    scoped_config config = {0};

    (void)state;
    test_file_write(dir, "d.yaml",
                    "deliveries:\n"
                    "  secret: everybody's\n"
                    "  receivers:\n"
                    "    - url: https://ci.example.com/hook?of=dispatch\n"
                    "      secret: its own\n"
                    "      events: [run.failed, run.stopped]\n"
                    "    - {url: 'http://10.0.0.1:8080/'}\n");
    assert_ok(load(&config, flags, &err), err);
    assert_string_equal(secret_reveal(config.webhook_secret), "everybody's");
    assert_int_equal(config.receivers.count, 2);
    assert_string_equal(config.receivers.all[0].url, "https://ci.example.com/hook?of=dispatch");
    assert_string_equal(secret_reveal(config.receivers.all[0].secret), "its own");
    assert_int_equal(config.receivers.all[0].events, 1U << RUN_FAILED | 1U << RUN_STOPPED);
    assert_string_equal(config.receivers.all[1].url, "http://10.0.0.1:8080/");
    assert_null(config.receivers.all[1].secret);
    assert_int_equal(config.receivers.all[1].events,
                     1U << RUN_COMPLETED | 1U << RUN_FAILED | 1U << RUN_STOPPED);
    test_dir_remove(dir);
}

static void test_default_repository_is_checked(void **state)
{
    struct err err = {0};
    struct config config;

    (void)state;
    assert_int_equal(setenv("DISPATCH_DEFAULT_REPO", "hello", 1), 0);
    assert_int_equal(load(&config, NULL, &err), -1);
    assert_non_null(strstr(err.text, "DISPATCH_DEFAULT_REPO"));
}

static void test_default_agent_is_checked(void **state)
{
    struct err err = {0};
    struct config config;

    (void)state;
    assert_int_equal(setenv("DISPATCH_DEFAULT_AGENT", "claude", 1), 0);
    assert_int_equal(load(&config, NULL, &err), -1);
    assert_string_equal(err.text, "default_agent (DISPATCH_DEFAULT_AGENT): expected one of "
                                  "claude-code, gemini-code, opencode, command");
}

static void test_default_agent_command_needs_a_command(void **state)
{
    struct err err = {0};
    struct config config;

    (void)state;
    assert_int_equal(setenv("DISPATCH_DEFAULT_AGENT", "command", 1), 0);
    assert_int_equal(load(&config, NULL, &err), -1);
    assert_non_null(strstr(err.text, "DISPATCH_AGENT_COMMAND"));
}

static void test_app_needs_its_key(void **state)
{
    struct err err = {0};
    struct config config;

    (void)state;
    assert_int_equal(setenv("GITHUB_APP_ID", "7", 1), 0);
    assert_int_equal(load(&config, NULL, &err), -1);
    assert_non_null(strstr(err.text, "GITHUB_APP_PRIVATE_KEY_PATH"));
}

#define CONFIG_TEST(f) cmocka_unit_test_setup(f, clean)

TEST_MAIN(CONFIG_TEST(test_defaults_are_those_of_the_contract),
          CONFIG_TEST(test_workers_have_no_limit_elsewhere),
          CONFIG_TEST(test_flags_win_over_environment_over_file),
          CONFIG_TEST(test_api_keys_are_split_at_commas),
          CONFIG_TEST(test_relative_agent_command_is_taken_from_here),
          CONFIG_TEST(test_wrong_values_name_where_they_stood),
          CONFIG_TEST(test_flags_and_variables_are_named),
          CONFIG_TEST(test_the_most_particular_default_wins),
          CONFIG_TEST(test_policy_is_strict_where_nobody_says_otherwise),
          CONFIG_TEST(test_default_repository_is_checked), CONFIG_TEST(test_receivers_are_read),
          CONFIG_TEST(test_default_agent_is_checked),
          CONFIG_TEST(test_default_agent_command_needs_a_command),
          CONFIG_TEST(test_app_needs_its_key))
