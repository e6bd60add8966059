/* SPDX-License-Identifier: Apache-2.0 */
#include "jwt_signer.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/digest.h"
#include "test.h"

#define P256_BYTES 32

/* One number of a key, in base64url; `pad` 0: as long as it is. */
static char *param(EVP_PKEY *key, const char *name, int pad)
{
    BIGNUM *number = NULL;
    unsigned char bytes[1024];
    int size;

    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
    size = BN_bn2binpad(number, bytes, pad ? pad : BN_num_bytes(number));
    assert_true(size > 0);
    BN_free(number);
    return base64url_encode(bytes, (size_t)size);
}

char *jwt_signer_jwk(EVP_PKEY *key, const char *kid, const char *more)
{
    bool rsa = EVP_PKEY_is_a(key, "RSA");
    scoped_str first = rsa ? param(key, OSSL_PKEY_PARAM_RSA_N, 0)
                           : param(key, OSSL_PKEY_PARAM_EC_PUB_X, P256_BYTES);
    scoped_str second = rsa ? param(key, OSSL_PKEY_PARAM_RSA_E, 0)
                            : param(key, OSSL_PKEY_PARAM_EC_PUB_Y, P256_BYTES);

    return xasprintf(rsa ? "{\"kty\":\"RSA\",\"kid\":\"%s\",\"n\":\"%s\",\"e\":\"%s\"%s}"
                         : "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"%s\",\"x\":\"%s\","
                           "\"y\":\"%s\"%s}",
                     kid, first, second, more);
}

char *jwt_signer_jwks(const char *a, const char *b)
{
    return xasprintf("{\"keys\":[%s%s%s]}", a, b ? "," : "", b ? b : "");
}

char *jwt_signer_head(const char *header, const char *claims)
{
    scoped_str first = base64url_encode(header, strlen(header));
    scoped_str second = base64url_encode(claims, strlen(claims));

    return xasprintf("%s.%s", first, second);
}

/* DER into r and s of 32 bytes each. */
static unsigned char *plain_ecdsa(const unsigned char *der, size_t size, size_t *out_size)
{
    ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &der, (long)size);
    unsigned char *out = xcalloc(2, P256_BYTES);

    assert_non_null(parsed);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(parsed), out, P256_BYTES), P256_BYTES);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(parsed), out + P256_BYTES, P256_BYTES),
                     P256_BYTES);
    ECDSA_SIG_free(parsed);
    *out_size = (size_t)2 * P256_BYTES;
    return out;
}

unsigned char *jwt_signer_signature(EVP_PKEY *key, const char *head, size_t *out_size)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char *made = xcalloc(1, 1024);
    unsigned char *plain;

    *out_size = 1024;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(
        EVP_DigestSign(ctx, made, out_size, (const unsigned char *)head, strlen(head)), 1);
    EVP_MD_CTX_free(ctx);
    if (EVP_PKEY_is_a(key, "RSA"))
        return made;
    plain = plain_ecdsa(made, *out_size, out_size);
    free(made);
    return plain;
}

char *jwt_signer_join(const char *head, const void *signature, size_t size)
{
    scoped_str text = base64url_encode(signature, size);

    return xasprintf("%s.%s", head, text);
}

char *jwt_signer_sign(EVP_PKEY *key, const char *header, const char *claims)
{
    scoped_str head = jwt_signer_head(header, claims);
    size_t size;
    unsigned char *signature = jwt_signer_signature(key, head, &size);
    char *token = jwt_signer_join(head, signature, size);

    free(signature);
    return token;
}
