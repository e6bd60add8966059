/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_JOB_SESSION_H
#define LAUNCH_JOB_SESSION_H
#include <stdint.h>
#include <sys/types.h>

/*
 * What a runner leaves behind when it ends without having ended it: the processes of the
 * session that it led. While the runner lives it ends its agent's descendants itself,
 * wherever they went; this is for a runner that was killed. A process that has left the
 * session (setsid) by then is a stray, see below.
 *
 * Kills until none is left, at most for a fifth of a second. `under` is NULL where the pid
 * can't have been used again (a child not waited for yet, or one seen to end just now);
 * otherwise only processes whose directory is inside that absolute path are ended.
 */
void job_session_kill(pid_t session, const char *under);

/*
 * Ends what left the session and outlived a runner that was killed before it could end it: the
 * agent and all it starts have their HOME inside of the job's directory, the runner itself has
 * that directory. Who changes its environment on purpose isn't found. Only those are looked at
 * that began after the runner: `since_ms` by CLOCK_BOOTTIME; 0: all.
 */
void job_session_kill_strays(const char *job_dir, int64_t since_ms);
#endif
