/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_PROC_STAT_H
#define LAUNCH_PROC_STAT_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A process as /proc/<pid>/stat has it at this moment. */
struct proc_stat {
    char state;
    pid_t session;
    int64_t started_ms; /* since boot, rounded down to the kernel's tick */
};

/* False when there is no such process. */
bool proc_stat_read(pid_t pid, struct proc_stat *out);
/* The same of what the file says; its name is whatever the process calls itself. */
bool proc_stat_parse(const char *text, struct proc_stat *out);

/* It runs no more code: a zombie, or on its way out. */
bool proc_stat_is_dead(const struct proc_stat *stat);
#endif
