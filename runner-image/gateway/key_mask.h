/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_GATEWAY_KEY_MASK_H
#define RUNNER_GATEWAY_KEY_MASK_H
#include "base/buf.h"
#include "base/secret.h"

/*
 * A provider's key doesn't come back: an answer that quotes it (an error page that shows the
 * request, say) gets asterisks of the same length in its place, also where the key is cut over
 * two pieces. Only an end that may be the beginning of the key is held back, until the next
 * piece. Embedded in its owner: all zeroes masks nothing.
 */
struct key_mask {
    const char *key; /* borrowed */
    size_t key_size; /* 0: nothing to mask */
    struct buf held;
};

/* Keys shorter than 8 bytes are not looked for, as in redaction.h. */
void key_mask_init(struct key_mask *mask, const struct secret *key);
void key_mask_done(struct key_mask *mask);

/* Appends what may go on to `out`. */
void key_mask_feed(struct key_mask *mask, const char *data, size_t size, struct buf *out);
void key_mask_end(struct key_mask *mask, struct buf *out); /* what was held back */

/* In a whole text, in place. */
void key_mask_text(const struct key_mask *mask, char *text);
#endif
