/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/oom_kills.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "test.h"

#include "base/alloc.h"

#define EVENTS(count) "low 0\nhigh 0\nmax 9\noom 7\noom_kill " #count "\noom_group_kill 0\n"
#define CONTROL(count) "oom_kill_disable 0\nunder_oom 0\noom_kill " #count "\n"

/* A file of the made-up control groups below `dir`, and the folders that lead to it. */
static void write_group(const char *dir, const char *path, const char *text)
{
    scoped_str full = xasprintf("%s/%s", dir, path);
    FILE *file;

    for (char *slash = full + strlen(dir) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        (void)mkdir(full, 0700);
    }
    file = fopen(full, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int64_t count_with(const char *dir, const char *groups)
{
    scoped_str list = xasprintf("%s/groups", dir);

    test_file_write(dir, "groups", groups);
    return oom_kills_of(list, dir);
}

static void test_count_is_that_of_our_group(void **state)
{
    scoped_str dir = test_dir_new();

    (void)state;
    write_group(dir, "pods/one/memory.events", EVENTS(3));
    write_group(dir, "pods/two/memory.events", EVENTS(4));
    write_group(dir, "memory/jobs/a:b/memory.oom_control", CONTROL(5));
    write_group(dir, "memory/memory.oom_control", CONTROL(6));
    assert_int_equal(count_with(dir, "0::/pods/one\n"), 3);
    assert_int_equal(count_with(dir, "0::/pods/two\n"), 4);
    assert_int_equal(count_with(dir, "4:memory:/jobs/a:b\n"), 5);
    assert_int_equal(count_with(dir, "9:cpu,cpuacct:/x\n4:memory:/jobs/none\n"), 6);
    assert_int_equal(count_with(dir, "9:cpu,cpuacct:/x\n4:memory:/\n0::/\n"), 6);
    test_dir_remove(dir);
}

/* There the list names the host's path, and what is mounted begins with our group. */
static void test_group_of_a_container_is_the_root_of_what_it_sees(void **state)
{
    scoped_str dir = test_dir_new();

    (void)state;
    write_group(dir, "memory.events", EVENTS(2));
    write_group(dir, "memory/memory.oom_control", CONTROL(8));
    assert_int_equal(count_with(dir, "0::/kubepods/pod1/c1\n"), 2);
    assert_int_equal(count_with(dir, "0::/../../elsewhere\n"), 2);
    assert_int_equal(count_with(dir, "4:memory:/docker/c1\n"), 8);
    test_dir_remove(dir);
}

static void test_no_group_is_no_count(void **state)
{
    static const char *const lists[] = {"",          "\n",      "0::\n",        "x\n",
                                        "9:cpu:/\n", "0::/a\n", "4:memory:/a\n"};
    scoped_str dir = test_dir_new();

    (void)state;
    write_group(dir, "a/memory.events", "low 1\n");
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        assert_int_equal(count_with(dir, lists[i]), -1);
    assert_int_equal(oom_kills_of("/nowhere", dir), -1);
    test_dir_remove(dir);
}

TEST_MAIN(cmocka_unit_test(test_count_is_that_of_our_group),
          cmocka_unit_test(test_group_of_a_container_is_the_root_of_what_it_sees),
          cmocka_unit_test(test_no_group_is_no_count))
