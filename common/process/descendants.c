/* SPDX-License-Identifier: Apache-2.0 */
#include "process/process.h"

#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "process/table.h"

/*
 * Ending whatever was started below us, also by someone who doesn't want to end.
 *
 * Everyone gets TERM and some time. Then rounds of KILL and reaping. In a round each process is
 * killed the moment it is found to be ours, before the next is looked at: beside hundreds that
 * spin we get the processor for a few milliseconds at a time, and who is looked at now and
 * killed later has had its turn to fork in between. A child missed because its parent went
 * meanwhile is our own child by then, and found in the next round.
 *
 * The end is not what /proc shows but what the kernel says: as we adopt orphans, whoever
 * descends from us keeps at least one child of ours alive, so no child is no descendant.
 *
 * Signals go to single processes and never to groups: a stranger may be in a group of ours.
 */
#define END_WITHIN_MS 10000
#define LOOK_EVERY_MS 2

static void nap(int ms)
{
    struct timespec pause = {.tv_nsec = ms * 1000000L};

    (void)nanosleep(&pause, NULL);
}

/* Reaps all that ended; true when no child is left. __WALL: also those made by clone(2). */
static bool reap_all(void)
{
    pid_t pid;

    do {
        pid = waitpid(-1, NULL, WNOHANG | __WALL);
    } while (pid > 0 || (pid < 0 && errno == EINTR));
    return pid < 0 && errno == ECHILD;
}

static bool reap_all_until(int64_t deadline_ms)
{
    for (;;) {
        if (reap_all())
            return true;
        if (clock_monotonic_ms() >= deadline_ms)
            return false;
        nap(LOOK_EVERY_MS);
    }
}

static bool contains(const pid_t *rising, size_t count, pid_t pid)
{
    while (count > 0) {
        size_t half = count / 2;

        if (rising[half] == pid)
            return true;
        if (rising[half] < pid) {
            rising += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return false;
}

/* The pidfd is from before the look: should the pid become another's in between, the signal
 * goes nowhere. */
static void send_signal(int fd, pid_t pid, int number)
{
    if (fd < 0)
        (void)kill(pid, number); /* a kernel without pidfds */
    else
        (void)pidfd_send_signal(fd, number, NULL, 0);
}

/* Is it alive and below us, given those who are known to be? Then it gets the signal. */
static bool signal_if_ours(pid_t pid, const pid_t *ours, size_t n_ours, int number)
{
    scoped_fd fd = pidfd_open(pid, 0);
    struct process_entry one;

    if (fd < 0 && errno != ENOSYS)
        return false;
    if (!process_entry_read(pid, &one))
        return false;
    if (one.parent != getpid() && !contains(ours, n_ours, one.parent))
        return false;
    if (one.alive)
        send_signal(fd, pid, number);
    if (one.alive && number == SIGTERM)
        send_signal(fd, pid, SIGCONT); /* a stopped one would not hear it */
    return true;
}

static int signal_all(struct process_list *all, int number, struct err *err)
{
    size_t n_ours = 0;

    if (process_list_read(all, err) < 0)
        return err_wrap(err, "ending descendants");
    for (size_t i = 0; i < all->count; i++)
        if (signal_if_ours(all->pids[i], all->pids, n_ours, number))
            all->pids[n_ours++] = all->pids[i]; /* the front of the list holds ours */
    return 0;
}

int process_end_descendants(int grace_ms, struct err *err)
{
    scoped_process_list all = {0};
    int64_t deadline_ms;

    if (reap_all())
        return 0;
    if (grace_ms > 0) {
        if (signal_all(&all, SIGTERM, err) < 0)
            return -1;
        if (reap_all_until(clock_monotonic_ms() + grace_ms))
            return 0;
    }
    deadline_ms = clock_monotonic_ms() + END_WITHIN_MS;
    while (clock_monotonic_ms() < deadline_ms) {
        if (signal_all(&all, SIGKILL, err) < 0)
            return -1;
        if (reap_all())
            return 0;
    }
    return err_set(err, ERR_TIMEOUT, "some descendants can't be ended");
}
