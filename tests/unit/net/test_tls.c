/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

#include "authority.h"
#include "server.h"

/* What net does about certificates, against a server whose authority is made on the spot. */
static void serve_tls(struct conn *conn)
{
    static const char answer[] = OK_HELLO;
    SSL *ssl = SSL_new(conn->server->ctx);
    char request[4096];

    if (SSL_set_fd(ssl, conn->fd) == 1 && SSL_accept(ssl) == 1)
        while (SSL_read(ssl, request, sizeof(request)) > 0) {
            conn->server->requests++;
            if (SSL_write(ssl, answer, sizeof(answer) - 1) <= 0)
                break;
        }
    SSL_free(ssl);
}

/* Calls the server twice over one struct net, with `ca_file` or the system's authorities. */
static int call_twice(struct server *server, const char *host, const char *ca_file,
                      struct err *err)
{
    struct net_options options = {.user_agent = "t", .ca_file = ca_file};
    scoped(net) net = net_new(&options, err);
    scoped_str url = xasprintf("https://%s:%d/", host, server->port);
    struct net_request request = {
        .method = "GET", .url = url, .retry = NET_IDEMPOTENT, .tries_max = 3};

    assert_made(net, *err);
    for (int i = 0; i < 2; i++) {
        scoped_net_answer answer = {0};

        if (net_call(net, &request, &answer, err) < 0)
            return -1;
        assert_string_equal(answer.body.data, "hello");
    }
    return 0;
}

static void test_only_a_certificate_of_a_known_authority_for_that_name_will_do(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_authority ours = new_certificate("ours", NULL, NULL, -60, 3600);
    scoped_authority other = new_certificate("other", NULL, NULL, -60, 3600);
    scoped_authority impostor = new_certificate("ours", NULL, NULL, -60, 3600);
    scoped_authority good = new_certificate("server", &ours, "IP:127.0.0.1", -60, 3600);
    scoped_authority misnamed = new_certificate("server", &ours, "DNS:elsewhere", -60, 3600);
    scoped_authority old = new_certificate("server", &ours, "IP:127.0.0.1", -7200, -3600);
    scoped_str our_pem = write_pem(dir, "ours.pem", ours.certificate);
    scoped_str impostor_pem = write_pem(dir, "impostor.pem", impostor.certificate);
    scoped_str other_pem = write_pem(dir, "other.pem", other.certificate);
    const struct {
        const struct authority *server;
        const char *ca_file;
        bool taken;
        int connections; /* at most: more when libcurl doesn't see that it is the certificate */
    } cases[] = {
        {&good, our_pem, true, 1},      {&good, other_pem, false, 1},
        {&good, NULL, false, 1},        {&good, impostor_pem, false, 3},
        {&misnamed, our_pem, false, 1}, {&old, our_pem, false, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        SSL_CTX *context = new_context(cases[i].server);
        struct err err = {0};

        {
            scoped_server server;
            int result;

            server_start(&server, serve_tls, NULL);
            server.ctx = context;
            result = call_twice(&server, "127.0.0.1", cases[i].ca_file, &err);
            assert_int_equal(result, cases[i].taken ? 0 : -1);
            assert_int_equal(err.kind, cases[i].taken ? ERR_NONE : ERR_UPSTREAM);
            assert_int_equal(server.requests, cases[i].taken ? 2 : 0);
            /* Reused when good; and not asked again when not. */
            assert_in_range(server.connections, 1, cases[i].connections);
        }
        SSL_CTX_free(context);
    }
    test_dir_remove(dir);
}

static void test_a_ca_file_that_is_missing_or_no_pem_is_an_error(void **state)
{
    struct net_options options = {.user_agent = "t", .ca_file = "/no/such/file"};
    scoped_authority ours = new_certificate("ours", NULL, NULL, -60, 3600);
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/ca.pem", dir);
    SSL_CTX *context = new_context(&ours);
    struct err err = {0};

    (void)state;
    assert_null(net_new(&options, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    test_file_write(dir, "ca.pem", "not a certificate\n");
    {
        scoped_server server;

        server_start(&server, serve_tls, NULL);
        server.ctx = context;
        assert_int_equal(call_twice(&server, "127.0.0.1", path, &err), -1);
        assert_int_equal(err.kind, ERR_INTERNAL);
    }
    SSL_CTX_free(context);
    test_dir_remove(dir);
}

/* One call to a TLS server, for the kind of error it ends with. */
static enum err_kind call_once(struct server *server, const struct net_options *options,
                               struct err *err)
{
    scoped(net) net = net_new(options, err);
    scoped_str url = xasprintf("https://127.0.0.1:%d/", server->port);
    struct net_request request = {.method = "GET", .url = url};
    scoped_net_answer answer = {0};

    *err = (struct err){0};
    assert_made(net, *err);
    if (net_call(net, &request, &answer, err) < 0) {
        /* With TLS 1.3 the server refuses a client after the first request went out. */
        assert_true(answer.unsent || server->connections == 1);
        return err->kind;
    }
    return ERR_NONE;
}

static void test_an_authority_as_text_is_trusted_instead_of_the_systems(void **state)
{
    scoped_authority ours = new_certificate("ours", NULL, NULL, -60, 3600);
    scoped_authority other = new_certificate("other", NULL, NULL, -60, 3600);
    scoped_authority good = new_certificate("server", &ours, "IP:127.0.0.1", -60, 3600);
    scoped_str our_pem = certificate_text(ours.certificate);
    scoped_str other_pem = certificate_text(other.certificate);
    scoped_str both_pem = xasprintf("%s%s", other_pem, our_pem);
    const struct {
        const char *ca_pem;
        enum err_kind kind;
    } cases[] = {
        {our_pem, ERR_NONE},
        {both_pem, ERR_NONE},
        {other_pem, ERR_UPSTREAM},
        {"not a certificate", ERR_INTERNAL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        SSL_CTX *context = new_context(&good);
        struct net_options options = {.ca_file = "/no/such/file", .ca_pem = cases[i].ca_pem};
        struct err err = {0};

        {
            scoped_server server;

            server_start(&server, serve_tls, NULL);
            server.ctx = context;
            assert_int_equal(call_once(&server, &options, &err), cases[i].kind);
            assert_int_equal(server.requests, cases[i].kind == ERR_NONE ? 1 : 0);
        }
        SSL_CTX_free(context);
    }
}

static void test_a_client_shows_its_certificate(void **state)
{
    scoped_authority ours = new_certificate("ours", NULL, NULL, -60, 3600);
    scoped_authority other = new_certificate("other", NULL, NULL, -60, 3600);
    scoped_authority good = new_certificate("server", &ours, "IP:127.0.0.1", -60, 3600);
    scoped_authority client = new_certificate("client", &ours, "DNS:client", -60, 3600);
    scoped_authority stranger = new_certificate("stranger", &other, "DNS:client", -60, 3600);
    scoped_str ca_pem = certificate_text(ours.certificate);
    scoped_str client_pem = certificate_text(client.certificate);
    scoped_str client_key = key_text(client.key);
    scoped_str stranger_pem = certificate_text(stranger.certificate);
    scoped_str stranger_key = key_text(stranger.key);
    const struct {
        const char *certificate;
        const char *key;
        bool taken;
    } cases[] = {
        {client_pem, client_key, true},
        {stranger_pem, stranger_key, false},
        {client_pem, stranger_key, false},
        {client_pem, "not a key", false},
        {NULL, NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        SSL_CTX *context = new_context_for(&good, &ours);
        scoped(secret) key = secret_new(cases[i].key);
        struct net_options options = {
            .ca_pem = ca_pem,
            .client_cert_pem = cases[i].certificate,
            .client_key_pem = key,
        };
        struct err err = {0};

        {
            scoped_server server;

            server_start(&server, serve_tls, NULL);
            server.ctx = context;
            assert_int_equal(call_once(&server, &options, &err) == ERR_NONE, cases[i].taken);
            assert_int_equal(server.requests, cases[i].taken ? 1 : 0);
        }
        SSL_CTX_free(context);
    }
}

static void test_half_a_client_certificate_is_refused(void **state)
{
    scoped(secret) key = secret_new("key");
    struct net_options without_key = {.client_cert_pem = "certificate"};
    struct net_options without_certificate = {.client_key_pem = key};
    struct err err = {0};

    (void)state;
    assert_null(net_new(&without_key, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_null(net_new(&without_certificate, &err));
    assert_int_equal(err.kind, ERR_INVALID);
}

TEST_MAIN(cmocka_unit_test(test_only_a_certificate_of_a_known_authority_for_that_name_will_do),
          cmocka_unit_test(test_a_ca_file_that_is_missing_or_no_pem_is_an_error),
          cmocka_unit_test(test_an_authority_as_text_is_trusted_instead_of_the_systems),
          cmocka_unit_test(test_a_client_shows_its_certificate),
          cmocka_unit_test(test_half_a_client_certificate_is_refused))
