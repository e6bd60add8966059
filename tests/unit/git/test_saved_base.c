/* SPDX-License-Identifier: Apache-2.0 */
#include "git/saved_base.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"

static struct timespec time_of(const char *dir, const char *name)
{
    scoped_str path = xasprintf("%s/%s", dir, name);
    struct stat seen;

    assert_int_equal(stat(path, &seen), 0);
    return seen.st_mtim;
}

/* Into another filesystem, so that it has to be copied: an index that is younger than the
 * agent's edits would make git overlook them. */
static void test_copied_index_is_not_younger_than_what_was_saved(void **state)
{
    scoped_str from = test_dir_new();
    scoped_str to = test_dir_new();
    scoped_str elsewhere = xstrdup("/dev/shm/saved-base-XXXXXX");
    scoped_str path = xasprintf("%s/index", to);
    scoped_buf text = {0};
    struct timespec saved_at;
    struct timespec nap = {.tv_nsec = 50000000};
    struct err err = {0};

    (void)state;
    assert_non_null(mkdtemp(elsewhere));
    test_file_write(from, "index", "the index");
    scoped_str packs = xasprintf("%s/objects", from);
    assert_int_equal(mkdir(packs, 0700), 0);
    scoped_str pack = xasprintf("%s/objects/pack", from);
    assert_int_equal(mkdir(pack, 0700), 0);
    scoped(saved_base) saved = saved_base_take(from, elsewhere, &err);
    assert_made(saved, err);
    test_file_write(from, "now", "");
    saved_at = time_of(from, "now");
    (void)nanosleep(&nap, NULL);
    assert_ok(saved_base_restore(saved, to, &err), err);
    assert_ok(buf_read_file(&text, path, 100, &err), err);
    assert_string_equal(text.data, "the index");
    struct timespec restored = time_of(to, "index");
    assert_true(
        restored.tv_sec < saved_at.tv_sec
        || (restored.tv_sec == saved_at.tv_sec && restored.tv_nsec <= saved_at.tv_nsec));
    assert_int_equal(rmdir(elsewhere), 0);
    test_dir_remove(from);
    test_dir_remove(to);
}

TEST_MAIN(cmocka_unit_test(test_copied_index_is_not_younger_than_what_was_saved))
