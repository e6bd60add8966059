/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/proc_stat.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/scoped.h"

bool proc_stat_read(pid_t pid, struct proc_stat *out)
{
    char path[48];
    char text[1024];
    scoped_fd fd = -1;
    unsigned long long ticks;
    const char *after_name;
    long per_second = sysconf(_SC_CLK_TCK);
    ssize_t got;
    int session;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (got <= 0 || per_second <= 0)
        return false;
    text[got] = '\0';
    /* The name, field 2, may hold blanks and brackets: fields count from its last bracket. */
    after_name = strrchr(text, ')');
    if (!after_name
        || sscanf(after_name + 1,
                  " %c %*d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d"
                  " %llu",
                  &out->state, &session, &ticks)
               != 3)
        return false;
    out->session = session;
    out->started_ms = (int64_t)(ticks * 1000 / (unsigned long long)per_second);
    return true;
}

bool proc_stat_is_dead(const struct proc_stat *stat)
{
    return stat->state == 'Z' || stat->state == 'X' || stat->state == 'x';
}
