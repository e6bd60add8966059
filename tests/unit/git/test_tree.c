/* SPDX-License-Identifier: Apache-2.0 */
#include "git/tree.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "test.h"

#include "base/alloc.h"

static int open_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static bool there(const char *dir, const char *name)
{
    scoped_str path = xasprintf("%s/%s", dir, name);

    return access(path, F_OK) == 0;
}

static void make_dir(const char *dir, const char *name)
{
    scoped_str path = xasprintf("%s/%s", dir, name);

    assert_int_equal(mkdir(path, 0755), 0);
}

/* `depth` directories called "d" in each other. */
static void make_deep(const char *dir, int depth)
{
    int at = open_dir(dir);

    for (int i = 0; i < depth; i++) {
        int next;

        assert_int_equal(mkdirat(at, "d", 0755), 0);
        next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)close(at);
        at = next;
    }
    (void)close(at);
}

static void test_removal_takes_any_depth_mode_and_link(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str outside = test_dir_new();
    scoped_str link = xasprintf("%s/link", dir);
    scoped_str fifo = xasprintf("%s/fifo", dir);
    scoped_str closed = xasprintf("%s/closed", dir);
    scoped_fd fd = open_dir(dir);
    struct err err = {0};

    (void)state;
    test_file_write(outside, "keep", "me");
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(mkfifo(fifo, 0), 0);
    make_deep(dir, 3000);
    make_dir(dir, "closed");
    test_file_write(closed, "file", "x");
    assert_int_equal(chmod(closed, 0), 0);
    make_dir(dir, ".too-deep-0");

    assert_ok(tree_remove_contents(fd, &err), err);
    assert_int_equal(rmdir(dir), 0);
    assert_true(there(outside, "keep"));
    test_dir_remove(outside);
}

static void test_nested_repositories_go_and_the_rest_stays(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str inner = xasprintf("%s/a", dir);
    scoped_str link = xasprintf("%s/a/.gIT", dir);
    scoped_fd fd = open_dir(dir);
    struct nested_git found;
    struct err err = {0};

    (void)state;
    make_dir(dir, ".git");
    test_file_write(dir, ".git/HEAD", "keep");
    make_dir(dir, ".GIT");
    test_file_write(dir, ".GIT/config", "x");
    make_dir(dir, "a");
    test_file_write(dir, "a/.git", "gitdir: /etc");
    assert_int_equal(symlink("/etc", link), 0);
    make_dir(dir, "a/b");
    make_dir(dir, "a/b/.git");
    test_file_write(dir, "a/b/.git/HEAD", "x");
    test_file_write(dir, "a/b/.gitignore", "keep");
    test_file_write(dir, "a/b/x.git", "keep");

    assert_ok(tree_remove_uncommittable(fd, &found, &err), err);
    assert_int_equal(found.removed, 4);
    assert_true(there(dir, ".git/HEAD"));
    assert_true(there(dir, "a/b/.gitignore"));
    assert_true(there(dir, "a/b/x.git"));
    assert_false(there(dir, ".GIT"));
    assert_false(there(inner, ".git"));
    assert_int_equal(faccessat(AT_FDCWD, link, F_OK, AT_SYMLINK_NOFOLLOW), -1);
    assert_false(there(dir, "a/b/.git"));
    test_dir_remove(dir);
}

static void test_walk_does_not_leave_the_tree(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str outside = test_dir_new();
    scoped_str link = xasprintf("%s/link", dir);
    scoped_fd fd = open_dir(dir);
    struct nested_git found;
    struct err err = {0};

    (void)state;
    make_dir(outside, ".git");
    assert_int_equal(symlink(outside, link), 0);
    assert_ok(tree_remove_uncommittable(fd, &found, &err), err);
    assert_int_equal(found.removed, 0);
    assert_true(there(outside, ".git"));
    test_dir_remove(dir);
    test_dir_remove(outside);
}

static void test_walk_refuses_what_is_too_deep(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_fd fd = open_dir(dir);
    struct nested_git found;
    struct err err = {0};

    (void)state;
    make_deep(dir, TREE_DEPTH_MAX);
    assert_ok(tree_remove_uncommittable(fd, &found, &err), err);
    assert_ok(tree_remove_contents(fd, &err), err);
    make_deep(dir, TREE_DEPTH_MAX + 1);
    assert_int_equal(tree_remove_uncommittable(fd, &found, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    err = (struct err){0};
    assert_ok(tree_remove_contents(fd, &err), err);
    test_dir_remove(dir);
}

static void test_pipes_sockets_and_devices_go(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str pipe_path = xasprintf("%s/.gitignore", dir);
    scoped_str inner = xasprintf("%s/a/.gitattributes", dir);
    scoped_str link = xasprintf("%s/link", dir);
    scoped_fd fd = open_dir(dir);
    struct nested_git found;
    struct err err = {0};

    (void)state;
    make_dir(dir, "a");
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    assert_int_equal(mknod(inner, S_IFSOCK | 0600, 0), 0);
    assert_int_equal(symlink("/dev/null", link), 0);
    test_file_write(dir, "file", "x");
    assert_int_equal(chmod(dir, 0), 0);
    assert_ok(tree_remove_uncommittable(fd, &found, &err), err);
    assert_int_equal(found.removed, 0);
    assert_false(there(dir, ".gitignore"));
    assert_false(there(dir, "a/.gitattributes"));
    assert_true(there(dir, "link"));
    assert_true(there(dir, "file"));
    test_dir_remove(dir);
}

TEST_MAIN(cmocka_unit_test(test_removal_takes_any_depth_mode_and_link),
          cmocka_unit_test(test_nested_repositories_go_and_the_rest_stays),
          cmocka_unit_test(test_walk_does_not_leave_the_tree),
          cmocka_unit_test(test_walk_refuses_what_is_too_deep),
          cmocka_unit_test(test_pipes_sockets_and_devices_go))
