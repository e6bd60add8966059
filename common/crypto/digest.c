/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/digest.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>

#include "crypto/must.h"

/*
 * OpenSSL 3 looks an algorithm up by name at each one-shot call, under a lock, which costs
 * more than hashing a token. So it is looked up once, and each thread keeps a context.
 */
static EVP_MD *sha256_algorithm;
static EVP_MAC *hmac_algorithm;
static pthread_key_t contexts_key; /* frees a thread's contexts when the thread ends */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local struct contexts {
    EVP_MD_CTX *sha256;
    EVP_MAC_CTX *hmac;
} contexts;

static void free_contexts(void *unused)
{
    (void)unused;
    EVP_MD_CTX_free(contexts.sha256);
    EVP_MAC_CTX_free(contexts.hmac);
    contexts = (struct contexts){0};
}

static void look_up(void)
{
    sha256_algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    hmac_algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    crypto_must(sha256_algorithm && hmac_algorithm, "looking SHA-256 and HMAC up");
    crypto_must(pthread_key_create(&contexts_key, free_contexts) == 0, "pthread_key_create");
}

static const struct contexts *contexts_of_thread(void)
{
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};

    if (contexts.sha256)
        return &contexts;
    (void)pthread_once(&once, look_up);
    contexts.sha256 = EVP_MD_CTX_new();
    contexts.hmac = EVP_MAC_CTX_new(hmac_algorithm);
    crypto_must(contexts.sha256 && contexts.hmac
                    && EVP_MAC_CTX_set_params(contexts.hmac, parameters) == 1
                    && pthread_setspecific(contexts_key, &contexts) == 0,
                "SHA-256");
    return &contexts;
}

void sha256(const void *data, size_t size, uint8_t out[SHA256_SIZE])
{
    EVP_MD_CTX *ctx = contexts_of_thread()->sha256;

    crypto_must(EVP_DigestInit_ex2(ctx, sha256_algorithm, NULL) == 1
                    && EVP_DigestUpdate(ctx, data, size) == 1
                    && EVP_DigestFinal_ex(ctx, out, NULL) == 1,
                "SHA-256");
}

void hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                 uint8_t out[SHA256_SIZE])
{
    EVP_MAC_CTX *ctx = contexts_of_thread()->hmac;
    size_t made = 0;

    /* OpenSSL takes a NULL key for the one of before, which is another thing than an empty one.
     */
    crypto_must(EVP_MAC_init(ctx, key ? key : (const void *)"", key_size, NULL) == 1
                    && EVP_MAC_update(ctx, data, size) == 1
                    && EVP_MAC_final(ctx, out, &made, SHA256_SIZE) == 1 && made == SHA256_SIZE,
                "HMAC-SHA256");
}

bool bytes_equal(const void *a, const void *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}
