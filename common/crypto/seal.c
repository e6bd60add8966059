/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/seal.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/must.h"
#include "crypto/random.h"

#define VERSION 1
#define NONCE_SIZE 12
#define TAG_SIZE 16
#define HEAD_SIZE (1 + NONCE_SIZE)

/* Sets key and nonce, and has the version and the context authenticated. */
static bool begin(EVP_CIPHER_CTX *ctx, const uint8_t *key, const uint8_t *head,
                  const char *context, int encrypting)
{
    size_t length = strlen(context);
    int done;

    return length <= INT_MAX
           && EVP_CipherInit_ex2(ctx, EVP_aes_256_gcm(), key, head + 1, encrypting, NULL) == 1
           && EVP_CipherUpdate(ctx, NULL, &done, head, 1) == 1
           && EVP_CipherUpdate(ctx, NULL, &done, (const uint8_t *)context, (int)length) == 1;
}

uint8_t *seal(const uint8_t key[SEAL_KEY_SIZE], const char *context, const struct secret *value,
              size_t *out_size)
{
    const char *text = secret_reveal(value);
    size_t length = strlen(text);
    uint8_t *sealed = xcalloc(1, HEAD_SIZE + length + TAG_SIZE);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t *at = sealed + HEAD_SIZE;
    int done = 0;

    sealed[0] = VERSION;
    random_bytes(sealed + 1, NONCE_SIZE);
    crypto_must(ctx && length <= INT_MAX && begin(ctx, key, sealed, context, 1)
                    && EVP_CipherUpdate(ctx, at, &done, (const uint8_t *)text, (int)length) == 1
                    && EVP_CipherFinal_ex(ctx, at + length, &done) == 1
                    && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, at + length)
                           == 1,
                "sealing a value");
    EVP_CIPHER_CTX_free(ctx);
    *out_size = HEAD_SIZE + length + TAG_SIZE;
    return sealed;
}

/* Writes `length` bytes of plain text, and says whether the tag stands for them. */
static bool open_sealed(const uint8_t *key, const char *context, const uint8_t *sealed,
                        size_t length, char *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const uint8_t *body = sealed + HEAD_SIZE;
    uint8_t tag[TAG_SIZE];
    uint8_t rest[TAG_SIZE];
    int done = 0;
    bool good;

    memcpy(tag, body + length, TAG_SIZE);
    crypto_must(ctx && begin(ctx, key, sealed, context, 0)
                    && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) == 1
                    && EVP_CipherUpdate(ctx, (uint8_t *)out, &done, body, (int)length) == 1,
                "opening a sealed value");
    good = EVP_CipherFinal_ex(ctx, rest, &done) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return good;
}

struct secret *unseal(const uint8_t key[SEAL_KEY_SIZE], const char *context,
                      const uint8_t *sealed, size_t size, struct err *err)
{
    struct secret *value = NULL;
    size_t length;
    char *text;

    if (size <= HEAD_SIZE + TAG_SIZE || size > INT_MAX || sealed[0] != VERSION) {
        err_set(err, ERR_INVALID, "not a sealed value");
        return NULL;
    }
    length = size - HEAD_SIZE - TAG_SIZE;
    text = xcalloc(1, length + 1);
    if (open_sealed(key, context, sealed, length, text))
        value = secret_new(text);
    secret_wipe(text, length);
    free(text);
    if (!value)
        err_set(err, ERR_INVALID,
                "a sealed value doesn't open: another key, or it was changed");
    return value;
}
