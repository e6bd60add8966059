/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/digest.h"

#define P256_BYTES 32
#define EXPONENT_BYTES_MAX 8
#define ECDSA_DER_MAX 80 /* two integers of 33 bytes, with their headers */

struct jwk {
    char *kid;
    enum jwk_alg alg;
    EVP_PKEY *pkey;
};

struct jwk_set {
    struct jwk all[JWK_SET_MAX];
    size_t count;
};

static const char *const alg_names[] = {[JWK_RS256] = "RS256", [JWK_ES256] = "ES256"};

const char *jwk_alg_name(enum jwk_alg alg)
{
    return alg_names[alg];
}

bool jwk_alg_parse(const char *name, enum jwk_alg *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(alg_names); i++) {
        if (strcmp(alg_names[i], name) == 0) {
            *out = (enum jwk_alg)i;
            return true;
        }
    }
    return false;
}

/* --- Reading a key --------------------------------------------------------------------------
 */

struct number {
    uint8_t *bytes;
    size_t size;
};

static void number_done(struct number *number)
{
    free(number->bytes);
}

#define scoped_number __attribute__((cleanup(number_done))) struct number

/* A member that is base64url; zeroes when it isn't. */
static struct number number_of(const cJSON *object, const char *name)
{
    const char *text = json_get_str(object, name);
    struct number number = {0};

    if (text)
        number.bytes = base64url_decode(text, &number.size);
    return number;
}

static EVP_PKEY *key_from(const char *type, OSSL_PARAM_BLD *builder)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1
        || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return pkey;
}

static bool rsa_is_sound(const BIGNUM *n, const BIGNUM *e)
{
    return n && e && BN_num_bits(n) >= JWK_RSA_BITS_MIN && BN_num_bits(n) <= JWK_RSA_BITS_MAX
           && BN_is_odd(n) && BN_is_odd(e) && !BN_is_one(e);
}

static EVP_PKEY *read_rsa(const cJSON *object)
{
    scoped_number n = number_of(object, "n");
    scoped_number e = number_of(object, "e");
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *modulus = NULL;
    BIGNUM *exponent = NULL;
    EVP_PKEY *pkey = NULL;

    if (n.bytes && e.bytes && n.size <= JWK_RSA_BITS_MAX / 8 && e.size <= EXPONENT_BYTES_MAX) {
        modulus = BN_bin2bn(n.bytes, (int)n.size, NULL);
        exponent = BN_bin2bn(e.bytes, (int)e.size, NULL);
    }
    if (builder && rsa_is_sound(modulus, exponent)
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        pkey = key_from("RSA", builder);
    BN_free(modulus);
    BN_free(exponent);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static bool is_on_curve(EVP_PKEY *pkey)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool good = ctx && EVP_PKEY_public_check(ctx) == 1;

    EVP_PKEY_CTX_free(ctx);
    return good;
}

static EVP_PKEY *read_ec(const cJSON *object)
{
    const char *curve = json_get_str(object, "crv");
    scoped_number x = number_of(object, "x");
    scoped_number y = number_of(object, "y");
    uint8_t point[1 + 2 * P256_BYTES] = {4}; /* uncompressed */
    OSSL_PARAM_BLD *builder;
    EVP_PKEY *pkey = NULL;

    if (!curve || strcmp(curve, "P-256") != 0 || !x.bytes || x.size != P256_BYTES || !y.bytes
        || y.size != P256_BYTES)
        return NULL;
    memcpy(point + 1, x.bytes, P256_BYTES);
    memcpy(point + 1 + P256_BYTES, y.bytes, P256_BYTES);
    builder = OSSL_PARAM_BLD_new();
    if (builder
        && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0)
               == 1
        && OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
                                            sizeof(point))
               == 1)
        pkey = key_from("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    if (pkey && !is_on_curve(pkey)) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    return pkey;
}

/* Absent, or exactly that. */
static bool says_nothing_but(const cJSON *object, const char *name, const char *wanted)
{
    const cJSON *value = json_get(object, name);

    return !value || (cJSON_IsString(value) && strcmp(value->valuestring, wanted) == 0);
}

/* key_ops, where it is there, has to allow verifying. */
static bool may_verify(const cJSON *object)
{
    const cJSON *ops = json_get(object, "key_ops");
    const cJSON *op;

    cJSON_ArrayForEach(op, ops)
    {
        if (cJSON_IsString(op) && strcmp(op->valuestring, "verify") == 0)
            return true;
    }
    return !ops;
}

static bool read_key(const cJSON *object, struct jwk *out)
{
    const char *kty = json_get_str(object, "kty");
    const char *kid = json_get_str(object, "kid");

    if (!kty || !kid || !*kid || strlen(kid) > JWK_KID_MAX
        || !says_nothing_but(object, "use", "sig") || !may_verify(object))
        return false;
    if (strcmp(kty, "RSA") == 0)
        out->alg = JWK_RS256;
    else if (strcmp(kty, "EC") == 0)
        out->alg = JWK_ES256;
    else
        return false;
    if (!says_nothing_but(object, "alg", alg_names[out->alg]))
        return false;
    out->pkey = out->alg == JWK_RS256 ? read_rsa(object) : read_ec(object);
    ERR_clear_error();
    if (!out->pkey)
        return false;
    out->kid = xstrdup(kid);
    return true;
}

/* --- Sets -----------------------------------------------------------------------------------
 */

struct jwk_set *jwk_set_parse(const cJSON *document, struct err *err)
{
    scoped(jwk_set) set = xcalloc(1, sizeof(*set));
    const cJSON *keys = json_get(document, "keys");
    const cJSON *key;

    if (!cJSON_IsArray(keys) || cJSON_GetArraySize(keys) > JWK_SET_MAX) {
        err_set(err, ERR_INVALID, "expected `keys` with at most %d of them", JWK_SET_MAX);
        return NULL;
    }
    cJSON_ArrayForEach(key, keys)
    {
        if (cJSON_IsObject(key) && read_key(key, &set->all[set->count]))
            set->count++;
    }
    if (!set->count) {
        err_set(err, ERR_INVALID,
                "no key that can be used: RSA of %d bits or P-256, with a kid",
                JWK_RSA_BITS_MIN);
        return NULL;
    }
    return TAKE(set);
}

void jwk_set_free(struct jwk_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++) {
        free(set->all[i].kid);
        EVP_PKEY_free(set->all[i].pkey);
    }
    free(set);
}

size_t jwk_set_count(const struct jwk_set *set)
{
    return set->count;
}

const struct jwk *jwk_set_find(const struct jwk_set *set, const char *kid, enum jwk_alg alg)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->all[i].alg == alg && strcmp(set->all[i].kid, kid) == 0)
            return &set->all[i];
    return NULL;
}

/* --- Verifying ------------------------------------------------------------------------------
 */

enum jwk_alg jwk_alg_of(const struct jwk *key)
{
    return key->alg;
}

/* OpenSSL wants r and s in DER. The bytes written; 0: these are no r and s. */
static size_t ecdsa_der(const uint8_t *signature, size_t size, uint8_t out[ECDSA_DER_MAX])
{
    ECDSA_SIG *parsed;
    BIGNUM *r;
    BIGNUM *s;
    int written = 0;

    if (size != (size_t)2 * P256_BYTES)
        return 0;
    parsed = ECDSA_SIG_new();
    r = BN_bin2bn(signature, P256_BYTES, NULL);
    s = BN_bin2bn(signature + P256_BYTES, P256_BYTES, NULL);
    if (parsed && r && s && ECDSA_SIG_set0(parsed, r, s) == 1) { /* takes both */
        r = NULL;
        s = NULL;
        written = i2d_ECDSA_SIG(parsed, &(uint8_t *){out});
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(parsed);
    return written > 0 ? (size_t)written : 0;
}

bool jwk_verify(const struct jwk *key, const void *text, size_t size, const void *signature,
                size_t signature_size)
{
    uint8_t der[ECDSA_DER_MAX];
    EVP_MD_CTX *ctx;
    bool good;

    if (key->alg == JWK_ES256) {
        signature_size = ecdsa_der(signature, signature_size, der);
        signature = der;
        if (!signature_size)
            return false;
    }
    ctx = EVP_MD_CTX_new();
    good = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, key->pkey, NULL) == 1
           && EVP_DigestVerify(ctx, signature, signature_size, text, size) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}
