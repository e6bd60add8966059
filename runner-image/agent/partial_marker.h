/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_PARTIAL_MARKER_H
#define RUNNER_PARTIAL_MARKER_H
#include <stdbool.h>
#include <stddef.h>

/*
 * Finds "<<<VGVBOT_STATUS: partial: REASON>>>" in a stream, wherever the pieces are cut. The
 * last one counts. Memory is the size of this struct whatever the stream holds: a reason that
 * passes the limit before it is closed is no marker. All zeroes is a fresh one; one thread.
 */
#define PARTIAL_REASON_MAX 2048

struct partial_marker {
    size_t matched; /* bytes of the opening seen */
    bool inside;    /* after the opening, before >>> */
    size_t length;  /* of `reason` so far */
    bool found;
    char reason[PARTIAL_REASON_MAX + 4]; /* being read */
    char last[PARTIAL_REASON_MAX + 4];   /* read to its end */
};

void partial_marker_feed(struct partial_marker *marker, const char *data, size_t size);

/* The reason, trimmed, perhaps ""; NULL when there was no marker. Borrowed. */
const char *partial_marker_reason(const struct partial_marker *marker);
#endif
