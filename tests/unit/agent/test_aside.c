/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/aside.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"

static const char *const names[] = {".tool", "tool.json", "absent", NULL};

struct place {
    char *dir;
    struct workspace *workspace;
};

static void begin(struct place *place)
{
    struct err err = {0};

    place->dir = test_dir_new();
    place->workspace = workspace_new(place->dir, "0123456789abcdefghij", &err);
    assert_made(place->workspace, err);
}

static void finish(struct place *place)
{
    workspace_free(place->workspace);
    test_dir_remove(place->dir);
    free(place->dir);
}

static char *path_of(const struct place *place, const char *name)
{
    return xasprintf("%s/%s", workspace_checkout(place->workspace), name);
}

static void make(const struct place *place, const char *name)
{
    scoped_str path = path_of(place, name);

    if (name[strlen(name) - 1] == '/')
        assert_int_equal(mkdir(path, 0755), 0);
    else
        test_file_write(workspace_checkout(place->workspace), name, name);
}

/* "" when it isn't there; the caller frees it. */
static char *content(const struct place *place, const char *name)
{
    scoped_str path = path_of(place, name);
    struct buf text = {0};
    struct err err = {0};

    if (buf_read_file(&text, path, 1000, &err) < 0)
        buf_append_str(&text, "");
    return buf_take(&text);
}

static void make_tree(const struct place *place)
{
    make(place, ".tool/");
    make(place, ".tool/plugin/");
    make(place, ".tool/plugin/a.js");
    make(place, "tool.json");
    make(place, "other");
}

static void test_what_is_aside_is_out_of_sight_and_comes_back(void **state)
{
    struct place place;
    struct err err = {0};
    int moved = 0;

    (void)state;
    begin(&place);
    make_tree(&place);
    assert_ok(aside_put(place.workspace, names, &moved, &err), err);
    assert_int_equal(moved, 2);
    scoped_str hidden = path_of(&place, ".tool");
    assert_int_equal(access(hidden, F_OK), -1);
    assert_ok(aside_put_back(place.workspace, &err), err);
    scoped_str plugin = content(&place, ".tool/plugin/a.js");
    scoped_str config = content(&place, "tool.json");
    assert_string_equal(plugin, ".tool/plugin/a.js");
    assert_string_equal(config, "tool.json");
    finish(&place);
}

static void test_nothing_aside_is_fine(void **state)
{
    struct place place;
    struct err err = {0};
    int moved = 7;

    (void)state;
    begin(&place);
    assert_ok(aside_put_back(place.workspace, &err), err);
    assert_ok(aside_put(place.workspace, names, &moved, &err), err);
    assert_int_equal(moved, 0);
    assert_ok(aside_put_back(place.workspace, &err), err);
    finish(&place);
}

static void test_what_the_agent_made_in_their_place_stays(void **state)
{
    struct place place;
    struct err err = {0};
    int moved;

    (void)state;
    begin(&place);
    make_tree(&place);
    assert_ok(aside_put(place.workspace, names, &moved, &err), err);
    make(&place, ".tool/");
    make(&place, ".tool/mine");
    make(&place, ".tool/plugin/");
    test_file_write(workspace_checkout(place.workspace), ".tool/plugin/a.js", "mine");
    test_file_write(workspace_checkout(place.workspace), "tool.json", "mine");
    assert_ok(aside_put_back(place.workspace, &err), err);
    scoped_str mine = content(&place, ".tool/mine");
    scoped_str plugin = content(&place, ".tool/plugin/a.js");
    scoped_str config = content(&place, "tool.json");
    assert_string_equal(mine, ".tool/mine");
    assert_string_equal(plugin, "mine");
    assert_string_equal(config, "mine");
    finish(&place);
}

static void test_links_in_their_place_lead_nowhere(void **state)
{
    struct place place;
    struct err err = {0};
    int moved;

    (void)state;
    begin(&place);
    make_tree(&place);
    assert_ok(aside_put(place.workspace, names, &moved, &err), err);
    scoped_str target = xasprintf("%s/target", place.dir);
    scoped_str link = path_of(&place, ".tool");
    assert_int_equal(mkdir(target, 0755), 0);
    assert_int_equal(symlink(target, link), 0);
    assert_ok(aside_put_back(place.workspace, &err), err);
    assert_int_equal(rmdir(target), 0); /* still empty */
    finish(&place);
}

static void test_checkout_that_became_a_link_is_an_error(void **state)
{
    struct place place;
    struct err err = {0};
    int moved;

    (void)state;
    begin(&place);
    make_tree(&place);
    assert_ok(aside_put(place.workspace, names, &moved, &err), err);
    scoped_str elsewhere = xasprintf("%s/elsewhere", place.dir);
    assert_int_equal(rename(workspace_checkout(place.workspace), elsewhere), 0);
    assert_int_equal(symlink(elsewhere, workspace_checkout(place.workspace)), 0);
    assert_int_equal(aside_put_back(place.workspace, &err), -1);
    finish(&place);
}

TEST_MAIN(cmocka_unit_test(test_what_is_aside_is_out_of_sight_and_comes_back),
          cmocka_unit_test(test_nothing_aside_is_fine),
          cmocka_unit_test(test_what_the_agent_made_in_their_place_stays),
          cmocka_unit_test(test_links_in_their_place_lead_nowhere),
          cmocka_unit_test(test_checkout_that_became_a_link_is_an_error))
