/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/target.h"

#include <string.h>

#include "test.h"

static void test_a_token_crosses_no_network_in_the_clear(void **state)
{
    static const struct {
        const char *server;
        bool fine;
    } cases[] = {
        {"https://dispatch.example.com", true},  {"HTTPS://dispatch.example.com", true},
        {"http://127.0.0.1:5000", true},         {"http://127.9.9.9", true},
        {"http://localhost:5000/path", true},    {"http://[::1]:5000", true},
        {"http://dispatch.example.com", false},  {"http://10.0.0.1:5000", false},
        {"http://localhost.example.com", false}, {"http://127.0.0.1.example.com", false},
        {"http://127.0.0.1@example.com", false}, {"http://[fd00::1]", false},
        {"http://0.0.0.0:5000", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};

        if ((target_check_transport(cases[i].server, false, &err) == 0) != cases[i].fine)
            fail_msg("%s: %s", cases[i].server, err.text);
        assert_ok(target_check_transport(cases[i].server, true, &err), err);
    }
}

static void test_a_token_is_one_word(void **state)
{
    static const char *const bad[] = {"", " \n", "two words", "a\nb", "t\xc3\xa4", "a\tb"};
    struct err err = {0};
    scoped(secret) token = target_token("the file", " vgvbot_x\r\n", 11, &err);

    (void)state;
    assert_made(token, err);
    assert_string_equal(secret_reveal(token), "vgvbot_x");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_null(target_token("the file", bad[i], strlen(bad[i]), &err));
        assert_int_equal(err.kind, ERR_INVALID);
        assert_non_null(strstr(err.text, "the file"));
    }
}

TEST_MAIN(cmocka_unit_test(test_a_token_crosses_no_network_in_the_clear),
          cmocka_unit_test(test_a_token_is_one_word))
