/* SPDX-License-Identifier: Apache-2.0 */
#include "confine/syscall_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

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
/* The low half of an argument: both machines are little-endian. */
#define LOAD_ARGUMENT(n) LOAD(args[n])
#define ANSWER(errno_) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (errno_))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define KILL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define IF(test, value, then, otherwise)                                                       \
    BPF_JUMP(BPF_JMP | BPF_##test | BPF_K, (value), (then), (otherwise))

/* Nothing follows a verdict: each ends with an answer. */
static const struct sock_filter on_allow[] = {ALLOW};
static const struct sock_filter on_refuse[] = {ANSWER(EPERM)};
static const struct sock_filter on_lack[] = {ANSWER(ENOSYS)};
static const struct sock_filter on_thread[] = {
    LOAD_ARGUMENT(0), IF(JSET, NAMESPACES, 2, 0), IF(JSET, CLONE_THREAD, 0, 1), ALLOW,
    ANSWER(EPERM),
};
static const struct sock_filter on_space[] = {
    LOAD_ARGUMENT(0),
    IF(JSET, NAMESPACES, 0, 1),
    ANSWER(EPERM),
    ALLOW,
};
static const struct sock_filter on_ioctl[] = {
    LOAD_ARGUMENT(1), IF(JEQ, TIOCSTI, 1, 0), IF(JEQ, TIOCLINUX, 0, 1), ANSWER(EPERM), ALLOW,
};
static const struct sock_filter on_socket[] = {
    LOAD_ARGUMENT(0),
    IF(JEQ, AF_UNIX, 4, 0),
    IF(JEQ, AF_INET, 3, 0),
    IF(JEQ, AF_INET6, 2, 0),
    IF(JEQ, AF_NETLINK, 1, 0),
    ANSWER(EAFNOSUPPORT),
    ALLOW,
};
static const struct sock_filter on_map[] = {
    LOAD_ARGUMENT(2),
    IF(JSET, PROT_EXEC, 0, 2),
    IF(JSET, PROT_WRITE, 0, 1),
    ANSWER(EPERM),
    ALLOW,
};
static const struct sock_filter on_protect[] = {
    LOAD_ARGUMENT(2),
    IF(JSET, PROT_EXEC, 0, 1),
    ANSWER(EPERM),
    ALLOW,
};

#define PART(array)                                                                            \
    {                                                                                          \
        (array), ARRAY_SIZE(array)                                                             \
    }
static const struct {
    const struct sock_filter *code;
    size_t count;
} parts[] = {
    [VERDICT_ALLOW] = PART(on_allow),     [VERDICT_REFUSE] = PART(on_refuse),
    [VERDICT_LACK] = PART(on_lack),       [VERDICT_THREAD] = PART(on_thread),
    [VERDICT_NO_SPACE] = PART(on_space),  [VERDICT_IOCTL] = PART(on_ioctl),
    [VERDICT_SOCKET] = PART(on_socket),   [VERDICT_MAP] = PART(on_map),
    [VERDICT_PROTECT] = PART(on_protect),
};

static const struct sock_filter prologue[] = {
    LOAD(arch),
    IF(JEQ, OUR_ARCH, 1, 0),
    KILL,
    LOAD(nr),
#ifdef FOREIGN_NUMBERS
    IF(JGE, FOREIGN_NUMBERS, 0, 1),
    KILL,
#endif
};

/* --- Stretches of numbers with one verdict ---------------------------------------------------
 */

struct stretch {
    unsigned first;
    enum verdict verdict;
};

struct stretches {
    struct stretch all[2 * SYSCALL_ROWS_MAX + 2];
    size_t count;
};

static void add_stretch(struct stretches *to, unsigned first, enum verdict verdict)
{
    if (to->count && to->all[to->count - 1].first == first)
        to->count--;
    if (to->count && to->all[to->count - 1].verdict == verdict)
        return;
    to->all[to->count++] = (struct stretch){first, verdict};
}

/* qsort may allocate, and we may be between fork and exec. */
static void sort_rows(struct syscall_row *rows, size_t n_rows)
{
    for (size_t i = 1; i < n_rows; i++) {
        struct syscall_row row = rows[i];
        size_t at = i;

        for (; at > 0 && rows[at - 1].number > row.number; at--)
            rows[at] = rows[at - 1];
        rows[at] = row;
    }
}

static void find_stretches(const struct syscall_row *rows, size_t n_rows,
                           enum verdict otherwise, unsigned newest, struct stretches *out)
{
    add_stretch(out, 0, otherwise);
    for (size_t i = 0; i < n_rows; i++) {
        add_stretch(out, rows[i].number, rows[i].verdict);
        add_stretch(out, rows[i].number + 1, otherwise);
    }
    if (otherwise == VERDICT_REFUSE)
        add_stretch(out, newest + 1, VERDICT_LACK);
}

/* --- The program -------------------------------------------------------------------------- */

static int put(struct syscall_filter *to, const struct sock_filter *code, size_t count)
{
    if (to->count + count > ARRAY_SIZE(to->code))
        return -1;
    memcpy(to->code + to->count, code, count * sizeof(*code));
    to->count += count;
    return 0;
}

/*
 * The stretches from `low` up to `high`: a comparison, the lower half, the upper half. The
 * jumps of a comparison are short, so it jumps to a jump. Each turn halves: it is ten deep.
 */
static int put_tree(struct syscall_filter *to, const struct stretch *all, size_t low,
                    size_t high) // NOLINT(misc-no-recursion)
{
    size_t middle = low + (high - low) / 2;
    const struct sock_filter choice[] = {
        IF(JGE, all[middle].first, 0, 1),
        BPF_STMT(BPF_JMP | BPF_JA, 0),
    };
    size_t jump;

    if (high - low == 1)
        return put(to, parts[all[low].verdict].code, parts[all[low].verdict].count);
    if (put(to, choice, ARRAY_SIZE(choice)) < 0)
        return -1;
    jump = to->count - 1;
    if (put_tree(to, all, low, middle) < 0)
        return -1;
    to->code[jump].k = (unsigned)(to->count - jump - 1);
    return put_tree(to, all, middle, high);
}

int syscall_filter_make(const struct syscall_row *rows, size_t n_rows, enum verdict otherwise,
                        unsigned newest, struct syscall_filter *out)
{
    struct syscall_row sorted[SYSCALL_ROWS_MAX];
    struct stretches stretches = {.count = 0};

    out->count = 0;
    if (n_rows > ARRAY_SIZE(sorted))
        return -1;
    memcpy(sorted, rows, n_rows * sizeof(*rows));
    sort_rows(sorted, n_rows);
    find_stretches(sorted, n_rows, otherwise, newest, &stretches);
    if (put(out, prologue, ARRAY_SIZE(prologue)) < 0)
        return -1;
    return put_tree(out, stretches.all, 0, stretches.count);
}

#else

int syscall_filter_make(const struct syscall_row *rows, size_t n_rows, enum verdict otherwise,
                        unsigned newest, struct syscall_filter *out)
{
    (void)rows;
    (void)n_rows;
    (void)otherwise;
    (void)newest;
    out->count = 0;
    return -1;
}

#endif
