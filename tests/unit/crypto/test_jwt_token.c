/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens that must not open anything. Each is made as an attacker would make it, from a token
 * that is good: if one of the guards goes, its row says so.
 */
#include "crypto/jwt_token.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/digest.h"
#include "jwt_signer.h"
#include "test.h"

#define RSA_HEADER "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"rsa\"}"
#define EC_HEADER "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"ec\"}"
#define CLAIMS "{\"iss\":\"https://issuer.example.com\",\"sub\":\"x\"}"

static struct {
    EVP_PKEY *rsa;
    EVP_PKEY *ec;
    EVP_PKEY *other_rsa; /* the attacker's own */
    EVP_PKEY *other_ec;
    struct jwk_set *keys;
} given;

static int make_keys(void **state)
{
    struct err err = {0};

    (void)state;
    json_setup();
    given.rsa = EVP_RSA_gen(2048);
    given.other_rsa = EVP_RSA_gen(2048);
    given.ec = EVP_EC_gen("P-256");
    given.other_ec = EVP_EC_gen("P-256");
    scoped_str rsa = jwt_signer_jwk(given.rsa, "rsa", "");
    scoped_str ec = jwt_signer_jwk(given.ec, "ec", "");
    scoped_str text = jwt_signer_jwks(rsa, ec);
    scoped_json document = json_parse(text, strlen(text), &err);
    given.keys = jwk_set_parse(document, &err);
    return given.keys ? 0 : -1;
}

static int drop_keys(void **state)
{
    (void)state;
    jwk_set_free(given.keys);
    EVP_PKEY_free(given.rsa);
    EVP_PKEY_free(given.ec);
    EVP_PKEY_free(given.other_rsa);
    EVP_PKEY_free(given.other_ec);
    return 0;
}

/* As whoever has the keys goes about it. */
static bool is_let_in(const char *text, struct err *err)
{
    scoped_jwt_token token = {0};
    const struct jwk *key;

    if (jwt_token_parse(text, &token, err) < 0)
        return false;
    key = jwk_set_find(given.keys, token.kid, token.alg);
    if (!key)
        return err_set(err, ERR_INVALID, "no key") == 0;
    return jwt_token_verify(&token, key, err) == 0;
}

static void assert_kept_out(const char *what, const char *text)
{
    struct err err = {0};

    if (is_let_in(text, &err))
        fail_msg("%s was let in: %s", what, text);
    if (err.kind != ERR_INVALID || !err.text[0])
        fail_msg("%s: kind %d, %s", what, (int)err.kind, err.text);
}

/* --- Good ones ------------------------------------------------------------------------------
 */

static void assert_let_in(EVP_PKEY *key, const char *header)
{
    struct err err = {0};
    scoped_str text = jwt_signer_sign(key, header, CLAIMS);
    scoped_jwt_token token = {0};

    if (!is_let_in(text, &err))
        fail_msg("%s: %s", header, err.text);
    assert_ok(jwt_token_parse(text, &token, &err), err);
    assert_string_equal(json_get_str(token.claims, "sub"), "x");
}

static void test_a_signed_token_is_let_in(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) { /* r and s of ES256 differ, and may begin with zeroes */
        assert_let_in(given.rsa, RSA_HEADER);
        assert_let_in(given.ec, EC_HEADER);
    }
    assert_let_in(given.rsa, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}");
    assert_let_in(given.rsa, "{\"kid\":\"rsa\",\"typ\":\"jwt\",\"alg\":\"RS256\"}");
    assert_let_in(given.rsa, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x5t\":\"abc\"}");
}

/* --- Headers --------------------------------------------------------------------------------
 */

static void test_what_a_header_may_not_say(void **state)
{
    static const char *const headers[] = {
        /* another algorithm, or none */
        "{\"alg\":\"none\",\"kid\":\"rsa\"}",
        "{\"alg\":\"None\",\"kid\":\"rsa\"}",
        "{\"alg\":\"NONE\",\"kid\":\"rsa\"}",
        "{\"alg\":\"nOnE\",\"kid\":\"rsa\"}",
        "{\"alg\":\"\",\"kid\":\"rsa\"}",
        "{\"alg\":\"HS256\",\"kid\":\"rsa\"}",
        "{\"alg\":\"RS384\",\"kid\":\"rsa\"}",
        "{\"alg\":\"RS512\",\"kid\":\"rsa\"}",
        "{\"alg\":\"PS256\",\"kid\":\"rsa\"}",
        "{\"alg\":\"ES384\",\"kid\":\"rsa\"}",
        "{\"alg\":\"ES256K\",\"kid\":\"rsa\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"rsa\"}",
        "{\"alg\":\"RSA-OAEP\",\"kid\":\"rsa\"}",
        "{\"alg\":\"rs256\",\"kid\":\"rsa\"}",
        "{\"alg\":\"RS256 \",\"kid\":\"rsa\"}",
        "{\"alg\":256,\"kid\":\"rsa\"}",
        "{\"alg\":[\"RS256\"],\"kid\":\"rsa\"}",
        "{\"alg\":null,\"kid\":\"rsa\"}",
        "{\"ALG\":\"RS256\",\"kid\":\"rsa\"}",
        "{\"kid\":\"rsa\"}",
        /* the other key's algorithm */
        "{\"alg\":\"ES256\",\"kid\":\"rsa\"}",
        "{\"alg\":\"RS256\",\"kid\":\"ec\"}",
        /* no key of ours */
        "{\"alg\":\"RS256\"}",
        "{\"alg\":\"RS256\",\"kid\":\"\"}",
        "{\"alg\":\"RS256\",\"kid\":7}",
        "{\"alg\":\"RS256\",\"kid\":null}",
        "{\"alg\":\"RS256\",\"kid\":\"RSA\"}",
        "{\"alg\":\"RS256\",\"kid\":\"../../dev/null\"}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa' OR '1'='1\"}",
        /* members twice */
        "{\"alg\":\"RS256\",\"alg\":\"RS256\",\"kid\":\"rsa\"}",
        "{\"alg\":\"none\",\"alg\":\"RS256\",\"kid\":\"rsa\"}",
        "{\"alg\":\"RS256\",\"kid\":\"ec\",\"kid\":\"rsa\"}",
        "{\"alg\":\"RS256\",\"\\u0061lg\":\"none\",\"kid\":\"rsa\"}",
        /* what would change what it is */
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[\"exp\"]}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[]}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":null}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"b64\":false}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"enc\":\"A128GCM\"}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"zip\":\"DEF\"}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"cty\":\"JWT\"}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"JOSE\"}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"\"}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":7}",
        /* a key of its own */
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"jwk\":{}}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"jku\":\"https://evil.example.com/keys\"}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x5u\":\"https://evil.example.com/x.pem\"}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x5c\":[\"MIIB\"]}",
        /* no object */
        "[]",
        "\"RS256\"",
        "null",
        "",
        "{",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\"}x",
        "\xff\xfe{\"alg\":\"RS256\",\"kid\":\"rsa\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
        scoped_str by_rsa = jwt_signer_sign(given.rsa, headers[i], CLAIMS);
        scoped_str by_ec = jwt_signer_sign(given.ec, headers[i], CLAIMS);
        scoped_str head = jwt_signer_head(headers[i], CLAIMS);
        scoped_str unsigned_one = xasprintf("%s.", head);

        assert_kept_out(headers[i], by_rsa);
        assert_kept_out(headers[i], by_ec);
        assert_kept_out(headers[i], unsigned_one);
    }
}

static void test_a_kid_that_is_too_long_is_refused(void **state)
{
    char kid[JWK_KID_MAX + 2];
    scoped_str header = NULL;

    (void)state;
    memset(kid, 'k', sizeof(kid));
    kid[sizeof(kid) - 1] = '\0';
    header = xasprintf("{\"alg\":\"RS256\",\"kid\":\"%s\"}", kid);
    scoped_str text = jwt_signer_sign(given.rsa, header, CLAIMS);
    assert_kept_out("a long kid", text);
}

/* The attacker signs with a key that is in the token itself. */
static void test_a_key_that_comes_along_counts_for_nothing(void **state)
{
    scoped_str jwk = jwt_signer_jwk(given.other_rsa, "rsa", "");
    scoped_str header = xasprintf("{\"alg\":\"RS256\",\"kid\":\"rsa\",\"jwk\":%s}", jwk);
    scoped_str text = jwt_signer_sign(given.other_rsa, header, CLAIMS);

    (void)state;
    assert_kept_out("an embedded key", text);
}

/* --- Signatures -----------------------------------------------------------------------------
 */

/* The classic: a public key, which everybody has, used as the secret of an HMAC. */
static void test_a_public_key_is_no_secret_of_an_hmac(void **state)
{
    static const char *const headers[] = {"{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"rsa\"}",
                                          RSA_HEADER};
    scoped_str jwk = jwt_signer_jwk(given.rsa, "rsa", "");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
        scoped_str head = jwt_signer_head(headers[i], CLAIMS);
        uint8_t mac[SHA256_SIZE];

        hmac_sha256(jwk, strlen(jwk), head, strlen(head), mac);
        scoped_str text = jwt_signer_join(head, mac, sizeof(mac));
        assert_kept_out("an HMAC", text);
    }
}

static void test_anothers_signature_is_refused(void **state)
{
    scoped_str rsa = jwt_signer_sign(given.other_rsa, RSA_HEADER, CLAIMS);
    scoped_str ec = jwt_signer_sign(given.other_ec, EC_HEADER, CLAIMS);
    scoped_str crossed = jwt_signer_sign(given.ec, RSA_HEADER, CLAIMS);
    scoped_str crossed_too = jwt_signer_sign(given.rsa, EC_HEADER, CLAIMS);

    (void)state;
    assert_kept_out("another RSA key's", rsa);
    assert_kept_out("another curve key's", ec);
    assert_kept_out("the curve key's for the RSA key", crossed);
    assert_kept_out("the RSA key's for the curve key", crossed_too);
}

static void test_a_changed_token_is_refused(void **state)
{
    static const char *const pairs[][2] = {
        {RSA_HEADER, "{\"iss\":\"https://issuer.example.com\",\"sub\":\"y\"}"},
        {"{\"alg\":\"RS256\",\"kid\":\"rsa\"}", CLAIMS},
        {RSA_HEADER, "{}"},
    };
    scoped_str good_head = jwt_signer_head(RSA_HEADER, CLAIMS);
    size_t size;
    unsigned char *signature = jwt_signer_signature(given.rsa, good_head, &size);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        scoped_str head = jwt_signer_head(pairs[i][0], pairs[i][1]);
        scoped_str text = jwt_signer_join(head, signature, size);

        assert_kept_out("another token's signature", text);
    }
    for (size_t i = 0; i < size; i += 17) {
        signature[i] ^= 1;
        scoped_str text = jwt_signer_join(good_head, signature, size);
        signature[i] ^= 1;
        assert_kept_out("a bit", text);
    }
    free(signature);
}

static void test_a_signature_of_another_size_is_refused(void **state)
{
    const struct {
        EVP_PKEY *key;
        const char *header;
    } cases[] = {{given.rsa, RSA_HEADER}, {given.ec, EC_HEADER}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_str head = jwt_signer_head(cases[i].header, CLAIMS);
        uint8_t longer[1025] = {0};
        size_t size;
        unsigned char *made = jwt_signer_signature(cases[i].key, head, &size);

        memcpy(longer + 1, made, size);
        scoped_str cut = jwt_signer_join(head, made, size - 1);
        scoped_str half = jwt_signer_join(head, made, size / 2);
        scoped_str zero_before = jwt_signer_join(head, longer, size + 1);
        scoped_str zero_behind = jwt_signer_join(head, longer + 1, size + 1);
        scoped_str one = jwt_signer_join(head, made, 1);
        assert_kept_out("one byte less", cut);
        assert_kept_out("half of it", half);
        assert_kept_out("a zero in front", zero_before);
        assert_kept_out("a zero behind", zero_behind);
        assert_kept_out("one byte", one);
        free(made);
    }
}

/* r = s = 0 is anybody's signature where nobody looks (CVE-2022-21449); r = n is the same. */
static void test_numbers_that_no_curve_signature_has_are_refused(void **state)
{
    static const char n[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    scoped_str head = jwt_signer_head(EC_HEADER, CLAIMS);
    uint8_t numbers[64] = {0};

    (void)state;
    scoped_str zeroes = jwt_signer_join(head, numbers, sizeof(numbers));
    assert_kept_out("zeroes", zeroes);
    assert_true(hex_decode(n, numbers, 32));
    scoped_str r_is_n = jwt_signer_join(head, numbers, sizeof(numbers));
    assert_kept_out("r = n, s = 0", r_is_n);
    assert_true(hex_decode(n, numbers + 32, 32));
    scoped_str both = jwt_signer_join(head, numbers, sizeof(numbers));
    assert_kept_out("r = s = n", both);
    memset(numbers, 0xff, sizeof(numbers));
    scoped_str ones = jwt_signer_join(head, numbers, sizeof(numbers));
    assert_kept_out("ones", ones);
}

/* As OpenSSL writes it, and others of its tools: not what a JWT has. */
static void test_a_curve_signature_in_der_is_refused(void **state)
{
    scoped_str head = jwt_signer_head(EC_HEADER, CLAIMS);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char der[128];
    size_t size = sizeof(der);

    (void)state;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, given.ec), 1);
    assert_int_equal(EVP_DigestSign(ctx, der, &size, (const unsigned char *)head, strlen(head)),
                     1);
    EVP_MD_CTX_free(ctx);
    scoped_str text = jwt_signer_join(head, der, size);
    assert_kept_out("DER", text);
}

/* --- Form -----------------------------------------------------------------------------------
 */

static void test_claims_that_are_no_plain_object_are_refused(void **state)
{
    scoped_str inner = jwt_signer_sign(given.rsa, RSA_HEADER, CLAIMS);
    scoped_str quoted = xasprintf("\"%s\"", inner);
    char deep[] =
        "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}";
    const char *const claims[] = {
        inner, /* nested: a token in a token */
        quoted,
        "[]",
        "null",
        "7",
        "",
        "{\"iss\":\"a\",\"iss\":\"b\"}",
        "{\"iss\":\"a\"}{}",
        "{\"iss\":\"a\\u0000b\"}",
        "{\"iss\":\"\\ud800\"}",
        "{\"iss\":\"\xc3\x28\"}",
        deep,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
        scoped_str text = jwt_signer_sign(given.rsa, RSA_HEADER, claims[i]);

        assert_kept_out(claims[i], text);
    }
}

static void test_texts_that_are_no_token_are_refused(void **state)
{
    scoped_str good = jwt_signer_sign(given.rsa, RSA_HEADER, CLAIMS);
    const char *dot = strchr(good, '.');
    const char *last = strrchr(good, '.');
    const struct {
        const char *what;
        char *text;
    } cases[] = {
        {"nothing", xstrdup("")},
        {"a dot", xstrdup(".")},
        {"two dots", xstrdup("..")},
        {"three dots", xstrdup("...")},
        {"one part", xstrndup(good, (size_t)(dot - good))},
        {"two parts", xstrndup(good, (size_t)(last - good))},
        {"no signature", xstrndup(good, (size_t)(last - good) + 1)},
        {"no header", xstrdup(dot)},
        {"no claims", xasprintf("%.*s.%s", (int)(dot - good) + 1, good, last + 1)},
        {"four parts", xasprintf("%s.AAAA", good)},
        {"a dot at the end", xasprintf("%s.", good)},
        {"five parts, as encrypted ones have", xasprintf("%s.AAAA.AAAA", good)},
        {"padding behind the signature", xasprintf("%s=", good)},
        {"padding behind the header", xasprintf("%.*s==%s", (int)(dot - good), good, dot)},
        {"a blank in front", xasprintf(" %s", good)},
        {"a blank behind", xasprintf("%s ", good)},
        {"a line break behind", xasprintf("%s\n", good)},
        {"a line break inside", xasprintf("%.*s\n%s", (int)(dot - good), good, dot)},
        {"a tab inside", xasprintf("%.9s\t%s", good, good + 9)},
        {"the other alphabet", xasprintf("%.9s+/%s", good, good + 11)},
        {"a percent sign", xasprintf("%.*s%%2E%s", (int)(dot - good), good, dot + 1)},
        {"a comma of two", xasprintf("%s,%s", good, good)},
        {"JSON serialization", xstrdup("{\"payload\":\"e30\",\"signatures\":[]}")},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_kept_out(cases[i].what, cases[i].text);
        free(cases[i].text);
    }
}

/* 256 bytes take 342 digits, whose last has four bits to spare: two texts, one signature. */
static void test_stray_bits_are_refused(void **state)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    scoped_str text = jwt_signer_sign(given.rsa, RSA_HEADER, CLAIMS);
    char *last = text + strlen(text) - 1;
    const char *digit = strchr(digits, *last);

    (void)state;
    assert_non_null(digit);
    for (int bits = 1; bits < 16; bits++) {
        *last = digits[(size_t)(digit - digits) | (size_t)bits];
        assert_kept_out("stray bits", text);
    }
}

static void test_a_token_that_is_too_long_is_refused_unread(void **state)
{
    char filling[JWT_TEXT_MAX];
    scoped_str claims = NULL;
    struct err err = {0};

    (void)state;
    memset(filling, 'x', sizeof(filling));
    claims = xasprintf("{\"x\":\"%.*s\"}", 5500, filling);
    scoped_str fits = jwt_signer_sign(given.rsa, RSA_HEADER, claims);
    assert_true(strlen(fits) <= JWT_TEXT_MAX);
    assert_true(is_let_in(fits, &err));
    free(claims);
    claims = xasprintf("{\"x\":\"%.*s\"}", 6000, filling);
    scoped_str too_long = jwt_signer_sign(given.rsa, RSA_HEADER, claims);
    assert_true(strlen(too_long) > JWT_TEXT_MAX);
    assert_kept_out("a long one", too_long);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_signed_token_is_let_in),
        cmocka_unit_test(test_what_a_header_may_not_say),
        cmocka_unit_test(test_a_kid_that_is_too_long_is_refused),
        cmocka_unit_test(test_a_key_that_comes_along_counts_for_nothing),
        cmocka_unit_test(test_a_public_key_is_no_secret_of_an_hmac),
        cmocka_unit_test(test_anothers_signature_is_refused),
        cmocka_unit_test(test_a_changed_token_is_refused),
        cmocka_unit_test(test_a_signature_of_another_size_is_refused),
        cmocka_unit_test(test_numbers_that_no_curve_signature_has_are_refused),
        cmocka_unit_test(test_a_curve_signature_in_der_is_refused),
        cmocka_unit_test(test_claims_that_are_no_plain_object_are_refused),
        cmocka_unit_test(test_texts_that_are_no_token_are_refused),
        cmocka_unit_test(test_stray_bits_are_refused),
        cmocka_unit_test(test_a_token_that_is_too_long_is_refused_unread),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
