/* SPDX-License-Identifier: Apache-2.0 */
#include "confine/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/scoped.h"

/* Of <linux/landlock.h>, whose copy in Debian 12 ends at ABI 2. */
#define VERSION_FLAG 1U
#define RULE_BENEATH 1
#define RULE_PORT 2 /* ABI 4 */
#define EXECUTE (1ULL << 0)
#define WRITE_FILE (1ULL << 1)
#define READ_FILE (1ULL << 2)
#define READ_DIR (1ULL << 3)
#define REMOVE_DIR (1ULL << 4)
#define REMOVE_FILE (1ULL << 5)
#define MAKE_CHAR (1ULL << 6)
#define MAKE_DIR (1ULL << 7)
#define MAKE_REG (1ULL << 8)
#define MAKE_SOCK (1ULL << 9)
#define MAKE_FIFO (1ULL << 10)
#define MAKE_BLOCK (1ULL << 11)
#define MAKE_SYM (1ULL << 12)
#define REFER (1ULL << 13)    /* ABI 2 */
#define TRUNCATE (1ULL << 14) /* ABI 3 */
#define BIND_TCP (1ULL << 0)  /* ABI 4 */
#define SCOPE_ABSTRACT_SOCKETS (1ULL << 0)
#define SCOPE_SIGNALS (1ULL << 1)
#define ABI_WITH_TRUNCATE 3

#define READING (READ_FILE | READ_DIR)
#define CHANGING                                                                               \
    (WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO       \
     | MAKE_SYM | REFER | TRUNCATE)
#define OF_FILES (EXECUTE | READ_FILE | WRITE_FILE | TRUNCATE)

struct ruleset_attributes {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* ABI 4 */
    uint64_t scoped;             /* ABI 6 */
};

struct beneath_attributes {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

struct port_attributes {
    uint64_t allowed_access;
    uint64_t port;
};

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0UL, VERSION_FLAG);

    return abi > 0 ? (int)abi : 0;
}

static uint64_t known_to(int abi, uint64_t access)
{
    return abi < ABI_WITH_TRUNCATE ? access & ~TRUNCATE : access;
}

static int allow(int ruleset_fd, const char *path, uint64_t access, struct err *err)
{
    struct beneath_attributes rule = {.parent_fd = open(path, O_PATH | O_CLOEXEC)};
    struct stat seen;
    int result = 0;

    if (rule.parent_fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES
                   ? 0
                   : err_set_errno(err, errno, "%s", path);
    if (fstat(rule.parent_fd, &seen) < 0)
        result = err_set_errno(err, errno, "%s", path);
    rule.allowed_access = S_ISDIR(seen.st_mode) ? access : access & OF_FILES;
    if (result == 0 && syscall(SYS_landlock_add_rule, ruleset_fd, RULE_BENEATH, &rule, 0U) < 0)
        result = err_set_errno(err, errno, "a Landlock rule for %s", path);
    (void)close(rule.parent_fd);
    return result;
}

static int allow_all(int ruleset_fd, const char *const *paths, uint64_t access, struct err *err)
{
    for (; paths && *paths; paths++)
        if (allow(ruleset_fd, *paths, access, err) < 0)
            return -1;
    return 0;
}

static int allow_port(int ruleset_fd, int port, struct err *err)
{
    struct port_attributes rule = {.allowed_access = BIND_TCP, .port = (uint64_t)port};

    if (syscall(SYS_landlock_add_rule, ruleset_fd, RULE_PORT, &rule, 0U) < 0)
        return err_set_errno(err, errno, "a Landlock rule for port %d", port);
    return 0;
}

/* Each ABI knows the members that were there when it came. */
static size_t size_known_to(int abi)
{
    if (abi >= LANDLOCK_ABI_WITH_SCOPES)
        return sizeof(struct ruleset_attributes);
    return abi >= LANDLOCK_ABI_WITH_PORTS
               ? offsetof(struct ruleset_attributes, scoped)
               : offsetof(struct ruleset_attributes, handled_access_net);
}

static int add_rules(int ruleset_fd, int abi, bool ports,
                     const struct landlock_options *options, struct err *err)
{
    if (allow_all(ruleset_fd, options->readable, READING, err) < 0
        || allow_all(ruleset_fd, options->executable, READING | EXECUTE, err) < 0
        || allow_all(ruleset_fd, options->writable, known_to(abi, READING | CHANGING), err) < 0)
        return -1;
    return ports ? allow_port(ruleset_fd, *options->tcp_port, err) : 0;
}

int landlock_make(const struct landlock_options *options, int *out_fd, struct err *err)
{
    int abi = landlock_abi();
    bool ports = options->tcp_port && abi >= LANDLOCK_ABI_WITH_PORTS;
    struct ruleset_attributes rules = {
        .handled_access_fs =
            known_to(abi, READING | EXECUTE | CHANGING | MAKE_CHAR | MAKE_BLOCK),
        .handled_access_net = ports ? BIND_TCP : 0,
        .scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS,
    };
    scoped_fd fd = -1;

    if (abi < LANDLOCK_ABI_MIN)
        return err_set(err, ERR_UNAVAILABLE, "this kernel has %s",
                       abi ? "too old a Landlock" : "no Landlock");
    fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size_known_to(abi), 0U);
    if (fd < 0)
        return err_set_errno(err, errno, "a Landlock ruleset");
    if (add_rules(fd, abi, ports, options, err) < 0)
        return -1;
    *out_fd = TAKE_FD(fd);
    return 0;
}

int landlock_enter(int ruleset_fd)
{
    return syscall(SYS_landlock_restrict_self, ruleset_fd, 0U) < 0 ? -1 : 0;
}
