/* SPDX-License-Identifier: Apache-2.0 */
/* Whose run is whose, and what opens what. */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "crypto/digest.h"
#include "oidc_issuer.h"
#include "server.h"
#include "service/integration_tokens.h"
#include "service/personal_tokens.h"

#define OTHER_KEY "another-api-key"
#define SUBMIT "/api/tasks/submit"
#define NO_RUN "00000000000000000000"

static struct test_server *open_server(const char *oidc_issuer)
{
    return test_server_new(&(struct test_server_options){
        .max_workers = -1, .more_api_keys = OTHER_KEY, .oidc_issuer = oidc_issuer});
}

static int status_of(struct test_server *server, const char *method, const char *bearer,
                     const char *path_format, const char *id)
{
    char path[256];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(path, sizeof(path), path_format, id);
#pragma GCC diagnostic pop
    return test_server_call(server, method, path, bearer, NULL, NULL, NULL);
}

static int submit(struct test_server *server, const char *bearer, const char *repo,
                  char **out_id)
{
    scoped_str body =
        xasprintf("{\"repository_url\":\"https://github.com/%s\",\"description\":\"x\"}", repo);
    scoped_json answer = NULL;
    int status = test_server_call(server, "POST", SUBMIT, bearer, NULL, body, &answer);

    if (out_id)
        *out_id = xstrdup(json_get_str(answer, "task_id"));
    return status;
}

static char *submitted(struct test_server *server, const char *bearer)
{
    char *id = NULL;

    assert_int_equal(submit(server, bearer, "octo/hello", &id), 202);
    return id;
}

/* A personal token; the document is its list entry with the token itself. */
static cJSON *person(struct test_server *server, const char *scopes)
{
    struct err err = {0};
    scoped_json list = json_parse(scopes, strlen(scopes), &err);
    struct personal_wish wish = {
        .user = "Ada Lovelace", .email = "ada@example.com", .scopes = list};
    cJSON *made = personal_token_mint(server->personal_tokens, &wish, NULL, &err);

    assert_made(made, err);
    return made;
}

static const char *text_of(const cJSON *made)
{
    return json_get_str(made, "token");
}

/* --- Whose run is whose ---------------------------------------------------------------------
 */

struct run_path {
    const char *method;
    const char *format;
};

static const struct run_path paths[] = {
    {"GET", "/api/tasks/%s/status"},    {"POST", "/api/tasks/%s/retry"},
    {"GET", "/api/v1/agents/%s"},       {"POST", "/api/tasks/%s/stop"},
    {"POST", "/api/v1/agents/%s/stop"},
};

/* The whole answer but its request id. */
static char *answer_of(struct test_server *server, const struct run_path *path,
                       const char *bearer, const char *id)
{
    scoped_json answer = NULL;
    scoped_str text = NULL;
    scoped_str where = NULL;
    char *at;
    int status;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    where = xasprintf(path->format, id);
#pragma GCC diagnostic pop
    status = test_server_call(server, path->method, where, bearer, NULL, NULL, &answer);
    text = json_text(answer);
    while ((at = strstr(text, id))) /* the only thing that may differ */
        memset(at, '.', strlen(id));
    return xasprintf("%d %s", status, text);
}

static void test_anothers_run_is_as_one_that_is_not_there(void **state)
{
    scoped(test_server) server = open_server(NULL);
    scoped_json ada = person(server, "[\"dispatch\"]");
    scoped_json bob = person(server, "[\"dispatch\"]");
    const char *const owners[] = {TEST_API_KEY, OTHER_KEY, text_of(ada), text_of(bob)};

    (void)state;
    for (size_t owner = 0; owner < ARRAY_SIZE(owners); owner++) {
        scoped_str id = submitted(server, owners[owner]);

        for (size_t other = 0; other < ARRAY_SIZE(owners); other++) {
            if (other == owner)
                continue;
            for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                scoped_str theirs = answer_of(server, &paths[i], owners[other], id);
                scoped_str nobodys = answer_of(server, &paths[i], owners[other], NO_RUN);

                assert_int_equal(strncmp(theirs, "404 ", 4), 0);
                assert_string_equal(theirs, nobodys);
            }
        }
        /* nothing happened to it, and its owner has it */
        assert_int_equal(status_of(server, "GET", owners[owner], "/api/tasks/%s/status", id),
                         200);
        assert_int_equal(status_of(server, "GET", owners[owner], "/api/v1/agents/%s", id), 200);
        assert_int_equal(status_of(server, "POST", owners[owner], "/api/tasks/%s/stop", id),
                         202);
        assert_int_equal(status_of(server, "POST", owners[owner], "/api/tasks/%s/retry", id),
                         202);
    }
}

/* The runs in a list, as a set of their ids. */
static void list_ids(struct test_server *server, const char *bearer, const char *path,
                     struct buf *out)
{
    scoped_str cursor = xstrdup("");

    while (cursor) {
        scoped_str query = xasprintf("%s%climit=2%s%s", path, strchr(path, '?') ? '&' : '?',
                                     *cursor ? "&cursor=" : "", cursor);
        scoped_json page = NULL;
        const cJSON *list;
        const cJSON *run;

        assert_int_equal(test_server_call(server, "GET", query, bearer, NULL, NULL, &page),
                         200);
        list = json_get(page, "tasks") ? json_get(page, "tasks") : json_get(page, "agents");
        cJSON_ArrayForEach(run, list)
        {
            const char *id = json_get_str(run, "task_id");

            buf_printf(out, "%s ", id ? id : json_get_str(run, "id"));
        }
        free(cursor);
        cursor = xstrdup(json_get_str(page, "next_cursor"));
    }
}

static void assert_lists(struct test_server *server, const char *bearer, const char *wanted)
{
    static const char *const lists[] = {"/api/tasks", "/api/tasks?status=pending",
                                        "/api/v1/agents", "/api/v1/agents?status=queued"};

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        scoped_buf ids = {0};

        list_ids(server, bearer, lists[i], &ids);
        assert_string_equal(ids.data ? ids.data : "", wanted);
    }
}

static void test_lists_have_only_what_may_be_seen(void **state)
{
    scoped(test_server) server = open_server(NULL);
    scoped_str integration = test_server_token(server, "octo/hello");
    scoped_json ada = person(server, "[\"dispatch\"]");
    scoped_json reader = person(server, "[\"read\"]");
    scoped_json admin = person(server, "[\"admin\"]");
    scoped_str by_key = submitted(server, TEST_API_KEY);
    scoped_str shared = test_server_dispatch(server, integration, "x");
    scoped_str by_ada = submitted(server, text_of(ada));
    scoped_str by_other = submitted(server, OTHER_KEY);
    scoped_str shared_too = test_server_dispatch(server, integration, "x");
    scoped_str of_key = xasprintf("%s %s %s ", shared_too, shared, by_key);
    scoped_str of_other = xasprintf("%s %s %s ", shared_too, by_other, shared);
    scoped_str of_ada = xasprintf("%s ", by_ada);
    scoped_str of_all =
        xasprintf("%s %s %s %s %s ", shared_too, by_other, by_ada, shared, by_key);

    (void)state;
    assert_lists(server, TEST_API_KEY, of_key);
    assert_lists(server, OTHER_KEY, of_other);
    assert_lists(server, text_of(ada), of_ada);
    assert_lists(server, text_of(reader), "");
    assert_lists(server, text_of(admin), of_all);
    test_server_restart(server); /* and it stays so */
    assert_lists(server, TEST_API_KEY, of_key);
    assert_lists(server, text_of(ada), of_ada);
}

static void test_history_has_only_what_may_be_seen(void **state)
{
    scoped(test_server) server = open_server(NULL);
    scoped_str mine = submitted(server, TEST_API_KEY);
    scoped_str theirs = submitted(server, OTHER_KEY);
    scoped_str only_mine = xasprintf("%s ", mine);
    scoped_buf ids = {0};

    (void)state;
    assert_int_equal(status_of(server, "POST", TEST_API_KEY, "/api/tasks/%s/stop", mine), 202);
    assert_int_equal(status_of(server, "POST", OTHER_KEY, "/api/tasks/%s/stop", theirs), 202);
    list_ids(server, TEST_API_KEY, "/api/tasks/history", &ids);
    assert_string_equal(ids.data, only_mine);
}

static void test_runs_of_integration_tokens_are_every_api_keys(void **state)
{
    scoped(test_server) server = open_server(NULL);
    scoped_str integration = test_server_token(server, "octo/hello");
    scoped_str id = test_server_dispatch(server, integration, "x");
    scoped_json ada = person(server, "[\"dispatch\"]");

    (void)state;
    assert_int_equal(status_of(server, "GET", TEST_API_KEY, "/api/tasks/%s/status", id), 200);
    assert_int_equal(status_of(server, "GET", OTHER_KEY, "/api/tasks/%s/status", id), 200);
    assert_int_equal(status_of(server, "GET", text_of(ada), "/api/tasks/%s/status", id), 404);
    assert_int_equal(status_of(server, "POST", OTHER_KEY, "/api/tasks/%s/stop", id), 202);
}

/* --- Personal tokens ------------------------------------------------------------------------
 */

static void test_scopes_open_what_they_say(void **state)
{
    static const struct {
        const char *scopes;
        int look;
        int queue;
        int tokens;
    } cases[] = {
        {"[\"read\"]", 200, 403, 403},
        {"[\"dispatch\"]", 200, 202, 403},
        {"[\"read\",\"dispatch\"]", 200, 202, 403},
        {"[\"admin\"]", 200, 202, 200},
    };
    scoped(test_server) server = open_server(NULL);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_json made = person(server, cases[i].scopes);
        const char *token = text_of(made);

        assert_int_equal(test_server_call(server, "GET", "/api/tasks", token, NULL, NULL, NULL),
                         cases[i].look);
        assert_int_equal(submit(server, token, "octo/hello", NULL), cases[i].queue);
        assert_int_equal(test_server_call(server, "POST", "/api/v1/agents", token, NULL,
                                          "{\"prompt\":\"x\",\"blank_workspace\":true}", NULL),
                         cases[i].queue == 202 ? 201 : 403);
        assert_int_equal(
            test_server_call(server, "GET", "/api/tokens/personal", token, NULL, NULL, NULL),
            cases[i].tokens);
        assert_int_equal(test_server_call(server, "POST", "/dispatchTask", token, NULL,
                                          "{\"prompt\":\"x\"}", NULL),
                         401);
    }
}

static void test_a_refused_scope_is_said_in_a_sentence(void **state)
{
    scoped(test_server) server = open_server(NULL);
    scoped_json made = person(server, "[\"read\"]");
    scoped_json answer = NULL;

    (void)state;
    assert_int_equal(
        test_server_call(server, "POST", SUBMIT, text_of(made), NULL, "{}", &answer), 403);
    assert_string_equal(json_get_str(answer, "code"), "insufficient_scope");
    assert_non_null(strstr(json_get_str(answer, "error"), "dispatch"));
}

static void test_a_run_knows_which_person_asked(void **state)
{
    scoped(test_server) server = open_server(NULL);
    scoped_json made = person(server, "[\"dispatch\"]");
    scoped_str text = submitted(server, text_of(made));
    struct err err = {0};
    struct id id;

    (void)state;
    assert_true(id_parse(text, &id));
    scoped(run) run = run_store_load(server->db, id, &err);
    assert_made(run, err);
    assert_string_equal(run->requester, "Ada Lovelace <ada@example.com>");
    assert_true(run->owner > 0);
}

static void test_a_revocation_holds_for_the_next_request(void **state)
{
    scoped(test_server) server = open_server(NULL);
    scoped_json admin = person(server, "[\"admin\"]");
    scoped_json made = person(server, "[\"dispatch\"]");
    scoped_str path = xasprintf("/api/tokens/personal/%s", json_get_str(made, "id"));

    (void)state;
    assert_int_equal(submit(server, text_of(made), "octo/hello", NULL), 202);
    assert_int_equal(test_server_call(server, "DELETE", path, text_of(admin), NULL, NULL, NULL),
                     200);
    assert_int_equal(submit(server, text_of(made), "octo/hello", NULL), 401);
    test_server_restart(server);
    assert_int_equal(submit(server, text_of(made), "octo/hello", NULL), 401);
    assert_int_equal(test_server_call(server, "DELETE", path, text_of(admin), NULL, NULL, NULL),
                     200);
}

/* The clock is the test's. */
static int real_clock(void **state)
{
    (void)state;
    clock_set_for_test(-1);
    return 0;
}

static void test_a_token_ends_when_it_was_said_to(void **state)
{
    scoped(test_server) server = open_server(NULL);
    int64_t now_ms = clock_wall_ms();
    char end[CLOCK_TEXT_SIZE];
    struct err err = {0};

    (void)state;
    clock_text(now_ms + 60000, end);
    struct personal_wish personal = {.user = "Ada", .expires_at = end};
    struct token_wish wish = {TOKEN_WISH_DEFAULTS, .repo = "octo/hello", .expires_at = end};
    scoped_json person_made =
        personal_token_mint(server->personal_tokens, &personal, NULL, &err);
    assert_made(person_made, err);
    scoped_json made = integration_token_mint(server->tokens, &wish, NULL, &err);
    assert_made(made, err);
    clock_set_for_test(now_ms + 59999);
    assert_int_equal(
        test_server_call(server, "GET", "/api/tasks", text_of(person_made), NULL, NULL, NULL),
        200);
    free(test_server_dispatch(server, text_of(made), "x"));
    clock_set_for_test(now_ms + 60000);
    for (int days = 0; days >= -1; days--) { /* a clock that is set back doesn't revive them */
        clock_jump_for_test(days * 86400000LL);
        assert_int_equal(test_server_call(server, "GET", "/api/tasks", text_of(person_made),
                                          NULL, NULL, NULL),
                         401);
        assert_int_equal(test_server_call(server, "POST", "/dispatchTask", text_of(made), NULL,
                                          "{\"prompt\":\"x\"}", NULL),
                         401);
    }
    clock_jump_for_test(0);
}

/* --- The tokens over the API ----------------------------------------------------------------
 */

static void test_tokens_are_made_listed_and_revoked(void **state)
{
    static const struct {
        const char *path;
        const char *body;
        const char *begins;
    } kinds[] = {
        {"/api/tokens/integration",
         "{\"repo\":\"octo/hello\",\"name\":\"n\",\"installation_id\":7,"
         "\"rate_per_minute\":30,\"priority\":0,\"expires_at\":\"2030-01-02T03:04:05Z\"}",
         "vgvbot_"},
        {"/api/tokens/personal",
         "{\"user\":\"Bob\",\"email\":\"bob@example.com\",\"name\":\"n\","
         "\"scopes\":[\"read\",\"dispatch\"],\"expires_at\":\"2030-01-02T03:04:05Z\"}",
         "dsp_live_"},
    };
    scoped(test_server) server = open_server(NULL);
    scoped_json admin = person(server, "[\"admin\"]");
    scoped_str actor = xasprintf("personal:%s", json_get_str(admin, "id"));

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        scoped_json made = NULL;
        scoped_json list = NULL;
        scoped_str text = NULL;
        const cJSON *shown;

        assert_int_equal(test_server_call(server, "POST", kinds[i].path, text_of(admin), NULL,
                                          kinds[i].body, &made),
                         201);
        assert_int_equal(strncmp(text_of(made), kinds[i].begins, strlen(kinds[i].begins)), 0);
        assert_int_equal(
            test_server_call(server, "GET", kinds[i].path, text_of(admin), NULL, NULL, &list),
            200);
        text = json_text(list);
        assert_null(strstr(text, text_of(made)));
        shown = cJSON_GetArrayItem(json_get(list, "tokens"),
                                   cJSON_GetArraySize(json_get(list, "tokens")) - 1);
        assert_string_equal(json_get_str(shown, "id"), json_get_str(made, "id"));
        assert_string_equal(json_get_str(shown, "created_by"), actor);
        assert_string_equal(json_get_str(shown, "expires_at"), "2030-01-02T03:04:05.000Z");
        assert_int_equal(strncmp(text_of(made), json_get_str(shown, "display_prefix"), 12), 0);
        scoped_str one = xasprintf("%s/%s", kinds[i].path, json_get_str(made, "id"));
        assert_int_equal(
            test_server_call(server, "DELETE", one, text_of(admin), NULL, NULL, NULL), 200);
        scoped_str none = xasprintf("%s/999", kinds[i].path);
        assert_int_equal(
            test_server_call(server, "DELETE", none, text_of(admin), NULL, NULL, NULL), 404);
    }
}

static void test_a_run_has_its_tokens_priority(void **state)
{
    scoped(test_server) server = open_server(NULL);
    struct token_wish wish = {TOKEN_WISH_DEFAULTS, .repo = "octo/hello"};
    struct err err = {0};
    struct id id;

    (void)state;
    wish.priority = 900;
    scoped_json made = integration_token_mint(server->tokens, &wish, NULL, &err);
    assert_made(made, err);
    scoped_str text = test_server_dispatch(server, text_of(made), "x");
    assert_true(id_parse(text, &id));
    scoped(run) run = run_store_load(server->db, id, &err);
    assert_made(run, err);
    assert_int_equal(run->priority, 900);
    assert_int_equal(run->owner, 0);
}

static void assert_bad(struct test_server *server, const char *bearer, const char *path,
                       const char *body)
{
    scoped_json answer = NULL;
    int status = test_server_call(server, "POST", path, bearer, NULL, body, &answer);

    if (status != 400)
        fail_msg("%s %s: %d", path, body, status);
    assert_non_null(json_get_str(answer, "error"));
}

static void test_every_wrong_field_of_a_token_is_refused(void **state)
{
    static const char *const integration[] = {
        "{}",
        "[]",
        "{\"repo\":7}",
        "{\"repo\":\"\"}",
        "{\"repo\":\"hello\"}",
        "{\"repo\":\"octo/hello/x\"}",
        "{\"repo\":\"octo/hello\",\"more\":1}",
        "{\"repo\":\"octo/hello\",\"created_by\":\"root\"}",
        "{\"repo\":\"octo/hello\",\"name\":\"\"}",
        "{\"repo\":\"octo/hello\",\"name\":\"  \"}",
        "{\"repo\":\"octo/hello\",\"name\":\"a\\nb\"}",
        "{\"repo\":\"octo/hello\",\"name\":[]}",
        "{\"repo\":\"octo/hello\",\"installation_id\":-1}",
        "{\"repo\":\"octo/hello\",\"installation_id\":\"1\"}",
        "{\"repo\":\"octo/hello\",\"installation_id\":1.5}",
        "{\"repo\":\"octo/hello\",\"rate_per_minute\":0}",
        "{\"repo\":\"octo/hello\",\"rate_per_minute\":-1}",
        "{\"repo\":\"octo/hello\",\"rate_per_minute\":1000001}",
        "{\"repo\":\"octo/hello\",\"priority\":-1}",
        "{\"repo\":\"octo/hello\",\"priority\":1001}",
        "{\"repo\":\"octo/hello\",\"priority\":\"high\"}",
        "{\"repo\":\"octo/hello\",\"expires_at\":\"\"}",
        "{\"repo\":\"octo/hello\",\"expires_at\":\"tomorrow\"}",
        "{\"repo\":\"octo/hello\",\"expires_at\":\"2001-01-01T00:00:00Z\"}",
        "{\"repo\":\"octo/hello\",\"expires_at\":\"2999-01-01T00:00:00Z\"}",
        "{\"repo\":\"octo/hello\",\"expires_at\":1900000000}",
    };
    static const char *const personal[] = {
        "{}",
        "{\"user\":\"\"}",
        "{\"user\":\" \"}",
        "{\"user\":\" Ada\"}",
        "{\"user\":\"Ada \"}",
        "{\"user\":\"Ada <x@y>\"}",
        "{\"user\":\"Ada\\nSigned-off-by: x\"}",
        "{\"user\":7}",
        "{\"user\":\"Ada\",\"more\":1}",
        "{\"user\":\"Ada\",\"created_by\":\"root\"}",
        "{\"user\":\"Ada\",\"email\":\"\"}",
        "{\"user\":\"Ada\",\"email\":\"ada\"}",
        "{\"user\":\"Ada\",\"email\":\"@example.com\"}",
        "{\"user\":\"Ada\",\"email\":\"ada@\"}",
        "{\"user\":\"Ada\",\"email\":\"a@b@c\"}",
        "{\"user\":\"Ada\",\"email\":\"a b@c\"}",
        "{\"user\":\"Ada\",\"email\":\"a@b>\"}",
        "{\"user\":\"Ada\",\"email\":\"a@b\\n\"}",
        "{\"user\":\"Ada\",\"name\":\"\\u001b[31m\"}",
        "{\"user\":\"Ada\",\"scopes\":[]}",
        "{\"user\":\"Ada\",\"scopes\":\"read\"}",
        "{\"user\":\"Ada\",\"scopes\":[\"root\"]}",
        "{\"user\":\"Ada\",\"scopes\":[7]}",
        "{\"user\":\"Ada\",\"scopes\":[\"read\",\"read\"]}",
        "{\"user\":\"Ada\",\"expires_at\":\"2001-01-01T00:00:00Z\"}",
    };
    scoped(test_server) server = open_server(NULL);
    scoped_json admin = person(server, "[\"admin\"]");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(integration); i++)
        assert_bad(server, text_of(admin), "/api/tokens/integration", integration[i]);
    for (size_t i = 0; i < ARRAY_SIZE(personal); i++)
        assert_bad(server, text_of(admin), "/api/tokens/personal", personal[i]);
}

static void test_tokens_are_for_operators(void **state)
{
    static const char *const routes[] = {"/api/tokens/integration", "/api/tokens/personal"};
    scoped(test_server) server = open_server(NULL);
    scoped_str integration = test_server_token(server, "octo/hello");
    scoped_json dispatcher = person(server, "[\"dispatch\"]");
    const struct {
        const char *bearer;
        int status;
    } callers[] = {
        {NULL, 401},
        {"wrong", 401},
        {integration, 401},
        {TEST_API_KEY, 403},
        {text_of(dispatcher), 403},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(routes); j++) {
            scoped_str one = xasprintf("%s/1", routes[j]);

            assert_int_equal(
                test_server_call(server, "GET", routes[j], callers[i].bearer, NULL, NULL, NULL),
                callers[i].status);
            assert_int_equal(test_server_call(server, "POST", routes[j], callers[i].bearer,
                                              NULL, "{}", NULL),
                             callers[i].status);
            assert_int_equal(
                test_server_call(server, "DELETE", one, callers[i].bearer, NULL, NULL, NULL),
                callers[i].status);
        }
    }
}

static void test_what_is_almost_a_personal_token_opens_nothing(void **state)
{
    scoped(test_server) server = open_server(NULL);
    scoped_json made = person(server, "[\"admin\"]");
    scoped_str other = xstrdup(text_of(made));
    scoped_str longer = xasprintf("%sx", text_of(made));
    scoped_str shorter = xstrndup(other, strlen(other) - 1);
    const char *const bad[] = {other, longer, shorter, "dsp_live_", "dsp_live", "DSP_LIVE_x"};

    (void)state;
    other[strlen(other) - 1] ^= 1;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(
            test_server_call(server, "GET", "/api/tasks", bad[i], NULL, NULL, NULL), 401);
}

/* --- Workflows ------------------------------------------------------------------------------
 */

/* A token of that issuer for a workflow of this repository. */
static char *workflow(struct oidc_issuer *issuer, const char *repository)
{
    long long now_s = (long long)(clock_wall_ms() / 1000);
    scoped_str claims =
        xasprintf(",\"aud\":\"" TEST_AUDIENCE "\",\"exp\":%lld,\"nbf\":%lld,\"iat\":%lld,"
                  "\"repository\":\"%s\",\"actor\":\"octocat\"",
                  now_s + 300, now_s - 5, now_s - 5, repository);

    return oidc_issuer_token(issuer, claims);
}

static void test_a_workflow_dispatches_against_its_own_repository(void **state)
{
    scoped(oidc_issuer) issuer = oidc_issuer_new();
    scoped(test_server) server = open_server(oidc_issuer_url(issuer));
    scoped_str hello = workflow(issuer, "octo/hello");
    scoped_str other = workflow(issuer, "octo/other");
    scoped_str text = submitted(server, hello);
    struct err err = {0};
    struct id id;

    (void)state;
    assert_true(id_parse(text, &id));
    scoped(run) run = run_store_load(server->db, id, &err);
    assert_made(run, err);
    assert_string_equal(run->requester, "octocat <octocat@users.noreply.github.com>");
    assert_int_equal(submit(server, hello, "Octo/HELLO", NULL),
                     202); /* GitHub's are the same */
    assert_int_equal(submit(server, hello, "octo/other", NULL), 403);
    assert_int_equal(test_server_call(server, "POST", "/api/v1/agents", hello, NULL,
                                      "{\"prompt\":\"x\",\"repo\":\"octo/hello\"}", NULL),
                     201);
    assert_int_equal(test_server_call(server, "POST", "/api/v1/agents", hello, NULL,
                                      "{\"prompt\":\"x\",\"repo\":\"octo/other\"}", NULL),
                     403);
    assert_int_equal(test_server_call(server, "POST", "/api/v1/agents", hello, NULL,
                                      "{\"prompt\":\"x\",\"blank_workspace\":true}", NULL),
                     403);
    assert_int_equal(status_of(server, "GET", hello, "/api/tasks/%s/status", text), 200);
    assert_int_equal(status_of(server, "GET", other, "/api/tasks/%s/status", text), 404);
    assert_int_equal(status_of(server, "GET", TEST_API_KEY, "/api/tasks/%s/status", text), 404);
    assert_int_equal(
        test_server_call(server, "GET", "/api/tokens/personal", hello, NULL, NULL, NULL), 403);
    assert_int_equal(test_server_call(server, "POST", "/dispatchTask", hello, NULL,
                                      "{\"prompt\":\"x\"}", NULL),
                     401);
}

static void test_another_workflow_token_opens_nothing(void **state)
{
    static const char *const claims[] = {
        "",
        ",\"aud\":\"" TEST_AUDIENCE "\",\"repository\":\"octo/hello\"",
        ",\"aud\":\"" TEST_AUDIENCE "\",\"exp\":1,\"repository\":\"octo/hello\"",
        ",\"aud\":\"https://other\",\"exp\":9000000000,\"repository\":\"octo/hello\"",
        ",\"aud\":\"" TEST_AUDIENCE "\",\"exp\":9000000000",
        ",\"aud\":\"" TEST_AUDIENCE "\",\"exp\":9000000000,\"repository\":\"hello\"",
    };
    scoped(oidc_issuer) issuer = oidc_issuer_new();
    scoped(oidc_issuer) stranger = oidc_issuer_new();
    scoped(test_server) server = open_server(oidc_issuer_url(issuer));
    scoped_str of_stranger = workflow(stranger, "octo/hello");
    scoped_str unsigned_one = workflow(issuer, "octo/hello");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
        scoped_str token = oidc_issuer_token(issuer, claims[i]);

        assert_int_equal(test_server_call(server, "GET", "/api/tasks", token, NULL, NULL, NULL),
                         401);
    }
    assert_int_equal(
        test_server_call(server, "GET", "/api/tasks", of_stranger, NULL, NULL, NULL), 401);
    assert_int_equal(oidc_issuer_fetches(stranger), 0);
    /* what is wrong in itself doesn't make us ask for keys */
    assert_int_equal(oidc_issuer_fetches(issuer), 0);
    unsigned_one[strlen(unsigned_one) - 5] ^= 1;
    assert_int_equal(
        test_server_call(server, "GET", "/api/tasks", unsigned_one, NULL, NULL, NULL), 401);
}

static void test_an_issuer_that_is_away_is_a_503(void **state)
{
    scoped(oidc_issuer) issuer = oidc_issuer_new();
    scoped(test_server) server = open_server(oidc_issuer_url(issuer));
    scoped_str token = workflow(issuer, "octo/hello");

    (void)state;
    oidc_issuer_answer(issuer, 404, NULL);
    assert_int_equal(submit(server, token, "octo/hello", NULL), 503);
    assert_int_equal(submit(server, TEST_API_KEY, "octo/hello", NULL), 202);
}

static void test_without_an_issuer_no_such_token_opens_anything(void **state)
{
    scoped(oidc_issuer) issuer = oidc_issuer_new();
    scoped(test_server) server = open_server(NULL);
    scoped_str token = workflow(issuer, "octo/hello");

    (void)state;
    assert_int_equal(submit(server, token, "octo/hello", NULL), 401);
    assert_int_equal(oidc_issuer_fetches(issuer), 0);
}

static void test_repositories_that_are_not_named_are_refused(void **state)
{
    static char *names[] = {(char *)(uintptr_t) "octo/hello", (char *)(uintptr_t) "acme/*"};
    static const struct {
        const char *repository;
        int status;
    } cases[] = {
        {"octo/hello", 202}, {"Octo/Hello", 202}, {"acme/anything", 202},
        {"octo/other", 403}, {"acmes/x", 403},    {"evil/acme", 403},
    };
    scoped(oidc_issuer) issuer = oidc_issuer_new();
    scoped(test_server) server = open_server(oidc_issuer_url(issuer));

    (void)state;
    server->config.oidc_repositories = (struct config_list){.texts = names, .count = 2};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str token = workflow(issuer, cases[i].repository);

        assert_int_equal(submit(server, token, cases[i].repository, NULL), cases[i].status);
    }
    server->config.oidc_repositories = (struct config_list){0};
}

TEST_MAIN(cmocka_unit_test(test_anothers_run_is_as_one_that_is_not_there),
          cmocka_unit_test(test_lists_have_only_what_may_be_seen),
          cmocka_unit_test(test_history_has_only_what_may_be_seen),
          cmocka_unit_test(test_runs_of_integration_tokens_are_every_api_keys),
          cmocka_unit_test(test_scopes_open_what_they_say),
          cmocka_unit_test(test_a_refused_scope_is_said_in_a_sentence),
          cmocka_unit_test(test_a_run_knows_which_person_asked),
          cmocka_unit_test(test_a_revocation_holds_for_the_next_request),
          cmocka_unit_test_teardown(test_a_token_ends_when_it_was_said_to, real_clock),
          cmocka_unit_test(test_tokens_are_made_listed_and_revoked),
          cmocka_unit_test(test_a_run_has_its_tokens_priority),
          cmocka_unit_test(test_every_wrong_field_of_a_token_is_refused),
          cmocka_unit_test(test_tokens_are_for_operators),
          cmocka_unit_test(test_what_is_almost_a_personal_token_opens_nothing),
          cmocka_unit_test(test_a_workflow_dispatches_against_its_own_repository),
          cmocka_unit_test(test_another_workflow_token_opens_nothing),
          cmocka_unit_test(test_an_issuer_that_is_away_is_a_503),
          cmocka_unit_test(test_without_an_issuer_no_such_token_opens_anything),
          cmocka_unit_test(test_repositories_that_are_not_named_are_refused))
