/* SPDX-License-Identifier: Apache-2.0 */
#include "store/db_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "store/summed_file.h"
#include "store_test.h"

#define FILE_MAX_BYTES (64 * 1024 * 1024)

/*
 * What is refused is refused in one sentence, and every byte of it is as it was: the database,
 * its write-ahead log, and what else is in the directory.
 */
struct place {
    char *dir;
    char *path;
    char *wal;
};

static struct place new_place(void)
{
    struct place place = {.dir = test_dir_new()};

    place.path = xasprintf("%s/dispatch.db", place.dir);
    place.wal = xasprintf("%s-wal", place.path);
    return place;
}

static void leave(struct place *place)
{
    test_dir_remove(place->dir);
    free(place->dir);
    free(place->path);
    free(place->wal);
}

/* A database with a few runs, closed in an orderly way. */
static struct place place_with_runs(void)
{
    struct place place = new_place();
    struct err err = {0};
    scoped(db) db = db_open(place.path, &err);

    assert_made(db, err);
    for (int i = 0; i < 200; i++)
        (void)add_run(db);
    return place;
}

/* The same after a kill: the log is there, and holds what the file hasn't yet. */
static struct place place_after_kill(void)
{
    struct place place = new_place();
    pid_t pid = fork();
    int status;
    struct stat st;

    if (pid == 0) {
        struct err err = {0};
        struct db *db = db_open(place.path, &err);

        for (int i = 0; db && i < 200; i++)
            (void)add_run(db);
        (void)kill(getpid(), SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(stat(place.wal, &st), 0);
    assert_true(st.st_size > 0);
    return place;
}

static void read_all(struct buf *out, const char *path)
{
    struct err err = {0};

    if (buf_read_file(out, path, FILE_MAX_BYTES, &err) < 0)
        assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void assert_same_bytes(const struct buf *before, const char *path)
{
    scoped_buf after = {0};

    read_all(&after, path);
    assert_int_equal(before->size, after.size);
    if (after.size)
        assert_memory_equal(before->data, after.data, after.size);
}

static int count_files(const char *dir)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    int count = 0;

    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        scoped_str path = xasprintf("%s/dispatch.db%s", dir, suffixes[i]);

        count += access(path, F_OK) == 0;
    }
    return count;
}

static void assert_refused_untouched(const struct place *place, enum err_kind kind,
                                     const char *part_of_the_sentence)
{
    scoped_buf file = {0};
    scoped_buf wal = {0};
    struct err err = {0};
    int n_files = count_files(place->dir);

    read_all(&file, place->path);
    read_all(&wal, place->wal);
    assert_null(db_open(place->path, &err));
    if (err.kind != kind || !strstr(err.text, part_of_the_sentence))
        fail_msg("%s: %s", err_kind_name(err.kind), err.text);
    assert_same_bytes(&file, place->path);
    assert_same_bytes(&wal, place->wal);
    assert_int_equal(count_files(place->dir), n_files);
}

static void overwrite(const char *path, off_t at, const void *bytes, size_t size)
{
    scoped_fd fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, at), size);
}

static void flip_bits(const char *path, off_t at)
{
    scoped_fd fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t bytes[64];
    ssize_t got = pread(fd, bytes, sizeof(bytes), at);

    assert_true(got > 0);
    for (ssize_t i = 0; i < got; i++)
        bytes[i] ^= 0x5a;
    assert_int_equal(pwrite(fd, bytes, (size_t)got, at), got);
}

static off_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* A database of ours keeps its sums. */
static void run_sql(const char *path, const char *sql)
{
    const char *vfs = access(path, F_OK) == 0 ? summed_file_vfs() : NULL;
    sqlite3 *raw = NULL;

    assert_int_equal(
        sqlite3_open_v2(path, &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs),
        SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, sql, NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(raw);
}

/* --- Not ours ----------------------------------------------------------------------------- */

static void test_a_file_that_is_no_database_is_refused(void **state)
{
    struct place place = new_place();

    (void)state;
    test_file_write(place.dir, "dispatch.db", "this is my diary, and no database at all\n");
    assert_refused_untouched(&place, ERR_INVALID, "is not a SQLite database");
    leave(&place);
}

static void test_a_long_file_of_something_else_is_refused(void **state)
{
    struct place place = new_place();
    scoped_str text = xcalloc(1, 20001);

    (void)state;
    memset(text, 'x', 20000);
    test_file_write(place.dir, "dispatch.db", text);
    assert_refused_untouched(&place, ERR_INVALID, "is not a SQLite database");
    leave(&place);
}

static void test_a_database_of_another_program_is_refused(void **state)
{
    struct place place = new_place();

    (void)state;
    run_sql(place.path, "CREATE TABLE photo (name TEXT); PRAGMA user_version = 1");
    assert_refused_untouched(&place, ERR_INVALID, "belongs to another program");
    leave(&place);
}

static void test_a_directory_is_refused(void **state)
{
    struct place place = new_place();
    struct err err = {0};

    (void)state;
    assert_int_equal(mkdir(place.path, 0700), 0);
    assert_null(db_open(place.path, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    leave(&place);
}

static void test_a_newer_schema_is_a_conflict(void **state)
{
    struct place place = place_with_runs();
    char wanted[128];

    (void)state;
    run_sql(place.path, "PRAGMA user_version = 4711");
    (void)snprintf(wanted, sizeof(wanted),
                   "dispatch.db is of a newer version (4711, this program knows %d)",
                   n_migrations);
    assert_refused_untouched(&place, ERR_CONFLICT, wanted);
    leave(&place);
}

/* --- Damaged ------------------------------------------------------------------------------ */

static void test_a_truncated_database_is_refused(void **state)
{
    (void)state;
    for (int i = 1; i <= 3; i++) {
        struct place place = place_with_runs();

        assert_int_equal(truncate(place.path, size_of(place.path) * i / 4), 0);
        assert_refused_untouched(&place, ERR_INVALID, place.path);
        leave(&place);
    }
}

static void test_a_database_cut_within_its_header_is_refused(void **state)
{
    struct place place = place_with_runs();

    (void)state;
    assert_int_equal(truncate(place.path, 50), 0);
    assert_refused_untouched(&place, ERR_INVALID, "is not a SQLite database");
    leave(&place);
}

static void test_flipped_bits_in_a_page_are_found(void **state)
{
    int n_refused = 0;

    (void)state;
    for (int page = 1; page < 8; page++) {
        struct place place = place_with_runs();

        flip_bits(place.path, page * 4096);
        assert_refused_untouched(&place, ERR_INVALID, "is corrupt");
        n_refused++;
        leave(&place);
    }
    assert_int_equal(n_refused, 7);
}

static void test_a_damaged_header_is_found(void **state)
{
    struct place place = place_with_runs();

    (void)state;
    overwrite(place.path, 16, "\x01\x07", 2);
    assert_refused_untouched(&place, ERR_INVALID, "is corrupt");
    leave(&place);
}

static void test_damage_beside_a_log_is_found(void **state)
{
    struct place place = place_after_kill();

    (void)state;
    /* The header in the log would hide that in the file, so damage a page that is only in the
     * file: checkpoint by hand, keeping a log that is not empty. */
    run_sql(place.path, "PRAGMA user_version"); /* recovers, checkpoints at close */
    leave(&place);

    place = place_with_runs();
    flip_bits(place.path, 3 * 4096);
    test_file_write(place.dir, "dispatch.db-wal", "not a log, but not empty");
    assert_refused_untouched(&place, ERR_INVALID, "is corrupt");
    leave(&place);
}

static void test_an_empty_file_beside_a_log_is_refused(void **state)
{
    struct place place = place_after_kill();

    (void)state;
    assert_int_equal(truncate(place.path, 0), 0);
    assert_refused_untouched(&place, ERR_INVALID, "write-ahead log");
    assert_int_equal(unlink(place.path), 0);
    assert_refused_untouched(&place, ERR_INVALID, "write-ahead log");
    leave(&place);
}

/* What SQLite would drop without a word: all that was acknowledged from there on. */
static void test_a_log_that_is_damaged_before_its_end_is_refused(void **state)
{
    (void)state;
    for (int part = 0; part < 4; part++) {
        struct place place = place_after_kill();
        off_t size = size_of(place.wal);

        /* Its header, its first frame's, and twice among its pages. */
        flip_bits(place.wal, part < 2 ? 8 + part * 40 : size * (part - 1) / 4);
        assert_refused_untouched(&place, ERR_INVALID, "a damaged write-ahead log");
        leave(&place);
    }
}

/* --- Fine --------------------------------------------------------------------------------- */

static int64_t runs_in(const char *path)
{
    struct err err = {0};
    scoped(db) db = db_open(path, &err);
    int64_t counts[RUN_STATUS_COUNT];

    assert_made(db, err);
    assert_ok(run_store_count(db, counts, &err), err);
    assert_ok(db_check(db, &err), err);
    return counts[RUN_PENDING];
}

static void test_after_a_kill_everything_acknowledged_is_there(void **state)
{
    struct place place = place_after_kill();

    (void)state;
    assert_int_equal(runs_in(place.path), 200);
    leave(&place);
}

static void test_a_torn_end_of_the_log_costs_only_what_was_torn(void **state)
{
    struct place place = place_after_kill();
    int64_t n_runs;

    (void)state;
    assert_int_equal(truncate(place.wal, size_of(place.wal) - 100), 0);
    n_runs = runs_in(place.path);
    assert_true(n_runs >= 190 && n_runs < 200);
    leave(&place);
}

static void test_an_empty_file_is_a_new_database(void **state)
{
    struct place place = new_place();

    (void)state;
    test_file_write(place.dir, "dispatch.db", "");
    assert_int_equal(runs_in(place.path), 0);
    leave(&place);
}

static void test_a_path_may_hold_any_character(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/a b?c#d%%41&mode=ro.db", dir);
    struct err err = {0};
    struct db *db = db_open(path, &err);

    (void)state;
    assert_made(db, err);
    (void)add_run(db);
    db_free(db);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(runs_in(path), 1);
    test_dir_remove(dir);
}

static void test_a_directory_that_is_not_there_is_not_found(void **state)
{
    struct err err = {0};

    (void)state;
    assert_null(db_open("/nonexistent/place/dispatch.db", &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

/* Root may write anywhere, so this is tried as nobody. */
static int open_as_nobody(const char *path)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct err err = {0};

        if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
            _exit(99);
        _exit(db_open(path, &err) ? 98 : (int)err.kind);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_a_directory_that_can_not_be_written_is_denied(void **state)
{
    struct place place = new_place();

    (void)state;
    assert_int_equal(chmod(place.dir, 0555), 0);
    assert_int_equal(open_as_nobody(place.path), ERR_DENIED);
    leave(&place);
}

static void test_a_file_that_can_not_be_written_is_denied(void **state)
{
    struct place place = place_with_runs();

    (void)state;
    assert_int_equal(chmod(place.path, 0444), 0);
    assert_int_equal(chmod(place.dir, 0777), 0);
    assert_int_equal(open_as_nobody(place.path), ERR_DENIED);
    leave(&place);
}

TEST_MAIN(cmocka_unit_test(test_a_file_that_is_no_database_is_refused),
          cmocka_unit_test(test_a_long_file_of_something_else_is_refused),
          cmocka_unit_test(test_a_database_of_another_program_is_refused),
          cmocka_unit_test(test_a_directory_is_refused),
          cmocka_unit_test(test_a_newer_schema_is_a_conflict),
          cmocka_unit_test(test_a_truncated_database_is_refused),
          cmocka_unit_test(test_a_database_cut_within_its_header_is_refused),
          cmocka_unit_test(test_flipped_bits_in_a_page_are_found),
          cmocka_unit_test(test_a_damaged_header_is_found),
          cmocka_unit_test(test_damage_beside_a_log_is_found),
          cmocka_unit_test(test_a_log_that_is_damaged_before_its_end_is_refused),
          cmocka_unit_test(test_an_empty_file_beside_a_log_is_refused),
          cmocka_unit_test(test_after_a_kill_everything_acknowledged_is_there),
          cmocka_unit_test(test_a_torn_end_of_the_log_costs_only_what_was_torn),
          cmocka_unit_test(test_an_empty_file_is_a_new_database),
          cmocka_unit_test(test_a_path_may_hold_any_character),
          cmocka_unit_test(test_a_directory_that_is_not_there_is_not_found),
          cmocka_unit_test(test_a_directory_that_can_not_be_written_is_denied),
          cmocka_unit_test(test_a_file_that_can_not_be_written_is_denied))
