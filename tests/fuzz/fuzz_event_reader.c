/* SPDX-License-Identifier: Apache-2.0 */
/* Server-sent events as dispatchctl reads them: the same ones however the stream is cut. The
 * first byte says where. */
#include <stdlib.h>
#include <string.h>

#include "dispatchctl/event_reader.h"
#include "fuzz.h"

static void read_in_pieces(const char *data, size_t size, size_t piece, struct buf *out)
{
    struct event_reader reader = {0};
    struct event event;
    struct err err = {0};

    for (size_t at = 0; at < size; at += piece) {
        if (event_reader_feed(&reader, data + at, piece < size - at ? piece : size - at, &err)
            < 0)
            abort(); /* no input here is as long as an event may be */
        while (event_reader_next(&reader, &event))
            buf_printf(out, "%s/%s/%s|", event.id, event.type, event.data);
    }
    event_reader_done(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped_buf whole = {0};
    scoped_buf cut = {0};

    if (size < 2 || size > EVENT_MAX_BYTES)
        return 0;
    read_in_pieces((const char *)data + 1, size - 1, size, &whole);
    read_in_pieces((const char *)data + 1, size - 1, 1 + data[0] % 16U, &cut);
    if (whole.size != cut.size || (whole.size && memcmp(whole.data, cut.data, cut.size) != 0))
        abort();
    return 0;
}
