/* SPDX-License-Identifier: Apache-2.0 */
#include "store/summed_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "store/page_sum.h"

/*
 * What SQLite asks of a VFS: https://www.sqlite.org/c3ref/io_methods.html. It reads and writes
 * a database file by whole pages, but for the first bytes, which it reads before it knows the
 * size of pages, and for parts of overflow pages, which newer versions may read alone. The
 * idea, and that room for it can be reserved: https://www.sqlite.org/cksumvfs.html.
 */
#define VFS_NAME "dispatch-page-sums"
/* Codes from 100 on are nobody's: https://www.sqlite.org/c3ref/c_fcntl_begin_atomic_write.html
 */
#define FCNTL_GO_PLAIN 0x44530001
#define FCNTL_STATE 0x44530002
#define FCNTL_WRONG_PAGE 0x44530003
/* SQLite keeps its locks there, and never uses the page. */
#define LOCKS_AT 0x40000000
#define PIECE_SIZE (1U << 20) /* a multiple of any page size */

enum state { EMPTY, SUMMED, PLAIN };

struct summed {
    sqlite3_file base;
    enum state state;
    uint32_t page_size; /* as it was last read or written; 0 */
    uint32_t wrong_page;
    uint8_t *space; /* for one page of space_size */
    uint32_t space_size;
    sqlite3_file *real; /* in the same piece of memory */
};

static sqlite3_vfs *below;

static struct summed *summed_of(sqlite3_file *file)
{
    return (struct summed *)file;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return summed_of(file)->real;
}

static bool is_page(int amount, sqlite3_int64 at)
{
    return amount >= PAGE_SIZE_MIN && amount <= PAGE_SIZE_MAX && !(amount & (amount - 1))
           && at % amount == 0;
}

static uint32_t number_of(uint32_t page_size, sqlite3_int64 at)
{
    return (uint32_t)(at / page_size) + 1;
}

static bool make_space(struct summed *summed, uint32_t size)
{
    if (summed->space_size < size) {
        sqlite3_free(summed->space);
        summed->space = sqlite3_malloc((int)size);
        summed->space_size = summed->space ? size : 0;
    }
    return summed->space;
}

/* --- Reading ------------------------------------------------------------------------------ */

/* Past its end a file has no pages, but for the first one of a new database. */
static int read_page(struct summed *summed, void *out, uint32_t size, sqlite3_int64 at)
{
    int code = summed->real->pMethods->xRead(summed->real, out, (int)size, at);

    if (code != SQLITE_OK && (code != SQLITE_IOERR_SHORT_READ || at == 0))
        return code;
    summed->page_size = size;
    if (code == SQLITE_OK && page_sum_is_right(number_of(size, at), out, size))
        return SQLITE_OK;
    summed->wrong_page = number_of(size, at);
    return SQLITE_IOERR_DATA;
}

static int read_part(struct summed *summed, void *out, int amount, sqlite3_int64 at)
{
    uint32_t size = summed->page_size;
    sqlite3_int64 within = size ? at % size : 0;
    int code;

    if (!size || within + amount > size)
        return SQLITE_IOERR_READ;
    if (!make_space(summed, size))
        return SQLITE_IOERR_NOMEM;
    code = read_page(summed, summed->space, size, at - within);
    if (code == SQLITE_OK)
        memcpy(out, summed->space + within, (size_t)amount);
    return code;
}

static int read_file(sqlite3_file *file, void *out, int amount, sqlite3_int64 at)
{
    struct summed *summed = summed_of(file);
    bool is_in_header = at + amount <= DATABASE_HEADER_SIZE;

    if (summed->state == PLAIN || is_in_header)
        return summed->real->pMethods->xRead(summed->real, out, amount, at);
    if (is_page(amount, at))
        return read_page(summed, out, (uint32_t)amount, at);
    return read_part(summed, out, amount, at);
}

/* --- Writing ------------------------------------------------------------------------------ */

/* A database whose pages leave no room would lose their ends to the sums, and one whose pages
 * have sums may not go on without. */
static bool is_as_expected(const struct summed *summed, const uint8_t *page, sqlite3_int64 at)
{
    return at != 0 || page_sum_is_expected(page) == (summed->state != PLAIN);
}

static int write_file(sqlite3_file *file, const void *bytes, int amount, sqlite3_int64 at)
{
    struct summed *summed = summed_of(file);
    uint32_t size = (uint32_t)amount;
    const void *page = bytes;
    int code;

    if (!is_page(amount, at) || !is_as_expected(summed, bytes, at))
        return SQLITE_IOERR_WRITE;
    if (summed->state != PLAIN) {
        if (!make_space(summed, size))
            return SQLITE_IOERR_NOMEM;
        memcpy(summed->space, bytes, size);
        page_sum_put(number_of(size, at), summed->space, size);
        page = summed->space;
    }
    code = summed->real->pMethods->xWrite(summed->real, page, amount, at);
    if (code == SQLITE_OK && summed->state == EMPTY)
        summed->state = SUMMED;
    summed->page_size = size;
    return code;
}

/* --- What passes -------------------------------------------------------------------------- */

static int close_file(sqlite3_file *file)
{
    sqlite3_free(TAKE(summed_of(file)->space));
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 size)
{
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int sync_file(sqlite3_file *file, int flags)
{
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *out)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), out);
}

static int lock_file(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int unlock_file(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int check_reserved(sqlite3_file *file, int *out)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int control(sqlite3_file *file, int code, void *arg)
{
    struct summed *summed = summed_of(file);

    switch (code) {
    case FCNTL_GO_PLAIN:
        summed->state = PLAIN;
        return SQLITE_OK;
    case FCNTL_STATE:
        *(enum state *)arg = summed->state;
        return SQLITE_OK;
    case FCNTL_WRONG_PAGE:
        *(uint32_t *)arg = summed->wrong_page;
        return SQLITE_OK;
    default:
        return summed->real->pMethods->xFileControl(summed->real, code, arg);
    }
}

static int sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int characteristics(sqlite3_file *file)
{
    int found = real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));

#ifdef SQLITE_IOCAP_SUBPAGE_READ
    found &= ~SQLITE_IOCAP_SUBPAGE_READ; /* it would cost the whole page anyway */
#endif
    return found;
}

static int map_shared(sqlite3_file *file, int region, int size, int extend, void volatile **out)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), region, size, extend, out);
}

static int lock_shared(sqlite3_file *file, int offset, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void shared_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int unmap_shared(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

/* Version 2, so without xFetch: what is mapped into memory would pass unlooked at. */
static const sqlite3_io_methods summed_methods = {
    .iVersion = 2,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = file_size,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = check_reserved,
    .xFileControl = control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = map_shared,
    .xShmLock = lock_shared,
    .xShmBarrier = shared_barrier,
    .xShmUnmap = unmap_shared,
};

/* --- Opening ------------------------------------------------------------------------------ */

/* By way of SQLite's own descriptor: to close another one would end its locks. */
static int find_state(struct summed *summed)
{
    uint8_t header[DATABASE_HEADER_SIZE] = {0};
    sqlite3_int64 size = 0;
    int code = summed->real->pMethods->xFileSize(summed->real, &size);

    if (code == SQLITE_OK && size > 0)
        code = summed->real->pMethods->xRead(summed->real, header, sizeof(header), 0);
    if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ)
        return code;
    if (size > 0)
        summed->state = page_sum_is_expected(header) ? SUMMED : PLAIN;
    return SQLITE_OK;
}

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                     int *out_flags)
{
    struct summed *summed = summed_of(file);
    int code;

    (void)vfs;
    if (!(flags & SQLITE_OPEN_MAIN_DB))
        return below->xOpen(below, name, file, flags, out_flags);
    *summed = (struct summed){.real = (sqlite3_file *)(summed + 1)};
    memset(summed->real, 0, (size_t)below->szOsFile);
    code = below->xOpen(below, name, summed->real, flags, out_flags);
    if (code == SQLITE_OK)
        code = find_state(summed);
    if (code == SQLITE_OK)
        summed->base.pMethods = &summed_methods;
    else if (summed->real->pMethods)
        (void)summed->real->pMethods->xClose(summed->real);
    return code;
}

static sqlite3_vfs summed_vfs;

/* What isn't replaced is asked of a copy of the VFS below. */
static void put_vfs(void)
{
    below = sqlite3_vfs_find(NULL);
    if (!below)
        return;
    summed_vfs = *below;
    summed_vfs.pNext = NULL;
    summed_vfs.zName = VFS_NAME;
    summed_vfs.szOsFile = (int)sizeof(struct summed) + below->szOsFile;
    summed_vfs.xOpen = open_file;
    if (sqlite3_vfs_register(&summed_vfs, 0) != SQLITE_OK)
        below = NULL;
}

const char *summed_file_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, put_vfs);
    return below ? VFS_NAME : NULL;
}

/* --- Of a connection ---------------------------------------------------------------------- */

int summed_file_reserve(sqlite3 *raw)
{
    int room = PAGE_SUM_SIZE;

    return sqlite3_file_control(raw, "main", SQLITE_FCNTL_RESERVE_BYTES, &room);
}

void summed_file_go_plain(sqlite3 *raw)
{
    (void)sqlite3_file_control(raw, "main", FCNTL_GO_PLAIN, NULL);
}

static enum state state_of(sqlite3 *raw)
{
    enum state state = PLAIN;

    (void)sqlite3_file_control(raw, "main", FCNTL_STATE, &state);
    return state;
}

bool summed_file_is_summed(sqlite3 *raw)
{
    return state_of(raw) == SUMMED;
}

bool summed_file_is_empty(sqlite3 *raw)
{
    return state_of(raw) == EMPTY;
}

uint32_t summed_file_wrong_page(sqlite3 *raw)
{
    uint32_t page = 0;

    (void)sqlite3_file_control(raw, "main", FCNTL_WRONG_PAGE, &page);
    return page;
}

/* --- All of it ---------------------------------------------------------------------------- */

static int check_piece(const uint8_t *piece, size_t got, off_t at, uint32_t page_size,
                       struct err *err)
{
    for (size_t within = 0; within + page_size <= got; within += page_size) {
        off_t page_at = at + (off_t)within;
        uint32_t number = number_of(page_size, page_at);

        if (LOCKS_AT >= page_at && LOCKS_AT < page_at + (off_t)page_size)
            continue;
        if (!page_sum_is_right(number, piece + within, page_size))
            return err_set(err, ERR_INVALID, "page %u isn't as it was written", number);
    }
    return 0;
}

int summed_file_check(const char *path, uint32_t page_size, off_t size, struct err *err)
{
    scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    scoped_str piece = xcalloc(1, PIECE_SIZE);

    if (fd < 0)
        return err_set_errno(err, errno, "%s", path);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    for (off_t at = 0; at < size; at += PIECE_SIZE) {
        size_t wanted = size - at < (off_t)PIECE_SIZE ? (size_t)(size - at) : PIECE_SIZE;
        ssize_t got = pread(fd, piece, wanted, at);

        if (got < 0)
            return err_set_errno(err, errno, "%s", path);
        if ((size_t)got != wanted || got % page_size)
            return err_set(err, ERR_INVALID, "page %u isn't whole",
                           number_of(page_size, at + got));
        if (check_piece((const uint8_t *)piece, (size_t)got, at, page_size, err) < 0)
            return -1;
    }
    return 0;
}
