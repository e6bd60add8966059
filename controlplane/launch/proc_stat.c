/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/proc_stat.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/scoped.h"

bool proc_stat_parse(const char *text, struct proc_stat *out)
{
    /* The name, field 2, may hold blanks and brackets: fields count from its last bracket. */
    const char *after_name = strrchr(text, ')');
    long per_second = sysconf(_SC_CLK_TCK);
    unsigned long long ticks;
    int session;

    if (!after_name || per_second <= 0
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

bool proc_stat_read(pid_t pid, struct proc_stat *out)
{
    char path[48];
    char text[1024];
    scoped_fd fd = -1;
    ssize_t got;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (got <= 0)
        return false;
    text[got] = '\0';
    return proc_stat_parse(text, out);
}

bool proc_stat_is_dead(const struct proc_stat *stat)
{
    return stat->state == 'Z' || stat->state == 'X' || stat->state == 'x';
}
