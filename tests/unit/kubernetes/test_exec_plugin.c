/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/exec_plugin.h"

#include <string.h>
#include <sys/stat.h>

#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "yaml/yaml.h"

#define V1 "client.authentication.k8s.io/v1"

/* A plugin in a directory of its own, which is a script. */
struct bed {
    char *dir;
    struct exec_plugin *plugin;
};

static struct exec_plugin *plugin_of(const char *dir, const char *yaml_text, cJSON *cluster,
                                     struct err *err)
{
    scoped(yaml) yaml = yaml_parse("exec", yaml_text, strlen(yaml_text), err);

    assert_made(yaml, *err);
    return exec_plugin_new(yaml_root(yaml), dir, cluster, err);
}

static void bed_make(struct bed *bed, const char *script, cJSON *cluster)
{
    struct err err = {0};

    bed->dir = test_dir_new();
    scoped_str path = xasprintf("%s/plugin", bed->dir);
    scoped_str text = xasprintf("#!/bin/sh\ncd \"$(dirname \"$0\")\"\n%s\n", script);

    test_file_write(bed->dir, "plugin", text);
    assert_int_equal(chmod(path, 0755), 0);
    bed->plugin = plugin_of(bed->dir,
                            "apiVersion: " V1 "\n"
                            "command: ./plugin\n"
                            "args: [get, \"a b\"]\n"
                            "interactiveMode: IfAvailable\n"
                            "env:\n"
                            "- {name: HOME, value: /its/home}\n"
                            "- {name: EXTRA, value: \"1\"}\n",
                            cluster, &err);
    assert_made(bed->plugin, err);
}

static void bed_done(struct bed *bed)
{
    exec_plugin_free(bed->plugin);
    test_dir_remove(bed->dir);
    free(bed->dir);
}

#define scoped_bed __attribute__((cleanup(bed_done))) struct bed

#define ANSWER(status)                                                                         \
    "echo '{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\",\"status\":" status "}'"

static void test_a_token_with_its_end(void **state)
{
    scoped_bed bed = {0};
    scoped_exec_credential got = {0};
    struct err err = {0};

    (void)state;
    bed_make(&bed,
             ANSWER("{\"token\":\"t1\",\"expirationTimestamp\":\"2030-01-01T00:00:00Z\"}"),
             NULL);
    assert_ok(exec_plugin_run(bed.plugin, NULL, &got, &err), err);
    assert_string_equal(secret_reveal(got.token), "t1");
    assert_null(got.client_cert_pem);
    assert_true(got.expires_ms == 1893456000000);
}

static void test_a_certificate_with_its_key(void **state)
{
    scoped_bed bed = {0};
    scoped_exec_credential got = {0};
    struct err err = {0};

    (void)state;
    bed_make(&bed, ANSWER("{\"clientCertificateData\":\"C\",\"clientKeyData\":\"K\"}"), NULL);
    assert_ok(exec_plugin_run(bed.plugin, NULL, &got, &err), err);
    assert_null(got.token);
    assert_string_equal(got.client_cert_pem, "C");
    assert_string_equal(secret_reveal(got.client_key_pem), "K");
    assert_true(got.expires_ms == 0);
}

static bool file_has(const char *dir, const char *name, const char *text)
{
    scoped_str path = xasprintf("%s/%s", dir, name);
    scoped_buf read = {0};
    struct err err = {0};

    assert_ok(buf_read_file(&read, path, 100000, &err), err);
    return read.data && strstr(read.data, text);
}

static void test_it_gets_its_arguments_and_an_environment_without_our_secrets(void **state)
{
    scoped_bed bed = {0};
    scoped_exec_credential got = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(setenv("DISPATCH_TEST_SECRET", "hush", 1), 0);
    assert_int_equal(setenv("AWS_PROFILE", "ours", 1), 0);
    bed_make(&bed, "env >env.txt; echo \"$1,$2,$#\" >args.txt\n" ANSWER("{\"token\":\"t\"}"),
             jobj({"server", jstr("https://api:6443")}));
    assert_ok(exec_plugin_run(bed.plugin, NULL, &got, &err), err);
    assert_true(file_has(bed.dir, "args.txt", "get,a b,2\n"));
    assert_true(file_has(bed.dir, "env.txt", "\nEXTRA=1\n"));
    assert_true(file_has(bed.dir, "env.txt", "HOME=/its/home\n"));
    assert_true(file_has(bed.dir, "env.txt", "AWS_PROFILE=ours\n"));
    assert_true(file_has(bed.dir, "env.txt", "PATH="));
    assert_false(file_has(bed.dir, "env.txt", "hush"));
    assert_true(file_has(bed.dir, "env.txt",
                         "KUBERNETES_EXEC_INFO={\"apiVersion\":\"" V1 "\",\"kind\":"
                         "\"ExecCredential\",\"spec\":{\"interactive\":false,\"cluster\":"
                         "{\"server\":\"https://api:6443\"}}}\n"));
    (void)unsetenv("DISPATCH_TEST_SECRET");
    (void)unsetenv("AWS_PROFILE");
}

static void test_whatever_it_does_wrong_is_an_error_to_come_back_from(void **state)
{
    static const struct {
        const char *script;
        const char *complaint;
    } cases[] = {
        {"echo no login >&2; exit 3", "ended with 3 (signal 0): no login"},
        {"kill -9 $$", "(signal 9)"},
        {"exit 0", "isn't JSON"},
        {"echo '{\"token\":\"hush\"'", "isn't JSON"},
        {"echo '{\"kind\":\"ExecCredential\"}'", "something else than an ExecCredential"},
        {"echo '{\"apiVersion\":\"client.authentication.k8s.io/v1beta1\","
         "\"kind\":\"ExecCredential\",\"status\":{\"token\":\"hush\"}}'",
         "something else than an ExecCredential"},
        {ANSWER("{}"), "neither a token nor a certificate"},
        {ANSWER("{\"token\":\"\"}"), "neither a token nor a certificate"},
        {ANSWER("{\"clientKeyData\":\"hush\",\"token\":\"t\"}"), "needs its key"},
        {ANSWER("{\"token\":\"hush\",\"expirationTimestamp\":\"soon\"}"), "is no time"},
        {"head -c 300000 /dev/zero", "prints too much"},
        {"rm plugin; exit 1", "ended with 1"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_bed bed = {0};
        scoped_exec_credential got = {0};
        struct err err = {0};

        bed_make(&bed, cases[i].script, NULL);
        assert_int_equal(exec_plugin_run(bed.plugin, NULL, &got, &err), -1);
        assert_int_equal(err.kind, ERR_UNAVAILABLE);
        if (!strstr(err.text, cases[i].complaint) || strstr(err.text, "hush"))
            fail_msg("%s: %s", cases[i].complaint, err.text);
    }
}

static void test_one_that_is_not_there_says_how_to_get_it(void **state)
{
    struct err err = {0};
    scoped(exec_plugin) plugin = plugin_of("/",
                                           "{apiVersion: " V1 ", command: no-such-plugin, "
                                           "installHint: see its page}",
                                           NULL, &err);
    scoped_exec_credential got = {0};

    (void)state;
    assert_made(plugin, err);
    assert_int_equal(exec_plugin_run(plugin, NULL, &got, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "no-such-plugin: see its page"));
}

static void test_stop_ends_it(void **state)
{
    scoped_bed bed = {0};
    scoped_exec_credential got = {0};
    struct err err = {0};
    bool stop = true;

    (void)state;
    bed_make(&bed, "exec sleep 1000", NULL);
    assert_int_equal(exec_plugin_run(bed.plugin, &stop, &got, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "stopped"));
}

static void test_a_kubeconfig_that_asks_for_what_we_cannot_is_refused(void **state)
{
    static const struct {
        const char *yaml;
        const char *complaint;
    } cases[] = {
        {"{command: x}", "exec.apiVersion: required"},
        {"{apiVersion: client.authentication.k8s.io/v1alpha1, command: x}",
         "exec.apiVersion: client.authentication.k8s.io/v1alpha1 isn't supported"},
        {"{apiVersion: " V1 "}", "exec.command: required"},
        {"{apiVersion: " V1 ", command: x, args: 1}", "exec.args: expected a list"},
        {"{apiVersion: " V1 ", command: x, args: [1]}",
         "exec.args: expected a list of strings"},
        {"{apiVersion: " V1 ", command: x, env: 1}", "exec.env: expected a list"},
        {"{apiVersion: " V1 ", command: x, env: [{name: A}]}", "exec.env: expected a list of"},
        {"{apiVersion: " V1 ", command: x, env: [{name: A=B, value: c}]}",
         "exec.env: expected"},
        {"{apiVersion: " V1 ", command: x, interactiveMode: Always}",
         "exec.interactiveMode: Always isn't possible"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};

        assert_null(plugin_of("/", cases[i].yaml, NULL, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        if (strncmp(err.text, cases[i].complaint, strlen(cases[i].complaint)) != 0)
            fail_msg("%s", err.text);
    }
}

TEST_MAIN(cmocka_unit_test(test_a_token_with_its_end),
          cmocka_unit_test(test_a_certificate_with_its_key),
          cmocka_unit_test(test_it_gets_its_arguments_and_an_environment_without_our_secrets),
          cmocka_unit_test(test_whatever_it_does_wrong_is_an_error_to_come_back_from),
          cmocka_unit_test(test_one_that_is_not_there_says_how_to_get_it),
          cmocka_unit_test(test_stop_ends_it),
          cmocka_unit_test(test_a_kubeconfig_that_asks_for_what_we_cannot_is_refused))
