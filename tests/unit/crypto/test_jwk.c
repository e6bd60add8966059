/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/jwk.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "crypto/digest.h"
#include "jwt_signer.h"
#include "test.h"

static struct {
    EVP_PKEY *rsa;
    EVP_PKEY *ec;
} given;

static int make_keys(void **state)
{
    (void)state;
    json_setup();
    given.rsa = EVP_RSA_gen(2048);
    given.ec = EVP_EC_gen("P-256");
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(given.rsa);
    EVP_PKEY_free(given.ec);
    return 0;
}

static struct jwk_set *parse(const char *text, struct err *err)
{
    scoped_json document = json_parse(text, strlen(text), err);

    assert_made(document, *err);
    return jwk_set_parse(document, err);
}

/* Alone it makes no set, and beside a good one it is not there. */
static void assert_passed_over(const char *jwk)
{
    struct err err = {0};
    scoped_str good = jwt_signer_jwk(given.ec, "good", "");
    scoped_str alone_text = jwt_signer_jwks(jwk, NULL);
    scoped_str both_text = jwt_signer_jwks(jwk, good);
    scoped(jwk_set) alone = parse(alone_text, &err);
    scoped(jwk_set) both = NULL;

    if (alone)
        fail_msg("taken for a key: %s", jwk);
    assert_int_equal(err.kind, ERR_INVALID);
    both = parse(both_text, &err);
    assert_made(both, err);
    assert_int_equal(jwk_set_count(both), 1);
    assert_non_null(jwk_set_find(both, "good", JWK_ES256));
}

static void test_a_key_is_found_by_its_name_and_kind(void **state)
{
    struct err err = {0};
    scoped_str rsa =
        jwt_signer_jwk(given.rsa, "a", ",\"use\":\"sig\",\"alg\":\"RS256\",\"x5t\":\"x\"");
    scoped_str ec =
        jwt_signer_jwk(given.ec, "b", ",\"key_ops\":[\"verify\"],\"alg\":\"ES256\"");
    scoped_str text = jwt_signer_jwks(rsa, ec);
    scoped(jwk_set) set = parse(text, &err);

    (void)state;
    assert_made(set, err);
    assert_int_equal(jwk_set_count(set), 2);
    assert_int_equal(jwk_alg_of(jwk_set_find(set, "a", JWK_RS256)), JWK_RS256);
    assert_int_equal(jwk_alg_of(jwk_set_find(set, "b", JWK_ES256)), JWK_ES256);
    assert_null(jwk_set_find(set, "a", JWK_ES256));
    assert_null(jwk_set_find(set, "b", JWK_RS256));
    assert_null(jwk_set_find(set, "c", JWK_RS256));
    assert_null(jwk_set_find(set, "", JWK_RS256));
}

/* RFC 7515, appendix A.3: keys and tokens of others are read as they mean them. */
static void test_a_signature_of_the_standard_verifies(void **state)
{
    static const char keys[] = "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"a3\",\"crv\":\"P-256\","
                               "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                               "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";
    static const char head[] =
        "eyJhbGciOiJFUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    static const char signature[] =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
        "pmWQxfKTUJqPP3-Kg6NU1Q";
    struct err err = {0};
    scoped(jwk_set) set = parse(keys, &err);
    size_t size;
    scoped_str bytes = base64url_decode(signature, &size);

    (void)state;
    assert_made(set, err);
    assert_true(
        jwk_verify(jwk_set_find(set, "a3", JWK_ES256), head, strlen(head), bytes, size));
    assert_false(
        jwk_verify(jwk_set_find(set, "a3", JWK_ES256), head, strlen(head) - 1, bytes, size));
}

static void test_keys_that_are_for_something_else_are_passed_over(void **state)
{
    static const char *const more[] = {
        ",\"use\":\"enc\"",
        ",\"use\":\"\"",
        ",\"use\":7",
        ",\"alg\":\"HS256\"",
        ",\"alg\":\"none\"",
        ",\"alg\":\"PS256\"",
        ",\"alg\":\"ES384\"",
        ",\"alg\":7",
        ",\"key_ops\":[]",
        ",\"key_ops\":[\"sign\",\"encrypt\"]",
        ",\"key_ops\":\"sign\"",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
        scoped_str rsa = jwt_signer_jwk(given.rsa, "bad", more[i]);
        scoped_str ec = jwt_signer_jwk(given.ec, "bad", more[i]);

        assert_passed_over(rsa);
        assert_passed_over(ec);
    }
    scoped_str crossed = jwt_signer_jwk(given.rsa, "bad", ",\"alg\":\"ES256\"");
    scoped_str crossed_too = jwt_signer_jwk(given.ec, "bad", ",\"alg\":\"RS256\"");
    scoped_str nameless = jwt_signer_jwk(given.rsa, "", "");
    assert_passed_over(crossed);
    assert_passed_over(crossed_too);
    assert_passed_over(nameless);
}

static void test_keys_of_other_kinds_are_passed_over(void **state)
{
    static const char *const keys[] = {
        "7",
        "{}",
        "{\"kty\":\"oct\",\"kid\":\"bad\",\"k\":\"AAAA\"}",
        "{\"kty\":\"OKP\",\"kid\":\"bad\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}",
        "{\"kty\":\"rsa\",\"kid\":\"bad\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"kid\":\"bad\"}",
        "{\"kty\":\"RSA\",\"kid\":\"bad\",\"n\":\"\",\"e\":\"\"}",
        "{\"kty\":\"RSA\",\"kid\":\"bad\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"kid\":\"bad\",\"n\":7,\"e\":\"AQAB\"}",
        "{\"kty\":\"EC\",\"kid\":\"bad\"}",
        "{\"kty\":\"EC\",\"kid\":\"bad\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
        /* of the standard, a bit changed: off the curve */
        "{\"kty\":\"EC\",\"kid\":\"bad\",\"crv\":\"P-256\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4\"}",
        "{\"kty\":\"EC\",\"kid\":\"bad\",\"crv\":\"P-256\","
        "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
        "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"EC\",\"kid\":\"bad\",\"crv\":\"P-384\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
        "{\"kty\":\"EC\",\"kid\":\"bad\",\"crv\":\"secp256k1\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        assert_passed_over(keys[i]);
}

/* An RSA key with this modulus of so many bits and this exponent. */
static char *rsa_with(int bits, const char *exponent, bool odd)
{
    uint8_t bytes[2048];
    scoped_str n = NULL;

    memset(bytes, 0xa5, sizeof(bytes));
    if (!odd)
        bytes[bits / 8 - 1] = 0xa4;
    n = base64url_encode(bytes, (size_t)bits / 8);
    return xasprintf("{\"kty\":\"RSA\",\"kid\":\"bad\",\"n\":\"%s\",\"e\":\"%s\"}", n,
                     exponent);
}

static void test_rsa_keys_that_are_unsound_are_passed_over(void **state)
{
    static const struct {
        int bits;
        const char *exponent;
        bool odd;
    } cases[] = {
        {1024, "AQAB", true},           /* small */
        {2040, "AQAB", true},           /* a byte too small */
        {8200, "AQAB", true},           /* large */
        {16384, "AQAB", true},          /* very */
        {2048, "AQAB", false},          /* even */
        {2048, "AQ", true},             /* e = 1: whatever is signed is its own signature */
        {2048, "AA", true},             /* e = 0 */
        {2048, "Ag", true},             /* e = 2 */
        {2048, "AQABAQABAQABAQ", true}, /* e of 10 bytes */
    };
    scoped_str sound = rsa_with(2048, "AQAB", true);
    scoped_str text = jwt_signer_jwks(sound, NULL);
    struct err err = {0};
    scoped(jwk_set) set = parse(text, &err);

    (void)state;
    assert_made(set, err); /* what the others differ from is taken */
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str jwk = rsa_with(cases[i].bits, cases[i].exponent, cases[i].odd);

        assert_passed_over(jwk);
    }
}

static void test_a_document_that_is_no_set_is_refused(void **state)
{
    static const char *const documents[] = {
        "{}", "[]", "7", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":null}", "{\"KEYS\":[]}"};
    scoped_buf many = {0};
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
        err = (struct err){0};
        assert_null(parse(documents[i], &err));
        assert_int_equal(err.kind, ERR_INVALID);
    }
    buf_append_str(&many, "{\"keys\":[");
    for (int i = 0; i <= JWK_SET_MAX; i++) {
        scoped_str jwk = jwt_signer_jwk(given.ec, "k", "");

        buf_printf(&many, "%s%s", i ? "," : "", jwk);
    }
    buf_append_str(&many, "]}");
    assert_null(parse(many.data, &err));
    assert_int_equal(err.kind, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_is_found_by_its_name_and_kind),
        cmocka_unit_test(test_a_signature_of_the_standard_verifies),
        cmocka_unit_test(test_keys_that_are_for_something_else_are_passed_over),
        cmocka_unit_test(test_keys_of_other_kinds_are_passed_over),
        cmocka_unit_test(test_rsa_keys_that_are_unsound_are_passed_over),
        cmocka_unit_test(test_a_document_that_is_no_set_is_refused),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
