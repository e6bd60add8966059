/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/key_mask.h"

#include <string.h>

#define KEY_MIN_BYTES 8

void key_mask_init(struct key_mask *mask, const struct secret *key)
{
    const char *text = secret_reveal(key);
    size_t size = strlen(text);

    *mask = (struct key_mask){.key = text, .key_size = size >= KEY_MIN_BYTES ? size : 0};
}

void key_mask_done(struct key_mask *mask)
{
    if (mask->held.data)
        secret_wipe(mask->held.data, mask->held.room);
    buf_done(&mask->held);
}

static void blank(const struct key_mask *mask, char *data, size_t size)
{
    char *found;

    while (mask->key_size && (found = memmem(data, size, mask->key, mask->key_size))) {
        memset(found, '*', mask->key_size);
        size -= (size_t)(found + mask->key_size - data);
        data = found + mask->key_size;
    }
}

/* How many bytes at the end may be the beginning of the key. */
static size_t begun(const struct key_mask *mask, const char *data, size_t size)
{
    size_t most = size < mask->key_size ? size : mask->key_size - 1;

    for (size_t length = most; length; length--) {
        const char *end = data + size - length;

        if (*end == *mask->key && memcmp(end, mask->key, length) == 0)
            return length;
    }
    return 0;
}

void key_mask_feed(struct key_mask *mask, const char *data, size_t size, struct buf *out)
{
    size_t before = out->size;
    size_t kept;

    if (!size)
        return;
    if (!mask->key_size) {
        buf_append(out, data, size);
        return;
    }
    if (mask->held.size)
        buf_append(out, mask->held.data, mask->held.size);
    buf_clear(&mask->held);
    buf_append(out, data, size);
    blank(mask, out->data + before, out->size - before);
    kept = begun(mask, out->data + before, out->size - before);
    buf_append(&mask->held, out->data + out->size - kept, kept);
    out->size -= kept;
    out->data[out->size] = '\0';
}

void key_mask_end(struct key_mask *mask, struct buf *out)
{
    if (mask->held.size)
        buf_append(out, mask->held.data, mask->held.size);
    buf_clear(&mask->held);
}

void key_mask_text(const struct key_mask *mask, char *text)
{
    blank(mask, text, strlen(text));
}
