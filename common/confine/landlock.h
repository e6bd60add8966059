/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFINE_LANDLOCK_H
#define CONFINE_LANDLOCK_H
#include "base/err.h"

/*
 * A Landlock domain: which files a process and all it starts may reach, and no ptrace, no
 * signal and no abstract socket towards anybody outside. What no rule names is closed.
 * https://docs.kernel.org/userspace-api/landlock.html
 */

/* The kernel's ABI; 0: it has none, or it is switched off. */
int landlock_abi(void);

/* Before this one, moving files between directories is refused for good, which builds need. */
#define LANDLOCK_ABI_MIN 2
#define LANDLOCK_ABI_WITH_PORTS 4
#define LANDLOCK_ABI_WITH_SCOPES 6 /* signals and abstract sockets */

/* Files and directories with all below, each list with NULL at the end; NULL: none. Those that
 * aren't there are left out. A path may be in several. */
struct landlock_options {
    const char *const *readable;
    const char *const *executable; /* and readable */
    const char *const *writable;   /* anything but executed, or made a device */
    const int *tcp_port;           /* the one TCP port to listen on, 0: one that the kernel
                                      chooses; NULL: all */
};

/* A ruleset to be entered by landlock_enter; the caller closes it. ERR_UNAVAILABLE when the
 * kernel can't. */
int landlock_make(const struct landlock_options *options, int *out_fd, struct err *err) CHECKED;

/* Async-signal-safe, after no_new_privs; for the calling thread and all it will start. -1 when
 * refused. */
int landlock_enter(int ruleset_fd);
#endif
