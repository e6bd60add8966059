/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/job_session.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "launch/proc_stat.h"

#define KILL_WITHIN_MS 200
#define ENVIRON_LOOK_BYTES 32768
#define STARTED_MARGIN_MS 1000 /* of the kernel's tick, by which starts are rounded down */

/* Whom to kill: a session, or whoever was given a HOME below a directory. */
struct target {
    pid_t session;     /* 0: any */
    const char *under; /* and works inside of this; NULL: anywhere */
    const char *home;  /* and has "HOME=<dir>/" as its environment began; NULL: any */
    int64_t since_ms;  /* and began after that, since boot; 0: ever */
};

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

static bool has_home(pid_t pid, const char *home)
{
    char path[48];
    char text[ENVIRON_LOOK_BYTES + 1];
    size_t size = 0;
    ssize_t got = 1;

    (void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC);

    while (fd >= 0 && size < ENVIRON_LOOK_BYTES && got > 0) {
        got = read(fd, text + size, ENVIRON_LOOK_BYTES - size);
        size += got > 0 ? (size_t)got : 0;
    }
    text[size] = '\0';
    for (size_t at = 0; at < size; at += strlen(text + at) + 1)
        if (strncmp(text + at, home, strlen(home)) == 0)
            return true;
    return false;
}

static bool belongs(pid_t pid, const struct target *target)
{
    struct proc_stat stat;

    /* Most processes are somebody else's: what costs least is asked first. */
    if (target->session && getsid(pid) != target->session)
        return false;
    return proc_stat_read(pid, &stat) && !proc_stat_is_dead(&stat)
           && stat.started_ms + STARTED_MARGIN_MS >= target->since_ms
           && (!target->session || stat.session == target->session)
           && (!target->under || is_inside(pid, target->under))
           && (!target->home || has_home(pid, target->home));
}

/* Looked at again once a descriptor holds the process: the pid may be another's by now. */
static void kill_member(pid_t pid, const struct target *target)
{
    scoped_fd pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (pidfd >= 0 && belongs(pid, target))
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

static int kill_round(const struct target *target)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    int found = 0;

    while (proc && (entry = readdir(proc))) {
        long pid = strtol(entry->d_name, NULL, 10);

        if (pid < 2 || pid > INT_MAX || !belongs((pid_t)pid, target))
            continue;
        found++;
        kill_member((pid_t)pid, target);
    }
    if (proc)
        (void)closedir(proc);
    return found;
}

static void kill_all(const struct target *target)
{
    int64_t until_ms = clock_monotonic_ms() + KILL_WITHIN_MS;

    while (kill_round(target) > 0) {
        if (clock_monotonic_ms() > until_ms) {
            log_warn("a job's processes could not be ended, ignoring them",
                     KV("session", (int)target->session), KV("home", target->home));
            return;
        }
        (void)usleep(2000);
    }
}

void job_session_kill(pid_t session, const char *under)
{
    struct target target = {.session = session, .under = under};

    if (session >= 2 && session != getsid(0))
        kill_all(&target);
}

void job_session_kill_strays(const char *job_dir, int64_t since_ms)
{
    scoped_str home = xasprintf("HOME=%s/", job_dir);
    struct target target = {.home = home, .since_ms = since_ms};

    kill_all(&target);
}
