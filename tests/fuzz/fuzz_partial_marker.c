/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's output: the marker found is the same however the stream is cut. The first byte
 * says where. */
#include <stdlib.h>
#include <string.h>

#include "agent/partial_marker.h"
#include "fuzz.h"

static const char *found_in_pieces(struct partial_marker *marker, const char *data, size_t size,
                                   size_t piece)
{
    for (size_t at = 0; at < size; at += piece)
        partial_marker_feed(marker, data + at, piece < size - at ? piece : size - at);
    return partial_marker_reason(marker);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct partial_marker whole = {0};
    struct partial_marker cut = {0};
    const char *a;
    const char *b;

    if (size < 2)
        return 0;
    a = found_in_pieces(&whole, (const char *)data + 1, size - 1, size);
    b = found_in_pieces(&cut, (const char *)data + 1, size - 1, 1 + data[0] % 16U);
    if ((a == NULL) != (b == NULL) || (a && b && strcmp(a, b) != 0))
        abort();
    return 0;
}
