/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/transport.h"

#include "../net/authority.h"
#include "../net/server.h"

#include "kubernetes/cluster.h"

#define LONG_MS 60000

/* Answers with the name in the client's certificate. */
static void serve_names(struct conn *conn)
{
    SSL *ssl = SSL_new(conn->server->ctx);
    char request[8192];
    char name[64] = "";

    if (SSL_set_fd(ssl, conn->fd) == 1 && SSL_accept(ssl) == 1) {
        X509 *certificate = SSL_get1_peer_certificate(ssl);

        if (certificate)
            (void)X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                            name, sizeof(name));
        X509_free(certificate);
        while (SSL_read(ssl, request, sizeof(request)) > 0) {
            scoped_str answer = xasprintf("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n"
                                          "{\"name\":\"%s\"}",
                                          strlen(name) + 11, name);

            conn->server->requests++;
            if (SSL_write(ssl, answer, (int)strlen(answer)) <= 0)
                break;
        }
    }
    SSL_free(ssl);
}

static void write_client(const char *dir, const char *name, const struct authority *by)
{
    scoped_authority client = new_certificate(name, by, "DNS:client", -60, 3600);
    scoped_str certificate = certificate_text(client.certificate);
    scoped_str key = key_text(client.key);

    test_file_write(dir, "client.pem", certificate);
    test_file_write(dir, "client.key", key);
}

static char *name_seen(struct cluster *cluster)
{
    struct cluster_request request = {.method = "GET", .path = "/", .timeout_ms = LONG_MS};
    scoped_json answer = NULL;
    struct err err = {0};

    assert_ok(cluster_call(cluster, &request, &answer, &err), err);
    return xstrdup(json_get_str(answer, "name"));
}

static void test_a_certificate_that_has_changed_is_shown_on_a_new_connection(void **state)
{
    scoped_authority ours = new_certificate("ours", NULL, NULL, -60, 3600);
    scoped_authority good = new_certificate("server", &ours, "IP:127.0.0.1", -60, 3600);
    SSL_CTX *context = new_context_for(&good, &ours);
    scoped_str dir = test_dir_new();
    scoped_str ca = certificate_text(ours.certificate);
    scoped_str path = xasprintf("%s/config", dir);
    struct cluster_options options = {.kubeconfig = path};
    struct err err = {0};

    (void)state;
    {
        scoped_server server;
        scoped(cluster) cluster = NULL;
        scoped_str text = NULL;
        scoped_str name = NULL;

        server_start(&server, serve_names, NULL);
        server.ctx = context;
        text = xasprintf("current-context: x\n"
                         "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
                         "clusters: [{name: c, cluster: {server: \"https://127.0.0.1:%d\", "
                         "certificate-authority: ca.pem}}]\n"
                         "users: [{name: u, user: {client-certificate: client.pem, "
                         "client-key: client.key}}]\n",
                         server.port);
        test_file_write(dir, "config", text);
        test_file_write(dir, "ca.pem", ca);
        write_client(dir, "one", &ours);
        clock_set_for_test(-1);
        cluster = cluster_open(&options, &err);
        assert_made(cluster, err);
        for (int i = 0; i < 3; i++) {
            free(name);
            name = name_seen(cluster);
            assert_string_equal(name, "one");
        }
        assert_int_equal(server.connections, 1);
        write_client(dir, "two", &ours);
        clock_set_for_test(clock_wall_ms() + CREDENTIALS_REREAD_MS);
        free(name);
        name = name_seen(cluster);
        assert_string_equal(name, "two");
        assert_int_equal(server.connections, 2);
        clock_set_for_test(-1);
    }
    SSL_CTX_free(context);
    test_dir_remove(dir);
}

static void test_a_pods_service_account_over_tls(void **state)
{
    scoped_authority ours = new_certificate("ours", NULL, NULL, -60, 3600);
    scoped_authority good = new_certificate("server", &ours, "IP:127.0.0.1", -60, 3600);
    SSL_CTX *context = new_context(&good);
    scoped_str dir = test_dir_new();
    scoped_str ca = certificate_text(ours.certificate);
    struct cluster_options options = {.service_account = dir};
    struct err err = {0};

    (void)state;
    test_file_write(dir, "token", "t");
    test_file_write(dir, "ca.crt", ca);
    test_file_write(dir, "namespace", "control");
    {
        scoped_server server;
        scoped(cluster) cluster = NULL;
        scoped_str port = NULL;
        scoped_str name = NULL;

        server_start(&server, serve_names, NULL);
        server.ctx = context;
        port = xasprintf("%d", server.port);
        assert_int_equal(setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1", 1), 0);
        assert_int_equal(setenv("KUBERNETES_SERVICE_PORT", port, 1), 0);
        cluster = cluster_open(&options, &err);
        assert_made(cluster, err);
        assert_string_equal(cluster_namespace(cluster), "control");
        name = name_seen(cluster);
        assert_string_equal(name, "");
    }
    SSL_CTX_free(context);
    test_dir_remove(dir);
}

/* --- Pools ---------------------------------------------------------------------------- */

static void test_an_old_pool_lasts_as_long_as_its_users(void **state)
{
    struct access access = {.source = NULL};
    scoped(transport) transport = transport_new(&access, 0);
    struct identity first = {.tls_serial = 1};
    struct identity second = {.tls_serial = 2};
    struct err err = {0};
    struct transport_pool *a = transport_use(transport, &first, &err);
    struct transport_pool *b = transport_use(transport, &first, &err);
    struct transport_pool *c = transport_use(transport, &second, &err);
    struct transport_pool *late = transport_use(transport, &first, &err);

    (void)state;
    assert_made(c, err);
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_ptr_equal(late, c);
    transport_release(transport, a);
    assert_int_equal(b->users, 1); /* still there */
    transport_release(transport, b);
    transport_release(transport, c);
    transport_release(transport, late);
    assert_int_equal(c->users, 0); /* the newest stays */
    transport_stop(transport);
    assert_null(transport_use(transport, &second, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

TEST_MAIN(cmocka_unit_test(test_a_certificate_that_has_changed_is_shown_on_a_new_connection),
          cmocka_unit_test(test_a_pods_service_account_over_tls),
          cmocka_unit_test(test_an_old_pool_lasts_as_long_as_its_users))
