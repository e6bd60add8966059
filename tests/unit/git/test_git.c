/* SPDX-License-Identifier: Apache-2.0 */
#include "git/git.h"

#include <sys/stat.h>

#include "git_remote.h"

static const char make_repositories[] = "mkdir $1/o && git init -q --bare $1/o/empty.git";
static const char *const repositories[] = {"o/empty", NULL};

/* Runs git with these arguments in an empty home that has a ~/.gitconfig and a ~/.netrc. */
static int run(struct git *git, const char *const *args, bool is_remote, struct buf *out,
               struct err *err)
{
    scoped_str home = test_dir_new();
    struct git_call call = {
        .args = args, .home = home, .cwd = home, .remote = is_remote, .out = out};
    int result;

    test_file_write(home, ".gitconfig",
                    "[alias]\n\tpwn = !echo pwned\n[user]\n\tname = evil\n");
    result = git_run(git, &call, err);
    test_dir_remove(home);
    return result;
}

static void test_urls_that_are_not_plain_http_are_refused(void **state)
{
    static const char *const urls[] = {
        "ssh://h/o/n.git",        "git@h:o/n.git",   "file:///tmp/x", "/tmp/x",
        "https://user:pw@h/o/n",  "https://h",       "https:///o/n",  "ext::sh -c id",
        "https://h/o/n --upload", "https://h\n/o/n", "HTTPS://h/o/n", "https://h'x/o/n",
        "https://h/o/n.git?x=1",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        struct git_options options = {
            .self = "/x", .clone_url = urls[i], .user_name = "b", .user_email = "b@x"};
        struct err err = {0};

        assert_null(git_new(&options, &err));
        assert_int_equal(err.kind, ERR_INVALID);
    }
}

static void test_configuration_of_the_home_does_not_count(void **state)
{
    static const char *const alias[] = {"pwn", NULL};
    static const char *const name[] = {"config", "user.name", NULL};
    scoped(redaction) redaction = redaction_new();
    scoped(git) git = git_for("o/empty", REMOTE_TOKEN, redaction);
    scoped_buf said = {0};
    scoped_buf answer = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(run(git, alias, false, &said, &err), -1);
    assert_null(said.data);
    err = (struct err){0};
    assert_ok(run(git, name, false, &answer, &err), err);
    assert_string_equal(answer.data, "bot");
}

static void test_other_transports_are_refused(void **state)
{
    static const char *const urls[] = {"ext::sh -c touch% pwned", "file:///",
                                       "ssh://127.0.0.1/x", "git://127.0.0.1/x"};
    scoped(redaction) redaction = redaction_new();
    scoped(git) git = git_for("o/empty", REMOTE_TOKEN, redaction);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        const char *args[] = {"ls-remote", urls[i], NULL};
        struct err err = {0};

        assert_int_equal(run(git, args, true, NULL, &err), -1);
        assert_non_null(strstr(err.text, "not allowed"));
    }
}

static void test_token_opens_the_remote_and_shows_nowhere(void **state)
{
    static const char *const trace[] = {"-c", "alias.seen=!env; cat /proc/$PPID/cmdline",
                                        "seen", NULL};
    scoped(redaction) redaction = redaction_new();
    scoped(git) git = git_for("o/empty", REMOTE_TOKEN, redaction);
    const char *list[] = {"ls-remote", git_url(git), NULL};
    scoped_buf seen = {0};
    struct err err = {0};

    (void)state;
    assert_ok(run(git, list, true, NULL, &err), err);
    assert_ok(run(git, trace, true, &seen, &err), err);
    assert_non_null(strstr(seen.data, "GIT_TERMINAL_PROMPT=0"));
    assert_null(memmem(seen.data, seen.size, REMOTE_TOKEN, strlen(REMOTE_TOKEN)));
}

static void test_calls_that_are_not_remote_have_no_token(void **state)
{
    scoped(redaction) redaction = redaction_new();
    scoped(git) git = git_for("o/empty", REMOTE_TOKEN, redaction);
    const char *list[] = {"ls-remote", git_url(git), NULL};
    struct err err = {0};

    (void)state;
    assert_int_equal(run(git, list, false, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_UNAUTHENTICATED);
}

static void test_failures_have_kinds(void **state)
{
    scoped(redaction) redaction = redaction_new();
    scoped(git) git = git_for("o/empty", "ghs_wrongtoken", redaction);
    scoped(git) missing = git_for("o/missing", REMOTE_TOKEN, redaction);
    const char *wrong[] = {"ls-remote", git_url(git), NULL};
    const char *nothing[] = {"ls-remote", git_url(missing), NULL};
    const char *nobody[] = {"ls-remote", "http://127.0.0.1:1/o/n.git", NULL};
    struct err err = {0};

    (void)state;
    assert_int_equal(run(git, wrong, true, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_UNAUTHENTICATED);
    assert_non_null(strstr(err.text, "git ls-remote: "));
    err = (struct err){0};
    assert_int_equal(run(missing, nothing, true, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    err = (struct err){0};
    assert_int_equal(run(git, nobody, true, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_UPSTREAM);
}

/* An agent may be the owner of the runner's file, or of a folder of PATH. */
static void test_programs_put_in_the_way_do_not_get_the_token(void **state)
{
    static const char thief[] = "#!/bin/sh\ntouch $(dirname $0)/stolen\nexit 1\n";
    scoped_str dir = test_dir_new();
    scoped_str self = xasprintf("%s/self", dir);
    scoped_str other = xasprintf("%s/git", dir);
    scoped_str stolen = xasprintf("%s/stolen", dir);
    scoped_str url = xasprintf("%s/o/empty.git", remote.url);
    scoped_str path = xstrdup(getenv("PATH"));
    scoped_str longer = xasprintf("%s:%s", dir, path);
    const char *args[] = {"ls-remote", url, NULL};
    scoped(redaction) redaction = redaction_new();
    scoped(secret) token = secret_new(REMOTE_TOKEN);
    struct git_options options = {.self = self,
                                  .clone_url = url,
                                  .user_name = "bot",
                                  .user_email = "bot@x",
                                  .redaction = redaction};
    struct err err = {0};

    (void)state;
    assert_int_equal(chmod(dir, 01777), 0); /* within the agent's reach, whoever we are */
    free(shell("cp /proc/$PPID/exe \"$2\"", self));
    (void)setenv("PATH", longer, 1);
    scoped(git) git = git_new(&options, &err);
    (void)setenv("PATH", path, 1);
    assert_made(git, err);
    assert_ok(git_set_token(git, token, &err), err);
    assert_int_equal(unlink(self), 0);
    test_file_write(dir, "self", thief);
    test_file_write(dir, "git", thief);
    assert_int_equal(chmod(self, 0755), 0);
    assert_int_equal(chmod(other, 0755), 0);
    assert_ok(run(git, args, true, NULL, &err), err);
    assert_int_equal(access(stolen, F_OK), -1);
    test_dir_remove(dir);
}

static void test_complaint_is_redacted(void **state)
{
    static const char *const args[] = {"show", "--end-of-options", REMOTE_TOKEN, NULL};
    scoped(redaction) redaction = redaction_new();
    scoped(git) git = git_for("o/empty", REMOTE_TOKEN, redaction);
    scoped_str home = test_dir_new();
    scoped_str git_dir = xasprintf("%s/o/empty.git", remote.dir);
    struct git_call call = {.args = args, .home = home, .cwd = home, .git_dir = git_dir};
    struct err err = {0};

    (void)state;
    assert_int_equal(git_run(git, &call, &err), -1);
    assert_non_null(strstr(err.text, "***"));
    assert_null(strstr(err.text, REMOTE_TOKEN));
    test_dir_remove(home);
}

GIT_REMOTE_MAIN(make_repositories, repositories,
                cmocka_unit_test(test_urls_that_are_not_plain_http_are_refused),
                cmocka_unit_test(test_configuration_of_the_home_does_not_count),
                cmocka_unit_test(test_other_transports_are_refused),
                cmocka_unit_test(test_token_opens_the_remote_and_shows_nowhere),
                cmocka_unit_test(test_calls_that_are_not_remote_have_no_token),
                cmocka_unit_test(test_failures_have_kinds),
                cmocka_unit_test(test_programs_put_in_the_way_do_not_get_the_token),
                cmocka_unit_test(test_complaint_is_redacted))
