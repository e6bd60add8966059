/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_NET_AUTHORITY_H
#define UNIT_NET_AUTHORITY_H
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "test.h"

#include "base/alloc.h"

/* Certificates made on the spot, for servers and clients. */
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

__attribute__((unused)) static char *write_pem(const char *dir, const char *file,
                                               X509 *certificate)
{
    char *path = xasprintf("%s/%s", dir, file);
    FILE *out = fopen(path, "we");

    assert_non_null(out);
    assert_int_equal(PEM_write_X509(out, certificate), 1);
    assert_int_equal(fclose(out), 0);
    return path;
}

/* Of what has no NUL at its end, which strndup's checkers take for granted. */
__attribute__((unused)) static char *text_copy(const char *text, size_t size)
{
    char *copy = xcalloc(1, size + 1);

    memcpy(copy, text, size);
    return copy;
}

/* As text, for the caller to free. */
__attribute__((unused)) static char *certificate_text(X509 *certificate)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *text;
    long size;

    assert_non_null(out);
    assert_int_equal(PEM_write_bio_X509(out, certificate), 1);
    size = BIO_get_mem_data(out, &text);
    text = text_copy(text, (size_t)size);
    BIO_free(out);
    return text;
}

__attribute__((unused)) static char *key_text(EVP_PKEY *key)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *text;
    long size;

    assert_non_null(out);
    assert_int_equal(PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
    size = BIO_get_mem_data(out, &text);
    text = text_copy(text, (size_t)size);
    BIO_free(out);
    return text;
}

__attribute__((unused)) static SSL_CTX *new_context(const struct authority *server)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    assert_non_null(context);
    assert_int_equal(SSL_CTX_use_certificate(context, server->certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, server->key), 1);
    return context;
}

/* The same for a server that lets nobody in without a certificate of `clients`. */
__attribute__((unused)) static SSL_CTX *new_context_for(const struct authority *server,
                                                        const struct authority *clients)
{
    SSL_CTX *context = new_context(server);

    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), clients->certificate),
                     1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return context;
}
#endif
