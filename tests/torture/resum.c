/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the sums of a database's pages anew, after a test has changed it by another program:
 *
 *     resum DATABASE
 *
 * No write-ahead log may be beside it, and nobody have it open. Of one without sums it changes
 * nothing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scoped.h"
#include "store/page_sum.h"

static int fail(const char *path)
{
    perror(path);
    return 1;
}

int main(int argc, char **argv)
{
    static uint8_t page[PAGE_SIZE_MAX];
    scoped_fd fd = argc == 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
    uint32_t size;

    if (fd < 0 || pread(fd, page, DATABASE_HEADER_SIZE, 0) != DATABASE_HEADER_SIZE)
        return fail("resum DATABASE");
    size = page_size_in(page);
    if (!page_sum_is_expected(page) || !size)
        return 0;
    for (uint32_t number = 1;; number++) {
        off_t at = (off_t)(number - 1) * (off_t)size;

        if (pread(fd, page, size, at) != (ssize_t)size)
            return 0;
        if (page_sum_is_right(number, page, size))
            continue;
        page_sum_put(number, page, size);
        if (pwrite(fd, page, size, at) != (ssize_t)size)
            return fail(argv[1]);
    }
}
