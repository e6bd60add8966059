/* SPDX-License-Identifier: Apache-2.0 */
/* Each call by which a backup, a restore or the adding of sums changes files fails once, at the
 * first, the second, the nth: what is there afterwards is whole, and of before or of after. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "store/add_sums.h"
#include "store/backup.h"
#include "store/conn.h"
#include "store_test.h"

#define N_BEFORE 3 /* runs in the backup, and as many more in the database */
#define CALLS_MAX 200
#define CALLS_MIN 4

/* --- The failing ---------------------------------------------------------------------------
 */

static atomic_int left; /* calls up to the one that fails; 0 or less: none does */

static bool fails(void)
{
    if (atomic_load(&left) <= 0 || atomic_fetch_sub(&left, 1) != 1)
        return false;
    errno = EIO;
    return true;
}

/* In the place of the C library's. */
int fsync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t size)
{
    return fails() ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int fchmod(int fd, mode_t mode)
{
    return fails() ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

int flock(int fd, int operation)
{
    return fails() ? -1 : (int)syscall(SYS_flock, fd, operation);
}

int rename(const char *from, const char *to)
{
    return fails() ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
    return fails() ? -1 : (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
}

int link(const char *from, const char *to)
{
    return fails() ? -1 : (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* --- Databases -----------------------------------------------------------------------------
 */

struct place {
    char *dir;
    char *database;
    char *backup;
};

static void add_runs(const char *path)
{
    struct err err = {0};
    scoped(db) db = db_open(path, &err);

    assert_made(db, err);
    for (int i = 0; i < N_BEFORE; i++)
        (void)add_run(db);
}

static struct place new_place(void)
{
    struct place place = {.dir = test_dir_new()};

    place.database = xasprintf("%s/dispatch.db", place.dir);
    place.backup = xasprintf("%s/backup.db", place.dir);
    add_runs(place.database);
    return place;
}

static void leave(struct place *place)
{
    test_dir_remove(place->dir);
    free(place->dir);
    free(place->database);
    free(place->backup);
}

/* Opened as a server does, which looks at every page. */
static int64_t runs_in(const char *path)
{
    int64_t counts[RUN_STATUS_COUNT];
    struct err err = {0};
    scoped(db) db = db_open(path, &err);
    int64_t sum = 0;

    assert_made(db, err);
    assert_ok(db_check(db, &err), err);
    assert_ok(run_store_count(db, counts, &err), err);
    for (int i = 0; i < RUN_STATUS_COUNT; i++)
        sum += counts[i];
    return sum;
}

static int make(const struct place *place, struct err *err)
{
    struct backup_facts facts;

    return backup_make(place->database, place->backup, true, &facts, err);
}

static int restore(const struct place *place, struct err *err)
{
    scoped_str former = NULL;
    struct backup_facts facts;
    int result = backup_restore(place->backup, place->database, &facts, &former, err);

    assert_true(result < 0 ? !former : access(former, F_OK) == 0);
    return result;
}

/* --- Tests ---------------------------------------------------------------------------------
 */

static void test_a_backup_is_whole_or_not_there(void **state)
{
    int at = 1;

    (void)state;
    for (bool over = false; !over; at++) {
        struct place place = new_place();
        struct err err = {0};
        int result;

        assert_true(at < CALLS_MAX);
        atomic_store(&left, at);
        result = make(&place, &err);
        over = atomic_exchange(&left, 0) > 0;
        if (over)
            assert_ok(result, err);
        if (result == 0 || access(place.backup, F_OK) == 0)
            assert_int_equal(runs_in(place.backup), N_BEFORE);
        assert_int_equal(runs_in(place.database), N_BEFORE);
        /* What is left of it is in nobody's way. */
        assert_ok(make(&place, &err), err);
        leave(&place);
    }
    assert_true(at > CALLS_MIN);
}

static void test_a_restore_that_fails_changes_nothing(void **state)
{
    int at = 1;

    (void)state;
    for (bool over = false; !over; at++) {
        struct place place = new_place();
        struct err err = {0};
        int result;

        assert_true(at < CALLS_MAX);
        assert_ok(make(&place, &err), err);
        add_runs(place.database);
        atomic_store(&left, at);
        result = restore(&place, &err);
        over = atomic_exchange(&left, 0) > 0;
        if (over)
            assert_ok(result, err);
        assert_int_equal(runs_in(place.database), result == 0 ? N_BEFORE : 2 * N_BEFORE);
        leave(&place);
    }
    assert_true(at > CALLS_MIN);
}

static void test_sums_are_added_or_the_database_is_as_it_was(void **state)
{
    int at = 1;

    (void)state;
    for (bool over = false; !over; at++) {
        struct place place = new_place();
        struct err err = {0};
        int result;

        assert_true(at < CALLS_MAX);
        atomic_store(&left, at);
        result = add_sums(place.database, &err);
        over = atomic_exchange(&left, 0) > 0;
        if (over)
            assert_ok(result, err);
        assert_int_equal(runs_in(place.database), N_BEFORE);
        leave(&place);
    }
    assert_true(at > CALLS_MIN);
}

TEST_MAIN(cmocka_unit_test(test_a_backup_is_whole_or_not_there),
          cmocka_unit_test(test_a_restore_that_fails_changes_nothing),
          cmocka_unit_test(test_sums_are_added_or_the_database_is_as_it_was))
