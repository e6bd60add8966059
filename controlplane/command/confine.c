/* SPDX-License-Identifier: Apache-2.0 */
#include "command/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "confine/capabilities.h"
#include "confine/landlock.h"
#include "confine/seccomp.h"

#define PORT_OF_ROOT_MAX 1023

/* Of a root that starts runners: to make the agent another user and give it its files, to end
 * it, to look for what it left behind, and to give up all of it in the child. */
#define FOR_RUNNERS                                                                            \
    (CAPABILITY(CAP_SETUID) | CAPABILITY(CAP_SETGID) | CAPABILITY(CAP_SETPCAP)                 \
     | CAPABILITY(CAP_CHOWN) | CAPABILITY(CAP_FOWNER) | CAPABILITY(CAP_DAC_OVERRIDE)           \
     | CAPABILITY(CAP_KILL) | CAPABILITY(CAP_SYS_PTRACE))

static bool is(const char *mode, const char *word)
{
    return strcmp(mode, word) == 0;
}

/* --- Capabilities ------------------------------------------------------------------------- */

static const char *first_closed(const struct reach_paths *paths, int mode)
{
    for (size_t i = 0; i < paths->count; i++)
        if (faccessat(AT_FDCWD, paths->all[i], mode, AT_EACCESS) < 0 && errno == EACCES)
            return paths->all[i];
    return NULL;
}

/* What would be closed to us without it; NULL: nothing. By trying. */
static const char *closed_without_override(const struct reach *reach)
{
    uint64_t now = capabilities_in_use();
    const char *closed;

    if (!(now & CAPABILITY(CAP_DAC_OVERRIDE)) || capabilities_use(0) < 0)
        return NULL;
    closed = first_closed(&reach->writable, W_OK);
    if (!closed)
        closed = first_closed(&reach->named, R_OK);
    if (!closed)
        closed = first_closed(&reach->socket, W_OK);
    (void)capabilities_use(now);
    return closed;
}

static uint64_t capabilities_needed(struct confinement *confinement)
{
    const struct reach *reach = &confinement->reach;
    uint64_t needed = 0;

    if (reach->port > 0 && reach->port <= PORT_OF_ROOT_MAX)
        needed |= CAPABILITY(CAP_NET_BIND_SERVICE);
    if (reach->starts)
        return needed | FOR_RUNNERS;
    confinement->closed = closed_without_override(reach);
    return confinement->closed ? needed | CAPABILITY(CAP_DAC_OVERRIDE) : needed;
}

static int drop_privileges(struct confinement *confinement, struct err *err)
{
    uint64_t keep = capabilities_needed(confinement);

    if (capabilities_bound(keep) < 0 || capabilities_keep(keep) < 0)
        return err_set_errno(err, errno, "giving up capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set_errno(err, errno, "no_new_privs");
    return 0;
}

/* --- Files and system calls --------------------------------------------------------------- */

/* -1 with why there is no Landlock. */
static int close_files(struct confinement *confinement, struct err *err)
{
    const struct reach *reach = &confinement->reach;
    struct landlock_options options = {
        .readable = (const char *const *)reach->readable.all,
        .writable = (const char *const *)reach->writable.all,
        .tcp_port = &reach->port,
    };
    scoped_fd ruleset = -1;
    int abi = landlock_abi();

    if (landlock_make(&options, &ruleset, err) < 0)
        return -1;
    /* SQLite would go to /var/tmp and /tmp. */
    if (setenv("SQLITE_TMPDIR", reach->temporary, 1) < 0 || landlock_enter(ruleset) < 0)
        return err_set_errno(err, errno, "entering Landlock");
    confinement->landlock_abi = abi;
    return 0;
}

static int close_system_calls(struct confinement *confinement, struct err *err)
{
    enum seccomp_policy policy = confinement->reach.starts ? SECCOMP_PROGRAMS : SECCOMP_SERVER;

    /* The leak checker, ours and our children's, goes by ptrace. */
    if (SECCOMP_SANITIZED && confinement->reach.starts)
        return 0;
    if (!seccomp_available() || seccomp_enter(policy) < 0)
        return err_set(err, ERR_UNAVAILABLE, "no seccomp filter for this machine");
    confinement->seccomp = true;
    return 0;
}

/* In `auto` what can't be had is gone without. */
static int settle(struct confinement *confinement, const struct err *why, struct err *err)
{
    if (is(confinement->mode, "strict"))
        return err_set(err, ERR_UNAVAILABLE, "`strict` can't be had here: %s", why->text);
    confinement->incomplete = *why;
    return 0;
}

static int enter(struct confinement *confinement, struct err *err)
{
    struct err why = {0};

    if (drop_privileges(confinement, err) < 0)
        return -1;
    if (!confinement->reach.starts && close_files(confinement, &why) < 0
        && settle(confinement, &why, err) < 0)
        return -1;
    if (close_system_calls(confinement, &why) < 0 && settle(confinement, &why, err) < 0)
        return -1;
    return 0;
}

int confine_enter(struct confinement *confinement, const struct config *config, struct err *err)
{
    struct rlimit no_core = {0};

    if (confinement->entered)
        return 0;
    /* A local agent runs as our user: our environment and memory are closed to it. */
    if (prctl(PR_SET_DUMPABLE, 0) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0)
        return err_set_errno(err, errno, "no core dumps");
    confinement->entered = true;
    confinement->mode = xstrdup(config->confine);
    if (is(config->confine, "off"))
        return 0;
    if (reach_find(&confinement->reach, config, err) < 0)
        return -1;
    return enter(confinement, err);
}

static bool has_ports(const struct confinement *confinement)
{
    return confinement->landlock_abi >= LANDLOCK_ABI_WITH_PORTS;
}

void confine_say(struct confinement *confinement)
{
    const char *starts = confinement->reach.starts;
    scoped_str capabilities = xasprintf("%#llx", (unsigned long long)capabilities_in_use());

    if (confinement->said || is(confinement->mode, "off"))
        return;
    confinement->said = true;
    log_info("confined", KV("landlock_abi", confinement->landlock_abi),
             KV("tcp_port", has_ports(confinement) ? confinement->reach.port : -1),
             KV("system_calls", !confinement->seccomp ? "all"
                                : starts              ? "all but those refused"
                                                      : "those allowed"),
             KV("capabilities", (const char *)capabilities), KV("starts_programs", starts));
    if (confinement->closed)
        log_warn("a path is closed to our user, keeping CAP_DAC_OVERRIDE",
                 KV("path", confinement->closed));
    if (confinement->incomplete.text[0])
        log_warn("the confinement isn't complete, going on without",
                 KV("error", (const char *)confinement->incomplete.text));
}

bool confine_forbids_programs(const struct confinement *confinement)
{
    return confinement->landlock_abi || (confinement->seccomp && !confinement->reach.starts);
}

void confinement_done(struct confinement *confinement)
{
    free(confinement->mode);
    reach_done(&confinement->reach);
    *confinement = (struct confinement){0};
}

/* --- New settings ------------------------------------------------------------------------- */

int confine_admits(const struct confinement *confinement, const struct config *config,
                   struct err *err)
{
    scoped_reach wanted = {0};
    const char *lacking;

    if (!is(confinement->mode, config->confine))
        return err_set(err, ERR_INVALID, "confine: a change takes a new start");
    if (is(confinement->mode, "off"))
        return 0;
    if (reach_find(&wanted, config, err) < 0)
        return -1;
    if (wanted.starts && !confinement->reach.starts)
        return err_set(
            err, ERR_INVALID,
            "%s starts programs, which dispatchd has confined itself not to: it takes "
            "a new start",
            wanted.starts);
    lacking = confinement->landlock_abi ? reach_lacks(&confinement->reach, &wanted) : NULL;
    if (lacking)
        return err_set(err, ERR_INVALID,
                       "%.200s is outside of what dispatchd has confined itself to: it takes a "
                       "new start",
                       lacking);
    if (has_ports(confinement) && wanted.port != confinement->reach.port)
        return err_set(err, ERR_INVALID,
                       "port: dispatchd has confined itself to port %d: it takes a new start",
                       confinement->reach.port);
    return 0;
}
