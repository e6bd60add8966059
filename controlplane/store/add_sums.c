/* SPDX-License-Identifier: Apache-2.0 */
#include "store/add_sums.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "store/backup.h"
#include "store/conn.h"
#include "store/page_sum.h"
#include "store/summed_file.h"

/*
 * VACUUM INTO takes the room that is to be reserved in each page from the connection, and
 * writes an empty file (https://www.sqlite.org/lang_vacuum.html, SQLITE_FCNTL_RESERVE_BYTES in
 * https://www.sqlite.org/c3ref/c_fcntl_begin_atomic_write.html); the file is opened by the same
 * VFS, which puts the sums there.
 */
#define FRESH_SUFFIX ".summing"

static bool read_header(const char *path, uint8_t header[DATABASE_HEADER_SIZE])
{
    scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd >= 0 && pread(fd, header, DATABASE_HEADER_SIZE, 0) == DATABASE_HEADER_SIZE;
}

bool add_sums_is_due(const char *database)
{
    uint8_t header[DATABASE_HEADER_SIZE];

    return read_header(database, header) && !page_sum_is_expected(header);
}

static off_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_size : 0;
}

bool add_sums_is_quick(const char *database)
{
    scoped_str wal = xasprintf("%s-wal", database);

    return size_of(database) + size_of(wal) < ADD_SUMS_BELOW_BYTES;
}

static void clean_up(const char *fresh)
{
    static const char *const suffixes[] = {"", "-journal", "-wal", "-shm"};

    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        scoped_str file = xasprintf("%s%s", fresh, suffixes[i]);

        (void)unlink(file);
    }
}

/* --- The copy ----------------------------------------------------------------------------- */

static int make_empty(const char *database, const char *fresh, struct err *err)
{
    struct stat st;
    scoped_fd fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || stat(database, &st) < 0
        || ((st.st_uid != geteuid() || st.st_gid != getegid())
            && fchown(fd, st.st_uid, st.st_gid) < 0)
        || fchmod(fd, st.st_mode & 07777) < 0)
        return err_set_errno(err, errno, "%s", fresh);
    return 0;
}

/* What is in the log goes into the database as well, so that the log is empty afterwards. */
static int copy_into(const char *database, const char *fresh, struct err *err)
{
    scoped(db_conn) conn = db_conn_open(database, CONN_WRITES, err);
    scoped(stmt) vacuum = NULL;

    if (!conn)
        return -1;
    if (sqlite3_wal_checkpoint_v2(conn->raw, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL)
            != SQLITE_OK
        || summed_file_reserve(conn->raw) != SQLITE_OK)
        return db_conn_fail(conn, NULL, err);
    vacuum = db_query(conn, err, "VACUUM INTO ?1", B(fresh));
    return vacuum && stmt_step(vacuum, err) == 0 ? 0 : -1;
}

static int mark(const char *fresh, struct err *err)
{
    scoped(db_conn) conn = db_conn_open(fresh, CONN_COPIES, err);

    if (!conn)
        return -1;
    if (!summed_file_is_summed(conn->raw))
        return err_set(err, ERR_INTERNAL, "%s has no sums", fresh);
    return db_script(conn, PRAGMA_SUMMED, err);
}

/* Whole, of pages that all have a sum, and on the disk. */
static int check_and_sync(const char *fresh, struct err *err)
{
    scoped_fd fd = open(fresh, O_RDONLY | O_CLOEXEC);
    uint8_t header[DATABASE_HEADER_SIZE];

    if (fd < 0 || fsync(fd) < 0)
        return err_set_errno(err, errno, "%s", fresh);
    if (!read_header(fresh, header) || !page_sum_is_expected(header) || !page_size_in(header))
        return err_set(err, ERR_INTERNAL, "%s has no sums", fresh);
    return summed_file_check(fresh, page_size_in(header), size_of(fresh), err);
}

/* --- Its place ---------------------------------------------------------------------------- */

/* Empty as they are, they belong to the former database: a backup may be reading it. */
static int remove_log(const char *database, struct err *err)
{
    scoped_str wal = xasprintf("%s-wal", database);
    scoped_str shm = xasprintf("%s-shm", database);

    if (size_of(wal) > 0)
        return err_set(err, ERR_UNAVAILABLE, "its write-ahead log is in use");
    if ((unlink(wal) < 0 && errno != ENOENT) || (unlink(shm) < 0 && errno != ENOENT))
        return err_set_errno(err, errno, "%s", wal);
    return 0;
}

static int replace(const char *database, const char *fresh, struct err *err)
{
    if (make_empty(database, fresh, err) < 0 || copy_into(database, fresh, err) < 0
        || mark(fresh, err) < 0 || check_and_sync(fresh, err) < 0
        || remove_log(database, err) < 0)
        return -1;
    if (rename(fresh, database) < 0)
        return err_set_errno(err, errno, "%s", database);
    return backup_sync_directory(database, err);
}

int add_sums(const char *database, struct err *err)
{
    scoped_str real = realpath(database, NULL);
    scoped_str fresh = xasprintf("%s" FRESH_SUFFIX, real ? real : database);
    int result;

    clean_up(fresh);
    result = replace(real ? real : database, fresh, err);
    clean_up(fresh);
    return result;
}
