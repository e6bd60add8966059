/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBERNETES_LINES_H
#define KUBERNETES_LINES_H
#include "base/buf.h"

/*
 * A stream of bytes as lines, each looked at once however the bytes come. Starts as zeroes;
 * not thread-safe.
 */
struct lines {
    struct buf buf;
    size_t start;  /* of the first line that wasn't taken */
    size_t looked; /* up to here there is no line break after `start` */
};

#define scoped_lines __attribute__((cleanup(lines_done))) struct lines

void lines_done(struct lines *lines);
void lines_add(struct lines *lines, const char *data, size_t size);

/* 1: *out is the next line without its break, valid until the next lines_add; 0: it isn't
 * whole yet; ERR_TOO_LARGE: it is longer than `most_bytes`. */
int lines_next(struct lines *lines, size_t most_bytes, const char **out, size_t *out_size,
               struct err *err) CHECKED;
#endif
