/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_tar.h"

#include <string.h>

#include "test.h"

#include "base/alloc.h"

static const struct docker_tar_entry file = {
    .path = "own/task-token", .mode = 0400, .owner = 65532, .data = "the token", .size = 9};
static const struct docker_tar_entry folder = {
    .path = "own/", .is_folder = true, .mode = 0700, .owner = 65532};

static void test_what_is_written_is_read(void **state)
{
    scoped_buf archive = {0};
    const char *data = NULL;
    size_t size = 0;

    (void)state;
    docker_tar_add(&archive, &file);
    docker_tar_end(&archive);
    assert_int_equal(archive.size, 4 * 512);
    assert_true(docker_tar_first_file(archive.data, archive.size, &data, &size));
    assert_int_equal(size, 9);
    assert_memory_equal(data, "the token", 9);
}

/* The one program that has to understand it is somebody else's. */
static void test_tar_understands_it(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/archive.tar", dir);
    scoped_str command = xasprintf("tar --numeric-owner -tvf %s", path);
    scoped_buf archive = {0};
    scoped_file out = NULL;
    char listing[1024] = "";
    FILE *tar;

    (void)state;
    docker_tar_add(&archive, &folder);
    docker_tar_add(&archive, &file);
    docker_tar_end(&archive);
    out = fopen(path, "we");
    assert_non_null(out);
    assert_int_equal(fwrite(archive.data, 1, archive.size, out), archive.size);
    assert_int_equal(fflush(out), 0);
    tar = popen(command, "re");
    assert_non_null(tar);
    (void)!fread(listing, 1, sizeof(listing) - 1, tar);
    assert_int_equal(pclose(tar), 0);
    assert_non_null(strstr(listing, "drwx------ 65532/65532"));
    assert_non_null(strstr(listing, "-r-------- 65532/65532"));
    assert_non_null(strstr(listing, "own/task-token"));
    test_dir_remove(dir);
}

static void test_an_archive_cut_short_anywhere_is_none(void **state)
{
    scoped_buf archive = {0};
    const char *data;
    size_t size;

    (void)state;
    docker_tar_add(&archive, &file);
    for (size_t length = 0; length < 512 + 9; length++) {
        scoped_str copy = xstrndup("", 0);

        copy = xrealloc(copy, length + 1);
        memcpy(copy, archive.data, length);
        assert_false(docker_tar_first_file(copy, length, &data, &size));
    }
}

static void test_only_a_file_is_taken(void **state)
{
    static const char types[] = "123456SLKxg";
    const char *data;
    size_t size;

    (void)state;
    for (const char *type = types; *type; type++) {
        scoped_buf archive = {0};

        docker_tar_add(&archive, &file);
        archive.data[154] = '\0'; /* the sum is of the type as well */
        archive.data[156] = *type;
        assert_false(docker_tar_first_file(archive.data, archive.size, &data, &size));
    }
}

static void test_a_changed_head_is_refused(void **state)
{
    const char *data;
    size_t size;

    (void)state;
    for (size_t at = 0; at < 500; at++) {
        scoped_buf archive = {0};

        docker_tar_add(&archive, &file);
        archive.data[at] = (char)(archive.data[at] ^ 1);
        if (at >= 148 && at < 156) /* the sum's own last digits may be blank or NUL */
            continue;
        assert_false(docker_tar_first_file(archive.data, archive.size, &data, &size));
    }
}

TEST_MAIN(cmocka_unit_test(test_what_is_written_is_read),
          cmocka_unit_test(test_tar_understands_it),
          cmocka_unit_test(test_an_archive_cut_short_anywhere_is_none),
          cmocka_unit_test(test_only_a_file_is_taken),
          cmocka_unit_test(test_a_changed_head_is_refused))
