/* SPDX-License-Identifier: Apache-2.0 */
#include "store/db.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "store_test.h"

#define N_WRITERS 32
#define WRITES_EACH 40

/* --- Writes to a table of the test's own -------------------------------------------------- */

static int make_table(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    return db_script(conn, "CREATE TABLE note (number INTEGER PRIMARY KEY, text TEXT)", err);
}

static struct db *open_with_notes(void)
{
    struct err err = {0};
    struct db *db = open_memory();

    assert_ok(db_write(db, make_table, NULL, &err), err);
    return db;
}

struct note {
    int64_t number;
    const char *text;
    bool fail; /* after having written */
};

static int write_note(struct db_conn *conn, void *ctx, struct err *err)
{
    const struct note *note = ctx;

    if (db_exec(conn, err, "INSERT INTO note VALUES (?1, ?2)", B(note->number), B(note->text))
        < 0)
        return -1;
    if (note->fail)
        return err_set(err, ERR_INVALID, "note %d is not wanted", (int)note->number);
    return 0;
}

static int count_notes(struct db_conn *conn, void *ctx, struct err *err)
{
    int64_t *out = ctx;
    scoped(stmt) st = db_query(conn, err, "SELECT count(*) FROM note");

    if (!st || stmt_step(st, err) < 0)
        return -1;
    *out = stmt_int(st, 0);
    return 0;
}

static int64_t notes_in(struct db *db)
{
    struct err err = {0};
    int64_t count = -1;

    assert_ok(db_read(db, count_notes, &count, &err), err);
    return count;
}

/* Holds the writer up, so that what is handed in meanwhile becomes one batch. */
struct gate {
    sem_t entered;
    sem_t open;
};

static int wait_at_gate(struct db_conn *conn, void *ctx, struct err *err)
{
    struct gate *gate = ctx;

    (void)conn;
    (void)err;
    (void)sem_post(&gate->entered);
    while (sem_wait(&gate->open) < 0)
        ;
    return 0;
}

static void ignore_answer(void *ctx, const struct err *err)
{
    (void)ctx;
    (void)err;
}

static void close_gate(struct db *db, struct gate *gate)
{
    struct err err = {0};

    (void)sem_init(&gate->entered, 0, 0);
    (void)sem_init(&gate->open, 0, 0);
    assert_ok(db_write_later(db, wait_at_gate, gate, ignore_answer, &err), err);
    while (sem_wait(&gate->entered) < 0)
        ;
}

/* --- Many writers ------------------------------------------------------------------------- */

struct writer_arg {
    struct db *db;
    int number;
    int failures;
};

static void *write_many(void *arg)
{
    struct writer_arg *self = arg;

    for (int i = 0; i < WRITES_EACH; i++) {
        struct note note = {.number = self->number * WRITES_EACH + i, .text = "n"};
        struct err err = {0};

        if (db_write(self->db, write_note, &note, &err) < 0)
            self->failures++;
    }
    return NULL;
}

static void test_what_many_writers_were_acknowledged_is_there(void **state)
{
    scoped(db) db = open_with_notes();
    struct writer_arg args[N_WRITERS];
    pthread_t threads[N_WRITERS];
    struct db_stats stats;

    (void)state;
    for (int i = 0; i < N_WRITERS; i++) {
        args[i] = (struct writer_arg){.db = db, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &args[i]), 0);
    }
    for (int i = 0; i < N_WRITERS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(args[i].failures, 0);
    }
    assert_int_equal(notes_in(db), N_WRITERS * WRITES_EACH);
    db_stats(db, &stats);
    assert_int_equal(stats.writes, N_WRITERS * WRITES_EACH + 1);
    assert_true(stats.commits < stats.writes);
}

static void test_writes_that_come_together_share_one_commit(void **state)
{
    scoped(db) db = open_with_notes();
    struct note notes[100];
    struct gate gate;
    struct db_stats before;
    struct db_stats after;
    struct err err = {0};

    (void)state;
    db_stats(db, &before);
    close_gate(db, &gate);
    for (int i = 0; i < 100; i++) {
        notes[i] = (struct note){.number = i, .text = "n"};
        assert_ok(db_write_later(db, write_note, &notes[i], ignore_answer, &err), err);
    }
    (void)sem_post(&gate.open);
    wait_until(notes_in(db) == 100, 60000);
    wait_until((db_stats(db, &after), after.commits == before.commits + 2), 60000);
    assert_int_equal(after.largest_batch, 100);
}

/* --- Failures ----------------------------------------------------------------------------- */

struct answer {
    _Atomic int n_answers;
    struct err err;
    bool failed;
    int order;
};

static _Atomic int answers_so_far;

static void keep_answer(void *ctx, const struct err *err)
{
    struct answer *answer = ctx;

    if (err) {
        answer->failed = true;
        answer->err = *err;
    }
    answer->order = atomic_fetch_add(&answers_so_far, 1);
    atomic_fetch_add(&answer->n_answers, 1);
}

struct noted {
    struct answer answer; /* first, so that it is found by the same pointer */
    struct note note;
};

static int write_noted(struct db_conn *conn, void *ctx, struct err *err)
{
    return write_note(conn, &((struct noted *)ctx)->note, err);
}

static void test_a_failing_write_takes_nothing_else_with_it(void **state)
{
    scoped(db) db = open_with_notes();
    struct noted noted[9] = {0};
    struct gate gate;
    struct err err = {0};

    (void)state;
    close_gate(db, &gate);
    for (int i = 0; i < 9; i++) {
        noted[i].note = (struct note){.number = i, .text = "n", .fail = i % 3 == 1};
        assert_ok(db_write_later(db, write_noted, &noted[i], keep_answer, &err), err);
    }
    (void)sem_post(&gate.open);
    for (int i = 0; i < 9; i++) {
        wait_until(atomic_load(&noted[i].answer.n_answers) == 1, 60000);
        assert_int_equal(noted[i].answer.failed, i % 3 == 1);
        if (i % 3 == 1)
            assert_int_equal(noted[i].answer.err.kind, ERR_INVALID);
    }
    assert_int_equal(notes_in(db), 6);
}

static void test_a_failing_write_alone_leaves_nothing(void **state)
{
    scoped(db) db = open_with_notes();
    struct note note = {.number = 1, .text = "n", .fail = true};
    struct err err;

    (void)state;
    assert_refused(db_write(db, write_note, &note, &err), err, ERR_INVALID, NULL);
    assert_string_equal(err.text, "note 1 is not wanted");
    assert_int_equal(notes_in(db), 0);
}

static void test_a_constraint_is_a_conflict_and_names_the_statement(void **state)
{
    scoped(db) db = open_with_notes();
    struct note note = {.number = 1, .text = "n"};
    struct err err = {0};

    (void)state;
    assert_ok(db_write(db, write_note, &note, &err), err);
    assert_refused(db_write(db, write_note, &note, &err), err, ERR_CONFLICT, NULL);
    assert_non_null(strstr(err.text, "INSERT INTO note"));
}

static int say_nothing(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)conn;
    (void)ctx;
    (void)err;
    return -1;
}

static void test_a_failure_always_has_a_reason(void **state)
{
    scoped(db) db = open_with_notes();
    struct err err;

    (void)state;
    assert_refused(db_write(db, say_nothing, NULL, &err), err, ERR_INTERNAL, NULL);
}

/* --- Answers later ------------------------------------------------------------------------ */

static void test_later_answers_come_once_and_in_order(void **state)
{
    scoped(db) db = open_with_notes();
    struct noted *noted = xcalloc(2000, sizeof(*noted));
    struct err err = {0};

    (void)state;
    atomic_store(&answers_so_far, 0);
    for (int i = 0; i < 2000; i++) {
        noted[i].note = (struct note){.number = i, .text = "n"};
        assert_ok(db_write_later(db, write_noted, &noted[i], keep_answer, &err), err);
    }
    wait_until(atomic_load(&answers_so_far) == 2000, 60000);
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(atomic_load(&noted[i].answer.n_answers), 1);
        assert_int_equal(noted[i].answer.order, i);
        assert_false(noted[i].answer.failed);
    }
    free(noted);
}

static struct db *seen_by;
static _Atomic int64_t seen_after_commit = -1;

static void look_from_outside(void *ctx, const struct err *err)
{
    (void)ctx;
    (void)err;
    atomic_store(&seen_after_commit, notes_in(seen_by));
}

static void test_an_answer_comes_after_the_commit(void **state)
{
    scoped(db) db = open_with_notes();
    struct note note = {.number = 1, .text = "n"};
    struct err err = {0};

    (void)state;
    seen_by = db;
    assert_ok(db_write_later(db, write_note, &note, look_from_outside, &err), err);
    wait_until(atomic_load(&seen_after_commit) >= 0, 60000);
    assert_int_equal(atomic_load(&seen_after_commit), 1);
}

static void test_a_full_queue_refuses_and_recovers(void **state)
{
    scoped(db) db = open_with_notes();
    struct noted *noted = xcalloc(DB_QUEUE_MAX, sizeof(*noted));
    struct note more = {.number = DB_QUEUE_MAX, .text = "n"};
    struct gate gate;
    struct err err = {0};

    (void)state;
    atomic_store(&answers_so_far, 0);
    close_gate(db, &gate);
    for (int i = 0; i < DB_QUEUE_MAX; i++) {
        noted[i].note = (struct note){.number = i, .text = "n"};
        assert_ok(db_write_later(db, write_noted, &noted[i], keep_answer, &err), err);
    }
    assert_refused(db_write_later(db, write_note, &more, ignore_answer, &err), err,
                   ERR_UNAVAILABLE, NULL);
    assert_refused(db_write(db, write_note, &more, &err), err, ERR_UNAVAILABLE, NULL);
    assert_true(err.retry_after_s > 0);
    (void)sem_post(&gate.open);
    wait_until(atomic_load(&answers_so_far) == DB_QUEUE_MAX, 60000);
    assert_ok(db_write(db, write_note, &more, &err), err);
    assert_int_equal(notes_in(db), DB_QUEUE_MAX + 1);
    free(noted);
}

static _Atomic int refusals;

static int write_from_the_writer(struct db_conn *conn, void *ctx, struct err *err)
{
    struct note note = {.number = 7, .text = "n"};
    struct err inner = {0};

    (void)conn;
    (void)err;
    if (db_write(ctx, write_note, &note, &inner) < 0 && inner.kind == ERR_INTERNAL)
        atomic_fetch_add(&refusals, 1);
    return 0;
}

static void test_the_writer_does_not_wait_for_itself(void **state)
{
    scoped(db) db = open_with_notes();
    struct err err = {0};

    (void)state;
    assert_ok(db_write(db, write_from_the_writer, db, &err), err);
    assert_int_equal(atomic_load(&refusals), 1);
}

/* --- Reading ------------------------------------------------------------------------------ */

struct two_counts {
    struct db *db;
    int64_t first;
    int64_t second;
};

static int count_twice(struct db_conn *conn, void *ctx, struct err *err)
{
    struct two_counts *counts = ctx;
    struct note note = {.number = 50, .text = "between"};

    if (count_notes(conn, &counts->first, err) < 0
        || db_write(counts->db, write_note, &note, err) < 0)
        return -1;
    return count_notes(conn, &counts->second, err);
}

static void test_one_read_sees_one_moment(void **state)
{
    scoped(db) db = open_with_notes();
    struct two_counts counts = {.db = db};
    struct err err = {0};

    (void)state;
    assert_ok(db_read(db, count_twice, &counts, &err), err);
    assert_int_equal(counts.first, 0);
    assert_int_equal(counts.second, 0);
    assert_int_equal(notes_in(db), 1);
}

static void test_a_reader_can_not_write(void **state)
{
    scoped(db) db = open_with_notes();
    struct note note = {.number = 1, .text = "n"};
    struct err err = {0};

    (void)state;
    assert_int_equal(db_read(db, write_note, &note, &err), -1);
    assert_int_equal(notes_in(db), 0);
}

static void *read_many(void *arg)
{
    struct writer_arg *self = arg;

    for (int i = 0; i < 200; i++)
        if (notes_in(self->db) < 0)
            self->failures++;
    return NULL;
}

static void test_readers_and_writers_get_along(void **state)
{
    scoped(db) db = open_with_notes();
    struct writer_arg args[16];
    pthread_t threads[16];

    (void)state;
    for (int i = 0; i < 16; i++) {
        args[i] = (struct writer_arg){.db = db, .number = i};
        assert_int_equal(
            pthread_create(&threads[i], NULL, i % 2 ? read_many : write_many, &args[i]), 0);
    }
    for (int i = 0; i < 16; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(args[i].failures, 0);
    }
    assert_int_equal(notes_in(db), 8 * WRITES_EACH);
}

/* --- Trouble ------------------------------------------------------------------------------ */

static int limit_pages(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    /* SQLite takes the present size where this is smaller: nothing more fits. */
    return db_script(conn, "PRAGMA max_page_count = 1", err);
}

static int lift_limit(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    return db_script(conn, "PRAGMA max_page_count = 1073741823", err);
}

static void test_a_full_disk_refuses_and_heals(void **state)
{
    scoped(db) db = open_with_notes();
    scoped_str large = xcalloc(1, 100001);
    struct noted noted[5] = {0};
    struct note after = {.number = 100, .text = "n"};
    struct gate gate;
    struct err err = {0};

    (void)state;
    memset(large, 'x', 100000);
    assert_ok(db_write(db, limit_pages, NULL, &err), err);
    close_gate(db, &gate);
    for (int i = 0; i < 5; i++) {
        noted[i].note = (struct note){.number = i, .text = i == 2 ? large : "n"};
        assert_ok(db_write_later(db, write_noted, &noted[i], keep_answer, &err), err);
    }
    (void)sem_post(&gate.open);
    for (int i = 0; i < 5; i++) {
        wait_until(atomic_load(&noted[i].answer.n_answers) == 1, 60000);
        assert_true(noted[i].answer.failed);
        assert_int_equal(noted[i].answer.err.kind, ERR_UNAVAILABLE);
    }
    assert_int_equal(notes_in(db), 0);
    assert_ok(db_write(db, lift_limit, NULL, &err), err);
    assert_ok(db_write(db, write_note, &after, &err), err);
    assert_int_equal(notes_in(db), 1);
    assert_ok(db_check(db, &err), err);
}

/* Fills a file system of 3 MiB, then makes it larger: 0, or the line that went wrong. */
static int fill_file_system(const char *dir)
{
    scoped_str path = xasprintf("%s/d.db", dir);
    scoped_str large = xcalloc(1, 100001);
    struct note note = {.text = large};
    struct err err = {0};
    struct db *db = db_open(path, &err);

    memset(large, 'x', 100000);
    if (!db || db_write(db, make_table, NULL, &err) < 0)
        return __LINE__;
    while (note.number < 100 && db_write(db, write_note, &note, &err) == 0)
        note.number++;
    if (note.number == 0 || note.number == 100 || err.kind != ERR_UNAVAILABLE)
        return __LINE__;
    if (notes_in(db) != note.number)
        return __LINE__;
    if (mount("none", dir, "tmpfs", MS_REMOUNT, "size=64m") < 0)
        return __LINE__;
    if (db_write(db, write_note, &note, &err) < 0 || notes_in(db) != note.number + 1)
        return __LINE__;
    if (db_check(db, &err) < 0)
        return __LINE__;
    db_free(db);
    return 0;
}

/* The same with a real file system, in a mount namespace that goes away with the child. Only
 * root can do that, and not in every container. */
static void test_a_full_file_system_refuses_and_heals(void **state)
{
    enum { CAN_NOT = 255 };
    scoped_str dir = test_dir_new();
    pid_t pid = fork();
    int status;

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
            || mount("none", dir, "tmpfs", 0, "size=3m") < 0)
            _exit(CAN_NOT);
        status = fill_file_system(dir);
        if (status)
            print_error("not as it should be at line %d\n", status);
        _exit(status ? EXIT_FAILURE : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    test_dir_remove(dir);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CAN_NOT)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

struct long_read {
    struct db *db;
    sem_t entered;
    sem_t leave;
};

static int stay(struct db_conn *conn, void *ctx, struct err *err)
{
    struct long_read *read = ctx;
    int64_t count;

    if (count_notes(conn, &count, err) < 0)
        return -1;
    (void)sem_post(&read->entered);
    while (sem_wait(&read->leave) < 0)
        ;
    return 0;
}

static void *read_long(void *arg)
{
    struct long_read *read = arg;
    struct err err = {0};

    return db_read(read->db, stay, read, &err) < 0 ? arg : NULL;
}

static void write_megabytes(struct db *db, int64_t first, int count)
{
    scoped_str large = xcalloc(1, 1000001);
    struct err err = {0};

    memset(large, 'x', 1000000);
    for (int i = 0; i < count; i++) {
        struct note note = {.number = first + i, .text = large};

        assert_ok(db_write(db, write_note, &note, &err), err);
    }
}

static int64_t wal_pages(struct db *db)
{
    struct db_stats stats;

    db_stats(db, &stats);
    return stats.wal_pages;
}

static void test_the_wal_stays_short(void **state)
{
    scoped(db) db = open_with_notes();

    (void)state;
    write_megabytes(db, 0, 40);
    assert_true(wal_pages(db) < 3000);
}

static void begin_long_read(struct long_read *read, pthread_t *thread)
{
    (void)sem_init(&read->entered, 0, 0);
    (void)sem_init(&read->leave, 0, 0);
    assert_int_equal(pthread_create(thread, NULL, read_long, read), 0);
    while (sem_wait(&read->entered) < 0)
        ;
}

static void test_the_wal_shrinks_when_a_long_reader_leaves(void **state)
{
    scoped(db) db = open_with_notes();
    struct long_read read = {.db = db};
    pthread_t thread;
    void *failed;

    (void)state;
    begin_long_read(&read, &thread);
    write_megabytes(db, 0, 20);
    assert_true(wal_pages(db) > 4000);
    (void)sem_post(&read.leave);
    (void)pthread_join(thread, &failed);
    assert_null(failed);
    write_megabytes(db, 100, 10);
    assert_true(wal_pages(db) < 3000);
}

/* Past a limit the writer waits for readers to get out, a moment at a time, and then the log
 * is emptied: it doesn't stay as large as a burst has made it. */
static void test_the_wal_is_emptied_once_a_reader_lets_go(void **state)
{
    scoped(db) db = open_with_notes();
    struct long_read read = {.db = db};
    pthread_t thread;
    void *failed;
    int round = 0;

    (void)state;
    begin_long_read(&read, &thread);
    write_megabytes(db, 0, 72);
    assert_true(wal_pages(db) > 16 * 1024);
    (void)sem_post(&read.leave);
    (void)pthread_join(thread, &failed);
    assert_null(failed);
    wait_until((write_megabytes(db, 1000 + 4 * round++, 4), wal_pages(db) < 3000), 60000);
}

static int change_nothing(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    return db_exec(conn, err, "DELETE FROM note WHERE number = -1") < 0 ? -1 : 0;
}

static bool is_shrunk_by_writing_nothing(struct db *db)
{
    struct err err = {0};

    assert_ok(db_write(db, change_nothing, NULL, &err), err);
    return wal_pages(db) == 0;
}

static void test_a_large_wal_shrinks_although_nothing_is_written(void **state)
{
    scoped(db) db = open_with_notes();
    struct long_read read = {.db = db};
    pthread_t thread;
    void *failed;

    (void)state;
    begin_long_read(&read, &thread);
    write_megabytes(db, 0, 70);
    assert_true(wal_pages(db) > 16384);
    (void)sem_post(&read.leave);
    (void)pthread_join(thread, &failed);
    assert_null(failed);
    wait_until(is_shrunk_by_writing_nothing(db), 60000);
}

/* --- Files -------------------------------------------------------------------------------- */

static void test_a_file_keeps_what_was_written_and_is_for_its_owner_only(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/d.db", dir);
    scoped_str wal = xasprintf("%s/d.db-wal", dir);
    struct note note = {.number = 1, .text = "n"};
    struct err err = {0};
    struct db *db = db_open(path, &err);
    struct stat st;

    (void)state;
    assert_made(db, err);
    assert_ok(db_write(db, make_table, NULL, &err), err);
    assert_ok(db_write(db, write_note, &note, &err), err);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(wal, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    db_free(db);
    assert_int_equal(stat(wal, &st), -1); /* it was emptied into the file */

    db = db_open(path, &err);
    assert_made(db, err);
    assert_int_equal(notes_in(db), 1);
    db_free(db);
    test_dir_remove(dir);
}

static void test_closing_finishes_what_was_handed_in(void **state)
{
    scoped_str dir = test_dir_new();
    scoped_str path = xasprintf("%s/d.db", dir);
    struct noted *noted = xcalloc(1000, sizeof(*noted));
    struct err err = {0};
    struct db *db = db_open(path, &err);

    (void)state;
    assert_made(db, err);
    assert_ok(db_write(db, make_table, NULL, &err), err);
    for (int i = 0; i < 1000; i++) {
        noted[i].note = (struct note){.number = i, .text = "n"};
        assert_ok(db_write_later(db, write_noted, &noted[i], keep_answer, &err), err);
    }
    db_free(db);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(atomic_load(&noted[i].answer.n_answers), 1);
    free(noted);

    db = db_open(path, &err);
    assert_made(db, err);
    assert_int_equal(notes_in(db), 1000);
    db_free(db);
    test_dir_remove(dir);
}

static void test_memory_databases_are_private_and_leave_nothing(void **state)
{
    scoped(db) a = open_with_notes();
    scoped(db) b = open_with_notes();
    struct note note = {.number = 1, .text = "n"};
    struct err err = {0};

    (void)state;
    assert_ok(db_write(a, write_note, &note, &err), err);
    assert_int_equal(notes_in(a), 1);
    assert_int_equal(notes_in(b), 0);
}

TEST_MAIN(cmocka_unit_test(test_what_many_writers_were_acknowledged_is_there),
          cmocka_unit_test(test_writes_that_come_together_share_one_commit),
          cmocka_unit_test(test_a_failing_write_takes_nothing_else_with_it),
          cmocka_unit_test(test_a_failing_write_alone_leaves_nothing),
          cmocka_unit_test(test_a_constraint_is_a_conflict_and_names_the_statement),
          cmocka_unit_test(test_a_failure_always_has_a_reason),
          cmocka_unit_test(test_later_answers_come_once_and_in_order),
          cmocka_unit_test(test_an_answer_comes_after_the_commit),
          cmocka_unit_test(test_a_full_queue_refuses_and_recovers),
          cmocka_unit_test(test_the_writer_does_not_wait_for_itself),
          cmocka_unit_test(test_one_read_sees_one_moment),
          cmocka_unit_test(test_a_reader_can_not_write),
          cmocka_unit_test(test_readers_and_writers_get_along),
          cmocka_unit_test(test_a_full_disk_refuses_and_heals),
          cmocka_unit_test(test_a_full_file_system_refuses_and_heals),
          cmocka_unit_test(test_the_wal_stays_short),
          cmocka_unit_test(test_the_wal_shrinks_when_a_long_reader_leaves),
          cmocka_unit_test(test_the_wal_is_emptied_once_a_reader_lets_go),
          cmocka_unit_test(test_a_large_wal_shrinks_although_nothing_is_written),
          cmocka_unit_test(test_a_file_keeps_what_was_written_and_is_for_its_owner_only),
          cmocka_unit_test(test_closing_finishes_what_was_handed_in),
          cmocka_unit_test(test_memory_databases_are_private_and_leave_nothing))
