/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BUF_H
#define BASE_BUF_H
#include "base/err.h"

#include <stdbool.h>

/*
 * Bytes that grow. `data` is NUL-terminated after every append (the NUL doesn't count in
 * `size`), or NULL while nothing was appended. Embedded in its owner: buf_init (or zeroes)
 * and buf_done. Not thread-safe.
 */
struct buf {
    char *data;
    size_t size;
    size_t room; /* bytes allocated */
};

#define scoped_buf __attribute__((cleanup(buf_done))) struct buf

void buf_init(struct buf *buf);
void buf_done(struct buf *buf);

void buf_append(struct buf *buf, const void *bytes, size_t count);
void buf_append_str(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Appends unless the whole would pass `limit_bytes`: then false, and nothing changes. */
bool buf_append_within(struct buf *buf, const void *bytes, size_t count, size_t limit_bytes);

/* Drops the first `count` bytes (all of them when there are fewer). */
void buf_drop_front(struct buf *buf, size_t count);
void buf_clear(struct buf *buf);

/* The bytes as a string that the caller frees; the buf is empty afterwards. Never NULL. */
char *buf_take(struct buf *buf) CHECKED;

/* A whole file of at most `limit_bytes`: ERR_NOT_FOUND, ERR_DENIED, ERR_TOO_LARGE. */
int buf_read_file(struct buf *buf, const char *path, size_t limit_bytes,
                  struct err *err) CHECKED;
#endif
