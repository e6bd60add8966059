/* SPDX-License-Identifier: Apache-2.0 */
/* The agent surface (CONTRACT section 5): what it takes, what it refuses and how it says so,
 * and what becomes of a tool's headers. */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "launched.h"

static const struct test_server_options quiet = {.max_workers = -1};

#define TOOL                                                                                   \
    "{\"name\": \"search_inventory\", \"description\": \"Search product inventory\","          \
    " \"parameters\": {\"type\": \"object\", \"properties\": {\"query\": {\"type\":"           \
    " \"string\"}}, \"required\": [\"query\"]}, \"endpoint\": {\"url\":"                       \
    " \"https://api.example.com/search\", \"method\": \"POST\", \"headers\":"                  \
    " {\"Authorization\": \"Bearer canary-abc\"}}}"
#define SUBAGENT                                                                               \
    "{\"name\": \"reviewer\", \"description\": \"Reviews\", \"mode\": \"subagent\","           \
    " \"prompt\": \"Review it\", \"tools\": {\"read\": true}, \"max_turns\": 5}"

static int post(struct test_server *server, const char *body, cJSON **out)
{
    return test_server_call(server, "POST", "/api/v1/agents", TEST_API_KEY, NULL, body, out);
}

static int get(struct test_server *server, const char *path, cJSON **out)
{
    return test_server_call(server, "GET", path, TEST_API_KEY, NULL, NULL, out);
}

/* A queued run's id, for the caller to free. */
static char *created(struct test_server *server, const char *body)
{
    scoped_json answer = NULL;
    int status = post(server, body, &answer);

    if (status != 201)
        fail_msg("%s: %d %s", body, status, json_get_str(answer, "message"));
    return xstrdup(json_get_str(answer, "id"));
}

static void test_an_agent_run_is_queued_with_a_title(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_json answer = NULL;
    struct id id;

    (void)state;
    assert_int_equal(
        post(server, "{\"repo\": \"octo/hello\", \"prompt\": \"\\n  Add a thing\\nand more\"}",
             &answer),
        201);
    assert_true(id_parse(json_get_str(answer, "id"), &id));
    assert_string_equal(json_get_str(answer, "title"), "Add a thing");
    assert_string_equal(json_get_str(answer, "status"), "queued");
    assert_non_null(json_get_str(answer, "message"));
}

static void test_a_long_title_is_cut_between_characters(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_buf body = {0};
    scoped_buf title = {0};
    scoped_json answer = NULL;

    (void)state;
    for (int i = 0; i < 72; i++)
        buf_append_str(&title, "\xc3\xa4");
    buf_printf(&body, "{\"repo\": \"o/r\", \"prompt\": \"%s\xc3\xa4\"}", title.data);
    buf_append_str(&title, "\xe2\x80\xa6");
    assert_int_equal(post(server, body.data, &answer), 201);
    assert_string_equal(json_get_str(answer, "title"), title.data);
}

/* --- What reaches the runner -------------------------------------------------------------- */

static void test_every_field_reaches_the_runner(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str id = created(
        server, "{\"repo\": \"octo/hello\", \"prompt\": \"Plan it\", \"model\": \"m-1\","
                " \"provider\": \"anthropic\", \"branch\": \"dev\","
                " \"webhook_url\": \"https://example.com/hook?k=1\", \"mode\": \"plan\","
                " \"auto_create_pr\": false, \"agent_provider\": \"claude-code\","
                " \"tools\": [" TOOL "], \"agents\": [" SUBAGENT "]}");
    scoped_launched run;
    scoped_json given = NULL;
    scoped_str text = NULL;
    const cJSON *tool;
    const cJSON *agent;

    (void)state;
    launch_id(&run, server, id);
    assert_int_equal(claim(&run, "a", &given), 200);
    assert_string_equal(json_get_str(given, "agent"), "claude-code");
    assert_string_equal(json_get_str(given, "model"), "m-1");
    assert_string_equal(json_get_str(given, "provider"), "anthropic");
    assert_string_equal(json_get_str(given, "base_branch"), "dev");
    assert_string_equal(json_get_str(given, "mode"), "plan");
    assert_false(json_get_bool(json_get(given, "flags"), "auto_create_pr", true));
    assert_false(json_get_bool(json_get(given, "flags"), "blank_workspace", true));
    tool = cJSON_GetArrayItem(json_get(given, "tools"), 0);
    assert_string_equal(json_get_str(tool, "name"), "search_inventory");
    assert_non_null(json_get(json_get(json_get(tool, "parameters"), "properties"), "query"));
    assert_string_equal(json_get_str(json_get(tool, "endpoint"), "method"), "POST");
    assert_true(json_get_bool(json_get(tool, "endpoint"), "has_headers", false));
    agent = cJSON_GetArrayItem(json_get(given, "agents"), 0);
    assert_string_equal(json_get_str(agent, "prompt"), "Review it");
    assert_int_equal(json_get_int(agent, "max_turns", 0), 5);
    text = json_text(given);
    assert_null(strstr(text, "canary"));
    assert_null(strstr(text, "Authorization"));
    assert_null(strstr(text, "hook"));
}

static void test_defaults_are_opencode_and_a_pull_request(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str id = created(server, "{\"repo\": \"octo/hello\", \"prompt\": \"x\","
                                    " \"model\": null, \"tools\": null, \"agents\": [],"
                                    " \"auto_create_pr\": null}");
    scoped_launched run;
    scoped_json given = NULL;

    (void)state;
    launch_id(&run, server, id);
    assert_int_equal(claim(&run, "a", &given), 200);
    assert_string_equal(json_get_str(given, "agent"), "opencode");
    assert_string_equal(json_get_str(given, "mode"), "execute");
    assert_null(json_get(given, "model"));
    assert_true(json_get_bool(json_get(given, "flags"), "auto_create_pr", false));
    assert_int_equal(cJSON_GetArraySize(json_get(given, "tools")), 0);
    assert_int_equal(cJSON_GetArraySize(json_get(given, "agents")), 0);
}

static void test_a_blank_workspace_has_no_repository(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str id = created(server, "{\"prompt\": \"What is it?\", \"blank_workspace\": true,"
                                    " \"repo\": \"not a repo\", \"branch\": \"-x\","
                                    " \"auto_create_pr\": false}");
    scoped_str path = xasprintf("/api/v1/agents/%s", id);
    scoped_launched run;
    scoped_json given = NULL;
    scoped_json refused = NULL;
    scoped_json shown = NULL;
    scoped_json list = NULL;

    (void)state;
    launch_id(&run, server, id);
    assert_int_equal(claim(&run, "a", &given), 200);
    assert_null(json_get(given, "repo"));
    assert_null(json_get(given, "clone_url"));
    assert_null(json_get(given, "base_branch"));
    assert_true(json_get_bool(json_get(given, "flags"), "blank_workspace", false));
    assert_int_equal(call(&run, "/runner/v1/git-token", NULL, &refused), 409);
    assert_string_equal(json_get_str(refused, "code"), "no_repository");
    assert_int_equal(complete_with(&run, "completed", ", \"result\": \"It is.\""), 200);
    assert_int_equal(get(server, path, &shown), 200);
    assert_true(json_get_bool(shown, "blank_workspace", false));
    assert_null(json_get(shown, "repo"));
    assert_string_equal(json_get_str(json_get(shown, "result"), "text"), "It is.");
    assert_int_equal(get(server, "/api/tasks", &list), 200);
    assert_null(json_get(cJSON_GetArrayItem(json_get(list, "tasks"), 0), "repository_url"));
}

static void test_a_run_without_a_repository_gets_the_default(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_json refused = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(post(server, "{\"prompt\": \"x\"}", &refused), 400);
    assert_int_equal(strncmp(json_get_str(refused, "message"), "repo: required", 14), 0);
    server->config.default_repo = xstrdup("octo/default");
    scoped_str id = created(server, "{\"prompt\": \"x\"}");
    struct id parsed;
    assert_true(id_parse(id, &parsed));
    scoped(run) run = run_store_load(server->db, parsed, &err);
    assert_made(run, err);
    assert_string_equal(run->repo, "octo/default");
}

static void test_the_operators_settings_reach_the_runner(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    struct config *config = &server->config;
    scoped_str id = created(server, "{\"repo\": \"octo/hello\", \"prompt\": \"x\"}");
    scoped_str asked = created(server, "{\"repo\": \"octo/hello\", \"prompt\": \"x\","
                                       " \"model\": \"mine\"}");
    scoped_launched run;
    scoped_launched other;
    scoped_json given = NULL;
    scoped_json given_other = NULL;
    const cJSON *policy;
    const cJSON *limits;

    (void)state;
    config->defaults.model = xstrdup("theirs");
    config->defaults.max_tokens = 7000;
    config->defaults.max_cost_usd = 2.5;
    config->defaults.max_turns = 9;
    launch_id(&run, server, id);
    assert_int_equal(claim(&run, "a", &given), 200);
    assert_string_equal(json_get_str(given, "model"), "theirs");
    limits = json_get(given, "limits");
    assert_int_equal(json_get_int(limits, "max_tokens", 0), 7000);
    assert_int_equal(json_get_int(limits, "max_turns", 0), 9);
    assert_true(json_get(limits, "max_cost_usd")->valuedouble > 2.4);
    policy = json_get(given, "policy");
    assert_string_equal(json_get_str(policy, "sandbox"), "auto");
    assert_false(json_get_bool(policy, "honour_repository_agent_config", true));
    assert_string_equal(json_get_str(policy, "workflow_changes"), "refuse");
    assert_string_equal(json_get_str(policy, "credentials_in_diff"), "refuse");
    assert_int_equal(cJSON_GetArraySize(json_get(policy, "allow_private_urls")), 0);
    launch_id(&other, server, asked);
    assert_int_equal(claim(&other, "a", &given_other), 200);
    assert_string_equal(json_get_str(given_other, "model"), "mine");
}

/* --- Refusals ----------------------------------------------------------------------------- */

#define PROMPT "\"repo\": \"o/r\", \"prompt\": \"x\""
/* A tool or a subagent with one member as given instead of the good one. */
#define T_NAME(v)                                                                              \
    "{" PROMPT ", \"tools\": [{\"name\": " v                                                   \
    ", \"description\": \"d\", \"parameters\": {\"properties\": {}}, \"endpoint\": {\"url\": " \
    "\"https://example.com\", \"method\": \"GET\"}}]}"
#define T_DESCRIPTION(v)                                                                       \
    "{" PROMPT ", \"tools\": [{\"name\": \"t\", \"description\": " v                           \
    ", \"parameters\": {\"properties\": {}}, \"endpoint\": {\"url\": "                         \
    "\"https://example.com\", \"method\": \"GET\"}}]}"
#define T_PARAMETERS(v)                                                                        \
    "{" PROMPT ", \"tools\": [{\"name\": \"t\", \"description\": \"d\", \"parameters\": " v    \
    ", \"endpoint\": {\"url\": \"https://example.com\", \"method\": \"GET\"}}]}"
#define T_ENDPOINT(v)                                                                          \
    "{" PROMPT ", \"tools\": [{\"name\": \"t\", \"description\": \"d\", \"parameters\": "      \
    "{\"properties\": {}}, \"endpoint\": " v "}]}"
#define T_URL(v) T_ENDPOINT("{\"url\": " v ", \"method\": \"GET\"}")
#define T_HEADERS(v)                                                                           \
    T_ENDPOINT("{\"url\": \"https://example.com\", \"method\": \"GET\", \"headers\": " v "}")
#define A(name, mode, prompt, tools, more)                                                     \
    "{" PROMPT ", \"agents\": [{\"name\": " name ", \"description\": \"d\", \"mode\": " mode   \
    ", \"prompt\": " prompt ", \"tools\": " tools more "}]}"

static void test_bad_bodies_are_refused_by_field(void **state)
{
    static const struct {
        const char *body;
        const char *complaint; /* how "message" begins */
    } cases[] = {
        {NULL, "expected an object"},
        {"", "expected an object"},
        {"{", ""},
        {"[]", "expected an object"},
        {"{}", "prompt: required"},
        {"{\"repo\": \"o/r\"}", "prompt: required"},
        {"{\"repo\": \"o/r\", \"prompt\": 1}", "prompt: expected a string"},
        {"{\"repo\": \"o/r\", \"prompt\": \" \"}", "prompt: expected some text"},
        {"{\"prompt\": \"x\", \"repo\": \"hello\"}",
         "repo: repo must be in format: owner/repo"},
        {"{\"prompt\": \"x\", \"repo\": \"o/r/x\"}", "repo: repo must be in format"},
        {"{\"prompt\": \"x\", \"repo\": \"https://github.com/o/r\"}",
         "repo: repo must be in format"},
        {"{\"prompt\": \"x\", \"repo\": \"\"}", "repo: repo must be in format"},
        {"{\"prompt\": \"x\", \"repo\": 1}", "repo: expected a string"},
        {"{" PROMPT ", \"promt\": 1}", "promt: unknown field"},
        {"{" PROMPT ", \"codingAgent\": \"opencode\"}", "codingAgent: unknown field"},
        {"{" PROMPT ", \"model\": \"\"}", "model: expected a model's name"},
        {"{" PROMPT ", \"model\": \"-m\"}", "model: expected a model's name"},
        {"{" PROMPT ", \"provider\": \"a b\"}", "provider: expected a provider's name"},
        {"{" PROMPT ", \"provider\": 1}", "provider: expected a string"},
        {"{" PROMPT ", \"branch\": \"a..b\"}", "branch: "},
        {"{" PROMPT ", \"branch\": true}", "branch: expected a string"},
        {"{" PROMPT ", \"mode\": \"dream\"}", "mode: expected one of execute, plan"},
        {"{" PROMPT ", \"auto_create_pr\": \"yes\"}", "auto_create_pr: expected true or false"},
        {"{" PROMPT ", \"blank_workspace\": 1}", "blank_workspace: expected true or false"},
        {"{\"prompt\": \"x\", \"blank_workspace\": true, \"repo\": 1}",
         "repo: expected a string"},
        {"{" PROMPT ", \"agent_provider\": \"gemini-code\"}",
         "agent_provider: expected one of opencode, claude-code"},
        {"{" PROMPT ", \"agent_provider\": \"\"}", "agent_provider: expected one of"},
        {"{" PROMPT ", \"webhook_url\": \"\"}", "webhook_url: a URL must be"},
        {"{" PROMPT ", \"webhook_url\": \"ftp://example.com\"}", "webhook_url: not a URL"},
        {"{" PROMPT ", \"webhook_url\": \"http://localhost/\"}",
         "webhook_url: must be a public URL"},
        {"{" PROMPT ", \"webhook_url\": \"http://u@example.com/\"}",
         "webhook_url: a URL with a user name"},
        {"{" PROMPT ", \"webhook_url\": 1}", "webhook_url: expected a string"},

        {"{" PROMPT ", \"tools\": {}}", "tools: expected an array"},
        {"{" PROMPT ", \"tools\": [1]}", "tools[0]: expected an object"},
        {"{" PROMPT ", \"tools\": [{}]}", "tools[0].name: required"},
        {"{" PROMPT ", \"tools\": [" TOOL ", " TOOL "]}",
         "tools[1].name: this name is here twice"},
        {T_NAME("1"), "tools[0].name: expected a string"},
        {T_NAME("\"\""), "tools[0].name: expected 1 to 64"},
        {T_NAME("\"a b\""), "tools[0].name: expected 1 to 64"},
        {T_NAME("\"a\", \"extra\": 1"), "tools[0].extra: unknown field"},
        {T_DESCRIPTION("\"\""), "tools[0].description: expected some text"},
        {T_DESCRIPTION("null"), "tools[0].description: required"},
        {T_PARAMETERS("1"), "tools[0].parameters: expected an object"},
        {T_PARAMETERS("[]"), "tools[0].parameters: expected an object"},
        {T_PARAMETERS("{}"), "tools[0].parameters.properties: required"},
        {T_PARAMETERS("{\"properties\": []}"), "tools[0].parameters.properties: expected an"},
        {T_PARAMETERS("{\"properties\": {\"a\": 1}}"),
         "tools[0].parameters.properties: expected a JSON Schema"},
        {T_PARAMETERS("{\"properties\": {}, \"required\": \"a\"}"),
         "tools[0].parameters.required: expected an array"},
        {T_PARAMETERS("{\"properties\": {}, \"required\": [1]}"),
         "tools[0].parameters.required: expected an array of strings"},
        {T_PARAMETERS("{\"type\": \"array\", \"properties\": {}}"),
         "tools[0].parameters: the type of the whole is object"},
        {T_ENDPOINT("1"), "tools[0].endpoint: expected an object"},
        {T_ENDPOINT("{\"method\": \"GET\"}"), "tools[0].endpoint.url: required"},
        {T_ENDPOINT("{\"url\": \"https://example.com\"}"),
         "tools[0].endpoint.method: required"},
        {T_ENDPOINT("{\"url\": \"https://example.com\", \"method\": \"TRACE\"}"),
         "tools[0].endpoint.method: expected one of GET, POST"},
        {T_ENDPOINT("{\"url\": \"https://example.com\", \"method\": \"GET\", \"x\": 1}"),
         "tools[0].endpoint.x: unknown field"},
        {T_URL("1"), "tools[0].endpoint.url: expected a string"},
        {T_URL("\"example.com\""), "tools[0].endpoint.url: not a URL"},
        {T_URL("\"file:///etc/passwd\""), "tools[0].endpoint.url: not a URL"},
        {T_URL("\"http://127.0.0.1/\""), "tools[0].endpoint.url: must be a public URL"},
        {T_URL("\"http://0x7f.1/\""), "tools[0].endpoint.url: must be a public URL"},
        {T_URL("\"http://2130706433/\""), "tools[0].endpoint.url: must be a public URL"},
        {T_URL("\"http://[::ffff:10.0.0.1]/\""), "tools[0].endpoint.url: must be a public URL"},
        {T_URL("\"http://169.254.169.254/\""), "tools[0].endpoint.url: must be a public URL"},
        {T_HEADERS("[]"), "tools[0].endpoint.headers: expected an object"},
        {T_HEADERS("{\"\": \"b\"}"), "tools[0].endpoint.headers: expected names"},
        {T_HEADERS("{\"a b\": \"c\"}"), "tools[0].endpoint.headers: expected names"},
        {T_HEADERS("{\"a\\r\\nb\": \"c\"}"), "tools[0].endpoint.headers: expected names"},
        {T_HEADERS("{\"a\": 1}"), "tools[0].endpoint.headers: expected strings"},
        {T_HEADERS("{\"a\": \"\"}"), "tools[0].endpoint.headers: expected values"},
        {T_HEADERS("{\"a\": \"b\\r\\nc: d\"}"), "tools[0].endpoint.headers: expected values"},
        {T_HEADERS("{\"a\": \" b\"}"), "tools[0].endpoint.headers: expected values"},
        {T_HEADERS("{\"a\": \"b\", \"A\": \"c\"}"),
         "tools[0].endpoint.headers: a name is here twice"},
        {T_HEADERS("{\"Host\": \"b\"}"), "tools[0].endpoint.headers: Host is the sender's"},
        {T_HEADERS("{\"transfer-encoding\": \"chunked\"}"),
         "tools[0].endpoint.headers: transfer-encoding is the sender's"},

        {"{" PROMPT ", \"agents\": 1}", "agents: expected an array"},
        {"{" PROMPT ", \"agents\": [{}]}", "agents[0].name: required"},
        {"{" PROMPT ", \"agents\": [" SUBAGENT ", " SUBAGENT "]}",
         "agents[1].name: this name is here twice"},
        {A("\"a.b\"", "\"subagent\"", "\"p\"", "{}", ""), "agents[0].name: expected 1 to 64"},
        {A("\"a\"", "\"primary\"", "\"p\"", "{}", ""), "agents[0].mode: expected subagent"},
        {A("\"a\"", "\"subagent\"", "\"\"", "{}", ""), "agents[0].prompt: expected some text"},
        {A("\"a\"", "\"subagent\"", "\"p\"", "[]", ""), "agents[0].tools: expected an object"},
        {A("\"a\"", "\"subagent\"", "\"p\"", "{\"x\": 1}", ""),
         "agents[0].tools: expected true or false"},
        {A("\"a\"", "\"subagent\"", "\"p\"", "{}", ", \"max_turns\": 0"),
         "agents[0].max_turns: expected a whole number from 1 to 1000"},
        {A("\"a\"", "\"subagent\"", "\"p\"", "{}", ", \"max_turns\": 1.5"),
         "agents[0].max_turns: expected a whole number"},
        {A("\"a\"", "\"subagent\"", "\"p\"", "{}", ", \"model\": \"m\""),
         "agents[0].model: unknown field"},
    };
    scoped(test_server) server = test_server_new(&quiet);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_json answer = NULL;
        int status = post(server, cases[i].body, &answer);
        const char *message = json_get_str(answer, "message");

        if (status != 400 || !message || !json_get_str(answer, "code")
            || strncmp(message, cases[i].complaint, strlen(cases[i].complaint)) != 0)
            fail_msg("%s: %d %s", cases[i].body, status, message ? message : "no message");
        assert_string_equal(json_get_str(answer, "error"), "Validation Error");
    }
}

/* --- Bounds ------------------------------------------------------------------------------- */

/* A body whose one part is `text` of that many bytes, or that many times. */
static char *body_of(const char *before, const char *text, size_t times, const char *between,
                     const char *after)
{
    scoped_buf body = {0};

    buf_append_str(&body, before);
    for (size_t i = 0; i < times; i++)
        buf_printf(&body, "%s%s", i ? between : "", text);
    buf_append_str(&body, after);
    return buf_take(&body);
}

static void test_each_size_has_its_bound(void **state)
{
    static const struct {
        const char *before;
        const char *text;
        const char *after;
        size_t most;
        const char *complaint;
    } cases[] = {
        {"{\"repo\": \"o/r\", \"prompt\": \"", "a", "\"}", 65536, "prompt: longer"},
        {"{" PROMPT ", \"model\": \"", "a", "\"}", 128, "model: "},
        {"{" PROMPT ", \"branch\": \"", "a", "\"}", 244, "branch: "},
        {"{" PROMPT ", \"webhook_url\": \"https://e.co/", "a", "\"}", 2048 - 13,
         "webhook_url: longer"},
        {"{" PROMPT ", \"tools\": [{\"name\": \"", "a",
         "\", \"description\": \"d\", \"parameters\": {\"properties\": {}}, \"endpoint\":"
         " {\"url\": \"https://e.co\", \"method\": \"GET\"}}]}",
         64, "tools[0].name: "},
        {"{" PROMPT ", \"tools\": [{\"name\": \"a\", \"description\": \"", "d",
         "\", \"parameters\": {\"properties\": {}}, \"endpoint\":"
         " {\"url\": \"https://e.co\", \"method\": \"GET\"}}]}",
         4096, "tools[0].description: longer"},
        {"{" PROMPT ", \"tools\": [{\"name\": \"a\", \"description\": \"d\", \"parameters\":"
         " {\"properties\":{\"a\":{\"x\":\"",
         "d", "\"}}}, \"endpoint\": {\"url\": \"https://e.co\", \"method\": \"GET\"}}]}",
         16384 - 29, "tools[0].parameters: longer"},
        {"{" PROMPT ", \"tools\": [{\"name\": \"a\", \"description\": \"d\", \"parameters\":"
         " {\"properties\": {}}, \"endpoint\": {\"url\": \"https://e.co/",
         "d", "\", \"method\": \"GET\"}}]}", 2048 - 13, "tools[0].endpoint.url: longer"},
        {"{" PROMPT ", \"tools\": [{\"name\": \"a\", \"description\": \"d\", \"parameters\":"
         " {\"properties\": {}}, \"endpoint\": {\"url\": \"https://e.co\", \"method\":"
         " \"GET\", \"headers\": {\"",
         "h", "\": \"v\"}}}]}", 128, "tools[0].endpoint.headers: expected names"},
        {"{" PROMPT ", \"tools\": [{\"name\": \"a\", \"description\": \"d\", \"parameters\":"
         " {\"properties\": {}}, \"endpoint\": {\"url\": \"https://e.co\", \"method\":"
         " \"GET\", \"headers\": {\"h\": \"",
         "v", "\"}}}]}", 8192, "tools[0].endpoint.headers: expected values"},
        {"{" PROMPT ", \"agents\": [{\"name\": \"a\", \"description\": \"d\", \"mode\":"
         " \"subagent\", \"tools\": {}, \"prompt\": \"",
         "p", "\"}]}", 32768, "agents[0].prompt: longer"},
    };
    scoped(test_server) server = test_server_new(&quiet);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t over = 0; over < 2; over++) {
            scoped_str body = body_of(cases[i].before, cases[i].text, cases[i].most + over, "",
                                      cases[i].after);
            scoped_json answer = NULL;
            int status = post(server, body, &answer);
            const char *message = json_get_str(answer, "message");

            if (status != (over ? 400 : 201)
                || (over
                    && strncmp(message, cases[i].complaint, strlen(cases[i].complaint)) != 0))
                fail_msg("%s %zu: %d %s", cases[i].complaint, cases[i].most + over, status,
                         message);
        }
    }
}

/* Many tools, each with a name of its own. */
static char *tools_body(size_t count, size_t description_bytes, size_t header_bytes)
{
    scoped_str description = xcalloc(1, description_bytes + 1);
    scoped_str header = xcalloc(1, header_bytes + 1);
    scoped_buf body = {0};

    memset(description, 'd', description_bytes);
    memset(header, 'h', header_bytes);
    buf_append_str(&body, "{" PROMPT ", \"tools\": [");
    for (size_t i = 0; i < count; i++)
        buf_printf(&body,
                   "%s{\"name\": \"t%zu\", \"description\": \"d\", \"parameters\":"
                   " {\"properties\": {\"a\": {\"description\": \"%s\"}}}, \"endpoint\":"
                   " {\"url\": \"https://e.co\", \"method\": \"GET\", \"headers\":"
                   " {\"a\": \"%s\"}}}",
                   i ? "," : "", i, description, header);
    buf_append_str(&body, "]}");
    return buf_take(&body);
}

static void test_lists_have_their_bounds(void **state)
{
    static const struct {
        size_t count;
        size_t description_bytes;
        size_t header_bytes;
        const char *complaint; /* NULL: taken */
    } cases[] = {
        {32, 1, 1, NULL},
        {33, 1, 1, "tools: more than 32"},
        {8, 1, 8100, NULL},
        {9, 1, 8192, "tools: their headers are longer than 65536 bytes"},
        {31, 16000, 1, NULL},
        {32, 16300, 1, "tools: tools and agents together are longer than 524288 bytes"},
    };
    scoped(test_server) server = test_server_new(&quiet);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str body =
            tools_body(cases[i].count, cases[i].description_bytes, cases[i].header_bytes);
        scoped_json answer = NULL;
        int status = post(server, body, &answer);
        const char *message = json_get_str(answer, "message");

        if (status != (cases[i].complaint ? 400 : 201)
            || (cases[i].complaint && strcmp(message, cases[i].complaint) != 0))
            fail_msg("%zu tools: %d %s", cases[i].count, status, message);
    }
}

/* --- Headers of tools --------------------------------------------------------------------- */

static bool database_has(const struct test_server *server, const char *text)
{
    static const char *const suffixes[] = {"", "-wal"};
    size_t length = strlen(text);

    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        scoped_str path = xasprintf("%s%s", server->config.database, suffixes[i]);
        scoped_buf bytes = {0};
        struct err err = {0};

        assert_ok(buf_read_file(&bytes, path, 64 * 1024 * 1024, &err), err);
        if (bytes.size && memmem(bytes.data, bytes.size, text, length))
            return true;
    }
    return false;
}

static void test_headers_are_given_to_the_running_run_only(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str id = created(server, "{" PROMPT ", \"tools\": [" TOOL "]}");
    scoped_str other_id = created(server, "{" PROMPT "}");
    scoped_launched run;
    scoped_launched other;
    scoped_json given = NULL;
    scoped_json none = NULL;

    (void)state;
    launch_id(&run, server, id);
    launch_id(&other, server, other_id);
    assert_int_equal(call(&run, "/runner/v1/tool-headers", NULL, NULL), 409);
    assert_int_equal(claim(&run, "a", NULL), 200);
    assert_int_equal(claim(&other, "a", NULL), 200);
    assert_int_equal(call(&run, "/runner/v1/tool-headers", NULL, &given), 200);
    assert_string_equal(
        json_get_str(json_get(json_get(given, "tools"), "search_inventory"), "Authorization"),
        "Bearer canary-abc");
    assert_int_equal(call(&other, "/runner/v1/tool-headers", NULL, &none), 200);
    assert_int_equal(cJSON_GetArraySize(json_get(none, "tools")), 0);
    assert_int_equal(call_as(&run, TEST_API_KEY, 1, "/runner/v1/tool-headers", NULL, NULL),
                     401);
    assert_int_equal(complete_with(&run, "completed", ""), 200);
    assert_int_equal(call(&run, "/runner/v1/tool-headers", NULL, NULL), 409);
}

static void test_headers_survive_a_restart(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str id = created(server, "{" PROMPT ", \"tools\": [" TOOL "]}");
    scoped_launched run;
    scoped_json given = NULL;

    (void)state;
    test_server_restart(server);
    launch_id(&run, server, id);
    assert_int_equal(claim(&run, "a", NULL), 200);
    assert_int_equal(call(&run, "/runner/v1/tool-headers", NULL, &given), 200);
    assert_non_null(json_get(json_get(given, "tools"), "search_inventory"));
}

static void test_a_stolen_database_has_no_header(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str id = created(server, "{" PROMPT ", \"tools\": [" TOOL "]}");

    (void)state;
    assert_true(database_has(server, id) || database_has(server, "search_inventory"));
    assert_false(database_has(server, "canary-abc"));
}

static void test_nobody_is_shown_a_header(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str id = created(server, "{" PROMPT ", \"tools\": [" TOOL "]}");
    scoped_str agent = xasprintf("/api/v1/agents/%s", id);
    scoped_str task = xasprintf("/api/tasks/%s/status", id);
    const char *const paths[] = {agent, task, "/api/v1/agents", "/api/tasks"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        scoped_json shown = NULL;
        scoped_str text = NULL;

        assert_int_equal(get(server, paths[i], &shown), 200);
        text = json_text(shown);
        assert_null(strstr(text, "canary"));
    }
}

/* --- Looking and stopping ----------------------------------------------------------------- */

static void test_an_agent_run_is_shown(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str id = created(server, "{" PROMPT ", \"auto_create_pr\": false}");
    scoped_str path = xasprintf("/api/v1/agents/%s", id);
    scoped_json shown = NULL;
    scoped_json list = NULL;
    const cJSON *listed;

    (void)state;
    assert_int_equal(get(server, path, &shown), 200);
    assert_string_equal(json_get_str(shown, "id"), id);
    assert_string_equal(json_get_str(shown, "status"), "queued");
    assert_string_equal(json_get_str(shown, "repo"), "o/r");
    assert_string_equal(json_get_str(shown, "prompt"), "x");
    assert_false(json_get_bool(shown, "auto_create_pr", true));
    assert_int_equal(get(server, "/api/v1/agents?status=queued&limit=5", &list), 200);
    assert_int_equal(json_get_int(list, "count", 0), 1);
    listed = cJSON_GetArrayItem(json_get(list, "agents"), 0);
    assert_string_equal(json_get_str(listed, "id"), id);
    assert_null(json_get(listed, "prompt"));
}

static void test_missing_agent_runs_are_not_found_in_this_surfaces_words(void **state)
{
    static const char *const ids[] = {"00000000000000000000", "nonsense"};
    scoped(test_server) server = test_server_new(&quiet);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        scoped_str path = xasprintf("/api/v1/agents/%s", ids[i]);
        scoped_str stop = xasprintf("/api/v1/agents/%s/stop", ids[i]);
        scoped_json answer = NULL;

        assert_int_equal(get(server, path, &answer), 404);
        assert_string_equal(json_get_str(answer, "error"), "Not Found");
        assert_string_equal(json_get_str(answer, "code"), "not_found");
        assert_int_equal(test_server_call(server, "POST", stop, TEST_API_KEY, NULL, NULL, NULL),
                         404);
    }
}

static void test_an_agent_run_is_stopped(void **state)
{
    scoped(test_server) server = test_server_new(&quiet);
    scoped_str id = created(server, "{" PROMPT "}");
    scoped_str stop = xasprintf("/api/v1/agents/%s/stop", id);
    scoped_json again = NULL;

    (void)state;
    assert_int_equal(test_server_call(server, "POST", stop, TEST_API_KEY, NULL, NULL, NULL),
                     202);
    assert_string_equal(test_server_status(server, id), "stopped");
    assert_int_equal(test_server_call(server, "POST", stop, TEST_API_KEY, NULL, NULL, &again),
                     409);
    assert_string_equal(json_get_str(again, "error"), "Conflict");
    assert_string_equal(json_get_str(again, "code"), "run_ended");
}

TEST_MAIN(cmocka_unit_test(test_an_agent_run_is_queued_with_a_title),
          cmocka_unit_test(test_a_long_title_is_cut_between_characters),
          cmocka_unit_test(test_every_field_reaches_the_runner),
          cmocka_unit_test(test_defaults_are_opencode_and_a_pull_request),
          cmocka_unit_test(test_a_blank_workspace_has_no_repository),
          cmocka_unit_test(test_a_run_without_a_repository_gets_the_default),
          cmocka_unit_test(test_the_operators_settings_reach_the_runner),
          cmocka_unit_test(test_bad_bodies_are_refused_by_field),
          cmocka_unit_test(test_each_size_has_its_bound),
          cmocka_unit_test(test_lists_have_their_bounds),
          cmocka_unit_test(test_headers_are_given_to_the_running_run_only),
          cmocka_unit_test(test_headers_survive_a_restart),
          cmocka_unit_test(test_a_stolen_database_has_no_header),
          cmocka_unit_test(test_nobody_is_shown_a_header),
          cmocka_unit_test(test_an_agent_run_is_shown),
          cmocka_unit_test(test_missing_agent_runs_are_not_found_in_this_surfaces_words),
          cmocka_unit_test(test_an_agent_run_is_stopped))
