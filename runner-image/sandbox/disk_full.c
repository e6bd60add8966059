/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/disk_full.h"

#include <sys/statvfs.h>

bool disk_full(const char *path)
{
    struct statvfs room;

    if (statvfs(path, &room) < 0)
        return false;
    /* Some file systems count no inodes. */
    return room.f_bavail < DISK_FULL_BELOW_BYTES / (room.f_frsize ? room.f_frsize : 1)
           || (room.f_files && !room.f_favail);
}
