/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_WORK_DIR_H
#define LAUNCH_WORK_DIR_H
#include "base/buf.h"

/*
 * The directory that the jobs of the process backend have theirs in, and reading what is in
 * a job's directory: the runs write there, so nothing of it is trusted.
 */
/* Passed through by an agent that is a user of its own; what lies inside stays closed. */
#define JOB_DIR_MODE 0711

struct work_dir {
    char *path; /* absolute */
    int fd;     /* -1: not open */
};

/* Makes it where it isn't there yet, and tries to write in it. ERR_INVALID. */
int work_dir_open(struct work_dir *out, const char *path, struct err *err) CHECKED;
void work_dir_close(struct work_dir *work);

/* A descriptor of a job's directory; -1 with errno. */
int work_dir_open_job(const struct work_dir *work, const char *ref);

/*
 * Appends a file of a job's directory, at most `limit` bytes from its end. A link, a pipe or
 * a device isn't read: ERR_NOT_FOUND, as when there is none.
 */
int work_dir_read_tail(int job_dir, const char *name, size_t limit, struct buf *out,
                       struct err *err) CHECKED;
#endif
