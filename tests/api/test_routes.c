/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of routes beside what is said about it: openapi.yaml, as the program serves it,
 * describes each route and nothing else, and each route has a test that calls it. Runs in the
 * root of the source tree.
 */
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/openapi.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "server.h"
#include "yaml/yaml.h"

#define TEST_FILE_MAX_BYTES (1024 * 1024)

static const char *const methods[] = {
    [HTTP_GET] = "get",     [HTTP_POST] = "post",     [HTTP_PUT] = "put",
    [HTTP_PATCH] = "patch", [HTTP_DELETE] = "delete",
};

/* The credentials of each scope, by their names under securitySchemes, and whether a good one
 * may still be refused. */
static const struct {
    const char *schemes[3];
    bool may_be_forbidden;
} credentials[] = {
    [SCOPE_DISPATCH] = {{"integrationToken"}, false},
    [SCOPE_READ] = {{"apiKey", "personalToken", "oidcToken"}, true},
    [SCOPE_TASKS] = {{"apiKey", "personalToken", "oidcToken"}, true},
    [SCOPE_OPERATOR] = {{"personalToken"}, true},
    [SCOPE_RUNNER] = {{"taskToken"}, false},
};

static struct yaml *document(void)
{
    struct err err = {0};
    struct yaml *yaml =
        yaml_parse("openapi.yaml", (const char *)openapi_yaml, openapi_yaml_size, &err);

    assert_made(yaml, err);
    return yaml;
}

static const cJSON *operation_of(const struct yaml *yaml, const struct route *route)
{
    const cJSON *paths = json_get(yaml_root(yaml), "paths");

    return json_get(json_get(paths, route->path), methods[route->method]);
}

static bool is_method(const char *key)
{
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
        if (strcmp(key, methods[i]) == 0)
            return true;
    return false;
}

static bool is_served(const char *path, const char *method)
{
    for (size_t i = 0; i < n_public_routes; i++)
        if (strcmp(public_routes[i].path, path) == 0
            && strcmp(methods[public_routes[i].method], method) == 0)
            return true;
    return false;
}

/* --- The document ---------------------------------------------------------------------------
 */

static void test_each_route_is_described(void **state)
{
    json_setup();
    scoped(yaml) yaml = document();

    (void)state;
    for (size_t i = 0; i < n_public_routes; i++) {
        const struct route *route = &public_routes[i];
        const cJSON *operation = operation_of(yaml, route);

        if (!operation)
            fail_msg("openapi.yaml doesn't describe %s %s", methods[route->method],
                     route->path);
        assert_non_null(json_get_str(operation, "operationId"));
        assert_non_null(json_get_str(operation, "summary"));
    }
}

static void test_nothing_is_described_that_is_not_served(void **state)
{
    json_setup();
    scoped(yaml) yaml = document();
    const cJSON *path;
    const cJSON *member;

    (void)state;
    assert_true(cJSON_IsObject(json_get(yaml_root(yaml), "paths")));
    cJSON_ArrayForEach(path, json_get(yaml_root(yaml), "paths"))
    {
        size_t n_operations = 0;

        cJSON_ArrayForEach(member, path)
        {
            if (strcmp(member->string, "parameters") == 0)
                continue;
            if (!is_method(member->string) || !is_served(path->string, member->string))
                fail_msg("openapi.yaml has %s %s, which isn't served", member->string,
                         path->string);
            n_operations++;
        }
        if (!n_operations)
            fail_msg("openapi.yaml has nothing at %s", path->string);
    }
}

static void check_credential(const struct route *route, const cJSON *operation)
{
    const cJSON *security = json_get(operation, "security");
    const cJSON *refusal = json_get(json_get(operation, "responses"), "401");
    int n = 0;

    if (route->scope == ANYONE) {
        if (!cJSON_IsArray(security) || cJSON_GetArraySize(security) || refusal)
            fail_msg("%s is open to anyone, openapi.yaml says otherwise", route->path);
        return;
    }
    assert_in_range(route->scope, 1, ARRAY_SIZE(credentials) - 1);
    if (!refusal)
        fail_msg("openapi.yaml has no 401 at %s", route->path);
    for (; n < 3 && credentials[route->scope].schemes[n]; n++)
        if (!json_get(cJSON_GetArrayItem(security, n), credentials[route->scope].schemes[n]))
            fail_msg("openapi.yaml doesn't ask for %s at %s",
                     credentials[route->scope].schemes[n], route->path);
    assert_int_equal(cJSON_GetArraySize(security), n);
    if (credentials[route->scope].may_be_forbidden
        && !json_get(json_get(operation, "responses"), "403"))
        fail_msg("openapi.yaml has no 403 at %s", route->path);
}

static void test_each_route_names_its_credential(void **state)
{
    json_setup();
    scoped(yaml) yaml = document();
    const cJSON *known = json_get(json_get(yaml_root(yaml), "components"), "securitySchemes");

    (void)state;
    for (size_t i = SCOPE_DISPATCH; i < ARRAY_SIZE(credentials); i++)
        for (size_t j = 0; j < 3 && credentials[i].schemes[j]; j++)
            assert_non_null(json_get(known, credentials[i].schemes[j]));
    for (size_t i = 0; i < n_public_routes; i++)
        check_credential(&public_routes[i], operation_of(yaml, &public_routes[i]));
}

/* "#/components/responses/Invalid": only such references are in the document. */
static const cJSON *resolve(const struct yaml *yaml, const char *reference)
{
    const cJSON *at = yaml_root(yaml);
    scoped_str parts = xstrdup(reference + (strncmp(reference, "#/", 2) == 0 ? 2 : 0));
    char *rest = parts;

    for (char *part; at && (part = strtok_r(rest, "/", &rest));)
        at = json_get(at, part);
    return at;
}

static void check_references(const struct yaml *yaml, const cJSON *value)
{
    const cJSON *member;
    const char *reference = json_get_str(value, "$ref");

    if (reference && !resolve(yaml, reference))
        fail_msg("openapi.yaml:%d: there is no %s", yaml_line(yaml, value), reference);
    cJSON_ArrayForEach(member, value)
    {
        check_references(yaml, member);
    }
}

static void test_references_lead_somewhere(void **state)
{
    json_setup();
    scoped(yaml) yaml = document();

    (void)state;
    check_references(yaml, yaml_root(yaml));
}

static void test_document_is_of_this_version(void **state)
{
    json_setup();
    scoped(yaml) yaml = document();

    (void)state;
    assert_string_equal(json_get_str(json_get(yaml_root(yaml), "info"), "version"),
                        DISPATCH_VERSION);
}

static void test_document_is_served_as_it_is_in_the_tree(void **state)
{
    scoped(test_server) server =
        test_server_new(&(struct test_server_options){.max_workers = -1});
    struct err err = {0};
    scoped_str url = xasprintf("%s/openapi.yaml", server->url);
    scoped_net_answer answer = {0};
    struct net_request request = {
        .method = "GET", .url = url, .timeout_ms = 20000, .tries_max = 1};
    scoped_file tree = fopen("controlplane/api/openapi.yaml", "re");
    scoped_str text = xcalloc(1, TEST_FILE_MAX_BYTES);
    scoped_str type = NULL;

    (void)state;
    assert_ok(net_call(server->net, &request, &answer, &err), err);
    assert_int_equal(answer.status, 200);
    type = net_answer_header(&answer, "content-type");
    assert_non_null(type);
    assert_string_equal(type, "application/yaml");
    assert_non_null(tree);
    assert_int_equal(fread(text, 1, TEST_FILE_MAX_BYTES, tree), answer.body.size);
    assert_memory_equal(text, answer.body.data, answer.body.size);
}

/* --- The tests ------------------------------------------------------------------------------
 */

static void append_files(struct buf *out, const char *pattern)
{
    glob_t found = {0};
    scoped_str text = xcalloc(1, TEST_FILE_MAX_BYTES);

    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        scoped_file in = fopen(found.gl_pathv[i], "re");

        assert_non_null(in);
        if (!strstr(found.gl_pathv[i], "test_routes.c"))
            buf_append(out, text, fread(text, 1, TEST_FILE_MAX_BYTES, in));
    }
    globfree(&found);
}

/* Calls are written with a literal ("/livez"), a format ("/api/tasks/%s/stop") or, in Python,
 * an f-string ("/api/tasks/{run_id}/status"). Both ends of the path must be there, on one
 * line and in this order. */
static bool is_mentioned(const char *text, const char *path)
{
    const char *parameter = strchr(path, '{');
    scoped_str before = parameter ? strndup(path, (size_t)(parameter - path)) : xstrdup(path);
    const char *after = parameter ? strchr(parameter, '}') + 1 : "";

    for (const char *at = text; (at = strstr(at, before)); at++) {
        const char *end = at + strlen(before);
        scoped_str line = strndup(end, strcspn(end, "\n"));

        /* A longer path is another one: /api/tasks isn't /api/tasks/{task_id}/stop. */
        if (parameter ? strstr(line, after) != NULL : strchr("\"'`?\\ ", *end) != NULL)
            return true;
    }
    return false;
}

static void test_each_route_has_a_test(void **state)
{
    scoped_buf text = {0};

    (void)state;
    append_files(&text, "tests/api/*.c");
    append_files(&text, "tests/e2e/*.py");
    buf_append(&text, "", 1);
    for (size_t i = 0; i < n_public_routes; i++)
        if (strcmp(public_routes[i].path, "/openapi.yaml") != 0 /* above */
            && !is_mentioned(text.data, public_routes[i].path))
            fail_msg("no test in tests/api or tests/e2e calls %s", public_routes[i].path);
}

TEST_MAIN(cmocka_unit_test(test_each_route_is_described),
          cmocka_unit_test(test_nothing_is_described_that_is_not_served),
          cmocka_unit_test(test_each_route_names_its_credential),
          cmocka_unit_test(test_references_lead_somewhere),
          cmocka_unit_test(test_document_is_of_this_version),
          cmocka_unit_test(test_document_is_served_as_it_is_in_the_tree),
          cmocka_unit_test(test_each_route_has_a_test))
