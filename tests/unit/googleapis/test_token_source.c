/* SPDX-License-Identifier: Apache-2.0 */
#include "google_server.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "crypto/digest.h"

/* --- Answers ------------------------------------------------------------------------------ */

static void test_only_a_whole_answer_is_a_token(void **state)
{
    static const char *const hostile[] = {
        "{}",
        "[]",
        "null",
        TOKEN_ANSWER("", "3600"),
        TOKEN_ANSWER("two words", "3600"),
        TOKEN_ANSWER("line\\nbreak", "3600"),
        TOKEN_ANSWER("caf\u00e9", "3600"),
        TOKEN_ANSWER("t", "0"),
        TOKEN_ANSWER("t", "-5"),
        TOKEN_ANSWER("t", "1e300"),
        TOKEN_ANSWER("t", "86401"),
        TOKEN_ANSWER("t", "12.5"),
        TOKEN_ANSWER("t", "\"3600\""),
        "{\"access_token\":\"t\",\"token_type\":\"Bearer\"}",
        "{\"access_token\":\"t\",\"expires_in\":60,\"token_type\":\"MAC\"}",
        "{\"access_token\":\"t\",\"expires_in\":60}",
        "{\"access_token\":7,\"expires_in\":60,\"token_type\":\"Bearer\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
        struct err err = {0};
        struct access_token token = {0};
        scoped_json answer = json_parse(hostile[i], strlen(hostile[i]), &err);

        if (access_token_read(answer, &token, &err) == 0)
            fail_msg("taken for a token: %s", hostile[i]);
        assert_int_equal(err.kind, ERR_UPSTREAM);
        assert_null(token.secret);
    }
}

/* --- The metadata server ------------------------------------------------------------------ */

static int fetch(struct token_source *source, struct access_token *out, struct err *err)
{
    *out = (struct access_token){0};
    *err = (struct err){0};
    return token_source_fetch(source, out, err);
}

static void test_the_metadata_server_is_asked_as_it_wants(void **state)
{
    struct server server;
    struct script script;
    struct access_token token;
    struct err err;

    (void)state;
    SCRIPT(&script, {200, FLAVOUR, TOKEN_ANSWER("ya29.x", "1800")});
    script_start(&server, &script);
    scoped(token_source) source = metadata_source(&server);

    assert_ok(fetch(source, &token, &err), err);
    assert_string_equal(secret_reveal(token.secret), "ya29.x");
    assert_int_equal(token.life_ms, 1800 * 1000);
    assert_non_null(strstr(server.seen.data,
                           "GET /computeMetadata/v1/instance/service-accounts/default/token"));
    assert_non_null(strstr(server.seen.data, "Metadata-Flavor: Google\r\n"));
    secret_free(token.secret);
    server_stop(&server);
}

static void test_who_is_no_metadata_server_is_not_believed(void **state)
{
    struct server server;
    struct script script;
    struct access_token token;
    struct err err;

    (void)state;
    SCRIPT(&script, {200, NULL, TOKEN_ANSWER("ya29.x", "1800")},
           {200, "Metadata-Flavor: Other\r\n", TOKEN_ANSWER("ya29.x", "1800")});
    script_start(&server, &script);
    scoped(token_source) source = metadata_source(&server);

    for (int i = 0; i < 2; i++) {
        assert_int_equal(fetch(source, &token, &err), -1);
        assert_int_equal(err.kind, ERR_DENIED);
    }
    server_stop(&server);
}

static void test_a_refusal_is_told_from_trouble(void **state)
{
    struct server server;
    struct script script;
    struct access_token token;
    struct err err;

    (void)state;
    SCRIPT(&script, {404, FLAVOUR, "no service account"}, {200, FLAVOUR, "not JSON"},
           {200, FLAVOUR, "{\"access_token\":\"x\"}"},
           {503, FLAVOUR "Retry-After: 60\r\n", ""});
    script_start(&server, &script);
    scoped(token_source) source = metadata_source(&server);

    assert_int_equal(fetch(source, &token, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fetch(source, &token, &err), -1);
        assert_int_equal(err.kind, ERR_UPSTREAM);
    }
    assert_int_equal(fetch(source, &token, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    server_stop(&server);
}

/* --- Key files ---------------------------------------------------------------------------- */

static char *make_pem(EVP_PKEY **out_key)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    BIO *out = BIO_new(BIO_s_mem());
    char *text = NULL;
    long size;
    char *pem;

    assert_int_equal(PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
    size = BIO_get_mem_data(out, &text);
    pem = xstrndup(text, (size_t)size);
    BIO_free(out);
    *out_key = key;
    return pem;
}

static char *write_key_file(const char *dir, const char *type, const char *pem, int port)
{
    scoped_str uri = xasprintf("http://127.0.0.1:%d/token", port);
    scoped_json file = jobj({"type", jstr(type)}, {"client_email", jstr("d@acme.example")},
                            {"private_key", jstr(pem)}, {"private_key_id", jstr("k1")},
                            {"token_uri", jstr(uri)}, {"project_id", jstr("acme")});
    scoped_str text = json_text(file);

    test_file_write(dir, "key.json", text);
    return xasprintf("%s/key.json", dir);
}

static cJSON *part(const char *text, size_t length)
{
    scoped_str copy = xstrndup(text, length);
    size_t size = 0;
    scoped_str bytes = base64url_decode(copy, &size);
    struct err err = {0};
    cJSON *document;

    assert_non_null(bytes);
    document = json_parse(bytes, size, &err);
    assert_made(document, err);
    return document;
}

static bool is_signed_by(EVP_PKEY *key, const char *text, size_t size, const char *signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t length = 0;
    uint8_t *bytes = base64url_decode(signature, &length);
    bool good = bytes && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1
                && EVP_DigestVerify(ctx, bytes, length, (const uint8_t *)text, size) == 1;

    EVP_MD_CTX_free(ctx);
    free(bytes);
    return good;
}

static void check_assertion(EVP_PKEY *key, const char *request, int port)
{
    static const char grant[] =
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    const char *body = strstr(request, grant);
    scoped_str uri = xasprintf("http://127.0.0.1:%d/token", port);
    scoped_str jwt = NULL;
    scoped_json header = NULL;
    scoped_json claims = NULL;
    char *first;
    char *second;

    assert_non_null(strstr(request, "Content-Type: application/x-www-form-urlencoded\r\n"));
    assert_non_null(body);
    jwt = xstrdup(body + strlen(grant));
    first = strchr(jwt, '.');
    second = strchr(first + 1, '.');
    header = part(jwt, (size_t)(first - jwt));
    claims = part(first + 1, (size_t)(second - first - 1));
    assert_string_equal(json_get_str(header, "alg"), "RS256");
    assert_string_equal(json_get_str(claims, "iss"), "d@acme.example");
    assert_string_equal(json_get_str(claims, "aud"), uri);
    assert_string_equal(json_get_str(claims, "scope"),
                        "https://www.googleapis.com/auth/cloud-platform");
    assert_int_equal(json_get_int(claims, "exp", 0) - json_get_int(claims, "iat", 0), 3600);
    assert_true(json_get_int(claims, "iat", 0) <= clock_wall_ms() / 1000);
    assert_true(is_signed_by(key, jwt, (size_t)(second - jwt), second + 1));
}

static void test_a_key_file_signs_an_assertion(void **state)
{
    scoped_str dir = test_dir_new();
    struct token_source_options options = {0};
    struct server server;
    struct script script;
    struct access_token token;
    EVP_PKEY *key = NULL;
    scoped_str pem = make_pem(&key);
    scoped_str path = NULL;
    struct err err = {0};

    (void)state;
    SCRIPT(&script, {200, NULL, TOKEN_ANSWER("ya29.k", "3599")},
           {400, NULL, "{\"error\":\"invalid_grant\",\"error_description\":\"Bad key\"}"});
    script_start(&server, &script);
    path = write_key_file(dir, "service_account", pem, server.port);
    options.key_file = path;
    scoped(token_source) source = token_source_new(&options, &err);

    assert_made(source, err);
    assert_ok(fetch(source, &token, &err), err);
    assert_string_equal(secret_reveal(token.secret), "ya29.k");
    secret_free(token.secret);
    assert_int_equal(fetch(source, &token, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_non_null(strstr(err.text, "invalid_grant: Bad key"));
    *strstr(server.seen.data + 4, "POST ") = '\0'; /* the first request only */
    check_assertion(key, server.seen.data, server.port);
    server_stop(&server);
    EVP_PKEY_free(key);
    test_dir_remove(dir);
}

static void test_a_key_file_that_cannot_be_used_is_refused_without_quoting_it(void **state)
{
    static const struct {
        const char *text;
        const char *complaint;
    } cases[] = {
        {"", "not a service account's key in JSON"},
        {"{\"private_key\": SECRET", "not a service account's key in JSON"},
        {"{\"type\":\"authorized_user\",\"refresh_token\":\"SECRET\"}",
         "only service_account is known"},
        {"{\"type\":\"service_account\",\"private_key\":\"SECRET\"}", "are required"},
        {"{\"type\":\"service_account\",\"client_email\":\"a@b\",\"private_key\":\"SECRET\","
         "\"token_uri\":\"https://x/token\"}",
         "not an unencrypted private key in PEM"},
    };
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/key.json", dir);
    const struct token_source_options options = {.key_file = path};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};

        test_file_write(dir, "key.json", cases[i].text);
        assert_null(token_source_new(&options, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.text, cases[i].complaint) || strstr(err.text, "SECRET"))
            fail_msg("%s", err.text);
    }
    test_dir_remove(dir);
}

static void test_a_key_file_that_is_missing_is_named(void **state)
{
    const struct token_source_options options = {.key_file = "/nonexistent/key.json"};
    struct err err = {0};

    (void)state;
    assert_null(token_source_new(&options, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nonexistent/key.json"));
}

static int setup(void **state)
{
    (void)state;
    json_setup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_a_whole_answer_is_a_token),
        cmocka_unit_test(test_the_metadata_server_is_asked_as_it_wants),
        cmocka_unit_test(test_who_is_no_metadata_server_is_not_believed),
        cmocka_unit_test(test_a_refusal_is_told_from_trouble),
        cmocka_unit_test(test_a_key_file_signs_an_assertion),
        cmocka_unit_test(test_a_key_file_that_cannot_be_used_is_refused_without_quoting_it),
        cmocka_unit_test(test_a_key_file_that_is_missing_is_named),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, setup, NULL);
}
