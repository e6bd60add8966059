/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repository.h"

#include <string.h>

#include "base/alloc.h"
#include "test.h"

#define GITHUB "https://github.com"

static void test_urls_that_git_takes_name_the_repository(void **state)
{
    static const struct {
        const char *server;
        const char *url;
        const char *repo;
    } cases[] = {
        {GITHUB, "https://github.com/user/repo.git", "user/repo"},
        {GITHUB, "https://github.com/user/repo", "user/repo"},
        {GITHUB, "https://github.com/user/repo/", "user/repo"},
        {GITHUB, "https://github.com:443/user/repo.git", "user/repo"},
        {GITHUB, "http://github.com/user/repo.git", "user/repo"},
        {GITHUB, "HTTPS://GitHub.com/User/Repo.GIT", "User/Repo"},
        {GITHUB, "git@github.com:user/repo.git", "user/repo"},
        {GITHUB, "git@github.com:/user/repo", "user/repo"},
        {GITHUB, "org-7@github.com:user/re.po.git", "user/re.po"},
        {GITHUB, "ssh://git@github.com/user/repo.git", "user/repo"},
        {GITHUB, "ssh://git@github.com:2222/user/repo.git", "user/repo"},
        {GITHUB, "ssh://github.com/user/repo", "user/repo"},
        {"http://127.0.0.1:8080", "http://127.0.0.1:8080/user/repo.git", "user/repo"},
        {"http://127.0.0.1:8080", "ssh://git@127.0.0.1/user/repo.git", "user/repo"},
        {"http://[::1]:8080", "http://[::1]:8080/user/repo.git", "user/repo"},
        {"https://ghe.example/git", "https://ghe.example/git/user/repo.git", "user/repo"},
        {"https://ghe.example/git", "git@ghe.example:user/repo.git", "user/repo"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        scoped_str repo = repository_from_url(cases[i].server, cases[i].url, "u", &err);

        if (!repo || strcmp(repo, cases[i].repo) != 0)
            fail_msg("%s: %s", cases[i].url, repo ? repo : err.text);
    }
}

static void test_other_urls_are_refused_by_name(void **state)
{
    static const struct {
        const char *url;
        const char *complaint;
    } cases[] = {
        {"https://gitlab.com/user/repo.git", "u: only repositories of github.com are served"},
        {"https://github.com.evil.example/user/repo",
         "u: only repositories of github.com are served"},
        {"https://github.com:8443/user/repo", "u: only repositories of github.com are served"},
        {"git@gitlab.com:user/repo.git", "u: only repositories of github.com are served"},
        {"ssh://git@evil.example/user/repo", "u: only repositories of github.com are served"},
        {"https://token@github.com/user/repo",
         "u: a URL with a user name or password isn't taken"},
        {"https://github.com@evil.example/user/repo",
         "u: a URL with a user name or password isn't taken"},
        {"https://github.com/user", "u: expected OWNER/NAME behind the host"},
        {"https://github.com/", "u: expected OWNER/NAME behind the host"},
        {"https://github.com", "u: expected OWNER/NAME behind the host"},
        {"https://github.com//user/repo/x", "u: expected OWNER/NAME behind the host"},
        {"https://github.com/user/repo/tree/main", "u: expected OWNER/NAME behind the host"},
        {"https://github.com/user/repo?x", "u: expected OWNER/NAME behind the host"},
        {"https://github.com/user/repo#x", "u: expected OWNER/NAME behind the host"},
        {"https://github.com/-user/repo", "u: expected OWNER/NAME behind the host"},
        {"https://github.com/user/..", "u: expected OWNER/NAME behind the host"},
        {"https://github.com/user/%2e%2e", "u: expected OWNER/NAME behind the host"},
        {"https://github.com/user/.git", "u: expected OWNER/NAME behind the host"},
        {"https://github.com?/user/repo", "u: expected OWNER/NAME behind the host"},
        {"user/repo", "u: expected a git URL of github.com"},
        {"github.com/user/repo", "u: expected a git URL of github.com"},
        {"github.com:user/repo", "u: expected a git URL of github.com"},
        {"git://github.com/user/repo", "u: expected a git URL of github.com"},
        {"file:///etc/passwd", "u: expected a git URL of github.com"},
        {"ext::sh -c id", "u: expected a git URL of github.com"},
        {"--upload-pack=id", "u: expected a git URL of github.com"},
        {"https://", "u: expected a git URL of github.com"},
        {"https:///user/repo", "u: expected a git URL of github.com"},
        {"https://github.com/user/re po", "u: expected a git URL of github.com"},
        {"https://github.com/user/repo\n", "u: expected a git URL of github.com"},
        {"", "u: expected a git URL of github.com"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        scoped_str repo = repository_from_url(GITHUB, cases[i].url, "u", &err);

        if (repo || strcmp(err.text, cases[i].complaint) != 0)
            fail_msg("%s: %s", cases[i].url, repo ? repo : err.text);
        assert_string_equal(err.field, "u");
    }
}

static void test_branches_are_named_as_git_names_them(void **state)
{
    static const char *const good[] = {
        "main", "feature/dark-mode", "u/x/y.z", "a@b",   "release-1.0",
        "@x",   "h\xc3\xa9",         "x-",      "a/b/c", "HEAD2",
    };
    static const char *const bad[] = {
        "",      "-main", "/main",  "main/",    "a//b", ".a",  "a/.b", "a..b",  "a.",  "@",
        "a@{1}", "@{-1}", "a b",    "a~1",      "a^",   "a:b", "a?",   "a*",    "a[b", "a\\b",
        "a\tb",  "a\x7f", "a.lock", "a.lock/b", "HEAD", "\n",  "..",   "--all",
    };
    scoped_str longest = xcalloc(1, BRANCH_MAX_BYTES + 2);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        if (!branch_name_valid(good[i]))
            fail_msg("%s was refused", good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (branch_name_valid(bad[i]))
            fail_msg("%s was taken", bad[i]);
    memset(longest, 'a', BRANCH_MAX_BYTES);
    assert_true(branch_name_valid(longest));
    longest[BRANCH_MAX_BYTES] = 'a';
    assert_false(branch_name_valid(longest));
}

TEST_MAIN(cmocka_unit_test(test_urls_that_git_takes_name_the_repository),
          cmocka_unit_test(test_other_urls_are_refused_by_name),
          cmocka_unit_test(test_branches_are_named_as_git_names_them))
