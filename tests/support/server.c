/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <string.h>
#include <time.h>

#include "api/api_keys.h"
#include "api/rate.h"
#include "base/alloc.h"
#include "model/token.h"
#include "oidc/oidc.h"
#include "service/integration_tokens.h"
#include "service/personal_tokens.h"

/* Freed by config_done, as if they had been read. */
static void fill_credentials(struct config *config, const struct test_server_options *options)
{
    scoped_str more = xstrdup(options->more_api_keys ? options->more_api_keys : "");
    char *rest = more;

    config->api_keys = xcalloc(8, sizeof(*config->api_keys));
    config->api_keys[config->n_api_keys++] = secret_new(TEST_API_KEY);
    for (char *key = strsep(&rest, ","); key; key = strsep(&rest, ","))
        if (*key && config->n_api_keys < 8)
            config->api_keys[config->n_api_keys++] = secret_new(key);
    if (!options->oidc_issuer)
        return;
    config->oidc_issuers.texts = xcalloc(1, sizeof(char *));
    config->oidc_issuers.texts[0] = xstrdup(options->oidc_issuer);
    config->oidc_issuers.count = 1;
    config->oidc_audience = xstrdup(TEST_AUDIENCE);
}

static void fill_config(struct config *config, const char *dir,
                        const struct test_server_options *options)
{
    struct err err = {0};
    char *const no_flags[] = {NULL};

    /* The environment of whoever runs the tests is none of ours. */
    (void)unsetenv("CODEBOT_API_KEYS");
    (void)unsetenv("DISPATCH_DEFAULT_AGENT");
    assert_ok(config_load(config, no_flags, &err), err);
    free(config->listen_address);
    config->listen_address = xstrdup("127.0.0.1");
    config->listen_port = 0;
    free(config->database);
    config->database = xasprintf("%s/dispatch.db", dir);
    free(config->work_dir);
    config->work_dir = xasprintf("%s/work", dir);
    free(config->launcher);
    config->launcher = xstrdup(options->launcher ? options->launcher : "fake");
    free(config->agent_command);
    config->agent_command = xstrdup(options->agent_command);
    if (options->github_api_url) {
        free(config->github_api_url);
        config->github_api_url = xstrdup(options->github_api_url);
    }
    fill_credentials(config, options);
    secret_free(config->github_token);
    config->github_token = secret_new("ghp_test");
    config->max_workers = options->max_workers;
    config->max_queue_size = options->max_queue_size ? options->max_queue_size : 1000;
    config->lost_after_s = options->lost_after_s ? options->lost_after_s : 60;
    config->claim_timeout_s = options->claim_timeout_s ? options->claim_timeout_s : 120;
    config->queue_timeout_s = options->queue_timeout_s ? options->queue_timeout_s : 86400;
    config->run_timeout_s = options->run_timeout_s ? options->run_timeout_s : 60;
    if (options->stream_heartbeat_s)
        config->stream_heartbeat_s = options->stream_heartbeat_s;
    if (options->configure)
        options->configure(config);
}

static void open_all(struct test_server *server)
{
    struct err err = {0};
    struct net_options net_options = {.user_agent = "test/1"};
    struct service_options service_options = {.config = &server->config};
    struct deliveries_options deliveries_options = {.config = &server->config};
    struct httpd_options options = {
        .address = "127.0.0.1",
        .connections_max = 1024,
        .connections_per_address_max = 1024,
        .request_deadline_ms = 5000,
        .stream_idle_ms = server->config.stream_heartbeat_s * 1000,
        .app = &server->app,
        .routes = public_routes,
        .n_routes = n_public_routes,
        .authorize = authorize,
        .principal_free = principal_free,
    };

    assert_made(server->db = db_open(server->config.database, &err), err);
    assert_made(server->tokens = token_store_open(server->db, &err), err);
    assert_made(server->personal_tokens = personal_token_store_open(server->db, &err), err);
    assert_made(server->credentials = credential_store_open(server->db, &err), err);
    assert_made(server->api_keys = api_keys_new(&server->config, server->credentials, &err),
                err);
    assert_made(server->net = net_new(&net_options, &err), err);
    server->oidc =
        server->config.oidc_issuers.count ? oidc_new(&server->config, server->net) : NULL;
    assert_made(server->github = github_new(&server->config, server->net, &err), err);
    assert_made(server->vault = vault_open(server->config.database, NULL, &err), err);
    service_options.db = server->db;
    service_options.tokens = server->tokens;
    service_options.personal_tokens = server->personal_tokens;
    service_options.vault = server->vault;
    deliveries_options.vault = server->vault;
    deliveries_options.db = server->db;
    assert_made(server->deliveries = deliveries_new(&deliveries_options, &err), err);
    service_options.deliveries = server->deliveries;
    assert_made(server->service = service_new(&service_options, &err), err);
    server->rate = rate_new(&server->config);
    assert_made(server->live = live_new(server->db, &err), err);
    server->app = (struct app){
        .config = &server->config,
        .db = server->db,
        .tokens = server->tokens,
        .personal_tokens = server->personal_tokens,
        .credentials = server->credentials,
        .api_keys = server->api_keys,
        .oidc = server->oidc,
        .github = server->github,
        .service = server->service,
        .vault = server->vault,
        .deliveries = server->deliveries,
        .live = server->live,
        .rate = server->rate,
        .started_ms = clock_wall_ms(),
    };
    assert_made(server->httpd = httpd_start(&options, &err), err);
    server->app.httpd = server->httpd;
    server->url = xasprintf("http://127.0.0.1:%d", httpd_port(server->httpd));
    if (server->config.max_workers >= 0)
        assert_ok(service_start(server->service, server->url, &err), err);
    assert_ok(deliveries_start(server->deliveries, &err), err);
}

static void close_all(struct test_server *server)
{
    (void)httpd_stop(server->httpd, 2000);
    service_stop(server->service);
    httpd_free(TAKE(server->httpd));
    live_free(TAKE(server->live));
    rate_free(TAKE(server->rate));
    service_free(TAKE(server->service));
    deliveries_free(TAKE(server->deliveries));
    github_free(TAKE(server->github));
    oidc_free(TAKE(server->oidc));
    net_free(TAKE(server->net));
    api_keys_free(TAKE(server->api_keys));
    credential_store_free(TAKE(server->credentials));
    personal_token_store_free(TAKE(server->personal_tokens));
    vault_free(TAKE(server->vault));
    token_store_free(TAKE(server->tokens));
    db_free(TAKE(server->db));
    free(TAKE(server->url));
}

struct test_server *test_server_new(const struct test_server_options *options)
{
    struct test_server *server = xcalloc(1, sizeof(*server));

    json_setup();
    server->dir = test_dir_new();
    fill_config(&server->config, server->dir, options);
    open_all(server);
    return server;
}

void test_server_restart_with(struct test_server *server,
                              void (*change)(struct test_server *server))
{
    close_all(server);
    change(server);
    open_all(server);
}

void test_server_restart(struct test_server *server)
{
    close_all(server);
    open_all(server);
}

void test_server_free(struct test_server *server)
{
    if (!server)
        return;
    close_all(server);
    config_done(&server->config);
    test_dir_remove(server->dir);
    free(server->dir);
    free(server);
}

char *test_server_token(struct test_server *server, const char *repo)
{
    struct err err = {0};
    struct token_wish wish = {TOKEN_WISH_DEFAULTS, .repo = repo, .name = "test"};
    scoped_json made = integration_token_mint(server->tokens, &wish, NULL, &err);

    assert_made(made, err);
    return xstrdup(json_get_str(made, "token"));
}

char *test_server_admin(struct test_server *server)
{
    struct err err = {0};
    scoped_json scopes = jarr(jstr("admin"));
    struct personal_wish wish = {.user = "Ada Lovelace", .scopes = scopes};
    scoped_json made = personal_token_mint(server->personal_tokens, &wish, NULL, &err);

    assert_made(made, err);
    return xstrdup(json_get_str(made, "token"));
}

int test_server_call(struct test_server *server, const char *method, const char *path,
                     const char *bearer, const char *const *headers, const char *body,
                     cJSON **out)
{
    struct err err = {0};
    scoped_str url = xasprintf("%s%s", server->url, path);
    scoped(secret) secret = secret_new(bearer);
    scoped_net_answer answer = {0};
    struct net_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .bearer = secret,
        .body = body,
        .body_size = body ? strlen(body) : 0,
        .timeout_ms = 20000,
        .answer_max_bytes = 64 * 1024 * 1024,
        .tries_max = 1,
    };

    assert_ok(net_call(server->net, &request, &answer, &err), err);
    if (out)
        *out = net_answer_json(&answer, &err);
    return answer.status;
}

char *test_server_dispatch(struct test_server *server, const char *token, const char *prompt)
{
    scoped_json body = jobj({"prompt", jstr(prompt)});
    scoped_str text = json_text(body);
    scoped_json answer = NULL;
    int status = test_server_call(server, "POST", "/dispatchTask", token, NULL, text, &answer);

    if (status != 200)
        fail_msg("dispatch answered %d: %s", status, json_get_str(answer, "error"));
    assert_non_null(json_get_str(answer, "runId"));
    return xstrdup(json_get_str(answer, "runId"));
}

const char *test_server_status(struct test_server *server, const char *run_id)
{
    static const char *const known[] = {"pending", "running", "completed", "failed", "stopped"};
    scoped_str path = xasprintf("/api/tasks/%s/status", run_id);
    scoped_json answer = NULL;
    int status = test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, &answer);
    const char *said = status == 200 ? json_get_str(answer, "status") : NULL;

    for (size_t i = 0; said && i < ARRAY_SIZE(known); i++)
        if (strcmp(said, known[i]) == 0)
            return known[i];
    return "?";
}
