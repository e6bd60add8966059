/* SPDX-License-Identifier: Apache-2.0 */
/* A watch as the API server sends it: the events read are the same however the stream is cut.
 * The first byte says where. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "fuzz.h"
#include "kubernetes/lines.h"
#include "kubernetes/watch_event.h"

#define LINE_MAX_BYTES 4096

/* What was read, in words. */
static bool read_lines(struct lines *lines, struct buf *out)
{
    static const char *const left_out[] = {"managedFields", "spec", NULL};
    const char *line;
    size_t size;
    int result;
    struct err err = {0};

    while ((result = lines_next(lines, LINE_MAX_BYTES, &line, &size, &err)) == 1) {
        scoped_watch_event event = {0};

        if (watch_event_read(line, size, left_out, &event, &err) < 0)
            buf_append_str(out, "bad\n");
        else
            buf_printf(out, "%d %s\n", event.type,
                       event.resource_version ? event.resource_version : "-");
    }
    if (result < 0)
        buf_append_str(out, "too long\n");
    return result == 0;
}

static void read_in_pieces(const char *data, size_t size, size_t piece, struct buf *out)
{
    scoped_lines lines = {0};

    for (size_t at = 0; at < size; at += piece) {
        lines_add(&lines, data + at, piece < size - at ? piece : size - at);
        if (!read_lines(&lines, out))
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped_buf whole = {0};
    scoped_buf cut = {0};

    if (size < 2)
        return 0;
    read_in_pieces((const char *)data + 1, size - 1, size, &whole);
    read_in_pieces((const char *)data + 1, size - 1, 1 + data[0] % 64U, &cut);
    if (whole.size != cut.size || (whole.size && memcmp(whole.data, cut.data, cut.size) != 0))
        abort();
    return 0;
}
