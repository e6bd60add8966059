/* SPDX-License-Identifier: Apache-2.0 */
#include "store/summed_file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "crypto/random.h"
#include "store/add_sums.h"
#include "store/backup.h"
#include "store/conn.h"
#include "store/migrate.h"
#include "store/page_sum.h"
#include "store_test.h"

#define PAGE 4096
#define RESERVED_AT 20
#define APPLICATION_AT 68
#define N_RUNS 60
#define FILE_MAX_BYTES (64 * 1024 * 1024)

struct place {
    char *dir;
    char *path;
};

static struct place new_place(void)
{
    struct place place = {.dir = test_dir_new()};

    place.path = xasprintf("%s/dispatch.db", place.dir);
    return place;
}

static void leave(struct place *place)
{
    test_dir_remove(place->dir);
    free(place->dir);
    free(place->path);
}

static struct place place_with_runs(void)
{
    struct place place = new_place();
    struct err err = {0};
    scoped(db) db = db_open(place.path, &err);

    assert_made(db, err);
    for (int i = 0; i < N_RUNS; i++)
        (void)add_run(db);
    return place;
}

static off_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void flip(const char *path, off_t at, uint8_t bits)
{
    scoped_fd fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= bits;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static uint8_t byte_at(const char *path, off_t at)
{
    scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t byte;

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    return byte;
}

/* --- The sum ------------------------------------------------------------------------------ */

static void fill(uint8_t *page)
{
    for (size_t i = 0; i < PAGE; i += 8) {
        uint64_t word = random_u64();

        memcpy(page + i, &word, 8);
    }
}

static void test_every_single_bit_is_noticed(void **state)
{
    uint8_t page[PAGE];

    (void)state;
    fill(page);
    page_sum_put(7, page, PAGE);
    assert_true(page_sum_is_right(7, page, PAGE));
    for (size_t bit = 0; bit < (size_t)PAGE * 8; bit++) {
        page[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(page_sum_is_right(7, page, PAGE));
        page[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(page_sum_is_right(7, page, PAGE));
}

static void test_every_burst_of_32_bits_is_noticed(void **state)
{
    uint8_t page[PAGE];
    uint8_t kept[PAGE];

    (void)state;
    fill(page);
    page_sum_put(1, page, PAGE);
    memcpy(kept, page, PAGE);
    for (size_t at = 0; at + 32 <= (size_t)PAGE * 8; at++) {
        uint32_t burst = (uint32_t)random_u64() | 1;

        for (size_t i = 0; i < 32; i++)
            if (burst >> i & 1)
                page[(at + i) / 8] ^= (uint8_t)(1 << (at + i) % 8);
        assert_false(page_sum_is_right(1, page, PAGE));
        memcpy(page, kept, PAGE);
    }
}

static void test_a_page_in_the_place_of_another_is_noticed(void **state)
{
    uint8_t page[PAGE] = {0};

    (void)state;
    page_sum_put(7, page, PAGE);
    assert_false(page_sum_is_right(8, page, PAGE));
    assert_false(page_sum_is_right(6, page, PAGE));
}

/* The check value that RFC 3720 and the catalogues of CRCs give, in which the register begins
 * with ones, as it does for a page of number 0. */
static void test_the_sum_is_crc_32c_with_any_processor(void **state)
{
    uint8_t page[PAGE];

    (void)state;
    memcpy(page, "123456789", 9);
    assert_int_equal(page_sum(0, page, 9 + PAGE_SUM_SIZE), 0xe3069283U);
    for (size_t size = PAGE_SUM_SIZE; size < 600; size++) {
        fill(page);
        assert_int_equal(page_sum(3, page, size), page_sum_by_table(3, page, size));
    }
}

/* --- The file ----------------------------------------------------------------------------- */

static void test_each_page_of_a_new_database_has_its_sum(void **state)
{
    struct place place = place_with_runs();
    struct err err = {0};

    (void)state;
    assert_int_equal(byte_at(place.path, RESERVED_AT), PAGE_SUM_SIZE);
    assert_int_equal(byte_at(place.path, APPLICATION_AT + 3), APPLICATION_ID_SUMMED & 0xff);
    assert_ok(summed_file_check(place.path, PAGE, size_of(place.path), &err), err);
    leave(&place);
}

static void assert_refused_for(const struct place *place, const char *why)
{
    scoped_buf before = {0};
    scoped_buf after = {0};
    struct err err = {0};

    assert_ok(buf_read_file(&before, place->path, FILE_MAX_BYTES, &err), err);
    assert_null(db_open(place->path, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    if (!strstr(err.text, why) || !strstr(err.text, place->path))
        fail_msg("%s", err.text);
    err = (struct err){0};
    assert_ok(buf_read_file(&after, place->path, FILE_MAX_BYTES, &err), err);
    assert_int_equal(before.size, after.size);
    assert_memory_equal(before.data, after.data, before.size);
}

static void test_a_changed_page_is_named_at_the_start(void **state)
{
    struct place place = place_with_runs();

    (void)state;
    for (off_t page = 2; page * PAGE <= size_of(place.path); page++) {
        scoped_str why = xasprintf("is corrupt: page %lld isn't", (long long)page);
        off_t at = (page - 1) * PAGE + (off_t)(random_u64() % PAGE);

        flip(place.path, at, 4);
        assert_refused_for(&place, why);
        flip(place.path, at, 4);
    }
    leave(&place);
}

/* Neither what says that there are sums, nor the sum itself, can be changed unnoticed. */
static void test_that_there_are_sums_can_not_be_unsaid(void **state)
{
    static const off_t places[] = {RESERVED_AT, APPLICATION_AT, APPLICATION_AT + 3, PAGE - 1};
    struct place place = place_with_runs();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        for (int bit = 0; bit < 8; bit++) {
            flip(place.path, places[i], (uint8_t)(1 << bit));
            assert_refused_for(&place, "page 1 isn't");
            flip(place.path, places[i], (uint8_t)(1 << bit));
        }
    leave(&place);
}

static void count_call(void *ctx)
{
    ++*(int *)ctx;
}

/* Of a database that is being served, whose pages nobody has read yet. */
static void test_a_page_that_changes_later_is_not_served(void **state)
{
    struct place place = place_with_runs();
    struct err err = {0};
    struct db *db = db_open(place.path, &err);
    int64_t counts[RUN_STATUS_COUNT];
    int heard = 0;

    (void)state;
    assert_made(db, err);
    db_watch_damage(db, count_call, &heard);
    for (off_t at = PAGE; at < size_of(place.path); at += PAGE)
        flip(place.path, at + PAGE / 2, 1);
    assert_refused(run_store_count(db, counts, &err), err, ERR_UNAVAILABLE, "database_corrupt");
    assert_int_equal(heard, 1);
    db_free(db);
    leave(&place);
}

static void test_pages_that_leave_no_room_are_not_written(void **state)
{
    struct place place = new_place();
    sqlite3 *raw = NULL;

    (void)state;
    assert_int_equal(sqlite3_open_v2(place.path, &raw,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                     summed_file_vfs()),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, "CREATE TABLE t (x)", NULL, NULL, NULL), SQLITE_IOERR);
    (void)sqlite3_close(raw);
    leave(&place);
}

/* --- A database from before ----------------------------------------------------------------
 */

/* As a former version left it, which knew nothing of sums. */
static struct place place_from_before(void)
{
    struct place place = new_place();
    struct err err = {0};
    sqlite3 *raw = NULL;

    assert_int_equal(sqlite3_open(place.path, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, "PRAGMA journal_mode = WAL", NULL, NULL, NULL),
                     SQLITE_OK);
    (void)sqlite3_close(raw);
    scoped(db_conn) conn = db_conn_open(place.path, CONN_WRITES, &err);
    assert_made(conn, err);
    assert_ok(db_migrate(conn, migrations, n_migrations, &err), err);
    for (int i = 0; i < N_RUNS; i++) {
        struct insert insert = {.run = {.id = id_make(clock_wall_ms(), random_u64()),
                                        .repo = (char *)(uintptr_t) "octo/hello",
                                        .agent = (char *)(uintptr_t) "command",
                                        .prompt = (char *)(uintptr_t) "Fix the typo"}};

        assert_ok(insert_write(conn, &insert, &err), err);
    }
    db_conn_free(TAKE(conn));
    assert_int_equal(byte_at(place.path, RESERVED_AT), 0);
    assert_int_equal(byte_at(place.path, APPLICATION_AT + 3), APPLICATION_ID_PLAIN & 0xff);
    assert_true(add_sums_is_due(place.path));
    return place;
}

static int64_t count_runs(struct db *db)
{
    int64_t counts[RUN_STATUS_COUNT];
    struct err err = {0};
    int64_t sum = 0;

    assert_ok(run_store_count(db, counts, &err), err);
    for (int i = 0; i < RUN_STATUS_COUNT; i++)
        sum += counts[i];
    return sum;
}

static void test_a_database_from_before_gets_sums(void **state)
{
    struct place place = place_from_before();
    struct err err = {0};
    struct db *db;

    (void)state;
    assert_int_equal(chmod(place.path, 0640), 0);
    test_file_write(place.dir, "dispatch.db.summing", "what a crash has left");
    db = db_open(place.path, &err);
    assert_made(db, err);
    assert_int_equal(count_runs(db), N_RUNS);
    (void)add_run(db);
    assert_ok(db_check(db, &err), err);
    db_free(db);
    assert_false(add_sums_is_due(place.path));
    assert_ok(summed_file_check(place.path, PAGE, size_of(place.path), &err), err);
    struct stat st;
    assert_int_equal(stat(place.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    leave(&place);
}

/* Something in the way of the copy: it is served as it is, and backed up as it is; a restore
 * gives it sums. */
static void test_without_room_for_a_copy_it_is_served_as_it_was(void **state)
{
    struct place place = place_from_before();
    scoped_str in_the_way = xasprintf("%s.summing", place.path);
    scoped_str backup = xasprintf("%s/backup.db", place.dir);
    scoped_str former = NULL;
    struct backup_facts facts;
    struct err err = {0};
    struct db *db;

    (void)state;
    assert_int_equal(mkdir(in_the_way, 0700), 0);
    db = db_open(place.path, &err);
    assert_made(db, err);
    (void)add_run(db);
    assert_ok(backup_make(place.path, backup, false, &facts, &err), err);
    db_free(db);
    assert_true(add_sums_is_due(place.path));
    assert_true(add_sums_is_due(backup));
    assert_ok(backup_restore(backup, place.path, &facts, &former, &err), err);
    assert_int_equal(facts.runs, N_RUNS + 1);
    assert_ok(summed_file_check(place.path, PAGE, size_of(place.path), &err), err);
    assert_int_equal(rmdir(in_the_way), 0);
    leave(&place);
}

/* --- Parts of pages ------------------------------------------------------------------------
 */

/* As newer versions of SQLite read what continues a long row. */
static void test_a_part_of_a_page_is_looked_at_with_all_of_it(void **state)
{
    struct place place = place_with_runs();
    struct err err = {0};
    scoped(db_conn) conn = db_conn_open(place.path, CONN_READS, &err);
    sqlite3_file *file = NULL;
    uint8_t part[PAGE];
    int64_t runs = 0;

    (void)state;
    assert_made(conn, err);
    assert_ok(db_conn_number(conn, "SELECT count(*) FROM run", &runs, &err), err);
    assert_int_equal(sqlite3_file_control(conn->raw, "main", SQLITE_FCNTL_FILE_POINTER, &file),
                     SQLITE_OK);
    assert_int_equal(file->pMethods->xRead(file, part, 200, PAGE + 4), SQLITE_OK);
    for (int i = 0; i < 200; i++)
        assert_int_equal(part[i], byte_at(place.path, PAGE + 4 + i));
    /* What goes over a page's end can be no part of one. */
    assert_int_equal(file->pMethods->xRead(file, part, 200, 2 * PAGE - 100), SQLITE_IOERR_READ);
    flip(place.path, 2 * PAGE - 50, 1);
    assert_int_equal(file->pMethods->xRead(file, part, 200, PAGE + 4), SQLITE_IOERR_DATA);
    assert_int_equal(summed_file_wrong_page(conn->raw), 2);
    flip(place.path, 2 * PAGE - 50, 1);
    assert_int_equal(file->pMethods->xRead(file, part, 200, PAGE + 4), SQLITE_OK);
    leave(&place);
}

static void test_a_page_that_is_not_whole_is_named(void **state)
{
    struct place place = place_with_runs();
    off_t size = size_of(place.path);
    struct err err = {0};

    (void)state;
    assert_ok(summed_file_check(place.path, PAGE, size, &err), err);
    assert_int_equal(truncate(place.path, size - 1), 0);
    assert_int_equal(summed_file_check(place.path, PAGE, size - 1, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "isn't whole"));
    leave(&place);
    assert_int_equal(summed_file_check("/nowhere/at.db", PAGE, PAGE, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

TEST_MAIN(cmocka_unit_test(test_every_single_bit_is_noticed),
          cmocka_unit_test(test_every_burst_of_32_bits_is_noticed),
          cmocka_unit_test(test_a_page_in_the_place_of_another_is_noticed),
          cmocka_unit_test(test_the_sum_is_crc_32c_with_any_processor),
          cmocka_unit_test(test_each_page_of_a_new_database_has_its_sum),
          cmocka_unit_test(test_a_changed_page_is_named_at_the_start),
          cmocka_unit_test(test_that_there_are_sums_can_not_be_unsaid),
          cmocka_unit_test(test_a_page_that_changes_later_is_not_served),
          cmocka_unit_test(test_pages_that_leave_no_room_are_not_written),
          cmocka_unit_test(test_a_database_from_before_gets_sums),
          cmocka_unit_test(test_without_room_for_a_copy_it_is_served_as_it_was),
          cmocka_unit_test(test_a_part_of_a_page_is_looked_at_with_all_of_it),
          cmocka_unit_test(test_a_page_that_is_not_whole_is_named))
