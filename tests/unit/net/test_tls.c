/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "net/net.h"

#include "server.h"

/* What net does about certificates, against a server whose authority is made on the spot. */
struct authority {
    EVP_PKEY *key;
    X509 *certificate;
};

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* Signed by `by`, or by itself for NULL. `names`: subjectAltName, NULL for an authority. */
static struct authority new_certificate(const char *common_name, const struct authority *by,
                                        const char *names, long from_s, long to_s)
{
    struct authority made = {.key = EVP_EC_gen("P-256"), .certificate = X509_new()};
    X509 *issuer = by ? by->certificate : made.certificate;
    X509_NAME *name = X509_get_subject_name(made.certificate);
    const unsigned char *text = (const unsigned char *)common_name;

    assert_non_null(made.key);
    assert_int_equal(X509_set_version(made.certificate, 2), 1);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), by ? 2 : 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(made.certificate), from_s);
    (void)X509_gmtime_adj(X509_getm_notAfter(made.certificate), to_s);
    (void)X509_set_pubkey(made.certificate, made.key);
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0);
    (void)X509_set_issuer_name(made.certificate, X509_get_subject_name(issuer));
    add_extension(made.certificate, issuer, NID_basic_constraints,
                  names ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (names)
        add_extension(made.certificate, issuer, NID_subject_alt_name, names);
    assert_true(X509_sign(made.certificate, by ? by->key : made.key, EVP_sha256()) > 0);
    return made;
}

static void authority_done(struct authority *authority)
{
    EVP_PKEY_free(authority->key);
    X509_free(authority->certificate);
}

#define scoped_authority __attribute__((cleanup(authority_done))) struct authority

static char *write_pem(const char *dir, const char *file, X509 *certificate)
{
    char *path = xasprintf("%s/%s", dir, file);
    FILE *out = fopen(path, "we");

    assert_non_null(out);
    assert_int_equal(PEM_write_X509(out, certificate), 1);
    assert_int_equal(fclose(out), 0);
    return path;
}

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

static SSL_CTX *new_context(const struct authority *server)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    assert_non_null(context);
    assert_int_equal(SSL_CTX_use_certificate(context, server->certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, server->key), 1);
    return context;
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

TEST_MAIN(cmocka_unit_test(test_only_a_certificate_of_a_known_authority_for_that_name_will_do),
          cmocka_unit_test(test_a_ca_file_that_is_missing_or_no_pem_is_an_error))
