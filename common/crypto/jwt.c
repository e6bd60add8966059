/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/jwt.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "crypto/digest.h"

#define KEY_FILE_MAX (16 * 1024) /* RSA of 16384 bits takes 13 KB */
#define KEY_BITS_MIN 2048        /* RFC 7518 section 3.3 */

struct jwt_key {
    EVP_PKEY *pkey;
};

/* OpenSSL would ask the terminal for the passphrase of an encrypted key: it has none. */
static int no_passphrase(char *out, int size, int writing, void *self)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)self;
    return -1;
}

static EVP_PKEY *parse_pem(const char *pem, size_t size)
{
    BIO *in = BIO_new_mem_buf(pem, (int)size);
    EVP_PKEY *pkey = in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;

    BIO_free(in);
    ERR_clear_error(); /* what it says may quote the file */
    return pkey;
}

static int check_key(const EVP_PKEY *pkey, const char *path, struct err *err)
{
    if (!EVP_PKEY_is_a(pkey, "RSA"))
        return err_set(err, ERR_INVALID, "%s: not an RSA key", path);
    if (EVP_PKEY_get_bits(pkey) < KEY_BITS_MIN)
        return err_set(err, ERR_INVALID, "%s: an RSA key of %d bits, %d are needed", path,
                       EVP_PKEY_get_bits(pkey), KEY_BITS_MIN);
    return 0;
}

struct jwt_key *jwt_key_parse(const char *pem, size_t size, const char *name, struct err *err)
{
    scoped(jwt_key) key = xcalloc(1, sizeof(*key));

    if (size > KEY_FILE_MAX) {
        err_set(err, ERR_INVALID, "%s: too large for a private key", name);
        return NULL;
    }
    key->pkey = parse_pem(pem, size);
    if (!key->pkey) {
        err_set(err, ERR_INVALID, "%s: not an unencrypted private key in PEM", name);
        return NULL;
    }
    return check_key(key->pkey, name, err) < 0 ? NULL : TAKE(key);
}

struct jwt_key *jwt_key_load(const char *path, struct err *err)
{
    scoped_buf pem = {0};
    struct jwt_key *key;

    if (buf_read_file(&pem, path, KEY_FILE_MAX, err) < 0) {
        if (err->kind == ERR_TOO_LARGE)
            err_set(err, ERR_INVALID, "%s: too large for a private key", path);
        return NULL;
    }
    key = jwt_key_parse(pem.data ? pem.data : "", pem.size, path, err);
    if (pem.data)
        secret_wipe(pem.data, pem.room);
    return key;
}

void jwt_key_free(struct jwt_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey);
    free(key);
}

static char *encoded_json(const cJSON *value)
{
    scoped_str text = json_text(value);

    return base64url_encode(text, strlen(text));
}

/* The signature over `text` in base64url; NULL when OpenSSL refuses. */
static char *signature_of(const struct jwt_key *key, const char *text)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t signature[KEY_FILE_MAX / 8];
    size_t size = sizeof(signature);
    bool made =
        ctx && EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key->pkey, NULL) == 1
        && EVP_DigestSign(ctx, signature, &size, (const uint8_t *)text, strlen(text)) == 1;

    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return made ? base64url_encode(signature, size) : NULL;
}

struct secret *jwt_sign(const struct jwt_key *key, const cJSON *claims, struct err *err)
{
    scoped_json header = jobj({"alg", jstr("RS256")}, {"typ", jstr("JWT")});
    scoped_str first = encoded_json(header);
    scoped_str second = encoded_json(claims);
    scoped_str head = xasprintf("%s.%s", first, second);
    scoped_str signature = signature_of(key, head);
    scoped_str token = NULL;
    struct secret *made;

    if (!signature) {
        err_set(err, ERR_INTERNAL, "signing a token failed");
        return NULL;
    }
    token = xasprintf("%s.%s", head, signature);
    made = secret_new(token);
    secret_wipe(token, strlen(token));
    secret_wipe(signature, strlen(signature));
    return made;
}
