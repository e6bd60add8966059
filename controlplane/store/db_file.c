/* SPDX-License-Identifier: Apache-2.0 */
#include "store/db_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "store/conn.h"
#include "store/page_sum.h"
#include "store/summed_file.h"
#include "store/wal_file.h"

/*
 * A closed database has no WAL, or an empty one; then the file is looked at as immutable, so
 * that SQLite makes no files beside it. After a kill there is a WAL to be read as well, which
 * takes a shared-memory file; that one is removed again.
 */
#define MAGIC "SQLite format 3"
/* Either check reads everything, so after a clean end they are for small files only; and of
 * large ones integrity_check, which also holds rows and indexes against each other, takes too
 * long. The sums of pages are fast enough to be looked at each time. Beside a log some pages of
 * the file may be torn, which the log has whole; then the checks' own reading has to do. */
#define CHECK_ALWAYS_BELOW_BYTES (64LL * 1024 * 1024)

struct look {
    const char *path;
    int newest_version;
    off_t size;
    bool has_wal; /* one with something in it */
    bool is_summed;
};

static int refuse(struct err *err, const char *path, const char *why)
{
    return err_set_code(err, ERR_INVALID, "database_unusable", "the database %s %s", path, why);
}

static int refuse_sums(struct err *err, const char *path, const struct err *why)
{
    if (why->kind != ERR_INVALID) {
        *err = *why;
        return err_wrap(err, "the database %s can't be read", path);
    }
    return err_set_code(err, ERR_INVALID, "database_unusable", "the database %s is corrupt: %s",
                        path, why->text);
}

static int denied(struct err *err, int number, const char *path)
{
    (void)err_set_errno(err, number, "the database %s", path);
    if (number == EROFS)
        err->kind = ERR_DENIED;
    return -1;
}

/* SQLite makes files beside the database, so the directory must be writable too. */
static int check_access(const char *path, struct err *err)
{
    scoped_str copy = xstrdup(path);
    const char *directory = dirname(copy);

    if (access(directory, W_OK | X_OK) < 0)
        return denied(err, errno, directory);
    if (access(path, R_OK | W_OK) < 0 && errno != ENOENT)
        return denied(err, errno, path);
    return 0;
}

static int create(const char *path, struct err *err)
{
    scoped_fd fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return denied(err, errno, path);
    if (fchmod(fd, 0600) < 0)
        return denied(err, errno, path);
    return 0;
}

static uint32_t big_endian(const uint8_t *bytes, int count)
{
    uint32_t value = 0;

    for (int i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* What the file's first bytes say, without SQLite. The page count of the header is only right
 * when there is no WAL to go with it. */
static int check_header(struct look *look, struct err *err)
{
    scoped_fd fd = open(look->path, O_RDONLY | O_CLOEXEC);
    uint8_t header[DATABASE_HEADER_SIZE] = {0};
    ssize_t got = fd < 0 ? -1 : pread(fd, header, sizeof(header), 0);
    uint32_t page_size;
    bool count_is_valid;
    struct err sums = {0};

    if (got < 0)
        return denied(err, errno, look->path);
    if (got < DATABASE_HEADER_SIZE || memcmp(header, MAGIC, sizeof(MAGIC)) != 0)
        return refuse(err, look->path, "is not a SQLite database");
    page_size = page_size_in(header);
    if (!page_size)
        return refuse(err, look->path, "is corrupt: its header is damaged");
    count_is_valid = memcmp(header + 24, header + 92, 4) == 0;
    if (!look->has_wal && count_is_valid
        && look->size < (off_t)big_endian(header + 28, 4) * (off_t)page_size)
        return refuse(err, look->path, "is truncated");
    look->is_summed = page_sum_is_expected(header);
    if (!look->has_wal && look->is_summed
        && summed_file_check(look->path, page_size, look->size, &sums) < 0)
        return refuse_sums(err, look->path, &sums);
    return 0;
}

bool db_file_is_ours(int64_t application_id)
{
    return application_id == APPLICATION_ID_PLAIN || application_id == APPLICATION_ID_SUMMED;
}

static int check_version(const struct look *look, struct db_conn *conn, struct err *err)
{
    int64_t version;
    int64_t application;
    int64_t tables;

    if (db_conn_number(conn, "PRAGMA user_version", &version, err) < 0
        || db_conn_number(conn, "PRAGMA application_id", &application, err) < 0
        || db_conn_number(conn, "SELECT count(*) FROM sqlite_schema", &tables, err) < 0)
        return -1;
    if (version > look->newest_version)
        return err_set_code(
            err, ERR_CONFLICT, "database_newer",
            "the database %s is of a newer version (%lld, this program knows %d)", look->path,
            (long long)version, look->newest_version);
    if (!db_file_is_ours(application) && (version || tables))
        return refuse(err, look->path, "belongs to another program");
    return 0;
}

static int check_pages(const struct look *look, struct db_conn *conn, struct err *err)
{
    if (!look->has_wal && look->size >= CHECK_ALWAYS_BELOW_BYTES)
        return 0;
    return db_conn_check(conn,
                         look->size < CHECK_ALWAYS_BELOW_BYTES ? "PRAGMA integrity_check(1)"
                                                               : "PRAGMA quick_check(1)",
                         err);
}

/* "file:" and the path, with what means something in a URI escaped. */
static char *uri_of(const struct look *look)
{
    scoped_buf uri = {0};

    buf_append_str(&uri, "file:");
    for (const char *c = look->path; *c; c++) {
        if (strchr("?#%", *c))
            buf_printf(&uri, "%%%02X", (unsigned char)*c);
        else
            buf_append(&uri, c, 1);
    }
    buf_append_str(&uri, look->has_wal ? "?mode=ro" : "?mode=ro&immutable=1");
    return buf_take(&uri);
}

static int look_inside(const struct look *look, struct err *err)
{
    scoped_str uri = uri_of(look);
    scoped(db_conn) conn = db_conn_open(uri, CONN_LOOKS, err);

    if (conn && check_version(look, conn, err) == 0 && check_pages(look, conn, err) == 0)
        return 0;
    /* Whatever SQLite can't make sense of; what we said ourselves stays. */
    if (err->kind == ERR_INTERNAL) {
        (void)err_wrap(err, "the database %s is corrupt", look->path);
        err->kind = ERR_INVALID;
        err->code = "database_unusable";
    } else if (err->kind == ERR_UNAVAILABLE) {
        (void)err_wrap(err, "the database %s can't be read", look->path);
    }
    return -1;
}

static int check_inside(const struct look *look, struct err *err)
{
    scoped_str shared_memory = xasprintf("%s-shm", look->path);
    bool was_there = access(shared_memory, F_OK) == 0;
    int result = look_inside(look, err);

    if (!was_there && look->has_wal)
        (void)unlink(shared_memory);
    return result;
}

int db_file_check(const char *path, int newest_version, struct err *err)
{
    struct look look = {.path = path, .newest_version = newest_version};
    struct stat st;

    if (stat(path, &st) < 0)
        return denied(err, errno, path);
    if (!S_ISREG(st.st_mode))
        return refuse(err, path, "is not a file");
    look.size = st.st_size;
    if (check_header(&look, err) < 0)
        return -1;
    return check_inside(&look, err);
}

int db_file_prepare(const char *path, int newest_version, struct err *err)
{
    scoped_str wal = xasprintf("%s-wal", path);
    struct look look = {.path = path, .newest_version = newest_version};
    struct stat st;

    if (check_access(path, err) < 0)
        return -1;
    look.has_wal = stat(wal, &st) == 0 && st.st_size > 0;
    if (stat(path, &st) < 0) {
        if (errno != ENOENT)
            return denied(err, errno, path);
        if (look.has_wal)
            return refuse(err, path, "is missing, but its write-ahead log is there");
        return create(path, err);
    }
    if (!S_ISREG(st.st_mode))
        return refuse(err, path, "is not a file");
    look.size = st.st_size;
    if (look.size == 0)
        return look.has_wal ? refuse(err, path, "is empty, but its write-ahead log is not") : 0;
    if (check_header(&look, err) < 0 || (look.has_wal && wal_file_check(path, wal, err) < 0))
        return -1;
    return check_inside(&look, err);
}
