/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFINE_SYSCALL_FILTER_H
#define CONFINE_SYSCALL_FILTER_H
#include <linux/filter.h>
#include <stddef.h>

/*
 * A seccomp program out of a table of system calls. It finds a number by halving, so a call
 * costs eight comparisons and not one for each row. (Since Linux 5.11 calls that are let
 * through whatever their arguments cost next to nothing: the kernel asks once.)
 */
enum verdict {
    VERDICT_ALLOW,
    VERDICT_REFUSE,   /* EPERM */
    VERDICT_LACK,     /* ENOSYS: libraries have another way */
    VERDICT_THREAD,   /* clone: a thread of ours only */
    VERDICT_NO_SPACE, /* clone, unshare: no new namespaces */
    VERDICT_IOCTL,    /* no typing into a terminal that somebody else reads */
    VERDICT_SOCKET,   /* local, IP and netlink, which is how interfaces are listed */
    VERDICT_MAP,      /* mmap: not writable and executable at once */
    VERDICT_PROTECT,  /* mprotect: not made executable */
};

struct syscall_row {
    unsigned number;
    enum verdict verdict;
};

#define SYSCALL_ROWS_MAX 400
#define SYSCALL_FILTER_MAX 4096 /* instructions, the kernel's own limit */

struct syscall_filter {
    struct sock_filter code[SYSCALL_FILTER_MAX];
    size_t count;
};

/*
 * What isn't in `rows` (in any order, each number once) gets `otherwise`; numbers above
 * `newest`, which were unknown when the table was written, VERDICT_LACK where the table is one
 * of what's allowed. A foreign system call table (32 bit) ends the process. Async-signal-safe.
 * -1 when there is no room or no such machine.
 */
int syscall_filter_make(const struct syscall_row *rows, size_t n_rows, enum verdict otherwise,
                        unsigned newest, struct syscall_filter *out);
#endif
