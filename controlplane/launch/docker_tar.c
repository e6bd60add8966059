/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_tar.h"

#include <stdint.h>
#include <string.h>

/* https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html (ustar interchange) */
#define BLOCK 512
#define NAME_SIZE 100
#define MODE_AT 100
#define OWNER_AT 108
#define GROUP_AT 116
#define SIZE_AT 124
#define TIME_AT 136
#define SUM_AT 148
#define TYPE_AT 156
#define MAGIC_AT 257
#define SHORT_FIELD 8
#define LONG_FIELD 12
#define TYPE_FILE '0'
#define TYPE_FOLDER '5'

static const char zeroes[BLOCK];
static const char magic[] = {'u', 's', 't', 'a', 'r', '\0', '0', '0'};

static void put_octal(char *field, size_t room, uint64_t value)
{
    for (size_t i = room - 1; i-- > 0; value >>= 3)
        field[i] = (char)('0' + (value & 7));
    field[room - 1] = '\0';
}

/* As it is counted with blanks in its own place. */
static unsigned checksum(const char head[BLOCK])
{
    unsigned sum = 0;

    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= SUM_AT && i < SUM_AT + SHORT_FIELD ? ' ' : (unsigned char)head[i];
    return sum;
}

void docker_tar_add(struct buf *archive, const struct docker_tar_entry *entry)
{
    char head[BLOCK] = {0};
    size_t over = entry->size % BLOCK;

    (void)strncat(head, entry->path, NAME_SIZE - 1);
    put_octal(head + MODE_AT, SHORT_FIELD, entry->mode);
    put_octal(head + OWNER_AT, SHORT_FIELD, entry->owner);
    put_octal(head + GROUP_AT, SHORT_FIELD, entry->owner);
    put_octal(head + SIZE_AT, LONG_FIELD, entry->size);
    put_octal(head + TIME_AT, LONG_FIELD, 0);
    head[TYPE_AT] = entry->is_folder ? TYPE_FOLDER : TYPE_FILE;
    for (size_t i = 0; i < sizeof(magic); i++)
        head[MAGIC_AT + i] = magic[i];
    put_octal(head + SUM_AT, SHORT_FIELD - 1, checksum(head));
    head[SUM_AT + SHORT_FIELD - 1] = ' ';
    buf_append(archive, head, BLOCK);
    if (entry->size)
        buf_append(archive, entry->data, entry->size);
    if (over)
        buf_append(archive, zeroes, BLOCK - over);
}

void docker_tar_end(struct buf *archive)
{
    buf_append(archive, zeroes, BLOCK);
    buf_append(archive, zeroes, BLOCK);
}

/* Digits up to a blank or NUL; numbers in base 256 are of files we wouldn't take. */
static bool read_octal(const char *field, size_t room, uint64_t *out)
{
    size_t i = 0;

    *out = 0;
    while (i < room && field[i] == ' ')
        i++;
    if (i == room || field[i] < '0' || field[i] > '7')
        return false;
    for (; i < room && field[i] >= '0' && field[i] <= '7'; i++)
        *out = *out << 3 | (uint64_t)(field[i] - '0');
    return i == room || field[i] == ' ' || field[i] == '\0';
}

bool docker_tar_first_file(const char *archive, size_t size, const char **out_data,
                           size_t *out_size)
{
    uint64_t length;
    uint64_t sum;

    if (size < BLOCK || memcmp(archive + MAGIC_AT, "ustar", 5) != 0
        || (archive[TYPE_AT] != TYPE_FILE && archive[TYPE_AT] != '\0')
        || !read_octal(archive + SUM_AT, SHORT_FIELD, &sum) || sum != checksum(archive)
        || !read_octal(archive + SIZE_AT, LONG_FIELD, &length) || length > size - BLOCK)
        return false;
    *out_data = archive + BLOCK;
    *out_size = (size_t)length;
    return true;
}
