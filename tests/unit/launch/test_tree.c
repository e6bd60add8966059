/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "launch/tree.h"

struct place {
    char *path;
    int fd;
};

static int setup(void **state)
{
    struct place *place = xcalloc(1, sizeof(*place));

    place->path = test_dir_new();
    place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = place;
    return place->fd < 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    struct err err = {0};

    (void)close(place->fd);
    place->fd = open("/", O_RDONLY | O_DIRECTORY);
    if (tree_remove(place->fd, place->path + 1, NULL, &err) < 0)
        return -1;
    (void)close(place->fd);
    free(place->path);
    free(place);
    return 0;
}

static bool exists(const struct place *place, const char *name)
{
    return faccessat(place->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void make_dir(const struct place *place, const char *name)
{
    assert_int_equal(mkdirat(place->fd, name, 0755), 0);
}

static void make_file(const struct place *place, const char *name)
{
    int fd = openat(place->fd, name, O_CREAT | O_WRONLY, 0644);

    assert_true(fd >= 0);
    (void)close(fd);
}

static void removes(const struct place *place, const char *name)
{
    struct err err = {0};

    assert_ok(tree_remove(place->fd, name, NULL, &err), err);
    assert_false(exists(place, name));
}

static void test_remove_takes_files_links_and_directories(void **state)
{
    const struct place *place = *state;

    make_file(place, "file");
    make_dir(place, "empty");
    make_dir(place, "full");
    make_dir(place, "full/in");
    make_dir(place, "full/in/deeper");
    make_file(place, "full/in/deeper/file");
    make_file(place, "full/file");
    assert_int_equal(mkfifoat(place->fd, "full/pipe", 0600), 0);
    removes(place, "file");
    removes(place, "empty");
    removes(place, "full");
    removes(place, "never there");
}

static void test_remove_follows_no_link(void **state)
{
    const struct place *place = *state;

    make_dir(place, "outside");
    make_file(place, "outside/file");
    make_dir(place, "tree");
    make_dir(place, "tree/sub");
    assert_int_equal(symlinkat("../outside", place->fd, "tree/link"), 0);
    assert_int_equal(symlinkat("../../outside", place->fd, "tree/sub/link"), 0);
    assert_int_equal(symlinkat("outside", place->fd, "link"), 0);
    removes(place, "tree");
    removes(place, "link");
    assert_true(exists(place, "outside/file"));
}

static void test_remove_copes_with_any_depth(void **state)
{
    enum { LEVELS = 20000 };
    const struct place *place = *state;
    int at = dup(place->fd);

    for (int i = 0; i < LEVELS; i++) {
        int in;

        assert_int_equal(mkdirat(at, "a-long-name-so-that-no-path-would-hold-it-all", 0755), 0);
        in =
            openat(at, "a-long-name-so-that-no-path-would-hold-it-all", O_RDONLY | O_DIRECTORY);
        assert_true(in >= 0);
        (void)close(at);
        at = in;
    }
    (void)close(at);
    removes(place, "a-long-name-so-that-no-path-would-hold-it-all");
}

static void test_remove_copes_with_names_like_its_own(void **state)
{
    const struct place *place = *state;

    make_dir(place, "tree");
    make_dir(place, "tree/.up-0");
    make_dir(place, "tree/.up-0/.up-0");
    make_file(place, "tree/.up-0/.up-0/x");
    make_dir(place, "tree/.up-0/.up-1");
    make_file(place, "tree/.up-0/.up-1/x");
    make_file(place, "tree/.up-1");
    removes(place, "tree");
}

/* Root may do anything anyway, so another user tries. */
static void test_remove_lets_itself_into_closed_directories(void **state)
{
    const struct place *place = *state;
    pid_t child;
    int status;

    assert_int_equal(fchmod(place->fd, 0777), 0);
    child = fork();
    if (child == 0) {
        struct err err = {0};

        if (geteuid() == 0 && setuid(65534) < 0)
            _exit(2);
        if (mkdirat(place->fd, "tree", 0700) < 0 || mkdirat(place->fd, "tree/a", 0700) < 0
            || mkdirat(place->fd, "tree/a/b", 0700) < 0
            || mkdirat(place->fd, "tree/a/b/c", 0) < 0
            || fchmodat(place->fd, "tree/a/b", 0, 0) < 0
            || fchmodat(place->fd, "tree/a", 0500, 0) < 0)
            _exit(3);
        _exit(tree_remove(place->fd, "tree", NULL, &err) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_false(exists(place, "tree"));
}

static void test_remove_gives_up_when_told(void **state)
{
    const struct place *place = *state;
    atomic_bool give_up = true;
    struct err err = {0};

    make_dir(place, "tree");
    make_file(place, "tree/file");
    assert_int_equal(tree_remove(place->fd, "tree", &give_up, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_true(exists(place, "tree/file"));
}

#define IN_A_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

TEST_MAIN(IN_A_PLACE(test_remove_takes_files_links_and_directories),
          IN_A_PLACE(test_remove_follows_no_link), IN_A_PLACE(test_remove_copes_with_any_depth),
          IN_A_PLACE(test_remove_copes_with_names_like_its_own),
          IN_A_PLACE(test_remove_lets_itself_into_closed_directories),
          IN_A_PLACE(test_remove_gives_up_when_told))
