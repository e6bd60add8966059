/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFINE_SECCOMP_H
#define CONFINE_SECCOMP_H
#include <stdbool.h>

/*
 * seccomp filters, for the caller, its threads and all it will start.
 * https://docs.kernel.org/userspace-api/seccomp_filter.html
 */
enum seccomp_policy {
    /* For agents, and for whoever starts programs: everything but what none of them has any
     * business with: looking into processes, keyrings, mounts and new namespaces, kernel
     * modules, BPF, clocks, handles that go around paths, unusual socket families. These answer
     * EPERM, or ENOSYS where a library has another way. */
    SECCOMP_PROGRAMS,
    /* For a server that starts nothing: only what files, sockets, memory and threads take. The
     * rest answers EPERM and is noted in the kernel's audit log. No memory is made executable
     * that can be, or could be, written. */
    SECCOMP_SERVER,
};

/* A build with a sanitizer lets the server do what that does to itself: at the end it stops all
 * threads and looks for leaks. */
#define SECCOMP_SANITIZED 0
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#undef SECCOMP_SANITIZED
#define SECCOMP_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#undef SECCOMP_SANITIZED
#define SECCOMP_SANITIZED 1
#endif
#endif

/* Can this machine's kernel, and do we know its system calls? */
bool seccomp_available(void);

/* Async-signal-safe, after no_new_privs. -1 when refused. */
int seccomp_enter(enum seccomp_policy policy);
#endif
