/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/sandbox.h"

#include <grp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "confine/capabilities.h"
#include "confine/landlock.h"
#include "confine/seccomp.h"
#include "sandbox/identity.h"
#include "text/text_list.h"

/* What programs need of a system to run. /proc is guarded by ptrace's rules; what lies in
 * /etc by its owner, as long as the agent is somebody else. */
static const char *const system_readable[] = {
    "/usr", "/bin", "/sbin", "/lib",  "/lib32",     "/lib64",     "/libx32",
    "/etc", "/opt", "/sys",  "/proc", "/gnu/store", "/nix/store", "/run/systemd/resolve",
    "/dev", NULL,
};

/* For whoever doesn't look at TMPDIR, and the devices that are like files. */
static const char *const system_writable[] = {
    "/tmp",        "/var/tmp",     "/dev/shm", "/dev/null", "/dev/zero", "/dev/full",
    "/dev/random", "/dev/urandom", "/dev/tty", "/dev/pts",  "/dev/ptmx", NULL,
};

static const char *const mode_names[] = {
    [SANDBOX_AUTO] = "auto",
    [SANDBOX_STRICT] = "strict",
    [SANDBOX_OFF] = "off",
};

bool sandbox_mode_parse(const char *name, enum sandbox_mode *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(mode_names); i++) {
        if (strcmp(mode_names[i], name) == 0) {
            *out = (enum sandbox_mode)i;
            return true;
        }
    }
    return false;
}

static bool is_below(const char *path, const char *const *folders)
{
    for (; *folders; folders++) {
        size_t length = strlen(*folders);

        if (strncmp(path, *folders, length) == 0 && (!path[length] || path[length] == '/'))
            return true;
    }
    return false;
}

bool sandbox_hides(const char *folder)
{
    scoped_str real = realpath(folder, NULL);

    return real && landlock_abi() >= LANDLOCK_ABI_MIN && !is_below(real, system_readable)
           && !is_below(real, system_writable);
}

/* --- Before the fork --------------------------------------------------------------------- */

static int make_ruleset(const struct sandbox_options *options, int *out_fd, struct err *err)
{
    scoped_text_list executable = {0};
    scoped_text_list writable = {0};

    text_list_add_all(&writable, system_writable);
    if (options->writable)
        text_list_add_all(&writable, options->writable);
    text_list_add_all(&executable, system_readable);
    if (options->readable)
        text_list_add_all(&executable, options->readable);
    text_list_add_all(&executable, text_list_view(&writable));
    return landlock_make(&(struct landlock_options){.executable = text_list_view(&executable),
                                                    .writable = text_list_view(&writable)},
                         out_fd, err);
}

/* Root is exempt from the limit. Who stays our user shares our count of processes. */
static unsigned process_limit(uid_t uid)
{
    if (uid != SANDBOX_OWN_UID)
        return SANDBOX_PROCESSES_MAX;
    return geteuid() == 0 ? 0 : SANDBOX_PROCESSES_MAX + identity_count_tasks(geteuid());
}

int sandbox_init(struct sandbox *sandbox, const struct sandbox_options *options,
                 struct err *err)
{
    struct err why = {0};

    *sandbox = (struct sandbox){
        .mode = options->mode,
        .ruleset_fd = -1,
        .landlock_abi = landlock_abi(),
        .uid = options->uid,
    };
    if (options->mode == SANDBOX_OFF) {
        sandbox->uid = SANDBOX_OWN_UID;
        return 0;
    }
    sandbox->processes_max = process_limit(options->uid);
    sandbox->seccomp = seccomp_available();
    if (make_ruleset(options, &sandbox->ruleset_fd, &why) == 0 && sandbox->seccomp)
        return 0;
    if (options->mode == SANDBOX_STRICT) {
        sandbox_done(sandbox);
        return err_set(err, ERR_UNAVAILABLE, "a strict sandbox can't be had here: %s",
                       why.text[0] ? why.text : "no seccomp filter for this machine");
    }
    log_warn("the sandbox isn't complete, going on without",
             KV("landlock", why.text[0] ? why.text : "yes"), KV("seccomp", sandbox->seccomp));
    return 0;
}

void sandbox_done(struct sandbox *sandbox)
{
    if (sandbox->ruleset_fd >= 0)
        (void)close(sandbox->ruleset_fd);
    sandbox->ruleset_fd = -1;
}

/* --- In the child ------------------------------------------------------------------------ */

static int limit_resources(const struct sandbox *sandbox)
{
    struct rlimit no_core = {0};
    struct rlimit processes;

    if (setrlimit(RLIMIT_CORE, &no_core) < 0)
        return -1;
    if (!sandbox->processes_max)
        return 0;
    if (getrlimit(RLIMIT_NPROC, &processes) < 0)
        return -1;
    if (processes.rlim_max > sandbox->processes_max)
        processes.rlim_cur = processes.rlim_max = sandbox->processes_max;
    return setrlimit(RLIMIT_NPROC, &processes);
}

static int change_identity(uid_t uid)
{
    if (uid == SANDBOX_OWN_UID)
        return 0;
    if (setgroups(0, NULL) < 0 || setresgid((gid_t)uid, (gid_t)uid, (gid_t)uid) < 0)
        return -1;
    return setresuid(uid, uid, uid);
}

int sandbox_enter(void *ctx)
{
    const struct sandbox *sandbox = ctx;

    if (limit_resources(sandbox) < 0 || capabilities_bound(0) < 0
        || change_identity(sandbox->uid) < 0 || capabilities_keep(0) < 0
        || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return SANDBOX_EXIT_CODE;
    if (sandbox->ruleset_fd >= 0 && landlock_enter(sandbox->ruleset_fd) < 0)
        return SANDBOX_EXIT_CODE;
    if (sandbox->seccomp && seccomp_enter(SECCOMP_PROGRAMS) < 0)
        return SANDBOX_EXIT_CODE;
    return 0;
}

cJSON *sandbox_to_json(const struct sandbox *sandbox)
{
    bool landlock = sandbox->ruleset_fd >= 0;

    return jobj(
        {"mode", jstr(mode_names[sandbox->mode])}, {"no_new_privs", jbool(true)},
        {"capabilities", jstr("none")},
        {"landlock_abi", jint(landlock ? sandbox->landlock_abi : 0)},
        {"signals_scoped",
         jbool(landlock && sandbox->landlock_abi >= LANDLOCK_ABI_WITH_SCOPES)},
        {"seccomp", jbool(sandbox->seccomp)},
        {"uid", sandbox->uid == SANDBOX_OWN_UID ? NULL : jint((int64_t)sandbox->uid)},
        {"processes_max", sandbox->processes_max ? jint(sandbox->processes_max) : NULL});
}
