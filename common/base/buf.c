/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"

void buf_init(struct buf *buf)
{
    *buf = (struct buf){0};
}

void buf_done(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

static void make_room(struct buf *buf, size_t more)
{
    size_t need = buf->size + more + 1;
    size_t room = buf->room ? buf->room : 64;

    if (need < more)
        abort(); /* sizes are bounded at the door; this is a bug, not input */
    if (need <= buf->room)
        return;
    while (room < need)
        room = room > need / 2 ? need + need / 8 : room * 2;
    buf->data = xrealloc(buf->data, room);
    buf->room = room;
}

void buf_append(struct buf *buf, const void *bytes, size_t count)
{
    make_room(buf, count);
    if (count)
        memcpy(buf->data + buf->size, bytes, count);
    buf->size += count;
    buf->data[buf->size] = '\0';
}

void buf_append_str(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    int length;

    va_start(args, fmt);
    length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (length < 0)
        abort();
    make_room(buf, (size_t)length);
    va_start(args, fmt);
    (void)vsnprintf(buf->data + buf->size, (size_t)length + 1, fmt, args);
    va_end(args);
    buf->size += (size_t)length;
}

bool buf_append_within(struct buf *buf, const void *bytes, size_t count, size_t limit_bytes)
{
    if (count > limit_bytes || buf->size > limit_bytes - count)
        return false;
    buf_append(buf, bytes, count);
    return true;
}

void buf_drop_front(struct buf *buf, size_t count)
{
    if (count > buf->size)
        count = buf->size;
    if (!count)
        return;
    memmove(buf->data, buf->data + count, buf->size - count);
    buf->size -= count;
    buf->data[buf->size] = '\0';
}

void buf_clear(struct buf *buf)
{
    buf->size = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

char *buf_take(struct buf *buf)
{
    char *data = buf->data ? buf->data : xstrdup("");

    *buf = (struct buf){0};
    return data;
}

int buf_read_file(struct buf *buf, const char *path, size_t limit_bytes, struct err *err)
{
    scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return err_set_errno(err, errno, "%s", path);
    for (;;) {
        char chunk[16384];
        ssize_t got = read(fd, chunk, sizeof(chunk));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_errno(err, errno, "%s", path);
        if (got == 0)
            return 0;
        if (!buf_append_within(buf, chunk, (size_t)got, limit_bytes))
            return err_set(err, ERR_TOO_LARGE, "%s: larger than %zu bytes", path, limit_bytes);
    }
}
