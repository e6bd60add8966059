/* SPDX-License-Identifier: Apache-2.0 */
#include "git/credential.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "test.h"

#include "base/alloc.h"

#define TOKEN "ghs_credentialtesttoken"

/* What the helper says when asked `request` with `operation`; the caller frees it. */
static char *ask(const char *operation, const char *request, int *out_code)
{
    scoped(secret) token = secret_new(TOKEN);
    struct err err = {0};
    scoped_fd fd = credential_open(token, &err);
    scoped_str number = xasprintf("%d", fd);
    scoped_str copy = xstrdup(request);
    char *argv[] = {(char[]){"https"}, (char[]){"git.example:8443"}, number, xstrdup(operation),
                    NULL};
    char *answer = NULL;
    size_t size = 0;
    FILE *in = fmemopen(copy, strlen(copy), "r");
    FILE *out = open_memstream(&answer, &size);

    assert_true(fd >= 0);
    *out_code = credential_helper_main(4, argv, in, out);
    (void)fclose(in);
    (void)fclose(out);
    free(argv[3]);
    return answer;
}

static void test_helper_answers_for_the_one_host_only(void **state)
{
    static const struct {
        const char *operation;
        const char *request;
        bool gets_it;
    } cases[] = {
        {"get", "protocol=https\nhost=git.example:8443\n\n", true},
        {"get", "host=git.example:8443\npath=a/b.git\nprotocol=https\n", true},
        {"get", "protocol=http\nhost=git.example:8443\n\n", false},
        {"get", "protocol=https\nhost=git.example\n\n", false},
        {"get", "protocol=https\nhost=git.example:8443.evil\n\n", false},
        {"get", "protocol=https\nhost=evil\n\nhost=git.example:8443\n", false},
        {"get", "protocol=https\nhost=git.example:8443\nhost=evil\n\n", false},
        {"get", "protocol=https\n\n", false},
        {"get", "\n", false},
        {"store", "protocol=https\nhost=git.example:8443\n\n", false},
        {"erase", "protocol=https\nhost=git.example:8443\n\n", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int code = -1;
        scoped_str answer = ask(cases[i].operation, cases[i].request, &code);

        assert_int_equal(code, 0);
        assert_string_equal(
            answer, cases[i].gets_it ? "username=x-access-token\npassword=" TOKEN "\n" : "");
    }
}

/* As when a server's long header comes along as wwwauth[]=... */
static void test_end_of_a_long_line_is_no_line(void **state)
{
    (void)state;
    for (int length = 900; length < 1200; length++) {
        scoped_str request =
            xasprintf("protocol=https\nhost=evil\nx=%0*dhost=git.example:8443\n\n", length, 0);
        int code = -1;
        scoped_str answer = ask("get", request, &code);

        assert_string_equal(answer, "");
    }
}

static void test_helper_answers_again_and_again(void **state)
{
    scoped(secret) token = secret_new(TOKEN);
    struct err err = {0};
    scoped_fd fd = credential_open(token, &err);
    char first[64] = "";
    char second[64] = "";

    (void)state;
    assert_int_equal(pread(fd, first, sizeof(first), 0), strlen(TOKEN));
    assert_int_equal(pread(fd, second, sizeof(second), 0), strlen(TOKEN));
    assert_string_equal(first, TOKEN);
    assert_string_equal(second, TOKEN);
}

static void test_token_in_its_memfd_cannot_be_changed(void **state)
{
    scoped(secret) token = secret_new(TOKEN);
    struct err err = {0};
    scoped_fd fd = credential_open(token, &err);

    (void)state;
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void test_wrong_usage_is_an_error(void **state)
{
    char *argv[] = {(char[]){"https"}, (char[]){"h"}, (char[]){"987"}, (char[]){"get"}, NULL};
    char request[] = "protocol=https\nhost=h\n\n";
    FILE *in = fmemopen(request, strlen(request), "r");

    (void)state;
    assert_int_equal(credential_helper_main(3, argv, in, stdout), 2);
    assert_int_equal(credential_helper_main(4, argv, in, stdout), 1);
    (void)fclose(in);
}

static void test_command_survives_any_path(void **state)
{
    scoped_str plain = credential_helper_command("/usr/bin/dispatch-runner", "https", "h:1", 9);
    scoped_str odd = credential_helper_command("/a b/it's $(x)", "http", "h", 10);

    (void)state;
    assert_string_equal(plain, "!'/usr/bin/dispatch-runner' git-credential 'https' 'h:1' 9");
    assert_string_equal(odd, "!'/a b/it'\\''s $(x)' git-credential 'http' 'h' 10");
}

static void test_the_form_in_the_header_is_known(void **state)
{
    scoped(secret) token = secret_new(TOKEN);
    scoped(secret) in_header = credential_in_header(token);

    (void)state;
    assert_string_equal(secret_reveal(in_header),
                        "eC1hY2Nlc3MtdG9rZW46Z2hzX2NyZWRlbnRpYWx0ZXN0dG9rZW4=");
}

static void test_hosts_that_a_shell_would_read_are_refused(void **state)
{
    (void)state;
    assert_true(credential_host_valid("github.com"));
    assert_true(credential_host_valid("127.0.0.1:8080"));
    assert_true(credential_host_valid("[::1]:80"));
    assert_false(credential_host_valid(""));
    assert_false(credential_host_valid("h'x"));
    assert_false(credential_host_valid("h;x"));
    assert_false(credential_host_valid("u@h"));
}

TEST_MAIN(cmocka_unit_test(test_helper_answers_for_the_one_host_only),
          cmocka_unit_test(test_end_of_a_long_line_is_no_line),
          cmocka_unit_test(test_helper_answers_again_and_again),
          cmocka_unit_test(test_token_in_its_memfd_cannot_be_changed),
          cmocka_unit_test(test_wrong_usage_is_an_error),
          cmocka_unit_test(test_command_survives_any_path),
          cmocka_unit_test(test_the_form_in_the_header_is_known),
          cmocka_unit_test(test_hosts_that_a_shell_would_read_are_refused))
