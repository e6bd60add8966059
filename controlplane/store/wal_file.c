/* SPDX-License-Identifier: Apache-2.0 */
#include "store/wal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

/* https://www.sqlite.org/fileformat2.html#walformat */
#define WAL_HEADER_SIZE 32
#define FRAME_HEADER_SIZE 24
#define MAGIC 0x377f0682U /* its lowest bit: the checksums take words as big-endian */
#define PAGE_MIN 512U
#define PAGE_MAX 65536U
/* One may be the commit that was under way. */
#define COMMITS_TORN_MAX 1

struct wal {
    int fd;
    int database_fd;
    uint32_t page_size;
    bool is_big_endian;
    uint32_t sums[2];
    uint8_t salts[8];
    uint8_t *frame; /* header and page */
    size_t frame_size;
};

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8
           | bytes[3];
}

static uint32_t word_at(const struct wal *wal, const uint8_t *bytes)
{
    uint32_t word = big_endian(bytes);

    return wal->is_big_endian ? word : __builtin_bswap32(word);
}

static void add_to_sums(struct wal *wal, const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size; at += 8) {
        wal->sums[0] += word_at(wal, bytes + at) + wal->sums[1];
        wal->sums[1] += word_at(wal, bytes + at + 4) + wal->sums[0];
    }
}

static bool sums_are(const struct wal *wal, const uint8_t *bytes)
{
    return wal->sums[0] == big_endian(bytes) && wal->sums[1] == big_endian(bytes + 4);
}

/* --- Frames ------------------------------------------------------------------------------- */

/* False at the end. */
static bool read_frame(struct wal *wal, int64_t number)
{
    off_t at = WAL_HEADER_SIZE + number * (off_t)wal->frame_size;

    return pread(wal->fd, wal->frame, wal->frame_size, at) == (ssize_t)wal->frame_size;
}

/* Of the log's present generation, as far as its header says. */
static bool is_current(const struct wal *wal)
{
    return memcmp(wal->frame + 8, wal->salts, sizeof(wal->salts)) == 0;
}

static bool is_commit(const struct wal *wal)
{
    return big_endian(wal->frame + 4) != 0;
}

static bool is_whole(struct wal *wal)
{
    if (!is_current(wal))
        return false;
    add_to_sums(wal, wal->frame, 8);
    add_to_sums(wal, wal->frame + FRAME_HEADER_SIZE, wal->page_size);
    return sums_are(wal, wal->frame + 16);
}

static int64_t commits_from(struct wal *wal, int64_t number)
{
    int64_t commits = 0;

    for (; read_frame(wal, number); number++)
        commits += is_current(wal) && is_commit(wal);
    return commits;
}

static int64_t first_damaged(struct wal *wal)
{
    int64_t number = 0;

    while (read_frame(wal, number) && is_whole(wal))
        number++;
    return number;
}

/* --- A header that can't be read ---------------------------------------------------------- */

static bool is_in_database(const struct wal *wal, uint8_t *space)
{
    off_t at = ((off_t)big_endian(wal->frame) - 1) * (off_t)wal->page_size;

    return at >= 0
           && pread(wal->database_fd, space, wal->page_size, at) == (ssize_t)wal->page_size
           && memcmp(space, wal->frame + FRAME_HEADER_SIZE, wal->page_size) == 0;
}

/*
 * It is written anew when all of the log is in the database; torn just then, it costs nothing.
 * So the last commit of the frames that are there has to be in the database.
 */
static bool is_spent(struct wal *wal)
{
    uint8_t *space = xcalloc(1, wal->page_size);
    bool spent = true;
    int64_t last = -1;

    if (read_frame(wal, 0))
        memcpy(wal->salts, wal->frame + 8, sizeof(wal->salts));
    for (int64_t number = 0; read_frame(wal, number); number++)
        if (is_current(wal) && is_commit(wal))
            last = number;
    if (last >= 0)
        spent = read_frame(wal, last) && is_in_database(wal, space);
    free(space);
    return spent;
}

/* The page size of the database, where the log's own can't be believed. */
static uint32_t page_size_of(int database_fd)
{
    uint8_t header[18];
    uint32_t size;

    if (pread(database_fd, header, sizeof(header), 0) != sizeof(header))
        return 0;
    size = (uint32_t)header[16] << 8 | header[17];
    return size == 1 ? PAGE_MAX : size;
}

/* --- The whole ---------------------------------------------------------------------------- */

static bool read_header(struct wal *wal)
{
    uint8_t header[WAL_HEADER_SIZE];

    if (pread(wal->fd, header, sizeof(header), 0) != sizeof(header)
        || (big_endian(header) & ~1U) != MAGIC)
        return false;
    wal->is_big_endian = big_endian(header) & 1;
    memcpy(wal->salts, header + 16, sizeof(wal->salts));
    add_to_sums(wal, header, 24);
    return sums_are(wal, header + 24) && big_endian(header + 8) == wal->page_size;
}

static bool is_sound(struct wal *wal)
{
    if (!read_header(wal))
        return is_spent(wal);
    return commits_from(wal, first_damaged(wal)) <= COMMITS_TORN_MAX;
}

int wal_file_check(const char *database, const char *path, struct err *err)
{
    scoped_fd database_fd = open(database, O_RDONLY | O_CLOEXEC);
    scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    struct wal wal = {.fd = fd, .database_fd = database_fd};
    bool sound;

    if (fd < 0 || database_fd < 0)
        return err_set_errno(err, errno, "%s", fd < 0 ? path : database);
    wal.page_size = page_size_of(database_fd);
    /* Then page 1 is in the log alone, and SQLite has to make sense of it. */
    if (wal.page_size < PAGE_MIN || wal.page_size & (wal.page_size - 1))
        return 0;
    wal.frame_size = FRAME_HEADER_SIZE + wal.page_size;
    wal.frame = xcalloc(1, wal.frame_size);
    sound = is_sound(&wal);
    free(wal.frame);
    return sound ? 0
                 : err_set_code(err, ERR_INVALID, "database_unusable",
                                "the database %s has a damaged write-ahead log: acknowledged "
                                "work behind the damage would be lost",
                                database);
}
