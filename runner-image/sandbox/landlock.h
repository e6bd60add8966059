/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SANDBOX_LANDLOCK_H
#define SANDBOX_LANDLOCK_H
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
#define LANDLOCK_ABI_WITH_SCOPES 6 /* signals and abstract sockets */

/*
 * A ruleset to be entered by landlock_enter; the caller closes it. Paths (NULL at the end) that
 * aren't there are left out. What is below `readable` may be read and executed, what is below
 * `writable` anything but made a device. ERR_UNAVAILABLE when the kernel can't.
 */
int landlock_make(const char *const *readable, const char *const *writable, int *out_fd,
                  struct err *err) CHECKED;

/* Async-signal-safe, after no_new_privs. -1 when refused. */
int landlock_enter(int ruleset_fd);
#endif
