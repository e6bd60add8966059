/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/contexts.h"

#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "test.h"

static char *folder;

static int make_folder(void **state)
{
    (void)state;
    json_setup();
    folder = test_dir_new();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    test_dir_remove(folder);
    free(folder);
    return 0;
}

static char *write_file(const char *text, mode_t mode)
{
    char *path = xasprintf("%s/config.yaml", folder);
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

#define WITH_TOKEN                                                                             \
    "current_context: prod\n"                                                                  \
    "contexts:\n"                                                                              \
    "  prod: {server: https://d.example, token: dsp_live_secret}\n"                            \
    "  dev: {kube_context: kind, token_file: /t}\n"

static void test_contexts_are_read(void **state)
{
    scoped_str path = write_file(WITH_TOKEN, 0600);
    struct err err = {0};
    scoped(contexts) contexts = contexts_read(path, true, &err);
    struct context context;

    (void)state;
    assert_made(contexts, err);
    assert_string_equal(contexts_current(contexts), "prod");
    assert_ok(contexts_get(contexts, "prod", &context, &err), err);
    assert_string_equal(context.server, "https://d.example");
    assert_string_equal(context.token, "dsp_live_secret");
    assert_true(contexts_for_kube(contexts, "kind", &context));
    assert_string_equal(context.token_file, "/t");
    assert_false(contexts_for_kube(contexts, "another", &context));
    assert_int_equal(contexts_get(contexts, "none", &context, &err), -1);
}

static void test_a_token_that_others_may_read_is_refused(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0660, 0644};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        scoped_str path = write_file(WITH_TOKEN, modes[i]);
        struct err err = {0};

        assert_null(contexts_read(path, true, &err));
        assert_non_null(strstr(err.text, "other users may read it"));
        assert_null(strstr(err.text, "secret"));
    }
}

static void test_a_file_without_a_token_may_be_read_by_all(void **state)
{
    scoped_str path = write_file("contexts: {a: {server: https://d, token_file: /t}}", 0644);
    struct err err = {0};
    scoped(contexts) contexts = contexts_read(path, true, &err);

    (void)state;
    assert_made(contexts, err);
}

static void test_what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text;
        const char *complaint;
    } cases[] = {
        {"contexts: {a: {sever: x}}", "contexts.a.sever: unknown field"},
        {"contexts: {a: {server: 3}}", "contexts.a.server: expected a string"},
        {"contexts: {a: {server: x, kube_context: y}}", "server or kube_context, not both"},
        {"contexts: {a: {token: x, token_file: y}}", "token or token_file, not both"},
        {"contexts: [a]", "contexts: expected a mapping"},
        {"context: a", "context: unknown field"},
        {"contexts: {a: 1}", "expected an object"},
        {"a: [", "config.yaml"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str path = write_file(cases[i].text, 0600);
        struct err err = {0};

        assert_null(contexts_read(path, true, &err));
        if (!strstr(err.text, cases[i].complaint))
            fail_msg("%s: %s", cases[i].text, err.text);
    }
}

static void test_a_file_that_is_missing_has_no_contexts(void **state)
{
    scoped_str path = xasprintf("%s/none.yaml", folder);
    struct err err = {0};
    scoped(contexts) contexts = contexts_read(path, false, &err);

    (void)state;
    assert_made(contexts, err);
    assert_null(contexts_current(contexts));
    assert_null(contexts_read(path, true, &err));
    assert_int_equal(err.kind, ERR_INVALID);
}

static void test_what_is_written_is_read_again(void **state)
{
    scoped_str path = xasprintf("%s/new/deep/config.yaml", folder);
    struct err err = {0};
    scoped(contexts) contexts = contexts_read(path, false, &err);
    const struct context first = {.server = "https://one", .token = "tok", .ca_file = "/ca"};
    const struct context change = {.kube_context = "kind", .token_file = "/t"};
    struct context context;
    struct stat seen;

    (void)state;
    contexts_set(contexts, "one", &first);
    contexts_set(contexts, "two", &first);
    contexts_set(contexts, "two", &change);
    assert_ok(contexts_use(contexts, "two", &err), err);
    assert_int_equal(contexts_use(contexts, "three", &err), -1);
    assert_ok(contexts_write(contexts, path, &err), err);
    assert_int_equal(stat(path, &seen), 0);
    assert_int_equal(seen.st_mode & 0777, 0600);
    scoped(contexts) again = contexts_read(path, true, &err);
    assert_made(again, err);
    assert_string_equal(contexts_current(again), "two");
    assert_ok(contexts_get(again, "two", &context, &err), err);
    /* One of a pair takes the other's place; what wasn't named stays. */
    assert_null(context.server);
    assert_null(context.token);
    assert_string_equal(context.kube_context, "kind");
    assert_string_equal(context.ca_file, "/ca");
}

static void test_a_view_has_no_token(void **state)
{
    scoped_str path = write_file(WITH_TOKEN, 0600);
    struct err err = {0};
    scoped(contexts) contexts = contexts_read(path, true, &err);
    scoped_json view = contexts_view(contexts);
    scoped_json list = contexts_list(contexts);
    scoped_str text = json_text(view);
    scoped_str listed = json_text(list);

    (void)state;
    assert_null(strstr(text, "secret"));
    assert_null(strstr(listed, "secret"));
    assert_non_null(strstr(listed, "\"current\":true"));
}

TEST_MAIN(cmocka_unit_test_setup_teardown(test_contexts_are_read, make_folder, remove_folder),
          cmocka_unit_test_setup_teardown(test_a_token_that_others_may_read_is_refused,
                                          make_folder, remove_folder),
          cmocka_unit_test_setup_teardown(test_a_file_without_a_token_may_be_read_by_all,
                                          make_folder, remove_folder),
          cmocka_unit_test_setup_teardown(test_what_is_wrong_is_named, make_folder,
                                          remove_folder),
          cmocka_unit_test_setup_teardown(test_a_file_that_is_missing_has_no_contexts,
                                          make_folder, remove_folder),
          cmocka_unit_test_setup_teardown(test_what_is_written_is_read_again, make_folder,
                                          remove_folder),
          cmocka_unit_test_setup_teardown(test_a_view_has_no_token, make_folder, remove_folder))
