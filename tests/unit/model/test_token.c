/* SPDX-License-Identifier: Apache-2.0 */
#include "model/token.h"

#include <string.h>

#include "base/alloc.h"
#include "crypto/random.h"
#include "test.h"

#define RANDOM_43 "abcdefghijABCDEFGHIJ0123456789abcdefghijXYZ"

static void test_an_integration_token_has_its_form_and_prefix(void **state)
{
    char display[TOKEN_DISPLAY_SIZE];
    scoped(secret) token = integration_token_make(display);
    const char *text = secret_reveal(token);

    (void)state;
    assert_int_equal(strlen(text), 7 + 43);
    assert_true(integration_token_well_formed(text));
    assert_int_equal(strlen(display), 12);
    assert_memory_equal(display, text, 12);
}

static void test_two_tokens_differ(void **state)
{
    char display[TOKEN_DISPLAY_SIZE];
    scoped(secret) a = integration_token_make(display);
    scoped(secret) b = integration_token_make(display);
    struct id run = id_make(clock_wall_ms(), random_u64());
    scoped(secret) c = task_token_make(run);
    scoped(secret) d = task_token_make(run);

    (void)state;
    assert_string_not_equal(secret_reveal(a), secret_reveal(b));
    assert_string_not_equal(secret_reveal(c), secret_reveal(d));
}

static void test_a_task_token_names_its_run(void **state)
{
    struct id run = id_make(clock_wall_ms(), random_u64());
    struct id named = {0};
    scoped(secret) token = task_token_make(run);

    (void)state;
    assert_true(task_token_parse(secret_reveal(token), &named));
    assert_true(id_equal(run, named));
    assert_false(integration_token_well_formed(secret_reveal(token)));
}

/* The same for the same key, so that a job can be given it again; no other one's. */
static void test_a_derived_token_is_of_one_run_attempt_and_key(void **state)
{
    static const uint8_t key[TASK_TOKEN_KEY_SIZE] = {1};
    static const uint8_t other_key[TASK_TOKEN_KEY_SIZE] = {2};
    struct id run = id_make(clock_wall_ms(), random_u64());
    struct id other = id_make(clock_wall_ms(), random_u64());
    struct id named = {0};
    scoped(secret) token = task_token_derive(run, 1, key);
    scoped(secret) same = task_token_derive(run, 1, key);
    scoped(secret) second = task_token_derive(run, 2, key);
    scoped(secret) of_another = task_token_derive(other, 1, key);
    scoped(secret) by_another = task_token_derive(run, 1, other_key);

    (void)state;
    assert_true(task_token_parse(secret_reveal(token), &named));
    assert_true(id_equal(run, named));
    assert_string_equal(secret_reveal(token), secret_reveal(same));
    assert_string_not_equal(secret_reveal(token), secret_reveal(second));
    assert_string_not_equal(secret_reveal(token), secret_reveal(of_another));
    assert_string_not_equal(secret_reveal(token), secret_reveal(by_another));
}

static void test_anything_else_is_no_token(void **state)
{
    static const char *const wrong[] = {
        "",
        "vgvbot_",
        "vgvbot_short",
        "vgvbot_" RANDOM_43 "x",
        "VGVBOT_" RANDOM_43,
        "vgvbot-" RANDOM_43,
        "vgvbot_abcdefghijABCDEFGHIJ0123456789abcdefghijXY!",
        "vgvbot_abcdefghijABCDEFGHIJ0123456789abcdefghijXY\n",
        " vgvbot_" RANDOM_43,
        "vgvtask_",
        "vgvtask_01jab2c3d4e5f6g7h8i9_short",
        "vgvtask_01jab2c3d4e5f6g7h8i9_" RANDOM_43 "x",
        "vgvtask_01jab2c3d4e5f6g7h8i9-" RANDOM_43,
        "vgvtask_01jab2c3d4e5f6g7h8I9_" RANDOM_43,
        "vgvtask_01jab2c3zzzzzzzzzzzz_" RANDOM_43, /* more than 62 random bits */
    };
    struct id run;

    (void)state;
    assert_false(integration_token_well_formed(NULL));
    assert_false(task_token_parse(NULL, &run));
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_false(integration_token_well_formed(wrong[i]));
        assert_false(task_token_parse(wrong[i], &run));
    }
    assert_true(integration_token_well_formed("vgvbot_" RANDOM_43));
    assert_true(task_token_parse("vgvtask_01jab2c314e5f6g7h8i9_" RANDOM_43, &run));
}

static void test_a_personal_token_has_its_own_form(void **state)
{
    static const char *const wrong[] = {
        "dsp_live_",           "dsp_live_" RANDOM_43 "x",
        "DSP_LIVE_" RANDOM_43, " dsp_live_" RANDOM_43,
        "dsp_test_" RANDOM_43, "dsp_live_abcdefghijABCDEFGHIJ0123456789abcdefghijXY!",
        "vgvbot_" RANDOM_43,
    };
    char prefix[TOKEN_DISPLAY_SIZE];
    scoped(secret) made = personal_token_make(prefix);

    (void)state;
    assert_true(personal_token_well_formed(secret_reveal(made)));
    assert_false(integration_token_well_formed(secret_reveal(made)));
    assert_int_equal(strncmp(prefix, secret_reveal(made), 12), 0);
    assert_int_equal(strlen(prefix), 12);
    assert_false(personal_token_well_formed(NULL));
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_false(personal_token_well_formed(wrong[i]));
}

static void test_scopes_imply_what_they_need(void **state)
{
    static const struct {
        unsigned scopes;
        bool read;
        bool dispatch;
        bool admin;
    } cases[] = {
        {0, false, false, false},
        {TOKEN_READ, true, false, false},
        {TOKEN_DISPATCH, true, true, false},
        {TOKEN_READ | TOKEN_DISPATCH, true, true, false},
        {TOKEN_ADMIN, true, true, true},
        {8, false, false, false},
    };
    enum token_scope scope;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(token_scopes_allow(cases[i].scopes, TOKEN_READ), cases[i].read);
        assert_int_equal(token_scopes_allow(cases[i].scopes, TOKEN_DISPATCH),
                         cases[i].dispatch);
        assert_int_equal(token_scopes_allow(cases[i].scopes, TOKEN_ADMIN), cases[i].admin);
    }
    assert_true(token_scope_parse("admin", &scope));
    assert_int_equal(scope, TOKEN_ADMIN);
    assert_string_equal(token_scope_name(TOKEN_READ), "read");
    assert_false(token_scope_parse("Admin", &scope));
    assert_false(token_scope_parse("", &scope));
}

static void test_the_hash_is_the_sha_256_of_the_text(void **state)
{
    uint8_t hash[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    (void)state;
    token_hash("abc", hash);
    hex_encode(hash, sizeof(hash), hex);
    assert_string_equal(hex,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_repository_names(void **state)
{
    static const struct {
        const char *name;
        bool valid;
    } cases[] = {
        {"octo/hello", true},
        {"a/b", true},
        {"Octo-Cat/.github", true},
        {"o/a.b_c-d", true},
        {"o/git", true},
        {"o/x.gitx", true},
        {"o/...", true},
        {"", false},
        {"octo", false},
        {"octo/", false},
        {"/hello", false},
        {"octo/hello/more", false},
        {"octo/.", false},
        {"octo/..", false},
        {"octo/hello.git", false},
        {"octo/hello.GIT", false},
        {"octo/.git", false},
        {"-octo/hello", false},
        {"oc_to/hello", false},
        {"oc to/hello", false},
        {"octo/hel lo", false},
        {"octo/hello\n", false},
        {"octo/h\xc3\xa9", false},
        {"../hello", false},
        {"https://github.com/octo/hello", false},
    };

    (void)state;
    assert_false(repo_name_valid(NULL));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (repo_name_valid(cases[i].name) != cases[i].valid)
            fail_msg("%s", cases[i].name);
}

static void test_repository_names_have_lengths(void **state)
{
    char name[39 + 1 + 101 + 1];

    (void)state;
    memset(name, 'a', sizeof(name));
    name[39] = '/';
    name[39 + 1 + 100] = '\0';
    assert_true(repo_name_valid(name));
    name[39 + 1 + 100] = 'a';
    name[39 + 1 + 101] = '\0';
    assert_false(repo_name_valid(name));
    memset(name, 'a', sizeof(name));
    memcpy(name + 40, "/b", 3);
    assert_false(repo_name_valid(name));
}

TEST_MAIN(cmocka_unit_test(test_an_integration_token_has_its_form_and_prefix),
          cmocka_unit_test(test_two_tokens_differ),
          cmocka_unit_test(test_a_task_token_names_its_run),
          cmocka_unit_test(test_a_derived_token_is_of_one_run_attempt_and_key),
          cmocka_unit_test(test_anything_else_is_no_token),
          cmocka_unit_test(test_a_personal_token_has_its_own_form),
          cmocka_unit_test(test_scopes_imply_what_they_need),
          cmocka_unit_test(test_the_hash_is_the_sha_256_of_the_text),
          cmocka_unit_test(test_repository_names),
          cmocka_unit_test(test_repository_names_have_lengths))
