/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "crypto/digest.h"
#include "crypto/jwt.h"

static struct {
    char *dir;
    EVP_PKEY *rsa;
} given;

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", given.dir, name);
}

/* `type` NULL writes PKCS#8, "RSA" the PKCS#1 that GitHub hands out. */
static void write_key(const char *name, EVP_PKEY *pkey, const char *type,
                      const char *passphrase)
{
    scoped_str path = path_of(name);
    BIO *out = BIO_new_file(path, "w");
    const EVP_CIPHER *cipher = passphrase ? EVP_aes_128_cbc() : NULL;
    const unsigned char *secret = (const unsigned char *)passphrase;
    int length = passphrase ? (int)strlen(passphrase) : 0;
    int done = type ? PEM_write_bio_PrivateKey_traditional(out, pkey, cipher, secret, length,
                                                           NULL, NULL)
                    : PEM_write_bio_PrivateKey(out, pkey, cipher, secret, length, NULL, NULL);

    assert_int_equal(done, 1);
    BIO_free(out);
}

static int make_keys(void **state)
{
    EVP_PKEY *small = EVP_RSA_gen(1024);
    EVP_PKEY *curve = EVP_EC_gen("P-256");

    (void)state;
    given.dir = test_dir_new();
    given.rsa = EVP_RSA_gen(2048);
    write_key("pkcs1.pem", given.rsa, "RSA", NULL);
    write_key("pkcs8.pem", given.rsa, NULL, NULL);
    write_key("locked1.pem", given.rsa, "RSA", "open sesame");
    write_key("locked8.pem", given.rsa, NULL, "open sesame");
    write_key("small.pem", small, NULL, NULL);
    write_key("curve.pem", curve, NULL, NULL);
    test_file_write(given.dir, "empty.pem", "");
    test_file_write(
        given.dir, "noise.pem",
        "-----BEGIN PRIVATE KEY-----\nc3VwZXIgc2VjcmV0\n-----END PRIVATE KEY-----\n");
    EVP_PKEY_free(small);
    EVP_PKEY_free(curve);
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    test_dir_remove(given.dir);
    free(given.dir);
    EVP_PKEY_free(given.rsa);
    return 0;
}

static struct jwt_key *load(const char *name, struct err *err)
{
    scoped_str path = path_of(name);

    return jwt_key_load(path, err);
}

/* Cuts the token at its dots; the parts are the caller's. */
static void assert_parts(const char *token, char *out[3])
{
    scoped_str rest = xstrdup(token);
    char *at = rest;

    for (int i = 0; i < 3; i++) {
        char *part = strsep(&at, ".");
        size_t size = 0;

        assert_non_null(part);
        out[i] = base64url_decode(part, &size);
        assert_non_null(out[i]);
        assert_true(i == 2 ? size == 256 : size == strlen(out[i]));
    }
    assert_null(at);
}

static void assert_verifies(const char *token, const char *signature)
{
    size_t signed_size = (size_t)(strrchr(token, '.') - token);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, given.rsa), 1);
    assert_int_equal(EVP_DigestVerify(ctx, (const uint8_t *)signature, 256,
                                      (const uint8_t *)token, signed_size),
                     1);
    EVP_MD_CTX_free(ctx);
}

static void assert_signs_well(const char *name)
{
    struct err err = {0};
    scoped(jwt_key) key = load(name, &err);
    scoped_json claims = jobj({"iss", jstr("12345")}, {"iat", jint(1767323045)});
    scoped(secret) token = NULL;
    char *parts[3];

    assert_made(key, err);
    token = jwt_sign(key, claims, &err);
    assert_made(token, err);
    assert_parts(secret_reveal(token), parts);
    assert_string_equal(parts[0], "{\"alg\":\"RS256\",\"typ\":\"JWT\"}");
    assert_string_equal(parts[1], "{\"iss\":\"12345\",\"iat\":1767323045}");
    assert_verifies(secret_reveal(token), parts[2]);
    for (int i = 0; i < 3; i++)
        free(parts[i]);
}

static void test_a_token_verifies_with_the_public_key(void **state)
{
    (void)state;
    assert_signs_well("pkcs1.pem");
    assert_signs_well("pkcs8.pem");
}

static void test_what_is_no_usable_key_is_refused_by_name(void **state)
{
    static const struct {
        const char *name;
        enum err_kind kind;
        const char *complaint;
    } cases[] = {
        {"missing.pem", ERR_NOT_FOUND, "missing.pem: No such file or directory"},
        {"empty.pem", ERR_INVALID, "empty.pem: not an unencrypted private key in PEM"},
        {"noise.pem", ERR_INVALID, "noise.pem: not an unencrypted private key in PEM"},
        {"locked1.pem", ERR_INVALID, "locked1.pem: not an unencrypted private key in PEM"},
        {"locked8.pem", ERR_INVALID, "locked8.pem: not an unencrypted private key in PEM"},
        {"small.pem", ERR_INVALID, "small.pem: an RSA key of 1024 bits, 2048 are needed"},
        {"curve.pem", ERR_INVALID, "curve.pem: not an RSA key"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};

        assert_null(load(cases[i].name, &err));
        assert_int_equal(err.kind, cases[i].kind);
        assert_true(strncmp(err.text, given.dir, strlen(given.dir)) == 0);
        assert_string_equal(err.text + strlen(given.dir) + 1, cases[i].complaint);
    }
}

static void test_a_file_too_large_for_a_key_is_refused(void **state)
{
    char *large = xcalloc(1, 20000);
    struct err err = {0};

    (void)state;
    memset(large, '\n', 19999);
    test_file_write(given.dir, "large.pem", large);
    assert_null(load("large.pem", &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "large.pem: too large for a private key"));
    free(large);
}

struct signer {
    const struct jwt_key *key;
    char *token;
};

static void *sign(void *arg)
{
    struct signer *signer = arg;

    for (int i = 0; i < 5; i++) {
        struct err err = {0};
        scoped_json claims = jobj({"iss", jstr("1")});
        scoped(secret) token = jwt_sign(signer->key, claims, &err);

        free(signer->token);
        signer->token = xstrdup(secret_reveal(token));
    }
    return NULL;
}

static void test_threads_sign_with_one_key(void **state)
{
    struct err err = {0};
    scoped(jwt_key) key = load("pkcs1.pem", &err);
    struct signer signers[3] = {{key, NULL}, {key, NULL}, {key, NULL}};
    pthread_t threads[3];

    (void)state;
    assert_made(key, err);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign, &signers[i]), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 3; i++) {
        /* PKCS#1 v1.5 has no randomness: the same claims give the same token. */
        assert_true(strlen(signers[i].token) > 342);
        assert_string_equal(signers[i].token, signers[0].token);
    }
    for (int i = 0; i < 3; i++)
        free(signers[i].token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_verifies_with_the_public_key),
        cmocka_unit_test(test_what_is_no_usable_key_is_refused_by_name),
        cmocka_unit_test(test_a_file_too_large_for_a_key_is_refused),
        cmocka_unit_test(test_threads_sign_with_one_key),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
