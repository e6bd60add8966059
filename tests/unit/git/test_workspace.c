/* SPDX-License-Identifier: Apache-2.0 */
#include "git/workspace.h"

#include "git_remote.h"

#define RUN_ID "0123456789abcdefghij"
#define BRANCH "u/dispatch/test/"

/* o/plain: the usual things, a submodule, line endings by .gitattributes, an ignored file that
 * is tracked. o/empty: no commit. o/other: two branches, of which dev is the default. */
static const char make_repositories[] =
    "mkdir $1/o && cd $1\n"
    "git init -q -b main w && cd w\n"
    "mkdir sub deep && echo hello >README.md && echo a >sub/a.txt && echo x >deep/x\n"
    "printf '*.bat text eol=crlf\\n' >.gitattributes && printf 'one\\ntwo\\n' >run.bat\n"
    "printf '*.log\\n' >.gitignore && echo t >tracked.log && ln -s README.md link\n"
    "printf '#!/bin/sh\\n' >tool && chmod +x tool\n"
    "printf '[submodule \"m\"]\\n\\tpath = m\\n\\turl = https://h/m.git\\n' >.gitmodules\n"
    "git add -f . && git update-index --add --cacheinfo "
    "160000,1111111111111111111111111111111111111111,m\n"
    "git commit -qm base && cd .. && git clone -q --bare w o/plain.git\n"
    "git init -q --bare o/empty.git\n"
    "git init -q -b dev v && cd v && echo dev >f && git add . && git commit -qm dev\n"
    "git checkout -qb main && echo main >f && git commit -qam main && git checkout -q dev\n"
    "git branch origin main && cd .. && git clone -q --bare v o/other.git\n";
static const char *const repositories[] = {"o/plain", "o/empty", "o/other", NULL};

/* One run as far as these tests go. */
struct run {
    char *dir;
    struct redaction *redaction;
    struct git *git;
    struct workspace *workspace;
};

static void begin(struct run *run, const char *repo)
{
    struct err err = {0};

    run->dir = test_dir_new();
    run->redaction = redaction_new();
    run->git = git_for(repo, REMOTE_TOKEN, run->redaction);
    run->workspace = workspace_new(run->dir, RUN_ID, &err);
    assert_made(run->workspace, err);
}

static void finish(struct run *run)
{
    workspace_free(run->workspace);
    git_free(run->git);
    redaction_free(run->redaction);
    assert_int_equal(rmdir(run->dir), 0); /* nothing is left */
    free(run->dir);
}

/* The agent's part: a script with the checkout as $2. Its output is the caller's. */
static char *agent(const struct run *run, const char *script)
{
    scoped_str in_checkout = xasprintf("cd \"$2\"\n%s", script);

    return shell(in_checkout, workspace_checkout(run->workspace));
}

/* Stages, commits and pushes what the script did on o/plain; what `git show --raw` of the
 * remote says about the commit is the caller's, NULL when nothing had changed. */
static char *deliver(const char *script, const char *branch, struct change *change)
{
    struct run run;
    scoped_str commit = NULL;
    scoped_str show =
        xasprintf("cd $1/o/plain.git; git show --no-renames --format='%%an <%%ae> "
                  "%%cn <%%ce>%%n%%B' --raw --abbrev=4 refs/heads/" BRANCH "%s; "
                  "git fsck --no-dangling 2>&1",
                  branch);
    scoped_str full_branch = xasprintf(BRANCH "%s", branch);
    struct err err = {0};
    char *shown = NULL;

    begin(&run, "o/plain");
    assert_ok(workspace_clone(run.workspace, run.git, NULL, &err), err);
    free(agent(&run, script));
    assert_ok(workspace_stage(run.workspace, run.git, change, &err), err);
    if (change->n_files) {
        assert_ok(workspace_commit(run.workspace, run.git, change, "Title\n", &commit, &err),
                  err);
        assert_ok(workspace_push(run.workspace, run.git, commit, full_branch, &err), err);
        assert_ok(workspace_push(run.workspace, run.git, commit, full_branch, &err), err);
        shown = shell(show, NULL);
    }
    finish(&run);
    return shown;
}

/* --- Cloning ----------------------------------------------------------------------------- */

static void test_clone_is_an_ordinary_checkout_without_a_credential(void **state)
{
    struct run run;
    struct err err = {0};

    (void)state;
    begin(&run, "o/plain");
    assert_ok(workspace_clone(run.workspace, run.git, NULL, &err), err);
    assert_string_equal(workspace_base_branch(run.workspace), "main");
    assert_int_equal(strlen(workspace_base_commit(run.workspace)), 40);
    scoped_str said = agent(&run, "git status --porcelain; git log --oneline | wc -l\n"
                                  "git remote get-url origin; cat .git/config; ls -A ..");
    scoped_str url = xasprintf("1\n%s/o/plain.git\n", remote.url);
    assert_ptr_equal(strstr(said, url), said);
    assert_non_null(strstr(said, "\ncheckout\nhome\ntmp\n"));
    scoped_str leaks = agent(&run, "grep -rl " REMOTE_TOKEN " .. || true");
    assert_string_equal(leaks, "");
    finish(&run);
}

static void test_branch_is_the_named_one_or_the_default(void **state)
{
    static const char *const wanted[] = {NULL, "main", "origin"};
    static const char *const branch[] = {"dev", "main", "origin"};
    static const char *const got[] = {"dev", "main", "main"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        struct run run;
        struct err err = {0};

        begin(&run, "o/other");
        assert_ok(workspace_clone(run.workspace, run.git, wanted[i], &err), err);
        assert_string_equal(workspace_base_branch(run.workspace), branch[i]);
        scoped_str said = agent(&run, "cat f");
        assert_memory_equal(said, got[i], strlen(got[i]));
        finish(&run);
    }
}

static void test_clone_without_commit_or_branch_says_so(void **state)
{
    static const struct {
        const char *repo;
        const char *branch;
        const char *part;
    } cases[] = {
        {"o/empty", NULL, "no commits"},
        {"o/plain", "nowhere", "nowhere"},
        {"o/plain", "--upload-pack=x", "--upload-pack=x"},
        {"o/missing", NULL, "not found"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct run run;
        struct err err = {0};

        begin(&run, cases[i].repo);
        assert_int_equal(workspace_clone(run.workspace, run.git, cases[i].branch, &err), -1);
        assert_int_equal(err.kind, ERR_NOT_FOUND);
        assert_non_null(strstr(err.text, cases[i].part));
        finish(&run);
    }
}

/* --- Taking home what the agent did ------------------------------------------------------ */

static void test_change_becomes_one_commit_of_the_bot(void **state)
{
    scoped_change change = {0};
    scoped_str shown = deliver("echo more >>README.md; rm sub/a.txt; echo new >sub/b\n"
                               "chmod -x tool; echo t2 >tracked.log; echo no >ignored.log\n"
                               "git checkout -qb mine; git add .; git commit -qm mine",
                               "one", &change);

    (void)state;
    assert_ptr_equal(strstr(shown, "bot <bot@x> bot <bot@x>\nTitle\n"), shown);
    assert_non_null(strstr(shown, " M\tREADME.md\n"));
    assert_non_null(strstr(shown, " D\tsub/a.txt\n"));
    assert_non_null(strstr(shown, " A\tsub/b\n"));
    assert_non_null(strstr(shown, ":100755 100644 "));
    assert_non_null(strstr(shown, " M\ttracked.log\n"));
    assert_null(strstr(shown, "ignored.log"));
    assert_int_equal(change.n_files, 5);
    assert_int_equal(change.added, 3);
    assert_int_equal(change.removed, 2);
}

static void test_no_change_is_no_change(void **state)
{
    scoped_change change = {0};

    (void)state;
    assert_null(
        deliver("touch README.md run.bat; echo x >new.log; rm -rf .git", "none", &change));
    assert_int_equal(change.n_files, 0);
}

static void test_line_endings_follow_the_attributes(void **state)
{
    scoped_change change = {0};
    scoped_str shown = deliver("printf 'three\\r\\n' >>run.bat", "crlf", &change);
    scoped_str blob =
        shell("cd $1/o/plain.git; git show refs/heads/" BRANCH "crlf:run.bat", NULL);

    (void)state;
    assert_non_null(shown);
    assert_string_equal(blob, "one\ntwo\nthree\n");
}

/* Everything in a .git, a tree or a home that could make git run something or go elsewhere.
 * Each hook, filter or command would create $1/evil. */
static const char hostile[] =
    "mkdir -p .git/hooks; printf '#!/bin/sh\\ntouch %s/evil\\n' $1 >.git/evil; chmod +x "
    ".git/evil\n"
    "for h in pre-commit commit-msg post-commit pre-push post-checkout post-index-change "
    "reference-transaction; do cp .git/evil .git/hooks/$h; done\n"
    "git config core.hooksPath $PWD/.git/hooks; git config core.fsmonitor $PWD/.git/evil\n"
    "git config url.http://127.0.0.1:1/.insteadOf http://127.0.0.1; "
    "git config http.proxy http://127.0.0.1:1\n"
    "git config filter.evil.clean $PWD/.git/evil; git config filter.evil.process "
    "$PWD/.git/evil\n"
    "git config filter.evil.required true; git config diff.evil.textconv $PWD/.git/evil\n"
    "git config diff.external $PWD/.git/evil; git config core.sshCommand $PWD/.git/evil\n"
    "git config credential.helper $PWD/.git/evil; git config core.askPass $PWD/.git/evil\n"
    "git config core.editor $PWD/.git/evil; git config gpg.program $PWD/.git/evil\n"
    "git config commit.gpgsign true; git config core.worktree /etc\n"
    "git config core.pager $PWD/.git/evil; git config core.alternateRefsCommand "
    "$PWD/.git/evil\n"
    "echo '* filter=evil diff=evil' >>.gitattributes\n"
    "echo '* filter=evil diff=evil' >.git/info/attributes\n"
    "cp .git/config ../home/.gitconfig; echo 'default login a password b' >../home/.netrc\n"
    "mkdir -p .git/objects/info; echo /etc >.git/objects/info/alternates\n"
    "echo 2222222222222222222222222222222222222222 >.git/shallow\n"
    "echo more >>README.md\n";

static void test_nothing_the_agent_configured_has_effect(void **state)
{
    scoped_change change = {0};
    scoped_str shown = deliver(hostile, "hostile", &change);
    scoped_str evil = xasprintf("%s/evil", remote.dir);

    (void)state;
    assert_non_null(strstr(shown, " M\tREADME.md\n"));
    assert_non_null(strstr(shown, " M\t.gitattributes\n"));
    assert_int_equal(change.n_files, 2);
    assert_int_equal(access(evil, F_OK), -1);
}

static void test_git_that_is_gone_or_a_trap_does_not_matter(void **state)
{
    static const char *const scripts[] = {
        "rm -rf .git; echo x >new",
        "rm -rf .git; ln -s /etc .git; echo x >new",
        "rm -rf .git; echo 'gitdir: /etc' >.git; echo x >new",
        "rm -rf .git; mkfifo .git; echo x >new",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
        scoped_change change = {0};
        scoped_str branch = xasprintf("trap%zu", i);
        scoped_str shown = deliver(scripts[i], branch, &change);

        assert_int_equal(change.n_files, 1);
        assert_non_null(strstr(shown, " A\tnew\n"));
    }
}

static void test_links_are_committed_as_links_and_not_followed(void **state)
{
    scoped_change change = {0};
    scoped_str shown = deliver(
        "ln -s /etc/passwd out; ln -s / root; rm -r deep; ln -s /etc deep", "links", &change);

    (void)state;
    assert_non_null(strstr(shown, ":000000 120000 "));
    assert_non_null(strstr(shown, " A\tout\n"));
    assert_non_null(strstr(shown, " A\troot\n"));
    assert_non_null(strstr(shown, " D\tdeep/x\n"));
    assert_non_null(strstr(shown, " A\tdeep\n"));
    assert_int_equal(change.n_files, 4);
}

static void test_repositories_inside_become_plain_files(void **state)
{
    scoped_change change = {0};
    scoped_str shown = deliver("git init -q new/repo; echo f >new/repo/f\n"
                               "cd new/repo; git add .; git commit -qm inner; cd ../..\n"
                               "mkdir -p sub/.GIT; echo x >sub/.GIT/config; echo y >.GiT",
                               "nested", &change);

    (void)state;
    assert_int_equal(change.nested_git.removed, 3);
    assert_int_equal(change.n_files, 1);
    assert_non_null(strstr(shown, ":000000 100644 "));
    assert_non_null(strstr(shown, " A\tnew/repo/f\n"));
}

/* git would open these and wait for a writer. */
static void test_pipes_do_not_hold_up_staging(void **state)
{
    scoped_change change = {0};
    scoped_str shown = deliver(
        "rm .gitignore README.md; mkfifo .gitignore README.md deep/.gitattributes\n"
        "mkfifo ../tmp/p; ln -s ../tmp/p sub/.gitattributes; ln -s ../tmp/p sub/.gitignore\n"
        "echo x >new",
        "pipes", &change);

    (void)state;
    assert_non_null(strstr(shown, " A\tnew\n"));
    assert_non_null(strstr(shown, " D\tREADME.md\n"));
    assert_non_null(strstr(shown, " D\t.gitignore\n"));
    assert_int_equal(change.n_files, 5);
}

static void test_name_that_git_refuses_is_told(void **state)
{
    struct run run;
    scoped_change change = {0};
    struct err err = {0};

    (void)state;
    begin(&run, "o/plain");
    assert_ok(workspace_clone(run.workspace, run.git, NULL, &err), err);
    free(agent(&run, "echo x >'git~1'"));
    assert_int_equal(workspace_stage(run.workspace, run.git, &change, &err), -1);
    assert_non_null(strstr(err.text, "git~1"));
    finish(&run);
}

static void test_submodules_of_the_base_stay_as_they_are(void **state)
{
    static const char *const scripts[] = {
        "rmdir m; echo x >new",
        "git init -q m; cd m; echo f >f; git add .; git commit -qm other; cd ..; echo x >new",
        "rm -rf m; echo file >m; echo x >new",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
        scoped_change change = {0};
        scoped_str branch = xasprintf("module%zu", i);
        scoped_str shown = deliver(scripts[i], branch, &change);

        assert_int_equal(change.n_files, 1);
        assert_non_null(strstr(shown, " A\tnew\n"));
    }
}

/* Stages what the script left and expects a refusal. */
static void expect_refusal(const char *script, const char *part)
{
    struct run run;
    scoped_change change = {0};
    struct err err = {0};

    begin(&run, "o/plain");
    assert_ok(workspace_clone(run.workspace, run.git, NULL, &err), err);
    free(agent(&run, script));
    assert_int_equal(workspace_stage(run.workspace, run.git, &change, &err), -1);
    assert_non_null(strstr(err.text, part));
    workspace_free(TAKE(run.workspace));
    free(shell("rm -rf \"$2\"/* ", run.dir));
    finish(&run);
}

static void test_checkout_that_is_another_directory_now_is_refused(void **state)
{
    (void)state;
    expect_refusal("mv ../checkout ../aside; ln -s /etc ../checkout", "moved");
    expect_refusal("mv ../checkout ../aside; cp -r ../aside ../checkout", "moved");
    expect_refusal("d=$(dirname $PWD); mv $d $d-aside; cp -r $d-aside $d", "moved");
}

static void test_tree_that_is_too_deep_is_refused(void **state)
{
    (void)state;
    expect_refusal("p=.; for i in $(seq 210); do p=$p/d; done; mkdir -p $p", "nested deeper");
}

static void test_branch_that_exists_with_something_else_is_rejected(void **state)
{
    struct run run;
    scoped_change change = {0};
    scoped_str commit = NULL;
    struct err err = {0};

    (void)state;
    begin(&run, "o/other");
    assert_ok(workspace_clone(run.workspace, run.git, NULL, &err), err);
    free(agent(&run, "echo x >new"));
    assert_ok(workspace_stage(run.workspace, run.git, &change, &err), err);
    assert_ok(workspace_commit(run.workspace, run.git, &change, "T\n", &commit, &err), err);
    assert_int_equal(workspace_push(run.workspace, run.git, commit, "main", &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    finish(&run);
}

static void test_workspace_with_anything_in_it_is_removed(void **state)
{
    struct run run;
    struct err err = {0};

    (void)state;
    begin(&run, "o/plain");
    assert_ok(workspace_clone(run.workspace, run.git, NULL, &err), err);
    free(agent(&run,
               "mkdir -p ../home/a/b ../private-x/y; chmod 0 ../home/a; ln -s / ../tmp/l\n"
               "chmod 500 ../home; mkfifo ../tmp/p"));
    finish(&run);
}

GIT_REMOTE_MAIN(make_repositories, repositories,
                cmocka_unit_test(test_clone_is_an_ordinary_checkout_without_a_credential),
                cmocka_unit_test(test_branch_is_the_named_one_or_the_default),
                cmocka_unit_test(test_clone_without_commit_or_branch_says_so),
                cmocka_unit_test(test_change_becomes_one_commit_of_the_bot),
                cmocka_unit_test(test_no_change_is_no_change),
                cmocka_unit_test(test_line_endings_follow_the_attributes),
                cmocka_unit_test(test_nothing_the_agent_configured_has_effect),
                cmocka_unit_test(test_git_that_is_gone_or_a_trap_does_not_matter),
                cmocka_unit_test(test_links_are_committed_as_links_and_not_followed),
                cmocka_unit_test(test_repositories_inside_become_plain_files),
                cmocka_unit_test(test_pipes_do_not_hold_up_staging),
                cmocka_unit_test(test_name_that_git_refuses_is_told),
                cmocka_unit_test(test_submodules_of_the_base_stay_as_they_are),
                cmocka_unit_test(test_checkout_that_is_another_directory_now_is_refused),
                cmocka_unit_test(test_tree_that_is_too_deep_is_refused),
                cmocka_unit_test(test_branch_that_exists_with_something_else_is_rejected),
                cmocka_unit_test(test_workspace_with_anything_in_it_is_removed))
