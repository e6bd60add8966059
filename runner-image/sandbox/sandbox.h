/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "json/json.h"

/*
 * The wall around the agent, which is untrusted code. In force are, as far as the machine has
 * them:
 *
 *   always         no_new_privs, every capability given up for good, no core dumps; with the
 *                  runner not dumpable, looking into it takes a capability
 *   identity       where the runner may change it: a user and group that nobody else is
 *                  (identity.h)
 *   Landlock       its workspace, HOME and temporary directories to write, the system to read;
 *                  nothing of the runner's; no ptrace, signal or abstract socket towards
 *                  processes outside (confine/landlock.h)
 *   seccomp        no system calls that it has no business with (confine/seccomp.h)
 *   processes      at most PROCESSES_MAX more than its user has, which ends fork bombs (the
 *                  kernel exempts root)
 *
 * Off keeps what is "always". What is in force is told in an event of the run.
 */
enum sandbox_mode {
    SANDBOX_AUTO,   /* what this machine has */
    SANDBOX_STRICT, /* Landlock and seccomp, or no run */
    SANDBOX_OFF,
};

struct sandbox_options {
    enum sandbox_mode mode;
    const char *const *writable; /* directories; NULL at the end */
    const char *const *readable; /* files and directories beside the system's; the same */
    uid_t uid;                   /* SANDBOX_OWN_UID: stay who we are */
};

#define SANDBOX_OWN_UID ((uid_t)-1)
#define SANDBOX_PROCESSES_MAX 4096

struct sandbox {
    enum sandbox_mode mode;
    int ruleset_fd;   /* -1: no Landlock */
    int landlock_abi; /* of the kernel */
    bool seccomp;
    uid_t uid;
    unsigned processes_max; /* 0: no limit of ours */
};

/*
 * Prepares what the child can't: call it before forking. ERR_UNAVAILABLE when `strict` asks for
 * what this machine lacks.
 */
int sandbox_init(struct sandbox *sandbox, const struct sandbox_options *options,
                 struct err *err) CHECKED;
void sandbox_done(struct sandbox *sandbox);

/* process_spec.before_exec, with a struct sandbox as its context. Async-signal-safe. */
int sandbox_enter(void *sandbox);
#define SANDBOX_EXIT_CODE 125 /* of a child that couldn't enter */

/*
 * Whether this wall, where the kernel has it, keeps an agent from a folder that isn't named to
 * it: Landlock is there, and the folder isn't among those that every agent reads or writes.
 */
bool sandbox_hides(const char *folder);

/* "strict", "auto", "off". */
bool sandbox_mode_parse(const char *name, enum sandbox_mode *out);

/* For an event: {mode, no_new_privs, capabilities, landlock_abi, signals_scoped, seccomp,
 * uid?, processes_max?}. */
cJSON *sandbox_to_json(const struct sandbox *sandbox);
#endif
