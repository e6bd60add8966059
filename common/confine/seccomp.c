/* SPDX-License-Identifier: Apache-2.0 */
#include "confine/seccomp.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/scoped.h"
#include "confine/syscall_filter.h"

#if defined(__x86_64__) || defined(__aarch64__)

#define ROW(name, verdict)                                                                     \
    {                                                                                          \
        SYS_##name, (verdict)                                                                  \
    }
#define REFUSE(name) ROW(name, VERDICT_REFUSE)
#define LACK(name) ROW(name, VERDICT_LACK)
#define ALLOW(name) ROW(name, VERDICT_ALLOW)

/* The kernels from before this number are what the tables below know. */
#define NEWEST SYS_futex_waitv

static const struct syscall_row refused[] = {
    /* Looking into processes. */
    REFUSE(ptrace),
    REFUSE(process_vm_readv),
    REFUSE(process_vm_writev),
    REFUSE(kcmp),
    REFUSE(pidfd_getfd),
    REFUSE(process_madvise),
    REFUSE(perf_event_open),
    /* Keyrings. */
    REFUSE(add_key),
    REFUSE(request_key),
    REFUSE(keyctl),
    /* Mounts, roots, namespaces. */
    REFUSE(mount),
    REFUSE(umount2),
    REFUSE(move_mount),
    REFUSE(open_tree),
    REFUSE(mount_setattr),
    REFUSE(fsopen),
    REFUSE(fsconfig),
    REFUSE(fsmount),
    REFUSE(fspick),
    REFUSE(pivot_root),
    REFUSE(chroot),
    REFUSE(setns),
    REFUSE(swapon),
    REFUSE(swapoff),
    REFUSE(quotactl),
    REFUSE(nfsservctl),
    /* Files by handle instead of by path. */
    REFUSE(open_by_handle_at),
    REFUSE(name_to_handle_at),
    /* The kernel itself. */
    REFUSE(bpf),
    REFUSE(userfaultfd),
    REFUSE(kexec_load),
    REFUSE(kexec_file_load),
    REFUSE(init_module),
    REFUSE(finit_module),
    REFUSE(delete_module),
    REFUSE(reboot),
    REFUSE(syslog),
    REFUSE(acct),
    REFUSE(lookup_dcookie),
    REFUSE(vhangup),
#ifdef SYS_iopl
    REFUSE(iopl),
    REFUSE(ioperm),
    REFUSE(modify_ldt),
#endif
    /* Clocks. */
    REFUSE(settimeofday),
    REFUSE(clock_settime),
    REFUSE(clock_adjtime),
    REFUSE(adjtimex),
    /* Work that the kernel does for a ring isn't seen by this filter. */
    LACK(io_uring_setup),
    LACK(io_uring_enter),
    LACK(io_uring_register),
    /* Its flags are in memory, where a filter can't look: libraries fall back to clone. */
    LACK(clone3),
    ROW(clone, VERDICT_NO_SPACE),
    ROW(unshare, VERDICT_NO_SPACE),
    ROW(ioctl, VERDICT_IOCTL),
    ROW(socket, VERDICT_SOCKET),
};

static const struct syscall_row allowed[] = {
    /* Files. */
    ALLOW(read),
    ALLOW(write),
    ALLOW(pread64),
    ALLOW(pwrite64),
    ALLOW(readv),
    ALLOW(writev),
    ALLOW(preadv),
    ALLOW(pwritev),
    ALLOW(lseek),
    ALLOW(openat),
    ALLOW(close),
    ALLOW(close_range),
    ALLOW(fstat),
    ALLOW(newfstatat),
    ALLOW(statx),
    ALLOW(fcntl),
    ALLOW(flock),
    ALLOW(fsync),
    ALLOW(fdatasync),
    ALLOW(ftruncate),
    ALLOW(fallocate),
    ALLOW(fadvise64),
    ALLOW(faccessat),
    ALLOW(faccessat2),
    ALLOW(unlinkat),
    ALLOW(renameat),
    ALLOW(renameat2),
    ALLOW(mkdirat),
    ALLOW(readlinkat),
    ALLOW(getdents64),
    ALLOW(statfs),
    ALLOW(fstatfs),
    ALLOW(fchmod),
    ALLOW(fchmodat),
    ALLOW(fchown),
    ALLOW(utimensat),
    ALLOW(getcwd),
    ALLOW(umask),
    ALLOW(dup),
    ALLOW(dup3),
    ALLOW(pipe2),
    ALLOW(memfd_create),
    ALLOW(sendfile),
    ALLOW(copy_file_range),
#ifdef SYS_open /* older ways that newer machines lack */
    ALLOW(open),
    ALLOW(stat),
    ALLOW(lstat),
    ALLOW(access),
    ALLOW(unlink),
    ALLOW(rename),
    ALLOW(mkdir),
    ALLOW(rmdir),
    ALLOW(readlink),
    ALLOW(chmod),
    ALLOW(dup2),
    ALLOW(pipe),
    ALLOW(poll),
    ALLOW(select),
    ALLOW(epoll_create),
    ALLOW(epoll_wait),
    ALLOW(eventfd),
    ALLOW(getdents),
    ALLOW(time),
    ALLOW(arch_prctl),
    ALLOW(getrlimit),
#endif
    /* Sockets. */
    ALLOW(bind),
    ALLOW(listen),
    ALLOW(accept),
    ALLOW(accept4),
    ALLOW(connect),
    ALLOW(shutdown),
    ALLOW(socketpair),
    ALLOW(sendto),
    ALLOW(sendmsg),
    ALLOW(sendmmsg),
    ALLOW(recvfrom),
    ALLOW(recvmsg),
    ALLOW(recvmmsg),
    ALLOW(setsockopt),
    ALLOW(getsockopt),
    ALLOW(getsockname),
    ALLOW(getpeername),
    /* Waiting. */
    ALLOW(ppoll),
    ALLOW(pselect6),
    ALLOW(epoll_create1),
    ALLOW(epoll_ctl),
    ALLOW(epoll_pwait),
    ALLOW(epoll_pwait2),
    ALLOW(eventfd2),
    ALLOW(timerfd_create),
    ALLOW(timerfd_settime),
    ALLOW(timerfd_gettime),
    ALLOW(futex),
    ALLOW(futex_waitv),
    ALLOW(nanosleep),
    ALLOW(clock_nanosleep),
    ALLOW(restart_syscall),
    /* Memory. */
    ALLOW(munmap),
    ALLOW(mremap),
    ALLOW(madvise),
    ALLOW(msync),
    ALLOW(mincore),
    ALLOW(mlock),
    ALLOW(mlock2),
    ALLOW(munlock),
    ALLOW(brk),
    ALLOW(membarrier),
    /* Threads, signals, and who we are. */
    ALLOW(exit),
    ALLOW(exit_group),
    ALLOW(set_tid_address),
    ALLOW(set_robust_list),
    ALLOW(get_robust_list),
    ALLOW(rseq),
    ALLOW(sched_yield),
    ALLOW(sched_getaffinity),
    ALLOW(sched_getparam),
    ALLOW(sched_getscheduler),
    ALLOW(sched_get_priority_max),
    ALLOW(sched_get_priority_min),
    ALLOW(rt_sigaction),
    ALLOW(rt_sigprocmask),
    ALLOW(rt_sigreturn),
    ALLOW(rt_sigtimedwait),
    ALLOW(rt_sigsuspend),
    ALLOW(rt_sigpending),
    ALLOW(sigaltstack),
    ALLOW(tgkill),
    ALLOW(prctl),
    ALLOW(getpid),
    ALLOW(getppid),
    ALLOW(gettid),
    ALLOW(getuid),
    ALLOW(geteuid),
    ALLOW(getgid),
    ALLOW(getegid),
    ALLOW(getgroups),
    ALLOW(getresuid),
    ALLOW(getresgid),
    ALLOW(capget),
    ALLOW(prlimit64),
    ALLOW(getrusage),
    ALLOW(sysinfo),
    ALLOW(uname),
    ALLOW(times),
    ALLOW(getpriority),
    /* Clocks and chance. */
    ALLOW(clock_gettime),
    ALLOW(clock_getres),
    ALLOW(gettimeofday),
    ALLOW(getrandom),
    ROW(ioctl, VERDICT_IOCTL),
    ROW(socket, VERDICT_SOCKET),
    ROW(mmap, VERDICT_MAP),
    LACK(clone3),
    LACK(io_uring_setup),
#if SECCOMP_SANITIZED
    ROW(mprotect, VERDICT_ALLOW),
    ROW(clone, VERDICT_NO_SPACE),
    ALLOW(ptrace),
    ALLOW(wait4),
    ALLOW(kill),
    ALLOW(tkill),
    ALLOW(process_vm_readv),
#else
    ROW(mprotect, VERDICT_PROTECT),
    ROW(clone, VERDICT_THREAD),
#endif
};

bool seccomp_available(void)
{
    unsigned action = SECCOMP_RET_KILL_PROCESS;

    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0U, &action) == 0;
}

int seccomp_enter(enum seccomp_policy policy)
{
    bool server = policy == SECCOMP_SERVER;
    unsigned flags = SECCOMP_FILTER_FLAG_TSYNC | (server ? SECCOMP_FILTER_FLAG_LOG : 0U);
    struct syscall_filter filter;
    struct sock_fprog program = {.filter = filter.code};
    int made =
        server
            ? syscall_filter_make(allowed, ARRAY_SIZE(allowed), VERDICT_REFUSE, NEWEST, &filter)
            : syscall_filter_make(refused, ARRAY_SIZE(refused), VERDICT_ALLOW, NEWEST, &filter);

    if (made < 0)
        return -1;
    program.len = (unsigned short)filter.count;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) != 0 ? -1 : 0;
}

#else

bool seccomp_available(void)
{
    return false;
}

int seccomp_enter(enum seccomp_policy policy)
{
    (void)policy;
    return -1;
}

#endif
