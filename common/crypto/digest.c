/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>

#include "crypto/must.h"

/*
 * OpenSSL 3 looks an algorithm up by name at each one-shot call, under a lock, which costs
 * more than hashing a token. So it is looked up once, and each thread keeps a context.
 */
static EVP_MD *sha256_algorithm;
static pthread_key_t context_key; /* frees a thread's context when the thread ends */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local EVP_MD_CTX *context;

static void free_context(void *ctx)
{
    context = NULL;
    EVP_MD_CTX_free(ctx);
}

static void look_up(void)
{
    sha256_algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    crypto_must(sha256_algorithm != NULL, "looking SHA-256 up");
    crypto_must(pthread_key_create(&context_key, free_context) == 0, "pthread_key_create");
}

static EVP_MD_CTX *context_of_thread(void)
{
    if (context)
        return context;
    (void)pthread_once(&once, look_up);
    context = EVP_MD_CTX_new();
    crypto_must(context && pthread_setspecific(context_key, context) == 0, "SHA-256");
    return context;
}

void sha256(const void *data, size_t size, uint8_t out[SHA256_SIZE])
{
    EVP_MD_CTX *ctx = context_of_thread();

    crypto_must(EVP_DigestInit_ex2(ctx, sha256_algorithm, NULL) == 1
                    && EVP_DigestUpdate(ctx, data, size) == 1
                    && EVP_DigestFinal_ex(ctx, out, NULL) == 1,
                "SHA-256");
}

void hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                 uint8_t out[SHA256_SIZE])
{
    size_t made = 0;

    /* OpenSSL takes a NULL key for no key at all, which is another thing than an empty one. */
    crypto_must(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key ? key : "", key_size, data,
                          size, out, SHA256_SIZE, &made)
                    != NULL,
                "HMAC-SHA256");
    crypto_must(made == SHA256_SIZE, "HMAC-SHA256");
}

bool bytes_equal(const void *a, const void *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}
