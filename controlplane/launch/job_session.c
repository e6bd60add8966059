/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/job_session.h"

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/log.h"
#include "launch/proc_stat.h"

#define KILL_WITHIN_MS 200

static bool is_inside(pid_t pid, const char *under)
{
    char path[48];
    char dir[PATH_MAX];
    size_t length = strlen(under);
    ssize_t got;

    (void)snprintf(path, sizeof(path), "/proc/%d/cwd", (int)pid);
    got = readlink(path, dir, sizeof(dir) - 1);
    if (got < (ssize_t)length)
        return false;
    dir[got] = '\0';
    /* The kernel writes " (deleted)" after a directory that is gone. */
    return strncmp(dir, under, length) == 0 && strchr("/ ", dir[length]);
}

static bool belongs(pid_t pid, pid_t session, const char *under)
{
    struct proc_stat stat;

    return proc_stat_read(pid, &stat) && stat.session == session && !proc_stat_is_dead(&stat)
           && (!under || is_inside(pid, under));
}

/* Looked at again once a descriptor holds the process: the pid may be another's by now. */
static void kill_member(pid_t pid, pid_t session, const char *under)
{
    scoped_fd pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (pidfd >= 0 && belongs(pid, session, under))
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

static int kill_round(pid_t session, const char *under)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    int found = 0;

    while (proc && (entry = readdir(proc))) {
        long pid = strtol(entry->d_name, NULL, 10);

        if (pid < 2 || pid > INT_MAX || !belongs((pid_t)pid, session, under))
            continue;
        found++;
        kill_member((pid_t)pid, session, under);
    }
    if (proc)
        (void)closedir(proc);
    return found;
}

void job_session_kill(pid_t session, const char *under)
{
    int64_t until_ms = clock_monotonic_ms() + KILL_WITHIN_MS;

    if (session < 2 || session == getsid(0))
        return;
    while (kill_round(session, under) > 0) {
        if (clock_monotonic_ms() > until_ms) {
            log_warn("a job's processes could not be ended, ignoring them",
                     KV("session", (int)session));
            return;
        }
        (void)usleep(2000);
    }
}
