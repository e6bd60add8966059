/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/trusted_path.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "test.h"

#include "base/alloc.h"

static void test_folders_of_the_system_stay_in_order(void **state)
{
    scoped_str kept = trusted_path("/usr/bin:/nowhere:/usr/sbin");

    (void)state;
    assert_string_equal(kept, "/usr/bin:/usr/sbin");
}

/* Whoever we are: anybody may write where they are. */
static void test_folders_within_reach_go(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str bin = xasprintf("%s/bin", dir);
    scoped_str link = xasprintf("%s/link", dir);
    scoped_str path = xasprintf("%s:bin::.:%s:/tmp:/usr/bin", bin, link);

    (void)state;
    assert_int_equal(chmod(dir, 01777), 0);
    assert_int_equal(mkdir(bin, 0755), 0);
    assert_int_equal(symlink(bin, link), 0);
    scoped_str kept = trusted_path(path);
    assert_string_equal(kept, "/usr/bin");
    test_dir_remove(dir);
}

static void test_link_is_resolved_once_and_for_all(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str link = xasprintf("%s/link", dir);

    (void)state;
    assert_int_equal(symlink("/usr/sbin", link), 0);
    scoped_str kept = trusted_path(link);
    assert_string_equal(kept, "/usr/sbin");
    test_dir_remove(dir);
}

static void test_nothing_left_is_the_usual_path(void **state)
{
    static const char *const paths[] = {NULL, "", "/tmp", "usr/bin"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        scoped_str kept = trusted_path(paths[i]);

        assert_string_equal(kept, "/usr/local/bin:/usr/bin:/bin");
    }
}

TEST_MAIN(cmocka_unit_test(test_folders_of_the_system_stay_in_order),
          cmocka_unit_test(test_folders_within_reach_go),
          cmocka_unit_test(test_link_is_resolved_once_and_for_all),
          cmocka_unit_test(test_nothing_left_is_the_usual_path))
