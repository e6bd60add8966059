/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_DOCKER_FRAMES_H
#define LAUNCH_DOCKER_FRAMES_H
#include "base/buf.h"

#include <stdint.h>

/*
 * What a container wrote, as an engine sends it: pieces of standard output and error, each with
 * eight bytes before it (which of the two, three zeroes, its size in four bytes, the highest
 * first). However the bytes come, their end is kept: at most `limit_bytes` and as much again.
 * Starts with `limit_bytes` and `out` set and the rest as zeroes.
 */
struct docker_frames {
    size_t limit_bytes;
    struct buf *out;
    unsigned char head[8];
    size_t head_size;
    uint32_t left; /* of the piece that is being read */
};

/* ERR_UPSTREAM when these are no such pieces. */
int docker_frames_add(struct docker_frames *frames, const char *data, size_t size,
                      struct err *err) CHECKED;

/* All has come: `out` is cut to the limit. */
void docker_frames_end(struct docker_frames *frames);
#endif
