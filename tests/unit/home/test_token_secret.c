/* SPDX-License-Identifier: Apache-2.0 */
#include "home/token_secret.h"

#include "scripted_server.h"

#include "json/json.h"

#define VERSION "projects/p/secrets/s/versions/latest"
#define TOKEN_ANSWER "{\"access_token\":\"ya29.r\",\"expires_in\":99,\"token_type\":\"Bearer\"}"

static void test_the_token_is_read_with_the_machines_access_token(void **state)
{
    static const struct scripted_answer answers[] = {
        {200, "Metadata-Flavor: Google\r\n", TOKEN_ANSWER},
        {200, NULL, "{\"name\":\"x\",\"payload\":{\"data\":\"dmd2dGFza18+Pz8=\"}}"},
    };
    struct script script = {.answers = answers, .n_answers = ARRAY_SIZE(answers)};
    struct server server;
    scoped_str host = NULL;
    scoped_str url = NULL;
    scoped(secret) token = NULL;
    struct err err = {0};

    (void)state;
    script_start(&server, &script);
    host = xasprintf("127.0.0.1:%d", server.port);
    url = xasprintf("http://%s", host);
    assert_int_equal(setenv("GCE_METADATA_HOST", host, 1), 0);
    token = token_secret_fetch(VERSION, url, NULL, &err);
    assert_int_equal(unsetenv("GCE_METADATA_HOST"), 0);
    assert_made(token, err);
    assert_string_equal(secret_reveal(token), "vgvtask_>?\?");
    assert_non_null(strstr(server.seen.data, "Metadata-Flavor: Google\r\n"));
    assert_non_null(strstr(server.seen.data, "GET /v1/" VERSION ":access HTTP/1.1\r\n"));
    assert_non_null(strstr(server.seen.data, "Authorization: Bearer ya29.r\r\n"));
    server_stop(&server);
}

static void test_a_name_that_is_none_is_asked_of_nobody(void **state)
{
    static const char *const names[] = {"", "latest", "projects/p/secrets/s",
                                        "projects/p/secrets/../versions/1",
                                        "projects/p/secrets/s/versions/1?x=y"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct err err = {0};

        assert_null(token_secret_fetch(names[i], "http://127.0.0.1:9", NULL, &err));
        assert_int_equal(err.kind, ERR_INVALID);
    }
}

static void test_only_a_whole_answer_has_a_token(void **state)
{
    static const char *const hostile[] = {
        "",
        "[]",
        "{\"payload\":{}}",
        "{\"payload\":{\"data\":7}}",
        "{\"payload\":{\"data\":\"\"}}",
        "{\"payload\":{\"data\":\"not base64!\"}}",
        "{\"payload\":{\"data\":\"AAAA\"}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
        struct err err = {0};

        if (token_secret_read(hostile[i], strlen(hostile[i]), &err))
            fail_msg("taken for a token: %s", hostile[i]);
        assert_int_equal(err.kind, ERR_UPSTREAM);
    }
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
        cmocka_unit_test(test_the_token_is_read_with_the_machines_access_token),
        cmocka_unit_test(test_a_name_that_is_none_is_asked_of_nobody),
        cmocka_unit_test(test_only_a_whole_answer_has_a_token),
    };

    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, setup, NULL);
}
