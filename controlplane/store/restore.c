/* SPDX-License-Identifier: Apache-2.0 */
#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "store/add_sums.h"
#include "store/audit.h"
#include "store/conn.h"
#include "store/db_file.h"

#define COPY_BYTES (1U << 20)
#define FRESH_SUFFIX ".restoring"

/* --- The file it comes from --------------------------------------------------------------- */

static int check_source(const char *from, const char *database, struct err *err)
{
    scoped_str wal = xasprintf("%s-wal", from);
    struct stat of_from;
    struct stat other;

    if (stat(from, &of_from) < 0)
        return err_set_errno(err, errno, "%s", from);
    if (stat(database, &other) == 0 && other.st_dev == of_from.st_dev
        && other.st_ino == of_from.st_ino)
        return err_set(err, ERR_INVALID, "%s is the database itself", from);
    if (stat(wal, &other) == 0 && other.st_size > 0)
        return err_set(err, ERR_INVALID,
                       "%s has a write-ahead log beside it: it is a database in use, and no "
                       "backup",
                       from);
    return db_file_check(from, n_migrations, err);
}

static int copy_bytes(int from, int to)
{
    scoped_str piece = xcalloc(1, COPY_BYTES);
    ssize_t got;

    while ((got = read(from, piece, COPY_BYTES)) > 0)
        for (ssize_t at = 0; at < got;) {
            ssize_t written = write(to, piece + at, (size_t)(got - at));

            if (written < 0)
                return -1;
            at += written;
        }
    return got < 0 ? -1 : 0;
}

static int copy_file(const char *from, const char *to, struct err *err)
{
    scoped_fd in = open(from, O_RDONLY | O_CLOEXEC);
    scoped_fd out = -1;

    if (in < 0)
        return err_set_errno(err, errno, "%s", from);
    (void)unlink(to);
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0 || copy_bytes(in, out) < 0)
        return err_set_errno(err, errno, "%s", to);
    return 0;
}

/* --- The mark ----------------------------------------------------------------------------- */

/* A backup by an older version, or a mere copy of the file, doesn't say when it was taken: not
 * before the last thing in it. */
#define LAST_MOMENT                                                                            \
    "max(coalesce((SELECT max(at_ms) FROM audit), 0),"                                         \
    " coalesce((SELECT max(key) >> 21 FROM run), 0))"
#define NEWEST_KEY "coalesce((SELECT max(key) FROM run), 0)"

static int mark_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct backup_facts *facts = ctx;
    scoped_str detail = NULL;
    char taken[CLOCK_TEXT_SIZE];

    if (db_exec(conn, err,
                "INSERT INTO backup (taken_ms) SELECT " LAST_MOMENT
                " WHERE NOT EXISTS (SELECT 1 FROM backup WHERE restored_ms IS NULL)")
            < 0
        || backup_read_facts(conn, facts, err) < 0
        || db_exec(conn, err,
                   "UPDATE backup SET restored_ms = ?1, newest_key = " NEWEST_KEY
                   " WHERE restored_ms IS NULL",
                   B(clock_wall_ms()))
               < 0)
        return -1;
    clock_text(facts->taken_ms, taken);
    detail = xasprintf("a backup of %s", taken);
    return audit_append(conn, &(struct audit_source){.actor = "control-socket"},
                        "database.restore", "database", detail, err);
}

/* Migrated, sound, with sums and marked, in one file. */
static int prepare(const char *fresh, struct backup_facts *out, struct err *err)
{
    scoped_str wal = xasprintf("%s-wal", fresh);
    scoped(db) db = NULL;
    int result = -1;
    struct stat st;
    scoped_fd fd = -1;

    if (add_sums_is_due(fresh) && add_sums(fresh, err) < 0)
        return -1;
    db = db_open(fresh, err);
    if (db && db_check(db, err) == 0 && db_write(db, mark_write, out, err) == 0)
        result = 0;
    db_free(TAKE(db));
    if (result < 0) {
        if (err->kind == ERR_INTERNAL)
            err->kind = ERR_INVALID;
        return -1;
    }
    if (stat(wal, &st) == 0 && st.st_size > 0)
        return err_set(err, ERR_UNAVAILABLE, "%s could not be written to its end", fresh);
    fd = open(fresh, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? 0 : err_set_errno(err, errno, "%s", fresh);
}

/* --- Its place ---------------------------------------------------------------------------- */

static char *former_name(const char *database)
{
    time_t now_s = (time_t)(clock_wall_ms() / 1000);
    char at[32] = "";
    struct tm parts;

    if (gmtime_r(&now_s, &parts))
        (void)strftime(at, sizeof(at), "%Y%m%dT%H%M%SZ", &parts);
    return xasprintf("%s.before-restore-%s", database, at);
}

/*
 * The former database gets a second name first, so that at no moment there is none. Its log
 * must be away before the new one has its name, or it would be taken for the new one's.
 */
static int set_aside(const char *database, const char *former, struct err *err)
{
    scoped_str wal = xasprintf("%s-wal", database);
    scoped_str shm = xasprintf("%s-shm", database);
    scoped_str former_wal = xasprintf("%s-wal", former);

    if (link(database, former) < 0 && errno != EEXIST && rename(database, former) < 0)
        return err_set_errno(err, errno, "%s", former);
    if (rename(wal, former_wal) < 0 && errno != ENOENT)
        return err_set_errno(err, errno, "%s", former_wal);
    if (unlink(shm) < 0 && errno != ENOENT)
        return err_set_errno(err, errno, "%s", shm);
    return 0;
}

static void put_back(const char *database, const char *former)
{
    if (!former) {
        (void)unlink(database);
        return;
    }
    scoped_str wal = xasprintf("%s-wal", database);
    scoped_str former_wal = xasprintf("%s-wal", former);

    (void)rename(former_wal, wal);
    /* Of two names of one file rename leaves both. */
    (void)rename(former, database);
    (void)unlink(former);
}

static int replace(const char *fresh, const char *database, const char *former, struct err *err)
{
    if (former && set_aside(database, former, err) < 0)
        return -1;
    if (rename(fresh, database) < 0)
        return err_set_errno(err, errno, "%s", database);
    return backup_sync_directory(database, err);
}

static int put_in_place(const char *fresh, const char *database, char **out_former,
                        struct err *err)
{
    scoped_str former = access(database, F_OK) == 0 ? former_name(database) : NULL;

    if (former && access(former, F_OK) == 0)
        return err_set(err, ERR_CONFLICT, "%s is there already", former);
    if (replace(fresh, database, former, err) < 0) {
        put_back(database, former);
        return -1;
    }
    *out_former = TAKE(former);
    return 0;
}

static void clean_up(const char *fresh)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};

    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        scoped_str file = xasprintf("%s%s", fresh, suffixes[i]);

        (void)unlink(file);
    }
}

int backup_restore(const char *from, const char *database, struct backup_facts *out,
                   char **out_former, struct err *err)
{
    scoped_str real = realpath(database, NULL);
    const char *place = real ? real : database;
    scoped_str fresh = xasprintf("%s" FRESH_SUFFIX, place);
    struct backup_facts facts = {0};
    int result = -1;

    *out_former = NULL;
    if (check_source(from, place, err) < 0)
        return -1;
    clean_up(fresh);
    if (copy_file(from, fresh, err) == 0) {
        if (prepare(fresh, &facts, err) < 0)
            (void)err_wrap(err, "the backup %s", from);
        else
            result = put_in_place(fresh, place, out_former, err);
    }
    clean_up(fresh);
    if (result == 0)
        *out = facts;
    return result;
}

/* --- Afterwards --------------------------------------------------------------------------- */

static int unsettled_read(struct db_conn *conn, void *ctx, struct err *err)
{
    struct backup_mark *mark = ctx;
    scoped(stmt) st = db_query(conn, err,
                               "SELECT max(newest_key), min(taken_ms) FROM backup"
                               " WHERE restored_ms IS NOT NULL AND settled_ms IS NULL");
    int row = st ? stmt_step(st, err) : -1;

    if (row < 0)
        return -1;
    *mark = (struct backup_mark){.newest_key = stmt_int(st, 0), .taken_ms = stmt_int(st, 1)};
    return 0;
}

int backup_unsettled(struct db *db, struct backup_mark *out, struct err *err)
{
    return db_read(db, unsettled_read, out, err);
}

static int settle_write(struct db_conn *conn, void *ctx, struct err *err)
{
    (void)ctx;
    return db_exec(conn, err,
                   "UPDATE backup SET settled_ms = ?1"
                   " WHERE restored_ms IS NOT NULL AND settled_ms IS NULL",
                   B(clock_wall_ms()))
                   < 0
               ? -1
               : 0;
}

int backup_settle(struct db *db, struct err *err)
{
    return db_write(db, settle_write, NULL, err);
}
