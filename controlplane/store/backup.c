/* SPDX-License-Identifier: Apache-2.0 */
#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "store/conn.h"
#include "store/db_file.h"
#include "store/summed_file.h"

/*
 * The copy is made by whoever wants it, with SQLite's online backup over a connection of its
 * own that only reads, and not by the dispatchd that serves: that one may write to its own
 * files alone, and shouldn't write wherever a request says. One read transaction is held
 * throughout, so that the copy is of one moment however long it takes and is never begun anew;
 * in WAL mode it holds up no writer, and the log grows by what is written meanwhile. It rests
 * for as long as it worked, and its pages go to the disk bit by bit, so that the commits of the
 * one who serves don't queue behind them.
 */
#define PAGES_A_STEP 256
#define PAUSE_MIN_US 500
#define PAUSE_MAX_US 50000
#define STEPS_A_SYNC 64

#define FIRST_WITH_MARK 8 /* migrations/0008_backup.sql */
#define PARTIAL_SUFFIX ".partial"

/* --- The file ----------------------------------------------------------------------------- */

struct copy {
    const char *to;
    char *partial;
    int fd; /* with an flock: one backup at a time writes that file */
};

static void copy_done(struct copy *copy)
{
    static const char *const suffixes[] = {"", "-journal", "-wal", "-shm"};

    for (size_t i = 0; copy->fd >= 0 && i < ARRAY_SIZE(suffixes); i++) {
        scoped_str file = xasprintf("%s%s", copy->partial, suffixes[i]);

        (void)unlink(file);
    }
    if (copy->fd >= 0)
        (void)close(copy->fd);
    free(copy->partial);
}
#define scoped_copy __attribute__((cleanup(copy_done))) struct copy

static int refuse_existing(const char *to, struct err *err)
{
    return err_set_code(err, ERR_CONFLICT, "file_exists",
                        "%s is there already (--force replaces it)", to);
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat of_a;
    struct stat of_b;

    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev
           && of_a.st_ino == of_b.st_ino;
}

static int copy_open(struct copy *copy, const char *database, bool replace, struct err *err)
{
    int fd;

    if (is_same_file(database, copy->to))
        return err_set(err, ERR_INVALID, "%s is the database itself", copy->to);
    if (!replace && access(copy->to, F_OK) == 0)
        return refuse_existing(copy->to, err);
    copy->partial = xasprintf("%s" PARTIAL_SUFFIX, copy->to);
    fd = open(copy->partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set_errno(err, errno, "%s", copy->partial);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        (void)close(fd);
        return err_set(err, ERR_CONFLICT, "another backup is writing %s", copy->partial);
    }
    copy->fd = fd;
    /* One that was killed may have left some of its own. */
    if (ftruncate(fd, 0) < 0 || fchmod(fd, 0600) < 0)
        return err_set_errno(err, errno, "%s", copy->partial);
    return 0;
}

int backup_sync_directory(const char *path, struct err *err)
{
    scoped_str copy = xstrdup(path);
    const char *directory = dirname(copy);
    scoped_fd fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return err_set_errno(err, errno, "%s", directory);
    return 0;
}

/* Not every file system can tell whether the new name was free. */
static int rename_to_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL)
        return -1;
    errno = EEXIST;
    return access(to, F_OK) == 0 ? -1 : rename(from, to);
}

static int copy_keep(struct copy *copy, bool replace, struct err *err)
{
    if (fsync(copy->fd) < 0)
        return err_set_errno(err, errno, "%s", copy->partial);
    if ((replace ? rename(copy->partial, copy->to) : rename_to_new(copy->partial, copy->to))
        < 0)
        return errno == EEXIST ? refuse_existing(copy->to, err)
                               : err_set_errno(err, errno, "%s", copy->to);
    return backup_sync_directory(copy->to, err);
}

/* --- The pages ---------------------------------------------------------------------------- */

static int64_t rest_us(int64_t worked_ms)
{
    int64_t pause_us = worked_ms * 1000;

    if (pause_us < PAUSE_MIN_US)
        return PAUSE_MIN_US;
    return pause_us > PAUSE_MAX_US ? PAUSE_MAX_US : pause_us;
}

static int copy_steps(const struct copy *copy, sqlite3_backup *backup)
{
    int result = SQLITE_OK;

    for (int step = 1; result == SQLITE_OK; step++) {
        int64_t began_ms = clock_monotonic_ms();

        result = sqlite3_backup_step(backup, PAGES_A_STEP);
        if (result == SQLITE_OK && step % STEPS_A_SYNC == 0 && fdatasync(copy->fd) < 0)
            return SQLITE_IOERR_FSYNC;
        if (result == SQLITE_OK)
            (void)usleep((useconds_t)rest_us(clock_monotonic_ms() - began_ms));
    }
    return result;
}

/* What SQLite says of the copy it has noted at the connection that it wrote to. */
static int copy_pages(const struct copy *copy, struct db_conn *from, struct err *err)
{
    scoped(db_conn) to = db_conn_open(copy->partial, CONN_COPIES, err);
    sqlite3_backup *backup;
    int result;

    if (!to)
        return -1;
    /* The copy has the very pages of what is copied, so sums only where there is room. */
    if (!summed_file_is_summed(from->raw))
        summed_file_go_plain(to->raw);
    backup = sqlite3_backup_init(to->raw, "main", from->raw, "main");
    if (!backup)
        return db_conn_fail(to, NULL, err);
    result = copy_steps(copy, backup);
    (void)sqlite3_backup_finish(backup);
    return result == SQLITE_DONE ? 0 : db_conn_fail(to, NULL, err);
}

/* --- What it is --------------------------------------------------------------------------- */

static int check_ours(struct db_conn *conn, int64_t *out_version, struct err *err)
{
    int64_t application;

    if (db_conn_number(conn, "PRAGMA application_id", &application, err) < 0
        || db_conn_number(conn, "PRAGMA user_version", out_version, err) < 0)
        return -1;
    if (!db_file_is_ours(application) || *out_version < 1)
        return err_set(err, ERR_INVALID, "it isn't a database of dispatchd");
    if (*out_version > n_migrations)
        return err_set(err, ERR_CONFLICT,
                       "it is of a newer version (%lld, this program knows %d)",
                       (long long)*out_version, n_migrations);
    return 0;
}

int backup_read_facts(struct db_conn *conn, struct backup_facts *out, struct err *err)
{
    int64_t version = 0;
    int64_t pages = 0;
    int64_t page_size = 0;

    if (check_ours(conn, &version, err) < 0
        || db_conn_number(conn, "SELECT count(*) FROM run", &out->runs, err) < 0
        || db_conn_number(conn, "PRAGMA page_count", &pages, err) < 0
        || db_conn_number(conn, "PRAGMA page_size", &page_size, err) < 0)
        return -1;
    out->schema = (int)version;
    out->bytes = pages * page_size;
    if (version < FIRST_WITH_MARK)
        return 0;
    return db_conn_number(conn, "SELECT max(taken_ms) FROM backup WHERE restored_ms IS NULL",
                          &out->taken_ms, err);
}

/* One that an older dispatchd still serves has no place for the mark. */
static int mark(const struct copy *copy, int64_t taken_ms, struct backup_facts *out,
                struct err *err)
{
    scoped(db_conn) conn = db_conn_open(copy->partial, CONN_COPIES, err);
    int64_t version = 0;

    if (!conn || check_ours(conn, &version, err) < 0)
        return -1;
    if (version >= FIRST_WITH_MARK
        && db_exec(conn, err, "INSERT INTO backup (taken_ms) VALUES (?1)", B(taken_ms)) < 0)
        return -1;
    if (db_conn_check(conn, "PRAGMA integrity_check(1)", err) < 0)
        return err_wrap(err, "it is corrupt");
    if (backup_read_facts(conn, out, err) < 0)
        return -1;
    out->taken_ms = taken_ms;
    return 0;
}

static int copy_database(const struct copy *copy, const char *database,
                         struct backup_facts *out, struct err *err)
{
    scoped(db_conn) from = db_conn_open(database, CONN_READS, err);
    int64_t taken_ms;
    int64_t version;

    /* A transaction sees the moment of its first read. */
    if (!from || db_script(from, "BEGIN", err) < 0 || check_ours(from, &version, err) < 0)
        return -1;
    taken_ms = clock_wall_ms();
    if (copy_pages(copy, from, err) < 0)
        return -1;
    return mark(copy, taken_ms, out, err);
}

int backup_make(const char *database, const char *to, bool replace, struct backup_facts *out,
                struct err *err)
{
    struct backup_facts facts = {0};
    scoped_copy copy = {.to = to, .fd = -1};

    if (copy_open(&copy, database, replace, err) < 0)
        return -1;
    if (copy_database(&copy, database, &facts, err) < 0)
        return err_wrap(err, "the database %s", database);
    if (copy_keep(&copy, replace, err) < 0)
        return -1;
    *out = facts;
    return 0;
}
