/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

/* Of <linux/landlock.h>, whose copy in Debian 12 ends at ABI 2. */
#define LANDLOCK_VERSION_FLAG 1U
#define LANDLOCK_RULE_BENEATH 1
#define ACCESS_MAKE_CHAR (1ULL << 6)
#define ACCESS_MAKE_BLOCK (1ULL << 11)
#define ACCESS_REFER (1ULL << 13)
#define SCOPE_ABSTRACT_SOCKETS (1ULL << 0)
#define SCOPE_SIGNALS (1ULL << 1)
#define ABI_WITH_REFER 2
#define ABI_WITH_SCOPES 6

struct ruleset_attributes {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* ABI 4 */
    uint64_t scoped;             /* ABI 6 */
};

struct beneath_attributes {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

/* --- Before the fork --------------------------------------------------------------------- */

/* Once any file access is handled, moving files between directories is refused unless a rule
 * allows it: allow it everywhere. */
static int allow_moving(int ruleset_fd)
{
    struct beneath_attributes everywhere = {.allowed_access = ACCESS_REFER};
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    long added;

    if (root < 0)
        return -1;
    everywhere.parent_fd = root;
    added = syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_BENEATH, &everywhere, 0U);
    (void)close(root);
    return added < 0 ? -1 : 0;
}

static int make_ruleset(int abi)
{
    struct ruleset_attributes rules = {
        .handled_access_fs = ACCESS_MAKE_CHAR | ACCESS_MAKE_BLOCK | ACCESS_REFER,
        .scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS,
    };
    size_t size = sizeof(rules);
    int fd;

    if (abi < ABI_WITH_REFER)
        return -1; /* it would forbid moving files for good, which builds need */
    if (abi < ABI_WITH_SCOPES)
        size = sizeof(rules.handled_access_fs);
    fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0U);
    if (fd >= 0 && allow_moving(fd) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

void sandbox_init(struct sandbox *sandbox)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0UL, LANDLOCK_VERSION_FLAG);

    sandbox->landlock_abi = abi > 0 ? (int)abi : 0;
    sandbox->ruleset_fd = abi > 0 ? make_ruleset((int)abi) : -1;
    if (sandbox->ruleset_fd < 0)
        log_warn("Landlock isn't available, going on without",
                 KV("abi", sandbox->landlock_abi));
}

void sandbox_done(struct sandbox *sandbox)
{
    if (sandbox->ruleset_fd >= 0)
        (void)close(sandbox->ruleset_fd);
    sandbox->ruleset_fd = -1;
}

/* --- In the child ------------------------------------------------------------------------ */

/* A root without capabilities that executes something gets them all back, unless the bounding
 * set is empty and the securebits say that root is nobody special. Both need CAP_SETPCAP, which
 * only who has capabilities to lose has. */
static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    bool privileged;

    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    privileged = data[0].effective & (1U << CAP_SETPCAP);
    for (int cap = 0; privileged && prctl(PR_CAPBSET_READ, cap) >= 0; cap++) {
        if (prctl(PR_CAPBSET_DROP, cap) < 0)
            return -1;
    }
    if (privileged
        && prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED
                                        | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED
                                        | SECBIT_NO_CAP_AMBIENT_RAISE
                                        | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)
               < 0)
        return -1;
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    data[0] = data[1] = (struct __user_cap_data_struct){0};
    return (int)syscall(SYS_capset, &header, data);
}

int sandbox_enter(void *ctx)
{
    const struct sandbox *sandbox = ctx;
    struct rlimit no_core = {0};

    if (setrlimit(RLIMIT_CORE, &no_core) < 0)
        return SANDBOX_EXIT_CODE;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || drop_capabilities() < 0)
        return SANDBOX_EXIT_CODE;
    if (sandbox->ruleset_fd >= 0
        && syscall(SYS_landlock_restrict_self, sandbox->ruleset_fd, 0U) < 0)
        return SANDBOX_EXIT_CODE;
    return 0;
}

cJSON *sandbox_to_json(const struct sandbox *sandbox)
{
    bool landlock = sandbox->ruleset_fd >= 0;

    return jobj(
        {"no_new_privs", jbool(true)}, {"capabilities", jstr("none")},
        {"landlock_abi", jint(landlock ? sandbox->landlock_abi : 0)},
        {"signals_scoped", jbool(landlock && sandbox->landlock_abi >= ABI_WITH_SCOPES)});
}
