/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/scoped.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#define FOREIGN_NUMBERS 0x40000000U /* x32 */
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef OUR_ARCH

#define NAMESPACES                                                                             \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER               \
     | CLONE_NEWPID | CLONE_NEWNET)

#define LOAD(member)                                                                           \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, member))
#define ANSWER(number) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (number))
#define IS(value, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (otherwise))
#define DENY(name) IS(SYS_##name, 1), ANSWER(EPERM)
#define LACK(name) IS(SYS_##name, 1), ANSWER(ENOSYS)

/* The low half of an argument: both machines are little-endian. */
#define ARG(n) args[n]

static struct sock_filter filter[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    LOAD(nr),
#ifdef FOREIGN_NUMBERS
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FOREIGN_NUMBERS, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
#endif
    /* Looking into processes. */
    DENY(ptrace),
    DENY(process_vm_readv),
    DENY(process_vm_writev),
    DENY(kcmp),
    DENY(pidfd_getfd),
    DENY(process_madvise),
    DENY(perf_event_open),
    /* Keyrings. */
    DENY(add_key),
    DENY(request_key),
    DENY(keyctl),
    /* Mounts, roots, namespaces. */
    DENY(mount),
    DENY(umount2),
    DENY(move_mount),
    DENY(open_tree),
    DENY(mount_setattr),
    DENY(fsopen),
    DENY(fsconfig),
    DENY(fsmount),
    DENY(fspick),
    DENY(pivot_root),
    DENY(chroot),
    DENY(setns),
    DENY(swapon),
    DENY(swapoff),
    DENY(quotactl),
    DENY(nfsservctl),
    /* Files by handle instead of by path. */
    DENY(open_by_handle_at),
    DENY(name_to_handle_at),
    /* The kernel itself. */
    DENY(bpf),
    DENY(userfaultfd),
    DENY(kexec_load),
    DENY(kexec_file_load),
    DENY(init_module),
    DENY(finit_module),
    DENY(delete_module),
    DENY(reboot),
    DENY(syslog),
    DENY(acct),
    DENY(lookup_dcookie),
    DENY(vhangup),
#ifdef SYS_iopl
    DENY(iopl),
    DENY(ioperm),
    DENY(modify_ldt),
#endif
    /* Clocks. */
    DENY(settimeofday),
    DENY(clock_settime),
    DENY(clock_adjtime),
    DENY(adjtimex),
    /* Work that the kernel does for a ring isn't seen by this filter. */
    LACK(io_uring_setup),
    LACK(io_uring_enter),
    LACK(io_uring_register),
    /* Its flags are in memory, where a filter can't look: libraries fall back to clone. */
    LACK(clone3),
    /* New namespaces; A holds the number again after each look at an argument. */
    IS(SYS_unshare, 4),
    LOAD(ARG(0)),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 0, 1),
    ANSWER(EPERM),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    IS(SYS_clone, 4),
    LOAD(ARG(0)),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 0, 1),
    ANSWER(EPERM),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    /* Typing into a terminal that somebody else reads. */
    IS(SYS_ioctl, 5),
    LOAD(ARG(1)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 1, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 0, 1),
    ANSWER(EPERM),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    /* Sockets: local ones, IP, and netlink, which is how interfaces are listed. */
    IS(SYS_socket, 7),
    LOAD(ARG(0)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 4, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 3, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 1, 0),
    ANSWER(EAFNOSUPPORT),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

bool seccomp_available(void)
{
    unsigned action = SECCOMP_RET_KILL_PROCESS;

    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0U, &action) == 0;
}

int seccomp_enter(void)
{
    struct sock_fprog program = {.len = ARRAY_SIZE(filter), .filter = filter};

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0U, &program) < 0 ? -1 : 0;
}

#else

bool seccomp_available(void)
{
    return false;
}

int seccomp_enter(void)
{
    return -1;
}

#endif
