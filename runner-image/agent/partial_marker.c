/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/partial_marker.h"

#include <string.h>

static const char opening[] = "<<<VGVBOT_STATUS: partial:";
static const char closing[] = ">>>";

#define OPENING_LENGTH (sizeof(opening) - 1)
#define CLOSING_LENGTH (sizeof(closing) - 1)

/* True when this byte completes the opening. '<' stands only in its first three places, which
 * makes falling back after a mismatch this simple. */
static bool opens(struct partial_marker *marker, char byte)
{
    if (byte == opening[marker->matched]) {
        marker->matched++;
    } else if (byte == '<') {
        marker->matched = marker->matched == 3 ? 3 : 1;
    } else {
        marker->matched = 0;
    }
    if (marker->matched < OPENING_LENGTH)
        return false;
    marker->matched = 0;
    return true;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static void keep(struct partial_marker *marker)
{
    const char *from = marker->reason;
    size_t length = marker->length - CLOSING_LENGTH;

    while (length && is_blank(*from)) {
        from++;
        length--;
    }
    while (length && is_blank(from[length - 1]))
        length--;
    memcpy(marker->last, from, length);
    marker->last[length] = '\0';
    marker->found = true;
}

static void read_reason(struct partial_marker *marker, char byte)
{
    if (marker->length >= PARTIAL_REASON_MAX + CLOSING_LENGTH) {
        marker->inside = false;
        return;
    }
    marker->reason[marker->length++] = byte ? byte : ' ';
    if (byte != '>' || marker->length < CLOSING_LENGTH
        || memcmp(marker->reason + marker->length - CLOSING_LENGTH, closing, CLOSING_LENGTH)
               != 0)
        return;
    keep(marker);
    marker->inside = false;
}

void partial_marker_feed(struct partial_marker *marker, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!marker->inside && !marker->matched) {
            /* Nearly all of the output is here: skip to where a marker could start. */
            const char *next = memchr(data + i, opening[0], size - i);

            if (!next)
                return;
            i = (size_t)(next - data);
        }
        if (opens(marker, data[i])) {
            marker->inside = true;
            marker->length = 0;
        } else if (marker->inside) {
            read_reason(marker, data[i]);
        }
    }
}

const char *partial_marker_reason(const struct partial_marker *marker)
{
    return marker->found ? marker->last : NULL;
}
