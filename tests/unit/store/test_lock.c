/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lock.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "store_test.h"

static char *path_in(const char *dir)
{
    return xasprintf("%s/d.db", dir);
}

/* A child that holds the lock until it is killed. */
static pid_t hold_in_child(const char *path)
{
    int ready[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err = {0};
        struct store_lock *lock = store_lock_take(path, 0, &err);

        if (!lock || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    return pid;
}

static void end_child(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_a_second_process_is_refused_and_told_who_holds_it(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = path_in(dir);
    pid_t pid = hold_in_child(path);
    scoped_str wanted = xasprintf("is in use by process %d", (int)pid);
    struct err err = {0};

    (void)state;
    assert_null(store_lock_take(path, 0, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_string_equal(err.code, "database_in_use");
    if (!strstr(err.text, wanted))
        fail_msg("%s", err.text);
    end_child(pid);
    test_dir_remove(dir);
}

static void test_a_killed_holder_gives_it_back(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = path_in(dir);
    struct err err = {0};
    struct store_lock *lock;

    (void)state;
    end_child(hold_in_child(path));
    lock = store_lock_take(path, 0, &err);
    assert_made(lock, err);
    store_lock_free(lock);
    test_dir_remove(dir);
}

static void test_it_waits_for_a_holder_that_leaves(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = path_in(dir);
    pid_t holder = hold_in_child(path);
    pid_t killer = fork();
    struct err err = {0};
    struct store_lock *lock;

    (void)state;
    if (killer == 0) {
        (void)usleep(100000);
        _exit(kill(holder, SIGKILL));
    }
    lock = store_lock_take(path, 20000, &err);
    assert_made(lock, err);
    store_lock_free(lock);
    assert_int_equal(waitpid(killer, NULL, 0), killer);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    test_dir_remove(dir);
}

static void test_it_gives_up_after_the_wait(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = path_in(dir);
    pid_t pid = hold_in_child(path);
    int64_t began_ms = clock_monotonic_ms();
    struct err err = {0};

    (void)state;
    assert_null(store_lock_take(path, 200, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_true(clock_monotonic_ms() - began_ms >= 200);
    end_child(pid);
    test_dir_remove(dir);
}

static void test_one_process_does_not_get_it_twice(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = path_in(dir);
    struct err err = {0};
    struct store_lock *lock = store_lock_take(path, 0, &err);

    (void)state;
    assert_made(lock, err);
    assert_null(store_lock_take(path, 0, &err));
    store_lock_free(lock);
    lock = store_lock_take(path, 0, &err);
    assert_made(lock, err);
    store_lock_free(lock);
    test_dir_remove(dir);
}

static void test_a_link_to_the_database_is_the_same_database(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = path_in(dir);
    scoped_str other = xasprintf("%s/link.db", dir);
    struct err err = {0};
    struct store_lock *lock;

    (void)state;
    test_file_write(dir, "d.db", "");
    assert_int_equal(symlink("d.db", other), 0);
    lock = store_lock_take(path, 0, &err);
    assert_made(lock, err);
    assert_null(store_lock_take(other, 0, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    store_lock_free(lock);
    test_dir_remove(dir);
}

static void test_a_program_that_was_started_meanwhile_does_not_keep_it(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = path_in(dir);
    struct err err = {0};
    struct store_lock *lock = store_lock_take(path, 0, &err);
    pid_t pid;

    (void)state;
    assert_made(lock, err);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)execlp("sleep", "sleep", "1000", (char *)NULL);
        _exit(1);
    }
    store_lock_free(lock);
    lock = store_lock_take(path, 10000, &err); /* until the child has executed its program */
    assert_made(lock, err);
    store_lock_free(lock);
    end_child(pid);
    test_dir_remove(dir);
}

static void test_missing_directories_are_made_for_the_owner_only(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/var/lib/d.db", dir);
    scoped_str made = xasprintf("%s/var", dir);
    struct err err = {0};
    struct store_lock *lock = store_lock_take(path, 0, &err);
    struct stat st;

    (void)state;
    assert_made(lock, err);
    assert_int_equal(stat(made, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    store_lock_free(lock);
    test_dir_remove(dir);
}

static void test_a_place_that_can_not_be_is_an_error(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/file/d.db", dir);
    struct err err = {0};

    (void)state;
    test_file_write(dir, "file", "");
    assert_null(store_lock_take(path, 0, &err));
    assert_int_equal(err.kind, ERR_INTERNAL);
    test_dir_remove(dir);
}

static void test_memory_needs_no_lock(void **state)
{
    struct err err = {0};
    scoped(store_lock) a = store_lock_take(":memory:", 0, &err);
    scoped(store_lock) b = store_lock_take(":memory:", 0, &err);

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(access(":memory:.lock", F_OK), -1);
}

TEST_MAIN(cmocka_unit_test(test_a_second_process_is_refused_and_told_who_holds_it),
          cmocka_unit_test(test_a_killed_holder_gives_it_back),
          cmocka_unit_test(test_it_waits_for_a_holder_that_leaves),
          cmocka_unit_test(test_it_gives_up_after_the_wait),
          cmocka_unit_test(test_one_process_does_not_get_it_twice),
          cmocka_unit_test(test_a_link_to_the_database_is_the_same_database),
          cmocka_unit_test(test_a_program_that_was_started_meanwhile_does_not_keep_it),
          cmocka_unit_test(test_missing_directories_are_made_for_the_owner_only),
          cmocka_unit_test(test_a_place_that_can_not_be_is_an_error),
          cmocka_unit_test(test_memory_needs_no_lock))
