/* SPDX-License-Identifier: Apache-2.0 */
#include "git/file_copy.h"

#include <errno.h>
#include <unistd.h>

#include "base/alloc.h"

#define COPY_CHUNK_BYTES (256 * 1024)

static int copy_through_memory(int from, int to, struct err *err)
{
    scoped_str chunk = xcalloc(1, COPY_CHUNK_BYTES);

    for (;;) {
        ssize_t got = read(from, chunk, COPY_CHUNK_BYTES);

        if (got == 0)
            return 0;
        if (got < 0)
            return err_set_errno(err, errno, "reading while copying");
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(to, chunk + done, (size_t)(got - done));

            if (put < 0)
                return err_set_errno(err, errno, "writing a copy");
            done += put;
        }
    }
}

int file_copy(int from, int to, struct err *err)
{
    for (;;) {
        ssize_t copied = copy_file_range(from, NULL, to, NULL, 1 << 30, 0);

        if (copied == 0)
            return 0;
        if (copied < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO))
            return err_set_errno(err, errno, "copying");
        if (copied < 0) /* these two filesystems can't: go on from here by hand */
            return copy_through_memory(from, to, err);
    }
}
