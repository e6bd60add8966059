/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SANDBOX_DISK_FULL_H
#define SANDBOX_DISK_FULL_H
#include <stdbool.h>

/* Less than this is no room to work in. */
#define DISK_FULL_BELOW_BYTES (64 * 1024)

/* Whether the file system of `path` has no room left for us, or no inode: programs fail there
 * and often don't say why. False when it can't be asked. */
bool disk_full(const char *path);
#endif
