/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/home_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"

static char *dir;
static struct workspace *workspace;

static int begin(void **state)
{
    struct err err = {0};

    (void)state;
    dir = test_dir_new();
    workspace = workspace_new(dir, "0123456789abcdefghij", &err);
    assert_made(workspace, err);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    workspace_free(workspace);
    test_dir_remove(dir);
    free(dir);
    return 0;
}

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", workspace_agent_home(workspace), name);
}

static void assert_holds(const char *path, const char *text)
{
    scoped_buf got = {0};
    struct err err = {0};

    assert_ok(buf_read_file(&got, path, 1000, &err), err);
    assert_string_equal(got.data, text);
}

static void test_file_is_written_below_home_and_again(void **state)
{
    struct err err = {0};
    scoped_str path = path_of("a/b/c.json");

    (void)state;
    assert_ok(home_file_write(workspace, "a/b/c.json", "one", &err), err);
    assert_ok(home_file_write_json(workspace, "a/b/c.json", jobj({"two", jint(2)}), &err), err);
    assert_holds(path, "{\"two\":2}");
}

static void test_no_link_is_followed(void **state)
{
    struct err err = {0};
    scoped_str outside = xasprintf("%s/outside", dir);
    scoped_str file = xasprintf("%s/outside/file", dir);
    scoped_str folder_link = path_of(".gemini");
    scoped_str file_link = path_of("link");
    scoped_str written = path_of(".gemini/file");

    (void)state;
    assert_int_equal(mkdir(outside, 0755), 0);
    test_file_write(outside, "file", "theirs");
    assert_int_equal(symlink(outside, folder_link), 0);
    assert_int_equal(symlink(file, file_link), 0);
    assert_ok(home_file_write(workspace, ".gemini/file", "ours", &err), err);
    assert_ok(home_file_write(workspace, "link", "ours", &err), err);
    assert_holds(file, "theirs");
    assert_holds(written, "ours");
}

static void test_what_is_in_the_way_goes(void **state)
{
    struct err err = {0};
    scoped_str pipe = path_of("pipe");
    scoped_str path = path_of("folder/file");

    (void)state;
    assert_int_equal(mkfifo(pipe, 0600), 0);
    test_file_write(workspace_agent_home(workspace), "folder", "a file");
    assert_ok(home_file_write(workspace, "pipe", "ours", &err), err);
    assert_ok(home_file_write(workspace, "folder/file", "ours", &err), err);
    assert_holds(pipe, "ours");
    assert_holds(path, "ours");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_file_is_written_below_home_and_again, begin,
                                        finish),
        cmocka_unit_test_setup_teardown(test_no_link_is_followed, begin, finish),
        cmocka_unit_test_setup_teardown(test_what_is_in_the_way_goes, begin, finish),
    };

    json_setup();
    if (getenv("T"))
        cmocka_set_test_filter(getenv("T"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
