/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kubeconfig.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

/* "-----BEGIN CERTIFICATE-----\nA\n" and the same for a key. */
#define CERT_DATA "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkEK"
#define KEY_DATA "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCkIK"

static char *write_config(const char *dir, const char *text)
{
    test_file_write(dir, "config", text);
    return xasprintf("%s/config", dir);
}

/* One context over a cluster and a user, each a mapping in YAML's short form. */
static struct access *read_one(const char *dir, const char *cluster, const char *user,
                               struct err *err)
{
    scoped_str text = xasprintf("current-context: one\n"
                                "contexts:\n"
                                "- {name: one, context: {cluster: c, user: u}}\n"
                                "clusters:\n"
                                "- name: c\n"
                                "  cluster: %s\n"
                                "users:\n"
                                "- name: u\n"
                                "  user: %s\n",
                                cluster, user);
    scoped_str path = write_config(dir, text);

    *err = (struct err){0};
    return kubeconfig_read(path, false, NULL, err);
}

static void test_several_contexts_clusters_and_users(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = write_config(
        dir, "apiVersion: v1\n"
             "kind: Config\n"
             "preferences: {}\n"
             "current-context: two\n"
             "contexts:\n"
             "- {name: one, context: {cluster: east, user: ann, namespace: runs}}\n"
             "- {name: two, context: {cluster: west, user: bob}}\n"
             "clusters:\n"
             "- {name: west, cluster: {server: \"https://west:6443/\"}}\n"
             "- {name: east, cluster: {server: \"https://east:6443\"}}\n"
             "users:\n"
             "- {name: bob, user: {token: bobs}}\n"
             "- {name: ann, user: {token: anns}}\n");
    struct err err = {0};
    scoped(access) current = kubeconfig_read(path, false, NULL, &err);
    scoped(access) named = kubeconfig_read(path, false, "one", &err);

    (void)state;
    assert_made(current, err);
    assert_made(named, err);
    assert_string_equal(current->server, "https://west:6443");
    assert_string_equal(current->name_space, "default");
    assert_string_equal(secret_reveal(current->token), "bobs");
    assert_string_equal(current->proxy, "");
    assert_string_equal(named->server, "https://east:6443");
    assert_string_equal(named->name_space, "runs");
    assert_string_equal(secret_reveal(named->token), "anns");
    assert_null(kubeconfig_read(path, false, "three", &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "there is no context called three"));
    test_dir_remove(dir);
}

static void test_data_is_decoded_and_paths_are_the_files(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str token = xasprintf("%s/sub/token", dir);
    struct err err;
    scoped(access) data = read_one(
        dir, "{server: \"https://x\", certificate-authority-data: " CERT_DATA "}",
        "{client-certificate-data: " CERT_DATA ", client-key-data: " KEY_DATA "}", &err);
    scoped(access) paths = read_one(
        dir, "{server: \"https://x\", certificate-authority: ca.crt}",
        "{client-certificate: /abs/c.pem, client-key: k.pem, tokenFile: sub/token}", &err);
    scoped_str ca = xasprintf("%s/ca.crt", dir);
    scoped_str key = xasprintf("%s/k.pem", dir);

    (void)state;
    assert_made(data, err);
    assert_made(paths, err);
    assert_string_equal(data->ca_pem, "-----BEGIN CERTIFICATE-----\nA\n");
    assert_string_equal(data->client_cert_pem, "-----BEGIN CERTIFICATE-----\nA\n");
    assert_string_equal(secret_reveal(data->client_key_pem),
                        "-----BEGIN PRIVATE KEY-----\nB\n");
    assert_string_equal(paths->ca_file, ca);
    assert_string_equal(paths->client_cert_file, "/abs/c.pem");
    assert_string_equal(paths->client_key_file, key);
    assert_string_equal(paths->token_file, token);
    test_dir_remove(dir);
}

static void test_a_user_without_anything_and_a_proxy(void **state)
{
    scoped_str dir = test_dir_new();
    struct err err;
    scoped(access) access =
        read_one(dir, "{server: \"https://x\", proxy-url: \"http://proxy:3128\"}", "{}", &err);

    (void)state;
    assert_made(access, err);
    assert_null(access->token);
    assert_string_equal(access->proxy, "http://proxy:3128");
    test_dir_remove(dir);
}

static void test_a_token_comes_before_a_plugin(void **state)
{
    scoped_str dir = test_dir_new();
    struct err err;
    scoped(access) access =
        read_one(dir, "{server: \"https://x\"}", "{token: t, exec: {command: x}}", &err);

    (void)state;
    assert_made(access, err);
    assert_null(access->plugin);
    test_dir_remove(dir);
}

static void test_http_is_for_this_machine_only(void **state)
{
    static const struct {
        const char *server;
        bool taken;
    } cases[] = {
        {"http://127.0.0.1:8001", true},
        {"http://localhost", true},
        {"http://[::1]:80", true},
        {"http://LOCALHOST:1/", true},
        {"http://10.0.0.1", false},
        {"http://localhost.example", false},
        {"http://127.0.0.1.example", false},
        {"http://127.0.0.1@evil", false},
        {"http://localhost:x@evil", false},
        {"https://a@b", false},
        {"ftp://x", false},
        {"x", false},
    };
    scoped_str dir = test_dir_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err;
        scoped_str cluster = xasprintf("{server: \"%s\"}", cases[i].server);
        scoped(access) access = read_one(dir, cluster, "{token: t}", &err);

        if ((access != NULL) != cases[i].taken)
            fail_msg("%s", cases[i].server);
    }
    test_dir_remove(dir);
}

static void test_what_we_do_not_do_is_refused_by_name(void **state)
{
    static const struct {
        const char *cluster;
        const char *user;
        const char *complaint;
    } cases[] = {
        {"{server: \"https://x\", insecure-skip-tls-verify: true}", "{token: t}",
         "config:6: insecure-skip-tls-verify: refused"},
        {"{server: \"https://x\", tls-server-name: y}", "{token: t}",
         "config:6: tls-server-name"},
        {"{}", "{token: t}", "config:6: server: required"},
        {"{server: 1}", "{token: t}", "config:6: server: expected a string"},
        {"1", "{token: t}", "cluster: expected a mapping"},
        {"{server: \"https://x\"}", "{username: a, password: b}", "config:9: username: basic"},
        {"{server: \"https://x\"}", "{as: admin}", "config:9: as: impersonation"},
        {"{server: \"https://x\"}", "{auth-provider: {name: gcp}}", "config:9: auth-provider"},
        {"{server: \"https://x\"}", "{token: 12}", "config:9: token: expected a string"},
        {"{server: \"https://x\"}", "{client-certificate: c.pem}",
         "a certificate needs its key"},
        {"{server: \"https://x\"}", "{client-key-data: " KEY_DATA "}",
         "client-key-data: a certificate needs its key"},
        {"{server: \"https://x\", certificate-authority-data: \"!\"}", "{}",
         "certificate-authority-data: expected PEM in base64"},
        {"{server: \"https://x\", certificate-authority-data: AAAA}", "{}",
         "certificate-authority-data: expected PEM in base64"},
        {"{server: \"https://x\"}", "{exec: {command: x}}",
         "config:9: exec.apiVersion: required"},
    };
    scoped_str dir = test_dir_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err;

        assert_null(read_one(dir, cases[i].cluster, cases[i].user, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.text, cases[i].complaint))
            fail_msg("%s: %s", cases[i].complaint, err.text);
    }
    test_dir_remove(dir);
}

static void test_false_and_empty_settings_are_none(void **state)
{
    scoped_str dir = test_dir_new();
    struct err err;
    scoped(access) access = read_one(
        dir, "{server: \"https://x\", insecure-skip-tls-verify: false, tls-server-name: \"\"}",
        "{token: t, username: \"\", exec: null}", &err);

    (void)state;
    assert_made(access, err);
    test_dir_remove(dir);
}

static void test_documents_that_are_no_kubeconfig(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "current-context: x\n",
        "current-context: x\ncontexts: 1\n",
        "current-context: x\ncontexts: [{name: x}]\n",
        "current-context: x\ncontexts: [{name: x, context: {}}]\n",
        "current-context: x\ncontexts: [{name: x, context: {cluster: none}}]\n",
        "current-context: [\n",
    };
    scoped_str dir = test_dir_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        scoped_str path = write_config(dir, texts[i]);
        struct err err = {0};

        assert_null(kubeconfig_read(path, false, NULL, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        assert_non_null(strstr(err.text, path));
    }
    test_dir_remove(dir);
}

static void test_a_list_of_files_is_one(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str list = xasprintf("%s/none:%s/a:%s/b", dir, dir, dir);
    scoped_str missing = xasprintf("%s/none:%s/neither", dir, dir);
    struct err err = {0};
    scoped(access) access = NULL;

    (void)state;
    test_file_write(dir, "a",
                    "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
                    "users: [{name: u, user: {token: first}}]\n");
    test_file_write(dir, "b",
                    "current-context: x\n"
                    "clusters: [{name: c, cluster: {server: \"https://x\"}}]\n"
                    "users: [{name: u, user: {token: second}}]\n");
    access = kubeconfig_read(list, true, NULL, &err);
    assert_made(access, err);
    assert_string_equal(secret_reveal(access->token), "first");
    assert_null(kubeconfig_read(missing, true, NULL, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_null(kubeconfig_read(missing, false, NULL, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    test_dir_remove(dir);
}

TEST_MAIN(cmocka_unit_test(test_several_contexts_clusters_and_users),
          cmocka_unit_test(test_data_is_decoded_and_paths_are_the_files),
          cmocka_unit_test(test_a_user_without_anything_and_a_proxy),
          cmocka_unit_test(test_a_token_comes_before_a_plugin),
          cmocka_unit_test(test_http_is_for_this_machine_only),
          cmocka_unit_test(test_what_we_do_not_do_is_refused_by_name),
          cmocka_unit_test(test_false_and_empty_settings_are_none),
          cmocka_unit_test(test_documents_that_are_no_kubeconfig),
          cmocka_unit_test(test_a_list_of_files_is_one))
