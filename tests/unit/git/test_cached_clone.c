/* SPDX-License-Identifier: Apache-2.0 */
#include "git/cached_clone.h"

#include <dirent.h>
#include <sys/stat.h>

#include "git_remote.h"

#define RUN_ID "0123456789abcdefghij"

/* o/one moves on, o/other holds what is none of o/one's business. */
static const char make_repositories[] =
    "mkdir $1/o && cd $1\n"
    "git init -q -b main w && cd w && echo base >README.md && seq 1000 >numbers\n"
    "echo 'the old secret' >old && git add . && git commit -qm base && cd ..\n"
    "git clone -q --bare w o/one.git\n"
    "git init -q -b main v && cd v && echo other >f && git add . && git commit -qm other\n"
    "cd .. && git clone -q --bare v o/other.git\n";
static const char *const repositories[] = {"o/one", "o/other", NULL};

static char *cache;

/* One run's clone: what a script prints in it, for the caller to free. */
static char *clone_and(const char *repo, const char *branch, bool expect_cached,
                       const char *script)
{
    scoped_str in_checkout = xasprintf("cd \"$2\"\n%s", script);
    scoped_str dir = test_dir_new();
    scoped(redaction) redaction = redaction_new();
    scoped(git) git = git_for(repo, REMOTE_TOKEN, redaction);
    struct err err = {0};
    struct workspace *ws = workspace_new(dir, RUN_ID, &err);
    char *said;

    assert_made(ws, err);
    workspace_use_cache(ws, cache);
    assert_ok(workspace_clone(ws, git, branch, &err), err);
    assert_int_equal(workspace_from_cache(ws), expect_cached);
    said = shell(in_checkout, workspace_checkout(ws));
    workspace_free(ws);
    test_dir_remove(dir);
    return said;
}

/* Everything there is to see of a clone, but for times and the names of packs. */
#define LOOK                                                                                   \
    "git status --porcelain -b; git log --format=%H; git ls-files -s; wc -l * || true\n"       \
    "git config --list --local | sort; git fsck 2>&1; cat .git/shallow; git remote -v\n"       \
    "ls .git/objects/pack | sed 's/.*[.]//' | sort; ls .git/hooks\n"                           \
    "git for-each-ref | grep -v origin/HEAD || true\n"                                         \
    "git cat-file --batch-all-objects --batch-check | sort"

static char *entry_path(void)
{
    scoped_str name = NULL;
    DIR *dir = opendir(cache);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            name = xstrdup(entry->d_name);
    (void)closedir(dir);
    assert_non_null(name);
    return xasprintf("%s/%s", cache, name);
}

static int begin(void **state)
{
    (void)state;
    cache = test_dir_new();
    return 0;
}

static int finish(void **state)
{
    (void)state;
    test_dir_remove(cache);
    free(TAKE(cache));
    return 0;
}

static void test_second_clone_is_as_the_first_without_fetching_it(void **state)
{
    scoped_str first = clone_and("o/one", NULL, false, LOOK);
    scoped_str second = clone_and("o/one", NULL, true, LOOK);
    scoped_str named = clone_and("o/one", "main", true, LOOK);

    (void)state;
    assert_string_equal(second, first);
    assert_string_equal(named, first);
}

/* A name may be somebody else's by now: what the remote doesn't have isn't shown. */
static void test_what_the_remote_gave_up_is_gone(void **state)
{
    static const char secret[] = "git cat-file --batch-all-objects --batch | grep -c 'old "
                                 "secret' || true; cat numbers | wc -l";

    (void)state;
    free(clone_and("o/one", NULL, false, "true"));
    free(shell("cd $1/w && git rm -q old && echo more >>numbers && git commit -qa --amend -m "
               "new && git push -qf ../o/one.git main",
               NULL));
    scoped_str after = clone_and("o/one", NULL, true, secret);
    assert_string_equal(after, "0\n1001\n");
    scoped_str moved = clone_and("o/one", NULL, true, LOOK); /* what is kept moved on too */
    finish(state);
    begin(state);
    scoped_str plain = clone_and("o/one", NULL, false, LOOK);
    assert_string_equal(moved, plain);
}

static void test_repositories_and_branches_have_entries_of_their_own(void **state)
{
    (void)state;
    free(clone_and("o/one", NULL, false, "true"));
    free(shell("git -C $1/o/one.git branch -f side main", NULL));
    free(clone_and("o/other", NULL, false, "true"));
    free(clone_and("o/one", "side", false, "true"));
    scoped_str other = clone_and("o/other", NULL, true, "ls; git rev-list --all | wc -l");
    assert_string_equal(other, "f\n1\n");
}

/* Each way to spoil an entry; the clone is right all the same, and the next one served again.
 */
static void test_spoilt_entry_is_no_hindrance(void **state)
{
    static const char *const spoil[] = {
        ": >\"$2\"",
        "head -c 60 \"$2\" >x; cat x >\"$2\"",
        "(head -n1 \"$2\"; echo PACK rubbish) >x; cat x >\"$2\"",
        "(echo 1111111111111111111111111111111111111111; tail -n +2 \"$2\") >x; cat x >\"$2\"",
        "echo no-commit >\"$2\"",
        "rm \"$2\"; ln -s /etc/passwd \"$2\"",
        "rm \"$2\"; mkfifo \"$2\"",
        "chmod 666 \"$2\"",
        "ln \"$2\" \"$2.linked\"",
        /* another repository's pack, under this one's commit */
        "cd v; p=$(git rev-parse main | git pack-objects --revs -q p); cd ..\n"
        "(head -n1 \"$2\"; cat v/p-$p.pack) >x; cat x >\"$2\"",
        NULL,
    };
    scoped_str plain = clone_and("o/one", NULL, false, LOOK);

    (void)state;
    for (size_t i = 0; spoil[i]; i++) {
        scoped_str path = entry_path();
        scoped_str script = xasprintf("cd $1\n%s", spoil[i]);

        free(shell(script, path));
        scoped_str after = clone_and("o/one", NULL, false, LOOK);
        assert_string_equal(after, plain);
        free(shell("rm -f \"$2.linked\"", path));
        free(clone_and("o/one", NULL, true, "true"));
    }
}

static void test_refused_token_shows_nothing(void **state)
{
    scoped_str dir = test_dir_new();
    scoped(redaction) redaction = redaction_new();
    scoped(git) git = git_for("o/one", "ghs_wrongtoken", redaction);
    struct err err = {0};
    struct workspace *ws = workspace_new(dir, RUN_ID, &err);

    (void)state;
    free(clone_and("o/one", NULL, false, "true"));
    assert_made(ws, err);
    workspace_use_cache(ws, cache);
    assert_int_equal(workspace_clone(ws, git, "main", &err), -1);
    assert_int_equal(err.kind, ERR_UNAUTHENTICATED);
    scoped_str left = shell("find \"$2\" -name '*.pack' -o -name numbers", dir);
    assert_string_equal(left, "");
    workspace_free(ws);
    test_dir_remove(dir);
}

static void test_entries_are_ours_alone_and_hold_no_token(void **state)
{
    struct stat seen;

    (void)state;
    free(clone_and("o/one", NULL, false, "true"));
    scoped_str path = entry_path();
    assert_int_equal(stat(path, &seen), 0);
    assert_int_equal(seen.st_mode & 0777, 0600);
    scoped_str leaks =
        shell("grep -rla " REMOTE_TOKEN " \"$2\" || true; ls -A \"$2\" | wc -l", cache);
    assert_string_equal(leaks, "1\n");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, finish)
GIT_REMOTE_MAIN(make_repositories, repositories,
                CASE(test_second_clone_is_as_the_first_without_fetching_it),
                CASE(test_repositories_and_branches_have_entries_of_their_own),
                CASE(test_spoilt_entry_is_no_hindrance), CASE(test_refused_token_shows_nothing),
                CASE(test_entries_are_ours_alone_and_hold_no_token),
                CASE(test_what_the_remote_gave_up_is_gone))
