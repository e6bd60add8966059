/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/credentials.h"

#include <string.h>
#include <sys/stat.h>

#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"

#define NOW_MS 1700000000000
#define PEM(what) "-----BEGIN " what "-----\n"

/* An access over files, or a plugin, of a directory of its own; the clock stands still. */
struct bed {
    char *dir;
    struct access access;
    struct credentials *credentials;
};

static void bed_make(struct bed *bed)
{
    bed->dir = test_dir_new();
    bed->access.source = xstrdup("test");
    clock_set_for_test(NOW_MS);
}

static void bed_open(struct bed *bed)
{
    struct err err = {0};

    bed->credentials = credentials_new(&bed->access, NULL, &err);
    assert_made(bed->credentials, err);
}

static void bed_done(struct bed *bed)
{
    clock_set_for_test(-1);
    credentials_free(bed->credentials);
    free(bed->access.source);
    free(bed->access.token_file);
    free(bed->access.ca_file);
    free(bed->access.client_cert_file);
    free(bed->access.client_key_file);
    exec_plugin_free(bed->access.plugin);
    test_dir_remove(bed->dir);
    free(bed->dir);
}

#define scoped_bed __attribute__((cleanup(bed_done))) struct bed

static struct identity *get(struct bed *bed)
{
    struct err err = {0};
    struct identity *identity = credentials_get(bed->credentials, &err);

    assert_made(identity, err);
    return identity;
}

static bool token_is(struct bed *bed, const char *token)
{
    scoped(identity) identity = get(bed);

    return strcmp(secret_reveal(identity->token), token) == 0;
}

static void use_token_file(struct bed *bed, const char *token)
{
    test_file_write(bed->dir, "token", token);
    bed->access.token_file = xasprintf("%s/token", bed->dir);
}

static void test_a_token_file_is_read_again_after_a_minute(void **state)
{
    scoped_bed bed = {0};

    (void)state;
    bed_make(&bed);
    use_token_file(&bed, " one\n");
    bed_open(&bed);
    assert_true(token_is(&bed, "one"));
    test_file_write(bed.dir, "token", "two");
    clock_set_for_test(NOW_MS + CREDENTIALS_REREAD_MS - 1);
    assert_true(token_is(&bed, "one"));
    clock_set_for_test(NOW_MS + CREDENTIALS_REREAD_MS);
    assert_true(token_is(&bed, "two"));
    test_file_write(bed.dir, "token", "three");
    clock_set_for_test(NOW_MS - 1); /* a clock that was set back doesn't stop it */
    assert_true(token_is(&bed, "three"));
}

static void test_a_refused_token_is_read_again_at_once(void **state)
{
    scoped_bed bed = {0};
    scoped(identity) first = NULL;

    (void)state;
    bed_make(&bed);
    use_token_file(&bed, "one");
    bed_open(&bed);
    first = get(&bed);
    assert_false(credentials_renew(bed.credentials, first)); /* there is nothing newer */
    test_file_write(bed.dir, "token", "two");
    assert_true(credentials_renew(bed.credentials, first));
    assert_true(token_is(&bed, "two"));
    test_file_write(bed.dir, "token", "three");
    /* Somebody else had renewed it: no need to read. */
    assert_true(credentials_renew(bed.credentials, first));
    assert_true(token_is(&bed, "two"));
    assert_string_equal(secret_reveal(first->token), "one");
}

static void test_a_file_that_cannot_be_read_leaves_the_old_token(void **state)
{
    scoped_bed bed = {0};
    scoped_str path = NULL;
    scoped(identity) first = NULL;

    (void)state;
    bed_make(&bed);
    use_token_file(&bed, "one");
    bed_open(&bed);
    first = get(&bed);
    test_file_write(bed.dir, "token", " \n");
    clock_set_for_test(NOW_MS + 2 * CREDENTIALS_REREAD_MS);
    assert_true(token_is(&bed, "one"));
    path = xasprintf("%s/token", bed.dir);
    assert_int_equal(unlink(path), 0);
    assert_false(credentials_renew(bed.credentials, first));
    assert_true(token_is(&bed, "one"));
}

static void test_files_that_are_wrong_from_the_start_are_errors(void **state)
{
    static const struct {
        const char *token;
        const char *ca;
        enum err_kind kind;
    } cases[] = {
        {NULL, PEM("CERTIFICATE"), ERR_NOT_FOUND},
        {"", PEM("CERTIFICATE"), ERR_INVALID},
        {"t", "no pem", ERR_INVALID},
        {"t", NULL, ERR_NOT_FOUND},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scoped_bed bed = {0};
        struct err err = {0};

        bed_make(&bed);
        bed.access.token_file = xasprintf("%s/token", bed.dir);
        bed.access.ca_file = xasprintf("%s/ca", bed.dir);
        if (cases[i].token)
            test_file_write(bed.dir, "token", cases[i].token);
        if (cases[i].ca)
            test_file_write(bed.dir, "ca", cases[i].ca);
        assert_null(credentials_new(&bed.access, NULL, &err));
        assert_int_equal(err.kind, cases[i].kind);
    }
}

static void test_another_certificate_or_authority_is_another_tls_serial(void **state)
{
    scoped_bed bed = {0};
    scoped(identity) first = NULL;
    scoped(identity) token = NULL;
    scoped(identity) authority = NULL;
    scoped(identity) certificate = NULL;

    (void)state;
    bed_make(&bed);
    use_token_file(&bed, "one");
    bed.access.ca_file = xasprintf("%s/ca", bed.dir);
    bed.access.client_cert_file = xasprintf("%s/cert", bed.dir);
    bed.access.client_key_file = xasprintf("%s/key", bed.dir);
    test_file_write(bed.dir, "ca", PEM("CERTIFICATE") "1");
    test_file_write(bed.dir, "cert", PEM("CERTIFICATE") "2");
    test_file_write(bed.dir, "key", PEM("PRIVATE KEY") "3");
    bed_open(&bed);
    first = get(&bed);
    assert_string_equal(first->ca_pem, PEM("CERTIFICATE") "1");
    assert_string_equal(first->client_cert_pem, PEM("CERTIFICATE") "2");
    assert_string_equal(secret_reveal(first->client_key_pem), PEM("PRIVATE KEY") "3");

    test_file_write(bed.dir, "token", "two");
    clock_set_for_test(NOW_MS + CREDENTIALS_REREAD_MS);
    token = get(&bed);
    assert_true(token->serial > first->serial);
    assert_true(token->tls_serial == first->tls_serial);
    test_file_write(bed.dir, "ca", PEM("CERTIFICATE") "4");
    clock_set_for_test(NOW_MS + 2 * CREDENTIALS_REREAD_MS);
    authority = get(&bed);
    assert_true(authority->tls_serial > token->tls_serial);
    test_file_write(bed.dir, "key", PEM("PRIVATE KEY") "5");
    clock_set_for_test(NOW_MS + 3 * CREDENTIALS_REREAD_MS);
    certificate = get(&bed);
    assert_true(certificate->tls_serial > authority->tls_serial);
}

/* A plugin that counts in runs.txt and prints what answer.txt holds; without one it fails. */
static void use_plugin(struct bed *bed)
{
    scoped_json exec = jobj({"apiVersion", jstr("client.authentication.k8s.io/v1")},
                            {"command", jstr("./plugin")});
    scoped_str path = xasprintf("%s/plugin", bed->dir);
    struct err err = {0};

    test_file_write(
        bed->dir, "plugin",
        "#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho run >>runs.txt\ncat answer.txt\n");
    assert_int_equal(chmod(path, 0755), 0);
    bed->access.plugin = exec_plugin_new(exec, bed->dir, NULL, &err);
    assert_made(bed->access.plugin, err);
}

static void plugin_answers(struct bed *bed, const char *token, int64_t expires_ms)
{
    char expires[CLOCK_TEXT_SIZE];
    scoped_str text = NULL;

    clock_text(expires_ms, expires);
    text = xasprintf("{\"apiVersion\":\"client.authentication.k8s.io/v1\","
                     "\"kind\":\"ExecCredential\",\"status\":{\"token\":\"%s\"%s%s%s}}",
                     token, expires_ms ? ",\"expirationTimestamp\":\"" : "",
                     expires_ms ? expires : "", expires_ms ? "\"" : "");
    test_file_write(bed->dir, "answer.txt", text);
}

static int runs(struct bed *bed)
{
    scoped_str path = xasprintf("%s/runs.txt", bed->dir);
    scoped_buf text = {0};
    struct err err = {0};

    if (buf_read_file(&text, path, 100000, &err) < 0)
        return 0;
    return (int)(text.size / strlen("run\n"));
}

static void test_a_plugin_is_asked_when_needed_and_before_its_credential_ends(void **state)
{
    const int64_t end_ms = NOW_MS + 3600000;
    scoped_bed bed = {0};

    (void)state;
    bed_make(&bed);
    use_plugin(&bed);
    plugin_answers(&bed, "one", end_ms);
    bed_open(&bed);
    assert_int_equal(runs(&bed), 0);
    assert_true(token_is(&bed, "one"));
    plugin_answers(&bed, "two", end_ms + 3600000);
    clock_set_for_test(end_ms - CREDENTIALS_LEEWAY_MS - 1);
    assert_true(token_is(&bed, "one"));
    assert_int_equal(runs(&bed), 1);
    clock_set_for_test(end_ms - CREDENTIALS_LEEWAY_MS);
    assert_true(token_is(&bed, "two"));
    assert_true(token_is(&bed, "two"));
    assert_int_equal(runs(&bed), 2);
}

static void test_a_credential_without_an_end_lasts_until_it_is_refused(void **state)
{
    scoped_bed bed = {0};
    scoped(identity) first = NULL;

    (void)state;
    bed_make(&bed);
    use_plugin(&bed);
    plugin_answers(&bed, "one", 0);
    bed_open(&bed);
    first = get(&bed);
    plugin_answers(&bed, "two", 0);
    clock_set_for_test(NOW_MS + 86400000);
    assert_true(token_is(&bed, "one"));
    assert_true(credentials_renew(bed.credentials, first));
    assert_true(token_is(&bed, "two"));
    assert_int_equal(runs(&bed), 2);
}

static void test_no_plugin_is_asked_again_and_again(void **state)
{
    scoped_bed bed = {0};
    scoped(identity) first = NULL;

    (void)state;
    bed_make(&bed);
    use_plugin(&bed);
    plugin_answers(&bed, "one", NOW_MS - 1000); /* has ended already */
    bed_open(&bed);
    first = get(&bed);
    for (int i = 0; i < 5; i++) {
        assert_true(token_is(&bed, "one"));
        assert_false(credentials_renew(bed.credentials, first));
    }
    assert_int_equal(runs(&bed), 1);
    clock_set_for_test(NOW_MS + CREDENTIALS_PLUGIN_PAUSE_MS);
    assert_true(token_is(&bed, "one"));
    assert_int_equal(runs(&bed), 2);
}

static void test_a_plugin_that_fails_is_an_error_until_it_works(void **state)
{
    scoped_bed bed = {0};
    struct err err = {0};

    (void)state;
    bed_make(&bed);
    use_plugin(&bed);
    bed_open(&bed);
    for (int i = 0; i < 3; i++) {
        err = (struct err){0};
        assert_null(credentials_get(bed.credentials, &err));
        assert_int_equal(err.kind, ERR_UNAVAILABLE);
        assert_non_null(strstr(err.text, "ended with 1"));
    }
    assert_int_equal(runs(&bed), 1);
    plugin_answers(&bed, "one", 0);
    clock_set_for_test(NOW_MS + CREDENTIALS_PLUGIN_PAUSE_MS);
    assert_true(token_is(&bed, "one"));
}

static void test_a_plugin_that_fails_later_leaves_the_old_credential(void **state)
{
    scoped_bed bed = {0};
    scoped_str answer = NULL;

    (void)state;
    bed_make(&bed);
    use_plugin(&bed);
    plugin_answers(&bed, "one", NOW_MS + 60000);
    bed_open(&bed);
    assert_true(token_is(&bed, "one"));
    answer = xasprintf("%s/answer.txt", bed.dir);
    assert_int_equal(unlink(answer), 0);
    clock_set_for_test(NOW_MS + 60000);
    assert_true(token_is(&bed, "one"));
    assert_int_equal(runs(&bed), 2);
}

TEST_MAIN(cmocka_unit_test(test_a_token_file_is_read_again_after_a_minute),
          cmocka_unit_test(test_a_refused_token_is_read_again_at_once),
          cmocka_unit_test(test_a_file_that_cannot_be_read_leaves_the_old_token),
          cmocka_unit_test(test_files_that_are_wrong_from_the_start_are_errors),
          cmocka_unit_test(test_another_certificate_or_authority_is_another_tls_serial),
          cmocka_unit_test(test_a_plugin_is_asked_when_needed_and_before_its_credential_ends),
          cmocka_unit_test(test_a_credential_without_an_end_lasts_until_it_is_refused),
          cmocka_unit_test(test_no_plugin_is_asked_again_and_again),
          cmocka_unit_test(test_a_plugin_that_fails_is_an_error_until_it_works),
          cmocka_unit_test(test_a_plugin_that_fails_later_leaves_the_old_credential))
