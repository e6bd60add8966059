/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_DOCKER_TAR_H
#define LAUNCH_DOCKER_TAR_H
#include "base/buf.h"

#include <stdbool.h>
#include <sys/types.h>

/*
 * As much of tar archives (POSIX ustar) as it takes to hand a container a file and to take one
 * from it; that is how an engine's API moves files.
 */
struct docker_tar_entry {
    const char *path; /* at most 99 bytes */
    bool is_folder;
    mode_t mode;
    uid_t owner; /* and group */
    const char *data;
    size_t size;
};

void docker_tar_add(struct buf *archive, const struct docker_tar_entry *entry);
void docker_tar_end(struct buf *archive);

/* The archive's first entry, if it is an ordinary file that is all there. False for all else,
 * as for whatever a container may have put in its place. */
bool docker_tar_first_file(const char *archive, size_t size, const char **out_data,
                           size_t *out_size);
#endif
