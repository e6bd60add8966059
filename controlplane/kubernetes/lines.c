/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/lines.h"

#include <string.h>

void lines_done(struct lines *lines)
{
    buf_done(&lines->buf);
    *lines = (struct lines){0};
}

/* What was taken is dropped when there is more of it than of the rest, so that each byte is
 * moved once at most. */
static void drop_taken(struct lines *lines)
{
    if (lines->start < lines->buf.size - lines->start)
        return;
    buf_drop_front(&lines->buf, lines->start);
    lines->looked -= lines->start;
    lines->start = 0;
}

void lines_add(struct lines *lines, const char *data, size_t size)
{
    drop_taken(lines);
    buf_append(&lines->buf, data, size);
}

int lines_next(struct lines *lines, size_t most_bytes, const char **out, size_t *out_size,
               struct err *err)
{
    const char *data = lines->buf.data;
    const char *end = lines->looked < lines->buf.size
                          ? memchr(data + lines->looked, '\n', lines->buf.size - lines->looked)
                          : NULL;
    size_t size = (end ? (size_t)(end - data) : lines->buf.size) - lines->start;

    if (size > most_bytes)
        return err_set(err, ERR_TOO_LARGE, "a line is longer than %zu bytes", most_bytes);
    if (!end) {
        lines->looked = lines->buf.size;
        return 0;
    }
    *out = data + lines->start;
    *out_size = size && end[-1] == '\r' ? size - 1 : size;
    lines->start += size + 1;
    lines->looked = lines->start;
    return 1;
}
