/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/access.h"

#include <sys/stat.h>

#include "test.h"

#include "base/alloc.h"

static void write_kubeconfig(const char *dir, const char *name, const char *host)
{
    scoped_str text = xasprintf("current-context: x\n"
                                "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
                                "clusters: [{name: c, cluster: {server: \"https://%s\"}}]\n"
                                "users: [{name: u, user: {token: t}}]\n",
                                host);

    test_file_write(dir, name, text);
}

/* The server that is found; NULL for none. The caller frees it. */
static char *server_found(const char *named, const char *folder)
{
    struct err err = {0};
    scoped(access) access = access_find(named, NULL, folder, &err);

    if (!access)
        assert_int_equal(err.kind, ERR_NOT_FOUND);
    return access ? xstrdup(access->server) : NULL;
}

static void set(const char *name, const char *value)
{
    assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void test_the_first_there_is_counts(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str named = xasprintf("%s/named", dir);
    scoped_str listed = xasprintf("%s/none:%s/listed", dir, dir);
    scoped_str kube = xasprintf("%s/.kube", dir);
    scoped_str server = NULL;

    (void)state;
    assert_int_equal(mkdir(kube, 0755), 0);
    write_kubeconfig(dir, "named", "named");
    write_kubeconfig(dir, "listed", "listed");
    write_kubeconfig(kube, "config", "home");
    test_file_write(dir, "token", "t");
    set("KUBERNETES_SERVICE_HOST", "10.96.0.1");
    set("KUBERNETES_SERVICE_PORT", "443");
    set("KUBECONFIG", listed);
    set("HOME", dir);

    server = server_found(named, dir);
    assert_string_equal(server, "https://named");
    free(server);
    server = server_found(NULL, dir);
    assert_string_equal(server, "https://10.96.0.1:443");
    free(server);
    server = server_found(NULL, "/nowhere");
    assert_string_equal(server, "https://listed");
    set("KUBECONFIG", NULL);
    free(server);
    server = server_found(NULL, "/nowhere");
    assert_string_equal(server, "https://home");
    set("HOME", "/nowhere");
    free(server);
    server = server_found(NULL, "/nowhere");
    assert_null(server);
    test_dir_remove(dir);
}

static void test_a_pods_service_account(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str token = xasprintf("%s/token", dir);
    scoped_str ca = xasprintf("%s/ca.crt", dir);
    struct err err = {0};
    scoped(access) with = NULL;
    scoped(access) without = NULL;

    (void)state;
    set("KUBERNETES_SERVICE_HOST", "fd00::1");
    set("KUBERNETES_SERVICE_PORT", "6443");
    test_file_write(dir, "token", "t");
    without = access_find(NULL, NULL, dir, &err);
    assert_made(without, err);
    assert_string_equal(without->name_space, "default");
    test_file_write(dir, "namespace", "control\n");
    with = access_find(NULL, NULL, dir, &err);
    assert_made(with, err);
    assert_string_equal(with->server, "https://[fd00::1]:6443");
    assert_string_equal(with->name_space, "control");
    assert_string_equal(with->token_file, token);
    assert_string_equal(with->ca_file, ca);
    assert_null(with->proxy);
    test_dir_remove(dir);
}

TEST_MAIN(cmocka_unit_test(test_the_first_there_is_counts),
          cmocka_unit_test(test_a_pods_service_account))
