/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SANDBOX_SECCOMP_H
#define SANDBOX_SECCOMP_H
#include <stdbool.h>

/*
 * A seccomp filter against system calls that an agent has no business with: looking into
 * processes, keyrings, mounts and new namespaces, kernel modules, BPF, clocks, handles that
 * go around paths, unusual socket families. They answer EPERM, or ENOSYS where a library has
 * another way; a foreign system call table (32 bit) ends the process.
 * https://docs.kernel.org/userspace-api/seccomp_filter.html
 */

/* Can this machine's kernel, and do we know its system calls? */
bool seccomp_available(void);

/* Async-signal-safe, after no_new_privs. For the caller and all it will start. -1 when
 * refused. */
int seccomp_enter(void);
#endif
