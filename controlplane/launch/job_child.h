/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_JOB_CHILD_H
#define LAUNCH_JOB_CHILD_H
#include "launch/launcher.h"

#include <sys/types.h>

/*
 * The child that becomes a job's runner: the leader of a session of its own, in the job's
 * directory, its output in runner.log, with the environment of job_env.h, the task token in
 * a pipe, and the job's lock. It runs the runner only if it gets the lock (job_lock.h);
 * otherwise it leaves quietly.
 */
#define JOB_CHILD_LOG "runner.log"
#define JOB_CHILD_WORK "work"
#define JOB_CHILD_TMP "tmp"

/* Returns once it runs or has left; the caller waits for *out_pid. `dir` is a descriptor of
 * job_dir, an absolute path; ca_file may be NULL. */
int job_child_send(const char *runner, const char *ca_file, const struct job_spec *spec,
                   const char *job_dir, int dir, pid_t *out_pid, struct err *err) CHECKED;
#endif
