/* SPDX-License-Identifier: Apache-2.0 */
#include "store/db.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "store/add_sums.h"
#include "store/conn.h"
#include "store/db_file.h"
#include "store/migrate.h"
#include "store/page_sum.h"
#include "store/summed_file.h"
#include "store/writer.h"

/* More readers than cores gain nothing; a few more let a slow one be overtaken. */
#define N_READERS 4

struct db {
    struct writer *writer;
    char *directory; /* of a ":memory:" database, to be removed; else NULL */
    char *path;
    struct db_damage damage;

    pthread_mutex_t lock; /* over the idle readers */
    pthread_cond_t returned;
    struct db_conn *idle[N_READERS];
    int n_idle;
    int n_readers;
};

/* --- Opening and closing ------------------------------------------------------------------ */

static char *make_directory(struct err *err)
{
    const char *under = getenv("TMPDIR");
    scoped_str path = NULL;

    if (access("/dev/shm", W_OK | X_OK) == 0)
        under = "/dev/shm";
    path = xasprintf("%s/dispatch-db-XXXXXX", under && *under ? under : "/tmp");
    if (!mkdtemp(path)) {
        (void)err_set_errno(err, errno, "%s", path);
        return NULL;
    }
    return TAKE(path);
}

static void remove_directory(const struct db *db)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};

    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        scoped_str file = xasprintf("%s%s", db->path, suffixes[i]);

        (void)unlink(file);
    }
    (void)rmdir(db->directory);
}

/* A database is served without, as it was before: nothing that it can't help is refused. */
static void add_missing_sums(const char *path)
{
    struct err err;

    if (!add_sums_is_due(path))
        return;
    if (!add_sums_is_quick(path))
        log_warn("the pages of this database have no sums, so a changed bit may go unnoticed: "
                 "dispatchd backup, then dispatchd restore, adds them",
                 KV("database", path));
    else if (add_sums(path, &err) < 0)
        log_warn("the pages of this database can't be given sums, will retry at the next start",
                 KV("database", path), KV("error", err.text));
    else
        log_info("the pages of this database have sums now", KV("database", path));
}

/* That a new database has sums is to be told by its file, not by a log beside it. */
static int tell_of_sums(struct db_conn *conn, struct err *err)
{
    int64_t application;

    if (!summed_file_is_summed(conn->raw))
        return 0;
    if (db_conn_number(conn, "PRAGMA application_id", &application, err) < 0)
        return -1;
    if (application == APPLICATION_ID_SUMMED)
        return 0;
    return db_script(conn, PRAGMA_SUMMED "; PRAGMA wal_checkpoint(PASSIVE)", err);
}

static int open_writer(struct db *db, struct err *err)
{
    scoped(db_conn) conn = db_conn_open(db->path, CONN_WRITES, err);

    if (!conn)
        return err_wrap(err, "opening the database %s", db->path);
    if (db_migrate(conn, migrations, n_migrations, err) < 0 || tell_of_sums(conn, err) < 0)
        return err_wrap(err, "the database %s", db->path);
    conn->damage = &db->damage;
    db->writer = writer_start(TAKE(conn), err);
    return db->writer ? 0 : -1;
}

static int open_readers(struct db *db, struct err *err)
{
    for (; db->n_readers < N_READERS; db->n_readers++) {
        struct db_conn *conn = db_conn_open(db->path, CONN_READS, err);

        if (!conn)
            return err_wrap(err, "opening the database %s", db->path);
        conn->damage = &db->damage;
        db->idle[db->n_idle++] = conn;
    }
    return 0;
}

struct db *db_open(const char *path, struct err *err)
{
    scoped(db) db = xcalloc(1, sizeof(*db));

    (void)pthread_mutex_init(&db->lock, NULL);
    (void)pthread_cond_init(&db->returned, NULL);
    if (strcmp(path, ":memory:") == 0) {
        db->directory = make_directory(err);
        if (!db->directory)
            return NULL;
        db->path = xasprintf("%s/dispatch.db", db->directory);
    } else {
        db->path = xstrdup(path);
    }
    if (db_file_prepare(db->path, n_migrations, err) < 0)
        return NULL;
    add_missing_sums(db->path);
    if (open_writer(db, err) < 0 || open_readers(db, err) < 0)
        return NULL;
    return TAKE(db);
}

void db_free(struct db *db)
{
    if (!db)
        return;
    /* The writer last: the final checkpoint wants to be alone. But its last answers may come
     * from callbacks that read, so its queue must be empty before the readers go. */
    if (db->writer)
        writer_drain(db->writer);
    (void)pthread_mutex_lock(&db->lock);
    while (db->n_idle < db->n_readers)
        (void)pthread_cond_wait(&db->returned, &db->lock);
    (void)pthread_mutex_unlock(&db->lock);
    for (int i = 0; i < db->n_idle; i++)
        db_conn_free(db->idle[i]);
    writer_free(db->writer);
    if (db->directory)
        remove_directory(db);
    (void)pthread_cond_destroy(&db->returned);
    (void)pthread_mutex_destroy(&db->lock);
    free(db->directory);
    free(db->path);
    free(db);
}

/* --- Writing ------------------------------------------------------------------------------ */

void db_watch_damage(struct db *db, void (*heard)(void *ctx), void *ctx)
{
    db->damage.ctx = ctx;
    db->damage.heard = heard;
}

bool db_is_damaged(struct db *db)
{
    return atomic_load(&db->damage.found);
}

static int check_damage(struct db *db, struct err *err)
{
    if (!db_is_damaged(db))
        return 0;
    return err_set_code(err, ERR_UNAVAILABLE, "database_corrupt", "the database is corrupt");
}

int db_write(struct db *db, db_write_fn write, void *ctx, struct err *err)
{
    if (check_damage(db, err) < 0)
        return -1;
    return writer_run(db->writer, write, ctx, err);
}

int db_write_later(struct db *db, db_write_fn write, void *ctx,
                   void (*done)(void *ctx, const struct err *err), struct err *err)
{
    if (check_damage(db, err) < 0)
        return -1;
    return writer_queue(db->writer, write, ctx, done, err);
}

void db_watch(struct db *db, void (*heard)(void *ctx), void *ctx)
{
    writer_watch(db->writer, heard, ctx);
}

void db_announce(struct db_conn *conn)
{
    conn->announced = true;
}

void db_stats(struct db *db, struct db_stats *out)
{
    writer_stats(db->writer, out);
}

/* --- Reading ------------------------------------------------------------------------------ */

static struct db_conn *borrow_reader(struct db *db)
{
    struct db_conn *conn;

    (void)pthread_mutex_lock(&db->lock);
    while (!db->n_idle)
        (void)pthread_cond_wait(&db->returned, &db->lock);
    conn = db->idle[--db->n_idle];
    (void)pthread_mutex_unlock(&db->lock);
    return conn;
}

static void return_reader(struct db *db, struct db_conn *conn)
{
    (void)pthread_mutex_lock(&db->lock);
    db->idle[db->n_idle++] = conn;
    (void)pthread_cond_signal(&db->returned);
    (void)pthread_mutex_unlock(&db->lock);
}

/* Ends a reader's transaction whatever happened in it. */
static void end_read(struct db_conn *conn)
{
    struct err ignored;

    if (!sqlite3_get_autocommit(conn->raw) && db_exec(conn, &ignored, "ROLLBACK") < 0)
        log_warn("ending a read failed, the next one will", KV("error", ignored.text));
}

/* One transaction, so that all its statements see the same moment. */
static int read_with(struct db_conn *conn, db_read_fn read, void *ctx, struct err *err)
{
    int result;

    end_read(conn); /* one that couldn't be ended */
    if (db_exec(conn, err, "BEGIN") < 0)
        return -1;
    result = read(conn, ctx, err);
    end_read(conn);
    return result;
}

int db_read(struct db *db, db_read_fn read, void *ctx, struct err *err)
{
    struct db_conn *conn;
    int result;

    if (check_damage(db, err) < 0)
        return -1;
    conn = borrow_reader(db);
    result = read_with(conn, read, ctx, err);
    return_reader(db, conn);
    return result;
}

static int check_integrity(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    if (db_conn_check(conn, "PRAGMA integrity_check(1)", err) < 0)
        return err_wrap(err, "the database is corrupt");
    return 0;
}

int db_check(struct db *db, struct err *err)
{
    return db_read(db, check_integrity, NULL, err);
}
