/* SPDX-License-Identifier: Apache-2.0 */
#include "store/backup.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "store/summed_file.h"
#include "store_test.h"

#define FILE_MAX_BYTES (64 * 1024 * 1024)

struct place {
    char *dir;
    char *database;
    char *backup;
};

static struct place new_place(void)
{
    struct place place = {.dir = test_dir_new()};

    place.database = xasprintf("%s/dispatch.db", place.dir);
    place.backup = xasprintf("%s/backup.db", place.dir);
    return place;
}

static void leave(struct place *place)
{
    test_dir_remove(place->dir);
    free(place->dir);
    free(place->database);
    free(place->backup);
}

static struct db *open_database(const struct place *place)
{
    struct err err = {0};
    struct db *db = db_open(place->database, &err);

    assert_made(db, err);
    return db;
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

static void make(const struct place *place)
{
    struct backup_facts facts;
    struct err err = {0};

    assert_ok(backup_make(place->database, place->backup, false, &facts, &err), err);
}

static int64_t restore(const struct place *place)
{
    scoped_str former = NULL;
    struct backup_facts facts;
    struct err err = {0};

    assert_ok(backup_restore(place->backup, place->database, &facts, &former, &err), err);
    assert_non_null(former);
    assert_int_equal(access(former, F_OK), 0);
    return facts.runs;
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

/* --- Making one --------------------------------------------------------------------------- */

struct pen {
    struct db *db;
    _Atomic bool over;
    _Atomic int64_t written;
};

static void *keep_writing(void *arg)
{
    struct pen *pen = arg;

    while (!atomic_load(&pen->over)) {
        (void)add_run(pen->db);
        atomic_fetch_add(&pen->written, 1);
    }
    return NULL;
}

static void test_a_copy_made_while_others_write_is_of_one_moment(void **state)
{
    struct place place = new_place();
    struct backup_facts facts = {0};
    struct err err = {0};
    struct stat st;
    scoped(db) db = open_database(&place);
    struct pen pen = {.db = db};
    int64_t before;
    pthread_t thread;

    (void)state;
    for (int i = 0; i < 2000; i++)
        (void)add_run(db);
    assert_int_equal(pthread_create(&thread, NULL, keep_writing, &pen), 0);
    wait_until(atomic_load(&pen.written) > 0, 60000);
    before = 2000 + atomic_load(&pen.written);
    assert_ok(backup_make(place.database, place.backup, false, &facts, &err), err);
    atomic_store(&pen.over, true);
    (void)pthread_join(thread, NULL);
    assert_true(facts.runs >= before);
    assert_true(facts.runs <= count_runs(db));
    assert_int_equal(facts.schema, n_migrations);
    assert_int_equal(stat(place.backup, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, facts.bytes);
    leave(&place);
}

static void test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(void **state)
{
    struct place place = new_place();
    struct backup_facts facts;
    scoped_buf kept = {0};
    struct err err = {0};

    (void)state;
    db_free(open_database(&place));
    test_file_write(place.dir, "backup.db", "precious");
    assert_refused(backup_make(place.database, place.backup, false, &facts, &err), err,
                   ERR_CONFLICT, "file_exists");
    assert_ok(buf_read_file(&kept, place.backup, FILE_MAX_BYTES, &err), err);
    assert_string_equal(kept.data, "precious");
    assert_ok(backup_make(place.database, place.backup, true, &facts, &err), err);
    assert_refused(backup_make(place.database, place.database, true, &facts, &err), err,
                   ERR_INVALID, NULL);
    leave(&place);
}

static void test_what_is_no_database_of_ours_is_not_backed_up(void **state)
{
    struct place place = new_place();
    scoped_str partial = xasprintf("%s.partial", place.backup);
    struct backup_facts facts;
    struct err err = {0};

    (void)state;
    run_sql(place.database, "CREATE TABLE photo (name TEXT)");
    assert_refused(backup_make(place.database, place.backup, false, &facts, &err), err,
                   ERR_INVALID, NULL);
    assert_non_null(strstr(err.text, place.database));
    assert_int_not_equal(access(place.backup, F_OK), 0);
    assert_int_not_equal(access(partial, F_OK), 0);
    leave(&place);
}

/* --- And back ----------------------------------------------------------------------------- */

static void test_a_restored_database_is_as_it_was_and_says_so(void **state)
{
    struct place place = new_place();
    struct db *db = open_database(&place);
    struct backup_mark mark = {0};
    struct err err = {0};
    struct id kept = add_run(db);
    struct id lost;

    (void)state;
    assert_ok(backup_unsettled(db, &mark, &err), err);
    assert_int_equal(mark.newest_key, 0);
    make(&place);
    lost = add_run(db);
    db_free(db);
    assert_int_equal(restore(&place), 1);

    db = open_database(&place);
    run_free(now_of(db, kept));
    assert_null(run_store_load(db, lost, &err));
    assert_ok(backup_unsettled(db, &mark, &err), err);
    assert_int_equal(mark.newest_key, kept.key);
    assert_true(mark.taken_ms >= id_created_ms(kept) && mark.taken_ms <= clock_wall_ms());
    assert_ok(backup_settle(db, &err), err);
    assert_ok(backup_unsettled(db, &mark, &err), err);
    assert_int_equal(mark.newest_key, 0);
    db_free(db);
    leave(&place);
}

/* The log of the former database would be taken for the new one's. */
static void test_the_log_of_the_former_database_goes_with_it(void **state)
{
    struct place place = new_place();
    scoped_str wal = xasprintf("%s-wal", place.database);
    struct db *db = open_database(&place);

    (void)state;
    (void)add_run(db);
    make(&place);
    db_free(db);
    test_file_write(place.dir, "dispatch.db-wal", "what a kill has left");
    assert_int_equal(restore(&place), 1);
    assert_int_not_equal(access(wal, F_OK), 0);
    leave(&place);
}

static void assert_not_restored(const struct place *place, enum err_kind kind)
{
    struct backup_facts facts;
    scoped_buf before = {0};
    scoped_buf after = {0};
    struct err err = {0};
    char *former = NULL;

    assert_ok(buf_read_file(&before, place->database, FILE_MAX_BYTES, &err), err);
    assert_refused(backup_restore(place->backup, place->database, &facts, &former, &err), err,
                   kind, NULL);
    assert_null(former);
    assert_non_null(strstr(err.text, place->backup));
    assert_ok(buf_read_file(&after, place->database, FILE_MAX_BYTES, &err), err);
    assert_int_equal(before.size, after.size);
    assert_memory_equal(before.data, after.data, before.size);
}

static void test_what_is_no_sound_backup_is_refused(void **state)
{
    struct place place = new_place();
    scoped_str version = xasprintf("PRAGMA user_version = %d", n_migrations);
    struct db *db = open_database(&place);

    (void)state;
    for (int i = 0; i < 300; i++)
        (void)add_run(db);
    make(&place);
    db_free(db);

    run_sql(place.backup, "PRAGMA user_version = 4711");
    assert_not_restored(&place, ERR_CONFLICT);
    run_sql(place.backup, version);
    run_sql(place.backup, "PRAGMA writable_schema = 1;"
                          "UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'run_by_status'");
    assert_not_restored(&place, ERR_INVALID);
    assert_int_equal(truncate(place.backup, 9000), 0);
    assert_not_restored(&place, ERR_INVALID);
    test_file_write(place.dir, "backup.db", "my diary");
    assert_not_restored(&place, ERR_INVALID);
    assert_int_equal(unlink(place.backup), 0);
    assert_not_restored(&place, ERR_NOT_FOUND);
    leave(&place);
}

static void test_a_database_in_use_is_no_backup(void **state)
{
    struct place place = new_place();
    struct db *db = open_database(&place);

    (void)state;
    make(&place);
    db_free(db);
    test_file_write(place.dir, "backup.db-wal", "what isn't in the file yet");
    assert_not_restored(&place, ERR_INVALID);
    leave(&place);
}

/* --- Runs whose jobs are ahead of it ------------------------------------------------------ */

static struct run_adoption adoption_of(const struct run *seen, enum run_status to, int attempt)
{
    static const uint8_t hash[SHA256_SIZE] = {7};

    return (struct run_adoption){.seen = seen,
                                 .to = to,
                                 .attempt = attempt,
                                 .launcher = "fake",
                                 .job_ref = "run-x-2",
                                 .token_hash = hash,
                                 .now_ms = clock_wall_ms(),
                                 .deadline_ms = NO_TIME_YET};
}

static void test_an_adopted_run_is_whose_claims_it_first(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run(db);
    scoped(run) seen = now_of(db, id);
    struct run_adoption adoption = adoption_of(seen, RUN_RUNNING, 2);
    struct err err = {0};
    bool stop;

    (void)state;
    assert_ok(run_store_adopt(db, &adoption, &err), err);
    assert_ok(run_store_heartbeat(db, id, 2, clock_wall_ms(), &stop, &err), err);
    assert_ok(run_store_claim(db, id, 2, "a", clock_wall_ms(), NO_TIME_YET, NULL, &err), err);
    assert_ok(run_store_claim(db, id, 2, "a", clock_wall_ms(), NO_TIME_YET, NULL, &err), err);
    assert_refused(run_store_claim(db, id, 2, "b", clock_wall_ms(), NO_TIME_YET, NULL, &err),
                   err, ERR_CONFLICT, "claimed");
    scoped(run) now = now_of(db, id);
    assert_int_equal(now->status, RUN_RUNNING);
    assert_int_equal(now->attempt, 2);
    assert_string_equal(now->runner_id, "a");
}

static void test_a_run_that_has_moved_is_not_adopted(void **state)
{
    scoped(db) db = open_memory();
    struct id id = add_run(db);
    scoped(run) seen = now_of(db, id);
    struct run_adoption adoption = adoption_of(seen, RUN_LAUNCHING, 2);
    struct err err = {0};

    (void)state;
    (void)launch(db, id);
    assert_refused(run_store_adopt(db, &adoption, &err), err, ERR_CONFLICT, "run_moved_on");
}

/* --- Damage that shows later -------------------------------------------------------------- */

static void count_call(void *ctx)
{
    ++*(int *)ctx;
}

static void assert_all_refused(struct db *db, struct id id)
{
    struct insert insert = {.run = {.id = id_make(clock_wall_ms(), random_u64())}};
    struct err err = {0};

    assert_null(run_store_load(db, id, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_code(&err, "database_corrupt");
    assert_refused(db_write(db, insert_write, &insert, &err), err, ERR_UNAVAILABLE,
                   "database_corrupt");
    assert_true(db_is_damaged(db));
}

static void test_a_row_that_we_never_wrote_stops_everything(void **state)
{
    static const char *const damages[] = {
        "UPDATE run SET status = 'pendinf'",
        "UPDATE run SET error_code = 'agent_faimed'",
        "UPDATE run SET repo = CAST(x'6f6374ef' AS TEXT)",
        "UPDATE run SET tail = tail + 2199023255552",
        "DELETE FROM run_input",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
        struct place place = new_place();
        struct db *db = open_database(&place);
        struct id id = add_run(db);
        int heard = 0;

        db_free(db);
        run_sql(place.database, damages[i]);
        db = open_database(&place);
        db_watch_damage(db, count_call, &heard);
        assert_false(db_is_damaged(db));
        if (strstr(damages[i], "tail"))
            id.tail += 2199023255552;
        assert_all_refused(db, id);
        assert_int_equal(heard, 1);
        db_free(db);
        leave(&place);
    }
}

TEST_MAIN(cmocka_unit_test(test_a_copy_made_while_others_write_is_of_one_moment),
          cmocka_unit_test(test_a_file_that_is_there_stays_unless_it_is_to_be_replaced),
          cmocka_unit_test(test_what_is_no_database_of_ours_is_not_backed_up),
          cmocka_unit_test(test_a_restored_database_is_as_it_was_and_says_so),
          cmocka_unit_test(test_the_log_of_the_former_database_goes_with_it),
          cmocka_unit_test(test_what_is_no_sound_backup_is_refused),
          cmocka_unit_test(test_a_database_in_use_is_no_backup),
          cmocka_unit_test(test_an_adopted_run_is_whose_claims_it_first),
          cmocka_unit_test(test_a_run_that_has_moved_is_not_adopted),
          cmocka_unit_test(test_a_row_that_we_never_wrote_stops_everything))
