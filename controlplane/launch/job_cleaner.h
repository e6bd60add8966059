/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_JOB_CLEANER_H
#define LAUNCH_JOB_CLEANER_H
#include "base/err.h"

/*
 * A thread that removes what ended jobs leave in the work directory, one after another, so
 * that a hostile tree keeps nobody waiting. What could not be removed is logged and left.
 */
struct job_cleaner;

/* `work_fd` is the directory that the paths are in; borrowed. */
struct job_cleaner *job_cleaner_new(int work_fd, struct err *err) CHECKED;
void job_cleaner_free(struct job_cleaner *cleaner); /* what isn't done yet stays */
DEFINE_SCOPED(job_cleaner)

/* "DIR/NAME", or "NAME" for something directly in the work directory. */
void job_cleaner_add(struct job_cleaner *cleaner, const char *dir, const char *name);
#endif
