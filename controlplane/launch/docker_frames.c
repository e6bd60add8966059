/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_frames.h"

#define STREAM_MAX 3 /* input, output, error, and the engine's own complaint */

static int read_head(struct docker_frames *frames, struct err *err)
{
    const unsigned char *head = frames->head;

    if (head[0] > STREAM_MAX || head[1] || head[2] || head[3])
        return err_set(err, ERR_UPSTREAM, "the engine's log isn't in frames");
    frames->left = (uint32_t)head[4] << 24 | (uint32_t)head[5] << 16 | (uint32_t)head[6] << 8
                   | (uint32_t)head[7];
    frames->head_size = 0;
    return 0;
}

static void keep(struct docker_frames *frames, const char *data, size_t size)
{
    struct buf *out = frames->out;

    if (size > frames->limit_bytes) {
        data += size - frames->limit_bytes;
        size = frames->limit_bytes;
    }
    if (size)
        buf_append(out, data, size);
    if (out->size > 2 * frames->limit_bytes)
        docker_frames_end(frames);
}

int docker_frames_add(struct docker_frames *frames, const char *data, size_t size,
                      struct err *err)
{
    while (size) {
        size_t taken = 1;

        if (frames->left) {
            taken = size < frames->left ? size : frames->left;
            keep(frames, data, taken);
            frames->left -= (uint32_t)taken;
        } else {
            frames->head[frames->head_size++] = (unsigned char)*data;
            if (frames->head_size == sizeof(frames->head) && read_head(frames, err) < 0)
                return -1;
        }
        data += taken;
        size -= taken;
    }
    return 0;
}

void docker_frames_end(struct docker_frames *frames)
{
    if (frames->out->size > frames->limit_bytes)
        buf_drop_front(frames->out, frames->out->size - frames->limit_bytes);
}
